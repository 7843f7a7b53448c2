// What the API server would say to a resource, without one: Kubernetes' own OpenAPI schemas, as validators from npm (kubernetes-models).
//
// The schemas leave unknown fields alone; the API server drops them with a warning, or refuses them. So the validator is given the resource behind a
// proxy that remembers which fields were looked at: one that nobody looked at is a field that Kubernetes does not know.

import { validate as validateConfigMap } from "kubernetes-models/_schemas/IoK8sApiCoreV1ConfigMap";
import { validate as validateCronJob } from "kubernetes-models/_schemas/IoK8sApiBatchV1CronJob";
import { validate as validateDaemonSet } from "kubernetes-models/_schemas/IoK8sApiAppsV1DaemonSet";
import { validate as validateDeployment } from "kubernetes-models/_schemas/IoK8sApiAppsV1Deployment";
import { validate as validateJob } from "kubernetes-models/_schemas/IoK8sApiBatchV1Job";
import { validate as validateNamespace } from "kubernetes-models/_schemas/IoK8sApiCoreV1Namespace";
import { validate as validatePod } from "kubernetes-models/_schemas/IoK8sApiCoreV1Pod";
import { validate as validateBudget } from "kubernetes-models/_schemas/IoK8sApiPolicyV1PodDisruptionBudget";
import { validate as validateBinding } from "kubernetes-models/_schemas/IoK8sApiRbacV1ClusterRoleBinding";
import { validate as validateReplicaSet } from "kubernetes-models/_schemas/IoK8sApiAppsV1ReplicaSet";
import { validate as validateController } from "kubernetes-models/_schemas/IoK8sApiCoreV1ReplicationController";
import { validate as validateService } from "kubernetes-models/_schemas/IoK8sApiCoreV1Service";
import { validate as validateAccount } from "kubernetes-models/_schemas/IoK8sApiCoreV1ServiceAccount";
import { validate as validateStatefulSet } from "kubernetes-models/_schemas/IoK8sApiAppsV1StatefulSet";

interface Validator {
  (data: unknown): boolean;
  readonly errors?: readonly { readonly instancePath: string; readonly keyword: string; readonly params: unknown }[] | null;
}

const VALIDATORS: Readonly<Record<string, unknown>> = {
  "v1/ConfigMap": validateConfigMap,
  "v1/Namespace": validateNamespace,
  "v1/Pod": validatePod,
  "v1/ReplicationController": validateController,
  "v1/Service": validateService,
  "v1/ServiceAccount": validateAccount,
  "apps/v1/DaemonSet": validateDaemonSet,
  "apps/v1/Deployment": validateDeployment,
  "apps/v1/ReplicaSet": validateReplicaSet,
  "apps/v1/StatefulSet": validateStatefulSet,
  "batch/v1/CronJob": validateCronJob,
  "batch/v1/Job": validateJob,
  "policy/v1/PodDisruptionBudget": validateBudget,
  "rbac.authorization.k8s.io/v1/ClusterRoleBinding": validateBinding,
};

/** Resources of other people's kinds: nobody here knows what they may have. */
const CUSTOM = /\./;

/** Everything that is wrong with a resource. */
export function kubernetesProblems(resource: unknown): string[] {
  const { apiVersion, kind } = resource as { apiVersion?: string; kind?: string };
  const name = `${apiVersion}/${kind}`;
  const validate = VALIDATORS[name] as Validator | undefined;
  if (validate === undefined) return CUSTOM.test(apiVersion ?? "") ? [] : [`${name}: no schema`];
  const seen = new Map<object, Set<string>>();
  const isGood = validate(watched(resource, seen));
  if (!isGood)
    return (validate.errors ?? []).map(
      ({ instancePath, keyword, params }) => `${name}${instancePath}: ${keyword} ${JSON.stringify(params)}`,
    );
  return unseen(resource, seen, name);
}

function watched(value: unknown, seen: Map<object, Set<string>>): unknown {
  if (typeof value !== "object" || value === null) return value;
  const keys = new Set<string>();
  seen.set(value, keys);
  return new Proxy(value, {
    get(target, key) {
      if (typeof key === "string") keys.add(key);
      return watched(Reflect.get(target, key), seen);
    },
  });
}

function unseen(value: unknown, seen: ReadonlyMap<object, ReadonlySet<string>>, path: string): string[] {
  if (typeof value !== "object" || value === null) return [];
  const keys = seen.get(value);
  return Object.entries(value).flatMap(([key, inner]) =>
    keys?.has(key) === true ? unseen(inner, seen, `${path}/${key}`) : [`${path}/${key}: no field that Kubernetes knows`],
  );
}
