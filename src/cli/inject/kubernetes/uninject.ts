// `weft uninject` for Kubernetes manifests: takes away what `weft inject` put in, and nothing else.
//
// What is Weft's is known by its name, so a manifest that has been through the API server is undone as well. What was not there before goes as a
// whole, unless somebody has added to it since. The text of a file that was only injected comes back byte for byte.

import { isMap, isSeq } from "yaml";
import type { Pair, YAMLMap } from "yaml";
import { isRecord, keyOf, Manifests } from "./manifests.ts";
import { ADDED_ANNOTATION, OUR_ANNOTATIONS, OUR_CONTAINERS, OUR_VOLUMES } from "./names.ts";
import type { Outcome, Source } from "../injection.ts";
import { joinTexts } from "./streams.ts";
import { NULL_WORDS, TextEdits } from "./text-edits.ts";
import type { NullWord } from "./text-edits.ts";
import { isTrustRoots, removeTrustRoots } from "./trust-roots.ts";
import { isWorkload, labelOf, readWorkload } from "./workloads.ts";
import type { PodValue, Workload } from "./workloads.ts";

export interface KubernetesUninjectResult {
  readonly text: string;
  /** One for each resource. */
  readonly outcomes: readonly Outcome[];
  readonly uninjected: number;
}

/** Throws a ManifestProblem. */
export function uninjectKubernetes(sources: readonly Source[]): KubernetesUninjectResult {
  const outcomes: Outcome[] = [];
  const texts = sources.map(({ file, text }) => {
    const manifests = new Manifests(file, text);
    const edits = new TextEdits(manifests);
    for (const resource of manifests.resources) {
      if (isTrustRoots(resource)) continue;
      const isOurs = isWorkload(resource) && takeOut(manifests, edits, readWorkload(manifests, resource));
      outcomes.push({ workload: labelOf(resource), what: isOurs ? "uninjected" : "skipped", reason: null });
    }
    return removeTrustRoots(edits.apply());
  });
  return { text: joinTexts(texts), outcomes, uninjected: outcomes.filter(({ what }) => what === "uninjected").length };
}

/** True when there was something. */
function takeOut(manifests: Manifests, edits: TextEdits, { template, metadata, spec, pod }: Workload): boolean {
  if (!isInjected(pod)) return false;
  const added = readAdded(pod.annotations[ADDED_ANNOTATION] ?? "");
  for (const [key, names] of [
    ["initContainers", OUR_CONTAINERS],
    ["containers", OUR_CONTAINERS],
    ["volumes", OUR_VOLUMES],
  ] as const) {
    const pair = manifests.pair(spec.map, key);
    const list = pair?.value;
    if (pair === undefined || !isSeq(list)) continue;
    const ours = list.items.filter((item) => names.includes(nameOf(item)));
    const isAll = ours.length === list.items.length;
    const mark = added.get(key);
    if (ours.length === 0) continue;
    if (isAll && mark === "absent") edits.removePairs(spec.map, [pair]);
    else if (isAll && mark !== undefined) edits.restoreNull(list, mark);
    else edits.removeItems(list, ours);
  }
  if (isMap(metadata?.value)) takeOutAnnotations(manifests, edits, template?.map, { pair: metadata, map: metadata.value }, added);
  return true;
}

/** Names alone are not enough: somebody else may have a volume called weft-state. */
function isInjected({ containers, initContainers, annotations }: PodValue): boolean {
  const hasContainer = [...containers, ...initContainers].some(({ name }) => OUR_CONTAINERS.includes(name));
  return hasContainer || OUR_ANNOTATIONS.some((annotation) => annotation in annotations);
}

type Added = ReadonlyMap<string, "absent" | NullWord>;

function takeOutAnnotations(
  manifests: Manifests,
  edits: TextEdits,
  template: YAMLMap | undefined,
  metadata: { readonly pair: Pair; readonly map: YAMLMap },
  added: Added,
): void {
  const pair = manifests.pair(metadata.map, "annotations");
  const map = pair?.value;
  if (pair === undefined || !isMap(map)) return;
  const ours = map.items.filter((item) => OUR_ANNOTATIONS.includes(keyOf(item) ?? ""));
  if (ours.length === 0) return;
  const isAll = ours.length === map.items.length;
  const isAlone = isAll && metadata.map.items.length === 1;
  const metadataMark = added.get("metadata");
  const mark = added.get("annotations");
  if (isAlone && metadataMark === "absent" && template !== undefined) edits.removePairs(template, [metadata.pair]);
  else if (isAlone && metadataMark !== undefined && metadataMark !== "absent") edits.restoreNull(metadata.map, metadataMark);
  else if (isAll && mark === "absent") edits.removePairs(metadata.map, [pair]);
  else if (isAll && mark !== undefined) edits.restoreNull(map, mark);
  else edits.removePairs(map, ours);
}

/** `metadata,volumes=null` */
function readAdded(text: string): Added {
  const added = new Map<string, "absent" | NullWord>();
  for (const part of text.split(",")) {
    const [key, word] = part.split("=") as [string, string?];
    const known = NULL_WORDS.find((one) => one === word);
    if (word === undefined) added.set(key, "absent");
    else if (known !== undefined) added.set(key, known);
  }
  return added;
}

function nameOf(item: unknown): string {
  if (!isMap(item)) return "";
  const name = item.get("name");
  return typeof name === "string" ? name : isRecord(name) ? "" : String(name);
}
