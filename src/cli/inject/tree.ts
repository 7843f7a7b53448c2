// Trees of YAML that are nobody's text: what a node means with its aliases and merge keys (`<<`) written out, and what Weft adds itself.
//
// Scalars keep how they were written (plain, quoted, block), because that decides what other programs take them for. Nodes that were copied know
// their place in the text as long as it is the same file. Nothing here has anchors, aliases, comments or merge keys.

import { Document, isAlias, isMap, isNode, isScalar, isSeq, Pair, Scalar, YAMLMap, YAMLSeq } from "yaml";
import type { Alias, Node } from "yaml";
import { DEPTH_MAX, NODES_MAX, Refusal } from "../../config/yaml-documents.ts";
import { isNull, isPlain, startOf, textOf } from "./yaml-source.ts";

/** A value: a map, a list or text. */
export type Tree = YAMLMap | YAMLSeq | Scalar;

export const MERGE_KEY = "<<";

/** Copies nodes of one document, with everything written out. Throws a Refusal beyond the limits, and for what is no YAML of a compose file. */
export class Expander {
  readonly #targets: ReadonlyMap<Alias, Node>;
  readonly #keepsPlaces: boolean;
  #nodesLeft = NODES_MAX;

  /** `keepsPlaces`: the copies are of the file that problems are told about. */
  constructor(targets: ReadonlyMap<Alias, Node>, keepsPlaces: boolean) {
    this.#targets = targets;
    this.#keepsPlaces = keepsPlaces;
  }

  /** The node behind an alias, or the node itself. */
  follow(node: unknown): unknown {
    let found = node;
    for (let step = 0; isAlias(found) && step < DEPTH_MAX; step++) found = this.#targets.get(found);
    return found;
  }

  expand(node: unknown, depth = 0): Tree {
    if (--this.#nodesLeft < 0) throw new Refusal(startOf(node), `there are more than ${NODES_MAX} values, aliases counted`, null);
    if (depth > DEPTH_MAX) throw new Refusal(startOf(node), `values are nested more than ${DEPTH_MAX} deep`, null);
    if (isAlias(node)) return this.expand(this.follow(node), depth + 1);
    if (isMap(node)) return this.#place(node, this.#expandMap(node, depth));
    if (isSeq(node)) {
      const copy = new YAMLSeq();
      copy.flow = node.flow ?? false;
      copy.items = node.items.map((item) => this.expand(item, depth + 1));
      return this.#place(node, copy);
    }
    if (isScalar(node) && node.tag !== undefined && node.value !== null && typeof node.value !== "string")
      throw new Refusal(startOf(node), `what stands behind ${node.tag} is not text`, "write it as text");
    const isTagged = isScalar(node) && node.tag !== undefined;
    const copy = new Scalar(isNull(node) && !isTagged ? "null" : (textOf(node) ?? ""));
    if (isScalar(node)) {
      if (node.type !== undefined) copy.type = node.type;
      return this.#place(node, copy);
    }
    copy.type = "PLAIN";
    return copy;
  }

  /** What `<<` brings to a map, nearest first: a key of an earlier one counts. */
  merged(map: YAMLMap, depth = 0): YAMLMap {
    const brought = new YAMLMap();
    const names = new Set<string | null>();
    for (const pair of map.items) {
      if (!isMergeKey(pair)) continue;
      const value = this.follow(pair.value);
      const sources = isSeq(value) ? value.items : [value];
      for (const source of sources) {
        const expanded = this.expand(source, depth + 1);
        if (!isMap(expanded)) throw new Refusal(startOf(pair.value), "<< takes a map, or a list of maps", null);
        for (const item of expanded.items) {
          const name = textOf(item.key);
          if (!names.has(name)) brought.items.push(item);
          names.add(name);
        }
      }
    }
    return brought;
  }

  #expandMap(node: YAMLMap, depth: number): YAMLMap {
    const copy = new YAMLMap();
    copy.flow = node.flow ?? false;
    const own = new Set<string>();
    for (const pair of node.items) {
      const key = textOf(this.follow(pair.key));
      if (key === null) throw new Refusal(startOf(pair), "a key is not text", "keys are plain words");
      if (isMergeKey(pair)) continue;
      if (own.has(key)) throw new Refusal(startOf(pair), `the key ${key} stands here twice`, "remove one of them");
      own.add(key);
      copy.items.push(new Pair(this.expand(pair.key, depth + 1), this.expand(pair.value, depth + 1)));
    }
    if (node.items.some(isMergeKey)) {
      for (const item of this.merged(node, depth + 1).items) if (!own.has(textOf(item.key) ?? "")) copy.items.push(item);
    }
    return copy;
  }

  #place<T extends Tree>(node: Node, copy: T): T {
    if (!isAlias(node) && node.tag !== undefined) copy.tag = node.tag;
    if (this.#keepsPlaces && node.range !== null && node.range !== undefined) copy.range = node.range;
    return copy;
  }
}

export function isMergeKey(pair: Pair): boolean {
  return isScalar(pair.key) && isPlain(pair.key) && pair.key.value === MERGE_KEY;
}

/** Text in double quotes: nothing takes it for anything else. */
export function quoted(text: string): Scalar {
  const scalar = new Scalar(text);
  scalar.type = "QUOTE_DOUBLE";
  return scalar;
}

/** A word, a number, true or false, without quotes. */
export function plain(text: string | number | boolean): Scalar {
  const scalar = new Scalar(String(text));
  scalar.type = "PLAIN";
  return scalar;
}

/** Lines as they are, ending with one line end. */
export function literal(text: string): Scalar {
  const scalar = new Scalar(text);
  scalar.type = "BLOCK_LITERAL";
  return scalar;
}

/** A map; entries that are null are left out. */
export function mapOf(entries: Readonly<Record<string, Tree | null>>, flow = false): YAMLMap {
  const map = new YAMLMap();
  map.flow = flow;
  for (const [key, value] of Object.entries(entries)) if (value !== null) map.items.push(new Pair(keyOf(key), value));
  return map;
}

/** What no reader takes for anything but text stands as it is. */
function keyOf(text: string): Scalar {
  return /^[A-Za-z_][\w./-]*$/.test(text) && !/^(?:y|yes|n|no|on|off|true|false|null)$/i.test(text) ? plain(text) : quoted(text);
}

/** A list; in one line unless told otherwise. */
export function listOf(items: readonly Tree[], flow = true): YAMLSeq {
  const list = new YAMLSeq();
  list.flow = flow;
  list.items = [...items];
  return list;
}

/** The value of a key in a tree; null when it is not there or says nothing. */
export function valueAt(tree: unknown, key: string): Tree | null {
  if (!isMap(tree)) return null;
  const value = tree.items.find((item) => textOf(item.key) === key)?.value;
  return isNull(value) ? null : (value as Tree);
}

/** A copy of the map with that key set, at its place or at the end. */
export function withKey(map: YAMLMap, key: string, value: Tree): YAMLMap {
  const copy = withoutKeys(map, []);
  const at = copy.items.findIndex((item) => textOf(item.key) === key);
  if (at < 0) copy.items.push(new Pair(keyOf(key), value));
  else copy.items[at] = new Pair(copy.items[at]!.key, value);
  return copy;
}

/** A copy of the map without those keys. */
export function withoutKeys(map: YAMLMap, keys: readonly string[]): YAMLMap {
  const copy = new YAMLMap();
  copy.flow = map.flow ?? false;
  if (map.tag !== undefined) copy.tag = map.tag;
  if (map.range !== undefined && map.range !== null) copy.range = map.range;
  copy.items = map.items.filter((item) => !keys.includes(textOf(item.key) ?? ""));
  return copy;
}

/** The same text for trees that mean the same to any reader of YAML: the order of keys does not count, quotes and tags do. */
export function canonical(tree: unknown): string {
  const tag = isNode(tree) && !isAlias(tree) ? (tree.tag ?? "") : "";
  return tag + untagged(tree);
}

function untagged(tree: unknown): string {
  if (isMap(tree)) {
    const entries = tree.items.map((item): [string, string] => [textOf(item.key) ?? "", canonical(item.value)]);
    return `{${entries
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([key, value]) => `${JSON.stringify(key)}:${value}`)
      .join()}}`;
  }
  if (isSeq(tree)) return `[${tree.items.map(canonical).join()}]`;
  if (isNull(tree)) return "null";
  return `${isScalar(tree) && isPlain(tree) ? "p" : "q"}${JSON.stringify(textOf(tree))}`;
}

/** Some readers of YAML refuse these, or end a line there. They are in text in double quotes if anywhere, or the output would not say what was planned. */
const ODD_CHARACTER = /[\u007f-\u009f\u2028\u2029\ufeff]/g;

/** The lines of a tree as block YAML, each with `indent` before it. */
export function linesOf(tree: Tree, indent: string): string[] {
  const document = new Document(null, { schema: "failsafe", version: "1.2" });
  document.contents = tree as typeof document.contents;
  const text = document.toString({ lineWidth: 0, flowCollectionPadding: false });
  return text
    .replace(ODD_CHARACTER, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .replace(/\n$/, "")
    .split("\n")
    .map((line) => (line === "" ? "" : indent + line));
}
