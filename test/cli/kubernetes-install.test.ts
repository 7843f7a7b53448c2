// What `weft install --target kubernetes` prints: good for the API server, bound to what it needs, and honest about high availability.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseAllDocuments } from "yaml";
import { injectKubernetes } from "../../src/cli/inject/kubernetes/inject.ts";
import { defaultInjectOptions } from "../../src/cli/inject/kubernetes/options.ts";
import { DEFAULT_OIDC_ISSUER, installProblems, kubernetesInstall } from "../../src/cli/install/kubernetes.ts";
import type { KubernetesInstallOptions } from "../../src/cli/install/kubernetes.ts";
import { kubernetesProblems } from "../support/kubernetes-schemas.ts";

const OPTIONS: KubernetesInstallOptions = {
  image: "registry.example/weft:test",
  controlNamespace: "weft",
  trustDomain: "cluster.local",
  oidcIssuer: DEFAULT_OIDC_ISSUER,
  isHighlyAvailable: false,
};

// biome-ignore lint/suspicious/noExplicitAny: resources of every kind.
type Value = any;

function valuesOf(options: Partial<KubernetesInstallOptions> = {}): Value[] {
  return (parseAllDocuments(kubernetesInstall({ ...OPTIONS, ...options })) as { toJS(): Value }[]).map((document) => document.toJS());
}

function podOf(values: readonly Value[]): Value {
  return values.find(({ kind }) => kind === "StatefulSet").spec.template.spec;
}

describe("weft install --target kubernetes", () => {
  it("is what the API server takes", () => {
    for (const options of [{}, { isHighlyAvailable: true }, { controlNamespace: "mesh", trustDomain: "example.org" }]) {
      assert.deepEqual(valuesOf(options).flatMap(kubernetesProblems), []);
    }
    assert.deepEqual(
      valuesOf().map(({ kind }) => kind),
      ["Namespace", "ServiceAccount", "ClusterRoleBinding", "Service", "StatefulSet"],
    );
  });

  it("holds no secret, and its pod is what a restricted namespace takes", () => {
    const values = valuesOf();
    assert.doesNotMatch(JSON.stringify(values), /PRIVATE KEY|"Secret"/);
    const pod = podOf(values);
    assert.equal(pod.securityContext.runAsNonRoot, true);
    assert.deepEqual(pod.securityContext.seccompProfile, { type: "RuntimeDefault" });
    const [container] = pod.containers;
    assert.deepEqual(container.securityContext, {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      readOnlyRootFilesystem: true,
    });
    assert.equal(pod.automountServiceAccountToken, false);
  });

  it("has one writer, also when it is highly available; then it comes back sooner", () => {
    const values = valuesOf({ isHighlyAvailable: true });
    const { spec } = values.find(({ kind }) => kind === "StatefulSet");
    assert.equal(spec.replicas, 1);
    assert.deepEqual(
      spec.template.spec.tolerations.map(({ tolerationSeconds }: Value) => tolerationSeconds),
      [30, 30],
    );
    assert.equal(values.find(({ kind }) => kind === "PodDisruptionBudget").spec.maxUnavailable, 1);
    assert.equal(spec.template.spec.containers[0].resources.limits.memory, "512Mi");
  });

  it("leads where sidecars go", () => {
    const values = valuesOf({ controlNamespace: "mesh" });
    const service = values.find(({ kind }) => kind === "Service");
    const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a}]}\n";
    const { text } = injectKubernetes([{ file: "app.yaml", text: pod }], { ...defaultInjectOptions(), controlNamespace: "mesh" });
    assert.ok(
      text.includes(`controller: ${service.metadata.name}.${service.metadata.namespace}.svc.cluster.local:${service.spec.ports[0].port}`),
    );
    const template = values.find(({ kind }) => kind === "StatefulSet").spec.template;
    assert.deepEqual(service.spec.selector, template.metadata.labels);
  });

  it("is left alone by inject", () => {
    const text = kubernetesInstall(OPTIONS);
    const result = injectKubernetes([{ file: "weft.yaml", text }], defaultInjectOptions());
    assert.equal(result.text, text);
    assert.ok(
      result.outcomes.some(
        ({ workload, reason }) => workload === 'statefulset "weft-identity"' && reason === "linkerd.io/inject is disabled",
      ),
    );
  });

  it("refuses what cannot be meant", () => {
    assert.deepEqual(installProblems(OPTIONS), []);
    const problems = installProblems({ ...OPTIONS, image: "", controlNamespace: "A.b", trustDomain: "-", oidcIssuer: "kubernetes" });
    assert.equal(problems.length, 4);
    assert.match(
      problems.join("\n"),
      /"A\.b" is no namespace[\s\S]*"-" is no trust domain[\s\S]*"kubernetes" is no issuer[\s\S]*"" is no image/,
    );
  });
});
