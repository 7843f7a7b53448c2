// Manifests in the shapes of real projects, injected: as in the files beside them, good for the API server and for the proxy, and back again byte for byte.
//
// `WEFT_UPDATE_GOLDEN=1` writes the files anew; their difference is then to be read.

import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";
import { checkConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { injectKubernetes } from "../../src/cli/inject/kubernetes/inject.ts";
import type { KubernetesInjectResult } from "../../src/cli/inject/kubernetes/inject.ts";
import { defaultInjectOptions } from "../../src/cli/inject/kubernetes/options.ts";
import type { KubernetesInjectOptions } from "../../src/cli/inject/kubernetes/options.ts";
import { uninjectKubernetes } from "../../src/cli/inject/kubernetes/uninject.ts";
import { kubernetesProblems } from "../support/kubernetes-schemas.ts";
import { Authority } from "../support/certificates.ts";

const FOLDER = fileURLToPath(new URL("../fixtures/kubernetes/", import.meta.url));
const EXPECTED = join(FOLDER, "injected");
const OPTIONS: KubernetesInjectOptions = { ...defaultInjectOptions(), image: "registry.example/weft:test" };
const UPDATES = process.env["WEFT_UPDATE_GOLDEN"] === "1";

const names = readdirSync(FOLDER).filter((name) => name.endsWith(".yaml"));

function fixture(name: string): string {
  return readFileSync(join(FOLDER, name), "utf8");
}

function inject(text: string, options: Partial<KubernetesInjectOptions> = {}): KubernetesInjectResult {
  return injectKubernetes([{ file: "app.yaml", text }], { ...OPTIONS, ...options });
}

function uninject(text: string): string {
  return uninjectKubernetes([{ file: "app.yaml", text }]).text;
}

/** As people see it. */
function reportOf({ outcomes, problems, notes }: KubernetesInjectResult): string[] {
  const said = outcomes.map(({ workload, what, reason }) => (reason === null ? `${workload} ${what}` : `${workload} ${what}: ${reason}`));
  return [...problems.map(formatProblem), ...said, ...notes];
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: string[];
  readonly restartPolicy?: string;
  readonly env?: { name: string; value: string }[];
  readonly resources?: unknown;
  readonly lifecycle?: { postStart?: unknown; preStop?: { exec: { command: string[] } } };
  readonly startupProbe?: unknown;
  readonly securityContext?: Record<string, unknown>;
}

interface PodSpec {
  readonly containers: Container[];
  readonly initContainers?: Container[];
  readonly volumes?: { name: string; projected?: { sources: Record<string, unknown>[] } }[];
}

// biome-ignore lint/suspicious/noExplicitAny: resources of every kind.
type Value = any;

function valuesOf(text: string): Value[] {
  const documents = parseAllDocuments(text) as { toJS(): Value }[];
  return documents
    .map((document) => document.toJS())
    .flatMap((value: Value) => (value?.kind === "List" ? value.items : value === null ? [] : [value]));
}

function podOf(text: string, name: string): PodSpec {
  const value = valuesOf(text).find(
    ({ metadata, kind }) => metadata?.name === name && !/^(?:Service|ServiceAccount|Namespace)$/.test(kind),
  );
  assert.ok(value !== undefined, `${name} is not there`);
  if (value.kind === "Pod") return value.spec;
  return (value.kind === "CronJob" ? value.spec.jobTemplate.spec : value.spec).template.spec;
}

function sidecarOf(text: string, name: string): Container {
  const { containers, initContainers = [] } = podOf(text, name);
  const sidecar = [...containers, ...initContainers].find((container) => container.name === "weft-proxy");
  assert.ok(sidecar !== undefined, `${name} has no sidecar`);
  return sidecar;
}

function configOf(text: string, name: string): Value[] {
  const { value } = sidecarOf(text, name).env!.find((variable) => variable.name === "WEFT_CONFIG")!;
  return valuesOf(value);
}

for (const name of names) {
  describe(name, () => {
    const source = fixture(name);
    const result = inject(source);

    it("gets what the file beside it has, and the report", () => {
      const actual = `${reportOf(result)
        .map((line) => `# ${line}\n`)
        .join("")}${result.text}`;
      const path = join(EXPECTED, name);
      if (UPDATES) writeFileSync(path, actual);
      assert.equal(actual, readFileSync(path, "utf8"));
      assert.ok(result.injected > 0);
    });

    it("is what the API server takes", () => {
      assert.deepEqual(valuesOf(source).flatMap(kubernetesProblems), [], "the fixture itself is not");
      assert.deepEqual(valuesOf(result.text).flatMap(kubernetesProblems), []);
    });

    it("comes back byte for byte, also from an injection with other options", () => {
      assert.equal(uninject(result.text), source);
      for (const options of [{ nativeSidecar: false, ipv6: true }, { trustRoots: new Authority().cert }]) {
        const other = inject(source, options);
        assert.notEqual(other.text, source);
        assert.deepEqual(valuesOf(other.text).flatMap(kubernetesProblems), []);
        assert.equal(uninject(other.text), source);
      }
    });

    it("is left alone when it is injected again", () => {
      const trustRoots = new Authority().cert;
      for (const text of [result.text, inject(source, { trustRoots }).text]) {
        const again = inject(text, { trustRoots });
        assert.equal(again.text, text);
        assert.equal(again.injected, 0);
      }
    });

    it("gives sidecars configurations that the proxy takes without a word", () => {
      for (const options of [{}, { ipv6: true, controlNamespace: "mesh", trustDomain: "example.org", clusterDomain: "corp.example" }]) {
        const { text } = inject(source, options);
        const configurations = [...text.matchAll(/WEFT_CONFIG/g)].length;
        let seen = 0;
        for (const value of valuesOf(text)) {
          const spec = (value.kind === "CronJob" ? value.spec.jobTemplate.spec : value.spec)?.template?.spec ?? value.spec;
          for (const container of [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])]) {
            if (container.name !== "weft-proxy") continue;
            seen++;
            const config: string = container.env[0].value;
            assert.doesNotMatch(config, /\$\(/, "Kubernetes would expand it");
            assert.deepEqual(checkConfig({ text: config, label: "WEFT_CONFIG" }).problems, []);
          }
        }
        assert.equal(seen, configurations);
      }
    });
  });
}

describe("a sidecar", () => {
  const votes = inject(fixture("votes.yaml")).text;

  it("is an init container that stays, behind the one that redirects and in front of the application's own", () => {
    const { initContainers, containers } = podOf(inject(fixture("books.yaml")).text, "authors");
    assert.deepEqual(
      initContainers!.map((container) => [container.name, container.restartPolicy]),
      [
        ["weft-init", undefined],
        ["weft-proxy", "Always"],
        ["wait", undefined],
      ],
    );
    assert.deepEqual(
      containers.map((container) => container.name),
      ["service"],
    );
  });

  it("can be a plain container, which is first and which the others wait for", () => {
    const result = inject(fixture("jobs.yaml"));
    const { text } = result;
    const { initContainers, containers } = podOf(text, "migrate");
    assert.deepEqual(
      initContainers!.map((container) => container.name),
      ["weft-init", "fetch"],
    );
    assert.deepEqual(
      containers.map((container) => container.name),
      ["weft-proxy", "migrate"],
    );
    assert.ok(containers[0]!.lifecycle?.postStart !== undefined && containers[0]!.startupProbe === undefined);
    const said = result.problems.map(({ message }) => message);
    assert.match(said[0]!, /^job "migrate": .*outbound connections of fetch fail/);
    assert.match(said[1]!, /must POST \/shutdown/);
  });

  it("has no privilege, and who redirects has two", () => {
    const { initContainers } = podOf(votes, "emoji");
    const [init, proxy] = initContainers!;
    assert.deepEqual(proxy!.securityContext, {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      readOnlyRootFilesystem: true,
      runAsGroup: 2102,
      runAsNonRoot: true,
      runAsUser: 2102,
      seccompProfile: { type: "RuntimeDefault" },
    });
    assert.deepEqual(init!.securityContext!["capabilities"], { add: ["NET_ADMIN", "NET_RAW"], drop: ["ALL"] });
    assert.equal(init!.securityContext!["runAsUser"], 0);
  });

  it("joins by a token of its service account, for the identity component only, and by roots of its namespace", () => {
    const sources = podOf(votes, "emoji").volumes!.find((volume) => volume.name === "weft-identity")!.projected!.sources;
    assert.deepEqual(sources, [
      { serviceAccountToken: { path: "token", audience: "identity.weft.dev", expirationSeconds: 3600 } },
      { configMap: { name: "weft-identity-trust-roots", items: [{ key: "ca-bundle.crt", path: "roots.pem" }] } },
    ]);
    const [{ spec }] = configOf(votes, "emoji");
    assert.equal(spec.identity.controller, "weft-identity.weft.svc.cluster.local:8080");
    assert.equal(spec.identity.mesh, undefined);
    const [other] = configOf(inject(fixture("votes.yaml"), { controlNamespace: "mesh" }).text, "emoji");
    assert.equal(other.spec.identity.mesh, "mesh.cluster.local");
  });

  it("knows the services of the same files by port, and who must be there", () => {
    const services = configOf(votes, "vote-bot").slice(1);
    assert.deepEqual(
      services.map(({ metadata, spec }) => [metadata.name, spec.ports[0], spec.endpoints]),
      [
        [
          "emoji-svc-8080",
          { port: 8080 },
          [{ dns: "emoji-svc.votes.svc.cluster.local:8080", identity: "emoji.votes.serviceaccount.identity.weft.cluster.local" }],
        ],
        [
          "emoji-svc-8801",
          { port: 8801 },
          [{ dns: "emoji-svc.votes.svc.cluster.local:8801", identity: "emoji.votes.serviceaccount.identity.weft.cluster.local" }],
        ],
        [
          "ballot-svc",
          { port: 8080, protocol: "grpc" },
          [{ dns: "ballot-svc.votes.svc.cluster.local:8080", identity: "ballot.votes.serviceaccount.identity.weft.cluster.local" }],
        ],
        [
          "web-svc",
          { port: 80 },
          [{ dns: "web-svc.votes.svc.cluster.local:80", identity: "web.votes.serviceaccount.identity.weft.cluster.local" }],
        ],
      ],
    );
  });

  it("asks nobody for an identity who may not have it", () => {
    const { text, notes } = inject(fixture("books.yaml"), { namespace: "books" });
    const byName = new Map(
      configOf(text, "authors")
        .slice(1)
        .map((service) => [service.metadata.name, service.spec]),
    );
    assert.deepEqual([...byName.keys()], ["shop-db", "authors", "books"]);
    assert.equal(byName.get("shop-db").ports[0].protocol, "opaque");
    assert.equal(byName.get("shop-db").endpoints[0].identity, "default.books.serviceaccount.identity.weft.cluster.local");
    assert.equal(byName.get("books").endpoints[0].identity, undefined);
    assert.ok(notes.some((line) => /service "books": .* different service accounts/.test(line)));
    assert.ok(notes.some((line) => /service "shop-db-pods": it is headless/.test(line)));
    const without = inject(fixture("books.yaml"), { peerIdentities: false });
    assert.doesNotMatch(without.text, /identity: /);
  });

  it("has an unmeshed workload behind a service: connections to it stay as they are", () => {
    const text = fixture("votes.yaml").replace(
      "      annotations:\n        # One call",
      "      annotations:\n        linkerd.io/inject: disabled\n        # One call",
    );
    const { text: injected } = inject(text);
    const service = configOf(injected, "web").find(({ metadata }) => metadata.name === "ballot-svc");
    assert.deepEqual(service.spec.endpoints, [{ dns: "ballot-svc.votes.svc.cluster.local:8080" }]);
  });

  it("hears flags, above them the namespace, above that the pod", () => {
    const annotations = { "config.linkerd.io/proxy-log-level": "error", "config.linkerd.io/access-log": "json" };
    const { text } = inject(fixture("votes.yaml"), { annotations });
    const levels = ["emoji", "web"].map((name) => configOf(text, name)[0].spec).map(({ logLevel, accessLog }) => [logLevel, accessLog]);
    assert.deepEqual(levels, [
      ["warn", "json"],
      ["debug", "json"],
    ]);
    const init = podOf(text, "web").initContainers!.find((container) => container.name === "weft-init")!;
    assert.ok(init.args!.includes("--outbound-ports-to-ignore=4567,4568,5671-5672"));
    const { resources } = sidecarOf(inject(fixture("boutique.yaml")).text, "frontend");
    assert.deepEqual(resources, { requests: { cpu: "50m" }, limits: { memory: "192Mi" } });
  });
});

describe("every annotation that is listed", () => {
  const pod = (annotations: Record<string, string>) =>
    `apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  annotations: ${JSON.stringify(annotations)}\nspec:\n  containers: [{name: a, image: a}]\n`;
  const config = (name: string, value: string) => inject(pod({ [`config.linkerd.io/${name}`]: value })).text;

  it("does what its name says", () => {
    const spec = (name: string, value: string) => configOf(config(name, value), "p")[0].spec;
    const sidecar = (name: string, value: string) => sidecarOf(config(name, value), "p");
    const init = (name: string, value: string) => podOf(config(name, value), "p").initContainers![0]!.args!;
    assert.equal(sidecar("proxy-image", "other.example:5000/weft").image, "other.example:5000/weft:test");
    assert.equal(sidecar("proxy-image", "other.example/weft:v2").image, "other.example/weft:v2");
    assert.equal(sidecar("proxy-version", "v3").image, "registry.example/weft:v3");
    assert.equal(spec("inbound-port", "5143").inbound.listen, "0.0.0.0:5143");
    assert.ok(init("inbound-port", "5143").includes("--incoming-proxy-port=5143"));
    assert.equal(spec("outbound-port", "5140").outbound.listen, "127.0.0.1:5140");
    assert.ok(init("outbound-port", "5140").includes("--outgoing-proxy-port=5140"));
    assert.equal(spec("admin-port", "5191").admin.listen, "0.0.0.0:5191");
    assert.ok(init("admin-port", "5191").includes("--inbound-ports-to-ignore=4567,4568,5191"));
    assert.ok(init("skip-inbound-ports", "22").includes("--inbound-ports-to-ignore=22"));
    assert.ok(init("skip-subnets", "10.1.0.0/16").includes("--subnets-to-ignore=10.1.0.0/16"));
    assert.deepEqual(
      spec("opaque-ports", "1-3").inbound.ports.map(({ port }: Value) => port),
      [1, 2, 3],
    );
    assert.ok(
      spec("proxy-require-identity-inbound-ports", "8080").inbound.ports.some(
        ({ port, policy }: Value) => port === 8080 && policy === "all-authenticated",
      ),
    );
    assert.equal(spec("default-inbound-policy", "deny").inbound.policy, "deny");
    assert.equal(spec("proxy-log-level", "warn,linkerd=info").logLevel, "warn");
    assert.equal(spec("access-log", "apache").accessLog, "apache");
    assert.equal(spec("proxy-admin-shutdown", "disabled").admin.shutdownEndpoint, false);
    assert.equal(spec("shutdown-grace-period", "30s").limits.drainGraceMs, 30_000);
    assert.equal(spec("proxy-outbound-connect-timeout", "2s").limits.connectTimeoutMs, 2_000);
    const { env } = sidecar("proxy-additional-env", '[{"name": "A", "value": "$(B)"}]');
    assert.deepEqual(env!.slice(1), [{ name: "A", value: "$$(B)" }]);
    assert.deepEqual(sidecar("proxy-cpu-limit", "1").resources, { requests: { memory: "64Mi" }, limits: { cpu: "1" } });
    assert.equal(sidecar("proxy-uid", "7000").securityContext!["runAsUser"], 7000);
    assert.ok(init("proxy-uid", "7000").includes("--proxy-uid=7000"));
    assert.equal(sidecar("proxy-gid", "7001").securityContext!["runAsGroup"], 7001);
    assert.equal(sidecar("proxy-await", "disabled").startupProbe, undefined);
    const waits = inject(pod({ "config.alpha.linkerd.io/proxy-wait-before-exit-seconds": "20" })).text;
    assert.deepEqual(sidecarOf(waits, "p").lifecycle?.preStop?.exec.command, ["sleep", "20"]);
  });

  it("is told when it has no effect", () => {
    const result = inject(pod({ "config.linkerd.io/enable-gateway": "true" }));
    assert.deepEqual(reportOf(result), [
      'app.yaml:1:1: warning: pod "p": config.linkerd.io/enable-gateway has no effect',
      'pod "p" injected',
    ]);
  });
});
