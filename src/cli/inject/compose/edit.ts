// From what a compose file should say to edits of its lines: what already says so stays as it is written, with its comments, anchors and quotes.
//
// A key of a service whose value changes gives way as a whole, line by line, and what takes its place stands at the service's end. What is written in one line
// with others (`{...}`, JSON) is written anew as a block: the service, or all of `services`, or the file. Anchors within lines that go, to which
// others refer, move to `x-weft-anchors` at the top. A merge key goes when what it brings is not what the service should have.

import { Alias, isAlias, isMap, isScalar, isSeq, visit, YAMLMap } from "yaml";
import type { Node, Pair } from "yaml";
import type { LineEdit } from "../marks.ts";
import { splitLines } from "../marks.ts";
import { canonical, isMergeKey, linesOf, listOf, mapOf, type Tree, valueAt, withKey } from "../tree.ts";
import { endOf, isNull, pairOf, startOf, textOf } from "../yaml-source.ts";
import type { ComposeFile, ComposeService } from "./compose-file.ts";

/** What the file should say. */
export interface Wanted {
  /** Services of the file, by name. */
  readonly services: ReadonlyMap<string, YAMLMap>;
  /** Services, networks and secrets that are new. */
  readonly newServices: Readonly<Record<string, Tree>>;
  readonly newNetworks: Readonly<Record<string, Tree>>;
  readonly newSecrets: Readonly<Record<string, Tree>>;
}

const ANCHORS_KEY = "x-weft-anchors";
/** Spaces of one step where the file has none to go by. */
const STEP = "  ";

/** Names of services whose lines have to change, given those that were known to before: what merges a changed service's map changes as well. */
export function changedServices(file: ComposeFile, wanted: ReadonlyMap<string, YAMLMap>, before: ReadonlySet<string>): Set<string> {
  return new Set(file.services.filter((service) => hasChanges(file, service, wanted.get(service.name)!, before)).map(({ name }) => name));
}

/** All edits. `changed` is what changedServices says. */
export function editsOf(file: ComposeFile, wanted: Wanted, changed: ReadonlySet<string>): LineEdit[] {
  const depthOf = ({ lines }: LineEdit): number => lines[0]?.search(/[^ ]/) ?? 0;
  // Of what is added behind one line, the innermost comes first.
  return new Editor(file, wanted, changed).run().sort((a, b) => depthOf(b) - depthOf(a));
}

class Editor {
  readonly #file: ComposeFile;
  readonly #wanted: Wanted;
  readonly #changed: ReadonlySet<string>;
  readonly #lines: readonly string[];
  readonly #edits: LineEdit[] = [];

  constructor(file: ComposeFile, wanted: Wanted, changed: ReadonlySet<string>) {
    this.#file = file;
    this.#wanted = wanted;
    this.#changed = changed;
    this.#lines = splitLines(file.yaml.source.text);
  }

  run(): LineEdit[] {
    const { root, servicesPair } = this.#file;
    if (!this.#standsAlone(root, servicesPair) || root.items.some((pair) => !this.#standsAlone(root, pair))) {
      this.#replaceRoot();
      return this.#edits;
    }
    this.#editServices(servicesPair);
    this.#addTo("networks", this.#wanted.newNetworks);
    this.#addTo("secrets", this.#wanted.newSecrets);
    this.#hoistAnchors(this.#lineOf(servicesPair));
    return this.#edits;
  }

  #editServices(servicesPair: Pair): void {
    const map = servicesPair.value;
    if (!isBlockMap(map) || map.items.some((pair) => !this.#standsAlone(map, pair)) || map.items.some(isMergeKey)) {
      this.#replacePair(servicesPair, this.#allServices());
      return;
    }
    for (const service of this.#file.services) if (this.#changed.has(service.name)) this.#editService(map, service);
    const indent = this.#indentOf(map.items[0]!);
    this.#insertAfter(map.items.at(-1)!, linesOf(mapOf(this.#wanted.newServices), indent));
  }

  #editService(services: YAMLMap, { name, pair, own }: ComposeService): void {
    const wanted = this.#wanted.services.get(name)!;
    if (!isBlockMap(own) || own.items.some((item) => !this.#standsAlone(own, item as Pair))) {
      this.#replacePair(pair, wanted);
      return;
    }
    const keptMerges = !own.items.some(isMergeKey) || mergesStay(this.#file, own, wanted, this.#changed);
    const rest = new Set(wanted.items.map(({ key }) => textOf(key) ?? ""));
    if (keptMerges) for (const { key } of this.#file.expander.merged(own).items) rest.delete(textOf(key) ?? "");
    for (const item of own.items) {
      const key = textOf(item.key) ?? "";
      const isKept = isMergeKey(item) ? keptMerges : stays(this.#file, item, wanted);
      if (isKept) rest.delete(key);
      else {
        rest.add(key);
        this.#remove(item);
      }
    }
    const added = new YAMLMap();
    added.items = wanted.items.filter(({ key }) => rest.has(textOf(key) ?? ""));
    if (added.items.length > 0) this.#insertAfter(own.items.at(-1)!, linesOf(added, this.#indentOf(own.items[0]!)));
    else if (services.items.length === 0) throw new Error("a service without a key");
  }

  /** Entries to a map at the top, which may not be there yet. */
  #addTo(name: string, entries: Readonly<Record<string, Tree>>): void {
    if (Object.keys(entries).length === 0) return;
    const { root, expander } = this.#file;
    const pair = pairOf(root, name);
    if (pair === null) {
      this.#insertAfter(root.items.at(-1)!, linesOf(mapOf({ [name]: mapOf(entries) }), this.#indentOf(root.items[0]!)));
    } else if (isNull(pair.value)) {
      this.#insertAfter(pair, linesOf(mapOf(entries), this.#indentOf(pair) + STEP));
    } else if (isBlockMap(pair.value) && pair.value.items.every((item) => this.#standsAlone(pair.value as YAMLMap, item))) {
      this.#insertAfter(pair.value.items.at(-1)!, linesOf(mapOf(entries), this.#indentOf(pair.value.items[0]!)));
    } else {
      this.#replacePair(pair, withEntries(expander.expand(pair.value), entries));
    }
  }

  #allServices(): YAMLMap {
    const all = new YAMLMap();
    const { services, newServices } = this.#wanted;
    for (const service of services.values()) service.flow = false;
    all.items = mapOf({ ...Object.fromEntries(services), ...newServices }).items;
    return all;
  }

  /** The whole file anew. */
  #replaceRoot(): void {
    const { root, expander } = this.#file;
    let whole = expander.expand(root) as YAMLMap;
    whole.flow = false;
    whole = withKey(whole, "services", this.#allServices());
    for (const [name, entries] of [
      ["networks", this.#wanted.newNetworks],
      ["secrets", this.#wanted.newSecrets],
    ] as const) {
      if (Object.keys(entries).length > 0) whole = withKey(whole, name, withEntries(valueAt(whole, name), entries));
    }
    this.#edits.push({ first: this.#lineOf(root), end: this.#lineBehind(root), lines: linesOf(whole, "") });
  }

  #replacePair(pair: Pair, value: Tree): void {
    const indent = this.#indentOf(pair);
    const map = new YAMLMap();
    if (isMap(value) || isSeq(value)) value.flow = false;
    map.items = mapOf({ [textOf(pair.key) ?? ""]: value }).items;
    this.#edits.push({ first: this.#lineOf(pair), end: this.#lineBehind(pair), lines: linesOf(map, indent) });
  }

  #remove(pair: Pair): void {
    this.#edits.push({ first: this.#lineOf(pair), end: this.#lineBehind(pair), lines: [] });
  }

  #insertAfter(pair: Pair, lines: readonly string[]): void {
    const line = this.#lineBehind(pair);
    this.#edits.push({ first: line, end: line, lines });
  }

  /** Anchors in lines that go, which aliases in lines that stay mean. */
  #hoistAnchors(line: number): void {
    const { document, expander, root, yaml } = this.#file;
    const isGone = (node: Node): boolean => {
      const at = yaml.lineAt(startOf(node));
      return this.#edits.some(({ first, end }) => at >= first && at < end);
    };
    const needed = new Set<Node>();
    for (const [alias, target] of document.targets) if (!isGone(alias) && isGone(target)) needed.add(target);
    if (needed.size === 0) return;
    const items: Tree[] = [];
    visit(root, {
      Node: (_key, node) => {
        if (isAlias(node) || !needed.has(node)) return;
        const copy = expander.expand(node);
        if (node.anchor !== undefined) copy.anchor = node.anchor;
        items.push(copy);
      },
    });
    this.#edits.push({
      first: line,
      end: line,
      lines: linesOf(mapOf({ [ANCHORS_KEY]: listOf(items, false) }), this.#indentOf(root.items[0]!)),
    });
  }

  /** A key that begins its line, in a map that is written as a block. */
  #standsAlone(map: YAMLMap, pair: Pair): boolean {
    if (map.flow === true || isAlias(pair.key)) return false;
    const { text } = this.#file.yaml.source;
    const start = startOf(pair);
    return /^\uFEFF? *$/.test(text.slice(text.lastIndexOf("\n", start - 1) + 1, start));
  }

  #lineOf(node: unknown): number {
    return this.#file.yaml.lineAt(startOf(node));
  }

  /** The first line behind a node. */
  #lineBehind(node: unknown): number {
    return this.#file.yaml.lineAt(Math.max(startOf(node), endOf(node) - 1)) + 1;
  }

  #indentOf(pair: Pair): string {
    return /^ */.exec((this.#lines[this.#lineOf(pair)] ?? "").replace(/^\uFEFF/, ""))![0];
  }
}

function hasChanges(file: ComposeFile, { own, written }: ComposeService, wanted: YAMLMap, before: ReadonlySet<string>): boolean {
  if (canonical(written) !== canonical(wanted)) return true;
  if (own === null) return before.size > 0;
  return own.items.some(isMergeKey) && !mergesStay(file, own, wanted, before);
}

/** True when what `<<` brings is as it should be, and will be. */
function mergesStay(file: ComposeFile, own: YAMLMap, wanted: YAMLMap, changed: ReadonlySet<string>): boolean {
  const { expander, services } = file;
  const ownKeys = new Set(own.items.map(({ key }) => textOf(key) ?? ""));
  const isChanged = (node: unknown): boolean =>
    services.some(({ name, pair }) => changed.has(name) && expander.follow(pair.value) === expander.follow(node));
  for (const pair of own.items) {
    if (!isMergeKey(pair)) continue;
    const value = expander.follow(pair.value);
    if (isChanged(pair.value) || (isSeq(value) && value.items.some(isChanged))) return false;
  }
  const values = new Map(wanted.items.map(({ key, value }) => [textOf(key), value]));
  return expander.merged(own).items.every(({ key, value }) => {
    const name = textOf(key) ?? "";
    const kept = values.get(name);
    return kept !== undefined && (ownKeys.has(name) || canonical(value) === canonical(kept));
  });
}

function stays(file: ComposeFile, item: Pair, wanted: YAMLMap): boolean {
  const kept = find(wanted, textOf(item.key) ?? "");
  return kept !== undefined && canonical(file.expander.expand(item.value)) === canonical(kept);
}

/** The value of a key; undefined without the key. */
function find(map: YAMLMap, name: string): unknown {
  const pair = map.items.find(({ key }) => textOf(key) === name);
  return pair === undefined ? undefined : pair.value;
}

function withEntries(value: Tree | null, entries: Readonly<Record<string, Tree>>): YAMLMap {
  let map = isMap(value) ? value : new YAMLMap();
  for (const [name, entry] of Object.entries(entries)) map = withKey(map, name, entry);
  map.flow = false;
  return map;
}

function isBlockMap(node: unknown): node is YAMLMap<Node, Node> {
  return isMap(node) && !(node instanceof Alias) && node.flow !== true && node.items.length > 0 && !isScalar(node);
}
