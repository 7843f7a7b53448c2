// A compose file as its services: where each stands in the text, and what each is with anchors, merge keys and `extends` written out.
//
// Refuses what is no compose file, more than one document, services that are no maps or have no name of compose's, and what its readers do not agree on:
// keys given twice, line breaks that are none to others, a block without a line end at the end of the file. Versions 2 and 3 and files without one
// are read alike, as docker-compose does since 1.27; format 1 (services at the top) is not.

import { isAlias, isMap, isScalar, visit } from "yaml";
import type { Pair, YAMLMap } from "yaml";
import type { Problem } from "../../../config/problem.ts";
import { Refusal } from "../../../config/yaml-documents.ts";
import type { Source } from "../injection.ts";
import { Expander, isMergeKey, MERGE_KEY, type Tree } from "../tree.ts";
import { endOf, isNull, pairOf, readYaml, type SourceDocument, startOf, textOf, type YamlSource } from "../yaml-source.ts";
import { Bases, type Extended } from "./extends.ts";

/** Services that one file may have. */
const SERVICES_MAX = 2000;

/** As docker-compose and Compose v2 have it. */
const SERVICE_NAME = /^[A-Za-z0-9._-]+$/;
/** What some readers of YAML take for the end of a line, and others do not. */
const ODD_LINE_BREAK = /\r(?!\n)|[\u0085\u2028\u2029]/;

export interface ComposeService {
  readonly name: string;
  /** Name and value in the text. */
  readonly pair: Pair;
  /** The map in the text; null when the value is an alias. */
  readonly own: YAMLMap | null;
  /** With anchors and merge keys written out; `extends` stays a key. */
  readonly written: YAMLMap;
  /** With `extends` followed as well: what compose makes of it. */
  readonly effective: YAMLMap;
  /** What it is based on; null without `extends`. */
  readonly base: Extended | null;
}

export interface ComposeFile {
  readonly yaml: YamlSource;
  readonly document: SourceDocument;
  readonly root: YAMLMap;
  readonly servicesPair: Pair;
  readonly expander: Expander;
  /** `networks`, written out; null without it. */
  readonly networks: Tree | null;
  readonly services: readonly ComposeService[];
}

/** Reads the file, or says what is wrong with it. `extends` is followed unless told otherwise: then `effective` is what is written. */
export function readCompose(
  source: Source,
  followsExtends = true,
): { readonly file: ComposeFile } | { readonly problems: readonly Problem[] } {
  const yaml = readYaml(source);
  if (yaml.problems.length > 0) return { problems: yaml.problems };
  try {
    return { file: readDocument(yaml, followsExtends) };
  } catch (reason) {
    if (!(reason instanceof Refusal)) throw reason;
    return { problems: [yaml.problemAt(reason.offset, "error", reason.message, reason.hint)] };
  }
}

function readDocument(yaml: YamlSource, followsExtends: boolean): ComposeFile {
  const [document, second] = yaml.documents;
  if (document === undefined) throw new Refusal(0, "the file is empty", "give it a compose file");
  if (second !== undefined) {
    const [start = 0] = second.document.range;
    throw new Refusal(
      start,
      "a second document begins here",
      "weft inject takes compose files of one document: put each in a file of its own",
    );
  }
  const root = document.document.contents;
  const expander = new Expander(document.targets, true);
  refuseWhatIsReadDifferently(yaml, document, expander);
  const servicesPair = pairOf(root, "services");
  if (!isMap(root) || servicesPair === null) throw noComposeFile(root);
  const rootMerge = root.items.find(isMergeKey);
  if (rootMerge !== undefined)
    throw new Refusal(startOf(rootMerge), "<< stands at the top of the file", "write networks, volumes and the like out there");
  const map = expander.follow(servicesPair.value);
  if (!isMap(map)) throw new Refusal(startOf(servicesPair), "services is not a map of services", null);
  if (map.items.length > SERVICES_MAX) throw new Refusal(startOf(servicesPair), `there are more than ${SERVICES_MAX} services`, null);
  const networks = pairOf(root, "networks");
  const bases = new Bases(yaml.source.file);
  const expanded = expander.expand(map) as YAMLMap;
  const services = new Map<string, YAMLMap>();
  for (const pair of expanded.items) {
    const name = textOf(pair.key) ?? "";
    if (!SERVICE_NAME.test(name))
      throw new Refusal(startOf(pair), `${JSON.stringify(name)} is no name of a service`, "expected letters, digits and ._-");
    if (!isMap(pair.value)) {
      const hint = isNull(pair.value) ? "is the next line indented wrongly?" : null;
      throw new Refusal(startOf(pairOf(map, name) ?? servicesPair), `services.${name} is not a map of keys`, hint);
    }
    services.set(name, pair.value);
  }
  return {
    yaml,
    document,
    root,
    servicesPair,
    expander,
    networks: networks === null || isNull(networks.value) ? null : expander.expand(networks.value),
    // Those that << brings have no text of their own here.
    services: expanded.items.map((copy): ComposeService => {
      const name = textOf(copy.key) ?? "";
      const pair = map.items.find(({ key }) => textOf(expander.follow(key)) === name) ?? copy;
      const written = services.get(name)!;
      const base = followsExtends ? bases.resolve(services, name) : null;
      const own = pair === copy || isAlias(pair.value) ? null : (pair.value as YAMLMap);
      return { name, pair, own, written, effective: base?.effective ?? written, base };
    }),
  };
}

/** Compose's own readers do not agree on these, or would not on the output. Throws a Refusal. */
function refuseWhatIsReadDifferently({ source: { text } }: YamlSource, { document }: SourceDocument, expander: Expander): void {
  const odd = ODD_LINE_BREAK.exec(text);
  if (odd !== null) {
    const code = odd[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
    throw new Refusal(
      odd.index,
      `the character U+${code} ends a line for some readers of YAML only`,
      "write it as \\r, \\N, \\L or \\P in double quotes, or remove it",
    );
  }
  let last: unknown = null;
  visit(document, {
    Map: (_key, map) => {
      const keys = new Set<string>();
      for (const pair of map.items) {
        const key = textOf(expander.follow(pair.key));
        if (key === null) continue;
        const hint = key === MERGE_KEY ? "<<: [*a, *b] takes several" : "remove one of them";
        if (keys.has(key)) throw new Refusal(startOf(pair), `the key ${key} stands here twice`, hint);
        keys.add(key);
      }
    },
    Scalar: (_key, scalar) => {
      last = scalar;
    },
  });
  // `|-` and `>-` have none either way; others would get one by what follows.
  if (!isScalar(last) || !/^BLOCK_/.test(last.type ?? "") || text.endsWith("\n") || endOf(last) < text.length) return;
  const hasNone = /^[|>][0-9]?-/.test(text.slice(startOf(last)));
  if (!hasNone) throw new Refusal(text.length - 1, "the last line is of a block of text, and has no line end", "add one");
}

function noComposeFile(root: unknown): Refusal {
  const isFormat1 =
    isMap(root) && root.items.some((pair) => isMap(pair.value) && (pairOf(pair.value, "image") ?? pairOf(pair.value, "build")) !== null);
  return isFormat1
    ? new Refusal(0, "there is no `services`: this looks like format 1 of compose files", "put the services below `services:`")
    : new Refusal(0, "this is no compose file: there is no `services`", null);
}
