// What cannot be injected: a problem with its place and no output, or a resource that is skipped with its reason.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { KubernetesInjectResult } from "../../src/cli/inject/kubernetes/inject.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { injectKubernetes } from "../../src/cli/inject/kubernetes/inject.ts";
import { ManifestProblem } from "../../src/cli/inject/kubernetes/manifest-problem.ts";
import { defaultInjectOptions } from "../../src/cli/inject/kubernetes/options.ts";
import { checkTrustRoots } from "../../src/cli/inject/kubernetes/trust-roots.ts";
import { uninjectKubernetes } from "../../src/cli/inject/kubernetes/uninject.ts";
import { Authority } from "../support/certificates.ts";

function inject(text: string): KubernetesInjectResult {
  return injectKubernetes([{ file: "app.yaml", text }], defaultInjectOptions());
}

function uninject(text: string): string {
  return uninjectKubernetes([{ file: "app.yaml", text }]).text;
}

function problemOf(text: string): string {
  try {
    inject(text);
  } catch (error) {
    assert.ok(error instanceof ManifestProblem, String((error as Error).stack));
    return error.message;
  }
  assert.fail("it was taken");
}

function pod(spec: string, annotations = "{}"): string {
  return `apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: ${annotations}}\nspec: ${spec}\n`;
}

describe("no output, because", () => {
  for (const [why, text, expected] of [
    ["it is no YAML", "apiVersion: v1\nkind: [Pod\n", /^app\.yaml:\d+:\d+: no YAML: /],
    ["it is a template", "apiVersion: v1\nkind: {{ .Values.kind }}\n", /looks like a template/],
    ["a key is there twice", "apiVersion: v1\nkind: Pod\nkind: Job\n", /^app\.yaml:3:1: no YAML: .*unique/],
    ["it is no text", "apiVersion: v1\0kind: Pod", /no text/],
    ["a tab indents", "apiVersion: v1\nkind: Pod\nspec:\n\tcontainers: []\n", /^app\.yaml:\d+:\d+: no YAML/],
    ["a pod has no spec", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n", /^app\.yaml:1:1: pod "p" has no pod: spec is missing/],
    [
      "a deployment has no template",
      "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {}\n",
      /deployment "d" has no pod: template/,
    ],
    ["a pod has no containers", pod("{containers: []}"), /^app\.yaml:4:1: pod "p" has no containers/],
    ["containers are no list", pod("{containers: {a: b}}"), /no list of containers/],
    ["a container has no name", pod("{containers: [{image: a}]}"), /no list of containers with names/],
    ["volumes are no list", pod("{containers: [{name: a}], volumes: {a: b}}"), /expected a list here/],
    [
      "annotations are no map",
      "apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: [a]}\nspec: {containers: [{name: a}]}\n",
      /expected a map here/,
    ],
    [
      "a port is none",
      pod("{containers: [{name: a}]}", '{config.linkerd.io/opaque-ports: "99999"}'),
      /^app\.yaml:1:1: pod "p": config\.linkerd\.io\/opaque-ports: "99999"; expected ports/,
    ],
    ["ports are too many", pod("{containers: [{name: a}]}", "{config.linkerd.io/opaque-ports: 1-60000}"), /more than 512 ports/],
    ["a limit is too little", pod("{containers: [{name: a}]}", "{config.linkerd.io/proxy-memory-limit: 64Mi}"), /expected 128Mi or more/],
    ["a quantity is none", pod("{containers: [{name: a}]}", "{config.linkerd.io/proxy-cpu-limit: lots}"), /expected a quantity/],
    [
      "a policy is none",
      pod("{containers: [{name: a}]}", "{config.linkerd.io/default-inbound-policy: open}"),
      /expected one of all-unauthenticated/,
    ],
    ["a level is none", pod("{containers: [{name: a}]}", "{config.linkerd.io/proxy-log-level: loud}"), /expected one of trace/],
    ["inject says something else", pod("{containers: [{name: a}]}", "{linkerd.io/inject: maybe}"), /expected enabled or disabled/],
    [
      "a pod is an alias",
      "apiVersion: v1\nkind: List\nx: &s {containers: [{name: a}]}\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: p}\n  spec: *s\n",
      /^app\.yaml:8:9: spec is an alias/,
    ],
    [
      "a pod is repeated",
      "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: p}\n  spec: &s\n    containers: [{name: a}]\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: *s}\n",
      /^app\.yaml:8:5: this part is repeated/,
    ],
    [
      "a merge hides it",
      "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  <<: {hostIPC: true}\n  containers: [{name: a}]\n",
      /^app\.yaml:5:3: a merge key/,
    ],
  ] as const) {
    it(why, () => assert.match(problemOf(text), expected));
  }

  it("one resource of many is wrong", () => {
    const good = pod("{containers: [{name: a}]}");
    assert.match(problemOf(`${good}---\n${pod("{containers: 1}")}`), /^app\.yaml:9:1: /);
  });

  it("aliases grow without end", () => {
    const bomb = ["a: &a [x, x, x, x, x, x, x, x, x, x]"];
    for (let index = 1; index < 9; index++) {
      const [here, before] = ["abcdefghi"[index], "abcdefghi"[index - 1]];
      bomb.push(`${here}: &${here} [${Array.from({ length: 10 }, () => `*${before}`).join(", ")}]`);
    }
    assert.match(problemOf(`apiVersion: v1\nkind: ConfigMap\n${bomb.join("\n")}\n`), /cannot be read/);
  });
});

describe("skipped", () => {
  for (const [what, text, expected] of [
    ["hostNetwork", pod("{hostNetwork: true, containers: [{name: a}]}"), /host's network/],
    ["another mesh", pod("{containers: [{name: a}, {name: linkerd-proxy}]}"), /another mesh's sidecar, linkerd-proxy/],
    ["disabled", pod("{containers: [{name: a}]}", "{linkerd.io/inject: disabled}"), /linkerd\.io\/inject is disabled/],
    ["Windows", pod("{nodeSelector: {kubernetes.io/os: windows}, containers: [{name: a}]}"), /Windows/],
    [
      "a port of the sidecar's",
      pod("{containers: [{name: a, ports: [{containerPort: 4143}]}]}"),
      /uses port 4143, the sidecar's inbound port; move it with config\.linkerd\.io\/inbound-port/,
    ],
    ["a volume of the sidecar's name", pod("{containers: [{name: a}], volumes: [{name: weft-state}]}"), /named weft-state/],
    ["an account that cannot be an identity", pod("{serviceAccountName: a.b, containers: [{name: a}]}"), /cannot have an identity/],
  ] as const) {
    it(`${what}: as it came, and the report says why`, () => {
      const { text: result, outcomes, injected } = inject(text);
      assert.equal(result, text);
      assert.equal(injected, 0);
      assert.deepEqual(
        outcomes.map(({ workload, what: became }) => `${workload} ${became}`),
        ['pod "p" skipped'],
      );
      assert.match(outcomes[0]!.reason!, expected);
      assert.equal(uninject(text), text);
    });
  }

  it("a namespace that says so, unless a pod says otherwise", () => {
    const namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: default, annotations: {linkerd.io/inject: disabled}}\n---\n";
    const told = pod("{containers: [{name: a}]}", "{linkerd.io/inject: enabled}").replace("name: p", "name: q");
    const { outcomes } = inject(`${namespace}${pod("{containers: [{name: a}]}")}---\n${told}`);
    assert.deepEqual(
      outcomes.map(({ workload, what, reason }) => [workload, what, reason]),
      [
        ['namespace "default"', "skipped", null],
        ['pod "p"', "skipped", "linkerd.io/inject is disabled"],
        ['pod "q"', "injected", null],
      ],
    );
  });

  for (const [what, text] of [
    ["an empty file", ""],
    ["comments", "# nothing\n---\n# here\n"],
    ["a text", "just a text\n"],
    ["a list of lists", "- a\n- b\n"],
    ["a compose file", "services:\n  web:\n    image: nginx\n"],
    ["a custom resource of a known kind", "apiVersion: example.com/v1\nkind: Deployment\nmetadata: {name: d}\n"],
    ["a resource without a name", "apiVersion: v1\nkind: ConfigMap\n"],
  ] as const) {
    it(`${what} passes`, () => {
      assert.equal(inject(text).text, text);
      assert.equal(uninject(text), text);
    });
  }
});

describe("told", () => {
  for (const [what, text, expected] of [
    ["UDP", pod("{containers: [{name: a, ports: [{containerPort: 53, protocol: UDP}]}]}"), /container a uses UDP port 53/],
    ["no token of its own", pod("{automountServiceAccountToken: false, containers: [{name: a}]}"), /automountServiceAccountToken is false/],
    [
      "a probe that the sidecar would answer",
      pod("{containers: [{name: a, livenessProbe: {tcpSocket: {port: 80}}}]}"),
      /livenessProbe of container a: a TCP connection/,
    ],
    [
      "a probe that a policy refuses",
      pod(
        "{containers: [{name: a, ports: [{name: h, containerPort: 80}], readinessProbe: {httpGet: {port: h}}}]}",
        "{config.linkerd.io/default-inbound-policy: all-authenticated}",
      ),
      /readinessProbe of container a: policy all-authenticated refuses kubelet/,
    ],
    ["the sidecar's own user", pod("{securityContext: {runAsUser: 2102}, containers: [{name: a}]}"), /runs as user 2102/],
    [
      "a wait beyond the grace period",
      pod("{containers: [{name: a}]}", '{config.alpha.linkerd.io/proxy-wait-before-exit-seconds: "40"}'),
      /waits 40 s/,
    ],
  ] as const) {
    it(what, () => {
      const { problems, injected } = inject(text);
      assert.equal(injected, 1);
      assert.match(problems.map(formatProblem).join("\n"), expected);
      for (const problem of problems) assert.match(formatProblem(problem), /^app\.yaml:1:1: warning: pod "p": /);
    });
  }

  it("nothing about a probe whose port is skipped", () => {
    const annotations = '{config.linkerd.io/default-inbound-policy: deny, config.linkerd.io/skip-inbound-ports: "81"}';
    assert.deepEqual(inject(pod("{containers: [{name: a, livenessProbe: {httpGet: {port: 81}}}]}", annotations)).problems, []);
  });
});

describe("roots", () => {
  it("must be certificates of authorities", () => {
    const authority = new Authority();
    assert.equal(checkTrustRoots(`# comment\n${authority.cert}`), authority.cert);
    assert.throws(() => checkTrustRoots("nothing"), /has no certificate/);
    assert.throws(
      () => checkTrustRoots(authority.issue({ names: ["web.shop.serviceaccount.identity.weft.cluster.local"] }).cert),
      /no authority's/,
    );
    assert.throws(() => checkTrustRoots("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), /cannot be read/);
  });
});
