// `weft inject` for Kubernetes manifests: the text with a sidecar in every pod that can have one, and a report.
//
// Everything that is not a workload passes byte for byte, and so does everything of a workload that is not added to. All or nothing: a problem
// anywhere is thrown, and no text is returned. The result is read again before it is given out: each pod must have its sidecar where the API server looks.

import type { Pair } from "yaml";
import type { Problem } from "../../../config/problem.ts";
import { packageVersion } from "../../version-command.ts";
import type { Outcome, Source } from "../injection.ts";
import { isRecord, Manifests, repeatedRanges } from "./manifests.ts";
import type { Resource } from "./manifests.ts";
import { manifestError } from "./manifest-problem.ts";
import { meshServices } from "./mesh-services.ts";
import type { MeshedWorkload, MeshServices, WeftService } from "./mesh-services.ts";
import { ADDED_ANNOTATION, INJECT_ANNOTATION, VERSION_ANNOTATION } from "./names.ts";
import type { KubernetesInjectOptions } from "./options.ts";
import { accountOf, hasSidecar, skipReason, warningsOf } from "./pod-checks.ts";
import { podParts } from "./pod-parts.ts";
import { expandPorts, readSettings, SettingProblem } from "./settings.ts";
import type { PodSettings } from "./settings.ts";
import { sidecarConfig } from "./sidecar-config.ts";
import { joinTexts } from "./streams.ts";
import { TextEdits } from "./text-edits.ts";
import { addTrustRoots } from "./trust-roots.ts";
import { isWorkload, labelOf, readTexts, readWorkload } from "./workloads.ts";
import type { Workload } from "./workloads.ts";

export interface KubernetesInjectResult {
  readonly text: string;
  /** One for each resource. */
  readonly outcomes: readonly Outcome[];
  /** Warnings only. */
  readonly problems: readonly Problem[];
  /** About services. */
  readonly notes: readonly string[];
  readonly injected: number;
}

interface Plan {
  readonly workload: Workload;
  readonly namespace: string;
  readonly settings: PodSettings;
  readonly skipReason: string | null;
  readonly warnings: string[];
}

/** Several files become one stream. Throws a ManifestProblem. */
export function injectKubernetes(sources: readonly Source[], options: KubernetesInjectOptions): KubernetesInjectResult {
  const all = sources.map(({ file, text }) => new Manifests(file, text));
  const resources = all.flatMap((manifests) => manifests.resources.map((resource) => ({ manifests, resource })));
  const namespaces = namespaceAnnotations(resources.map(({ resource }) => resource));
  const plans = new Map<Resource, Plan>();
  for (const { manifests, resource } of resources) {
    if (isWorkload(resource)) plans.set(resource, planOf(manifests, resource, namespaces, options));
  }
  const { services, notes } = servicesOf(all, [...plans.values()], options);
  const texts = all.map((manifests) => {
    const edits = new TextEdits(manifests);
    for (const resource of manifests.resources) {
      const plan = plans.get(resource);
      if (plan?.skipReason === null) addSidecar(manifests, edits, plan, services, options);
    }
    refuseRepeated(manifests, edits);
    return edits.apply();
  });
  const injected = [...plans.values()].filter((plan) => plan.skipReason === null);
  const there = resources.map(({ resource }) => resource);
  let text = joinTexts(texts);
  if (options.trustRoots !== null) {
    const wanted = [...new Set(injected.map(({ namespace }) => namespace))];
    text = addTrustRoots(there, text, wanted, options.trustRoots);
  }
  const before = [...plans.values()].filter(({ workload }) => hasSidecar(workload.pod)).length;
  checkResult(sources[0]?.file ?? "-", text, injected.length + before);
  return {
    text,
    outcomes: there.map((resource) => outcomeOf(resource, plans.get(resource))),
    problems: resources.flatMap(({ manifests, resource }) => {
      const { warnings = [] } = plans.get(resource) ?? {};
      return warnings.map((warning) => manifests.warning(resource.map, `${labelOf(resource)}: ${warning}`));
    }),
    notes: injected.length > 0 ? notes : [],
    injected: injected.length,
  };
}

function planOf(
  manifests: Manifests,
  resource: Resource,
  namespaces: ReadonlyMap<string, Readonly<Record<string, string>>>,
  options: KubernetesInjectOptions,
): Plan {
  const workload = readWorkload(manifests, resource);
  const namespace = resource.namespace ?? options.namespace;
  const { settings, ignored } = settingsOf(manifests, workload.label, resource, () =>
    readSettings(options, [namespaces.get(namespace) ?? {}, workload.pod.annotations]),
  );
  const reason = skipReason(workload.pod, namespace, settings, options);
  const warnings = reason === null ? warningsOf(workload, settings) : [];
  if (reason === null) {
    for (const annotation of ignored) warnings.push(`${annotation} has no effect`);
    if (workload.pod.annotations[INJECT_ANNOTATION] === "ingress") warnings.push(`${INJECT_ANNOTATION}: ingress is taken for enabled`);
  }
  return { workload, namespace, settings, skipReason: reason, warnings };
}

/** What annotations mean, with the place of the resource when they mean nothing. */
function settingsOf<T>(manifests: Manifests, label: string, resource: Resource, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof SettingProblem) throw manifests.problem(resource.map, `${label}: ${error.message}`);
    throw error;
  }
}

function namespaceAnnotations(resources: readonly Resource[]): ReadonlyMap<string, Readonly<Record<string, string>>> {
  const found = new Map<string, Readonly<Record<string, string>>>();
  for (const { kind, apiVersion, name, value } of resources) {
    if (kind !== "Namespace" || apiVersion !== "v1") continue;
    found.set(name, readTexts(isRecord(value["metadata"]) ? value["metadata"]["annotations"] : {}));
  }
  return found;
}

function servicesOf(all: readonly Manifests[], plans: readonly Plan[], options: KubernetesInjectOptions): MeshServices {
  const workloads = plans.map(
    ({ workload: { pod }, namespace, settings, skipReason: reason }): MeshedWorkload => ({
      namespace,
      labels: pod.labels,
      account: accountOf(pod),
      containers: pod.containers,
      isMeshed: reason === null || hasSidecar(pod),
      opaquePorts: settings.opaquePorts,
      skipInbound: expandPorts(settings.skipInbound, "skip-inbound-ports"),
    }),
  );
  try {
    return meshServices(
      all.flatMap(({ resources }) => resources),
      workloads,
      options,
    );
  } catch (error) {
    if (error instanceof SettingProblem) throw manifestError(all[0]?.file ?? "-", error.message);
    throw error;
  }
}

/** Adds everything to one pod; the marks say what was not there before. */
function addSidecar(
  manifests: Manifests,
  edits: TextEdits,
  { workload, namespace, settings, warnings }: Plan,
  services: readonly WeftService[],
  options: KubernetesInjectOptions,
): void {
  const { template, metadata, spec, resource } = workload;
  const config = sidecarConfig({ name: resource.name, namespace }, settings, services, options);
  if (config.leftOut > 0) warnings.push(`${config.leftOut} services do not fit into its configuration: connections to them go straight`);
  const parts = podParts(settings, config.text, options.ipv6);
  const containers = manifests.pair(spec.map, "containers")!;
  const isIndented = edits.isIndented(containers);
  const annotations = metadata === undefined || edits.stateOf(metadata) !== "collection" ? undefined : annotationsOf(manifests, metadata);
  const lists = [
    { key: "initContainers", items: parts.initContainers },
    { key: "volumes", items: parts.volumes },
  ].map((list) => ({ ...list, pair: manifests.pair(spec.map, list.key) }));
  const added = [
    addedMark("metadata", edits, metadata),
    addedMark("annotations", edits, annotations),
    ...lists.map(({ key, pair }) => addedMark(key, edits, pair)),
  ];
  const known = added.filter((mark) => mark !== "").join(",");
  const marks = { [VERSION_ANNOTATION]: packageVersion(), ...(known !== "" && { [ADDED_ANNOTATION]: known }) };

  if (metadata === undefined) edits.putPairs(template!.pair, { metadata: { annotations: marks } });
  else if (annotations === undefined) edits.putPairs(metadata, { annotations: marks });
  else edits.putPairs(annotations, marks);
  for (const { key, items, pair } of lists) {
    if (pair === undefined) edits.putPairs(spec.pair, { [key]: items }, isIndented);
    else edits.putItems(pair, items);
  }
  if (parts.containers.length > 0) edits.putItems(containers, parts.containers);
}

/** A list of `volumes=null` and the like; empty when nothing needs to be known to take it back. */
function addedMark(key: string, edits: TextEdits, pair: Pair | undefined): string {
  const state = edits.stateOf(pair);
  if (state === "absent") return key;
  return state === "collection" || state === "empty" ? "" : `${key}=${state}`;
}

function annotationsOf(manifests: Manifests, metadata: Pair): Pair | undefined {
  const map = metadata.value;
  return manifests.pair(map as Parameters<Manifests["pair"]>[0], "annotations");
}

/** An anchored part that stands in several pods would get the sidecar of one of them in all. */
function refuseRepeated(manifests: Manifests, edits: TextEdits): void {
  const ranges = manifests.documents.flatMap((document) => repeatedRanges(document));
  for (const place of edits.places) {
    if (ranges.some(([start, , end]) => start <= place && place < end)) {
      throw manifests.problemAt(
        place,
        "this part is repeated by an alias elsewhere, and would be changed there as well",
        "write it out twice",
      );
    }
  }
}

/** The result, read as the API server would: as many sidecars as were meant. */
function checkResult(file: string, text: string, wanted: number): void {
  const manifests = new Manifests(file, text);
  const found = manifests.resources.filter((resource) => isWorkload(resource) && hasSidecar(readWorkload(manifests, resource).pod)).length;
  if (found !== wanted) throw manifestError(file, `its layout was not understood: ${found} of ${wanted} pods would have a sidecar`);
}

function outcomeOf(resource: Resource, plan: Plan | undefined): Outcome {
  const isInjected = plan !== undefined && plan.skipReason === null;
  return { workload: labelOf(resource), what: isInjected ? "injected" : "skipped", reason: plan?.skipReason ?? null };
}
