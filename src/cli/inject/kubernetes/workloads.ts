// Which resources run pods, and where in them the pod stands: Pod, ReplicationController, Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob.
//
// A kind counts only in its own API group: a custom resource that shares a name is left alone. A workload without containers is an error:
// the server would refuse it, too.

import type { Pair, YAMLMap } from "yaml";
import { isRecord } from "./manifests.ts";
import type { Manifests, MapPlace, Resource } from "./manifests.ts";

/** API groups ("" is the core one) and the keys down to the pod's template; none for a pod. */
const KINDS: Readonly<Record<string, { readonly groups: readonly string[]; readonly path: readonly string[] }>> = {
  Pod: { groups: [""], path: [] },
  ReplicationController: { groups: [""], path: ["spec", "template"] },
  Deployment: { groups: ["apps", "extensions"], path: ["spec", "template"] },
  ReplicaSet: { groups: ["apps", "extensions"], path: ["spec", "template"] },
  StatefulSet: { groups: ["apps"], path: ["spec", "template"] },
  DaemonSet: { groups: ["apps", "extensions"], path: ["spec", "template"] },
  Job: { groups: ["batch"], path: ["spec", "template"] },
  CronJob: { groups: ["batch"], path: ["spec", "jobTemplate", "spec", "template"] },
};

/** A container as far as anybody here looks. */
export interface ContainerValue {
  readonly name: string;
  readonly [key: string]: unknown;
}

export interface PodValue {
  readonly annotations: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly containers: readonly ContainerValue[];
  readonly initContainers: readonly ContainerValue[];
}

/** A resource that runs pods. */
export interface Workload {
  readonly resource: Resource;
  /** As reports call it: `deployment "web"`. */
  readonly label: string;
  /** The key whose map holds `metadata` and `spec` of the pod; null for a pod, whose metadata is always there. */
  readonly template: MapPlace | null;
  readonly metadata: Pair | undefined;
  readonly spec: MapPlace;
  readonly pod: PodValue;
}

/** Reports call a resource by this. */
export function labelOf({ kind, name }: Pick<Resource, "kind" | "name">): string {
  return `${kind.toLowerCase()} "${name}"`;
}

/** True when the resource runs pods. */
export function isWorkload({ kind, apiVersion }: Pick<Resource, "kind" | "apiVersion">): boolean {
  const [group] = apiVersion.includes("/") ? apiVersion.split("/") : [""];
  return Object.hasOwn(KINDS, kind) && KINDS[kind]!.groups.includes(group!);
}

/** The pod of a resource that runs some. Throws a ManifestProblem when it has none. */
export function readWorkload(manifests: Manifests, resource: Resource): Workload {
  const label = labelOf(resource);
  let template: MapPlace | null = null;
  let map: YAMLMap = resource.map;
  let value: Readonly<Record<string, unknown>> = resource.value;
  for (const key of KINDS[resource.kind]!.path) {
    const place = manifests.child(map, key);
    const inner = value[key];
    if (place === undefined || !isRecord(inner)) throw manifests.problem(resource.map, `${label} has no pod: ${key} is missing or no map`);
    template = place;
    map = place.map;
    value = inner;
  }
  const spec = manifests.child(map, "spec");
  if (spec === undefined || !isRecord(value["spec"])) throw manifests.problem(map, `${label} has no pod: spec is missing or no map`);
  const metadata = manifests.pair(map, "metadata");
  const metadataValue = isRecord(value["metadata"]) ? value["metadata"] : {};
  const containers = readContainers(manifests, spec, value["spec"]["containers"], `${label}: containers`);
  if (containers.length === 0) throw manifests.problem(spec.pair.key, `${label} has no containers`);
  const pod: PodValue = {
    annotations: readTexts(metadataValue["annotations"]),
    labels: readTexts(metadataValue["labels"]),
    spec: value["spec"],
    containers,
    initContainers: readContainers(manifests, spec, value["spec"]["initContainers"], `${label}: initContainers`),
  };
  return { resource, label, template, metadata, spec, pod };
}

/** Names and values of a map as texts; others than texts as they would be printed. */
export function readTexts(value: unknown): Record<string, string> {
  if (!isRecord(value)) return {};
  return Object.fromEntries(Object.entries(value).map(([key, text]) => [key, text === null ? "" : String(text)]));
}

function readContainers(manifests: Manifests, spec: MapPlace, value: unknown, what: string): readonly ContainerValue[] {
  if (value === undefined || value === null) return [];
  const isList = Array.isArray(value) && value.every((one) => isRecord(one) && typeof one["name"] === "string");
  if (!isList) throw manifests.problem(spec.pair.key, `${what} is no list of containers with names`);
  return value as ContainerValue[];
}
