// Changes to a YAML text that leave every other byte where it was: pairs and items put in front of those of a map or list, or taken away.
//
// In block style whole lines are inserted, right below the line of the key that holds the map or list; in flow style (JSON, too) the text goes
// right behind the opening bracket. So taking away what was put in gives the text of before. Refused are layouts in which that
// would be a guess: a value behind an alias, an explicit key ("? key"), a key that does not begin its line.

import { isMap, isScalar, isSeq, stringify } from "yaml";
import type { Pair, Range, YAMLMap, YAMLSeq } from "yaml";
import { startOf } from "./manifests.ts";
import type { Manifests } from "./manifests.ts";

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** What stands behind a key: `absent` without the key, `empty` with nothing behind the colon, or the word for null that stands there. */
export type State = "absent" | "collection" | "empty" | NullWord;
export type NullWord = (typeof NULL_WORDS)[number];
export const NULL_WORDS = ["null", "~", "Null", "NULL"] as const;

const OWN_LINE = "put it on a line of its own";

type Collection = YAMLMap | YAMLSeq;

/** How pairs or items get into what a key holds. */
interface Putting {
  readonly isHere: (value: unknown) => boolean;
  /** Their lines at a column. */
  readonly block: (column: number) => string;
  readonly columnOf: (value: Collection) => number;
  readonly childColumn: (column: number) => number;
  readonly flow: readonly string[];
  readonly brackets: readonly [string, string];
}

export class TextEdits {
  readonly #manifests: Manifests;
  readonly #text: string;
  readonly #lineEnd: string;
  readonly #edits: Edit[] = [];
  readonly #places: number[] = [];

  constructor(manifests: Manifests) {
    this.#manifests = manifests;
    this.#text = manifests.text;
    this.#lineEnd = /^[^\n]*\r\n/.test(this.#text) ? "\r\n" : "\n";
  }

  /** Where the maps and lists begin that get something, in no order. */
  get places(): readonly number[] {
    return this.#places;
  }

  /** The text with every change. */
  apply(): string {
    const edits = this.#edits.toSorted((left, right) => left.start - right.start);
    let result = "";
    let at = 0;
    for (const { start, end, text } of edits) {
      result += this.#text.slice(at, start) + text;
      at = end;
    }
    return result + this.#text.slice(at);
  }

  /** What stands behind a key now. */
  stateOf(pair: Pair | undefined): State {
    const value = pair?.value;
    if (pair === undefined) return "absent";
    if (isMap(value) || isSeq(value)) return "collection";
    if (value !== null && (!isScalar(value) || value.value !== null)) throw this.#manifests.problem(value, "expected a map or a list here");
    const word = isScalar(value) ? (value.source ?? "") : "";
    return word === "" ? "empty" : (word as State);
  }

  /** Puts pairs in front of those of the map that is the value of `pair`. `isIndented`: lists in the pairs stand further right than their keys. */
  putPairs(pair: Pair, pairs: Readonly<Record<string, unknown>>, isIndented = true): void {
    this.#put(pair, {
      isHere: isMap,
      block: (column) => this.#block(pairs, column, isIndented),
      columnOf: (map) => this.#columnOfKey(map.items[0] as Pair),
      childColumn: (column) => column + 2,
      flow: Object.entries(pairs).map(([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`),
      brackets: ["{", "}"],
    });
  }

  /** Puts items in front of those of the list that is the value of `pair`. */
  putItems(pair: Pair, items: readonly unknown[]): void {
    this.#put(pair, {
      isHere: isSeq,
      block: (column) => this.#block(items, column, true),
      columnOf: (list) => this.#columnOfDash(list as YAMLSeq),
      childColumn: (column) => column,
      flow: items.map((item) => JSON.stringify(item)),
      brackets: ["[", "]"],
    });
  }

  /** True when the items of a block list stand further right than its key; true for any other. */
  isIndented(pair: Pair): boolean {
    const list = pair.value;
    if (!isSeq(list) || list.flow === true || list.items.length === 0) return true;
    return this.#columnOfDash(list) > this.#columnOfKey(pair);
  }

  /** Takes pairs out of the map that `owner` holds. */
  removePairs(map: YAMLMap, pairs: readonly Pair[]): void {
    if (map.flow === true) this.#removeFlow(map, pairs);
    else this.#removeLines(pairs.map((pair) => [this.#keyLine(pair), this.#endOf(pair.value) ?? this.#endOf(pair.key)!]));
  }

  /** Takes items out of a list. */
  removeItems(list: YAMLSeq, items: readonly unknown[]): void {
    if (list.flow === true) this.#removeFlow(list, items);
    else this.#removeLines(items.map((item) => [this.#dashLine(list, item), this.#endOf(item)!]));
  }

  /** Puts back the word that stood for null. */
  restoreNull(value: Collection, word: string): void {
    const [start, end] = value.range!;
    this.#edits.push({ start, end, text: word });
  }

  /** Removes from the text from one position to another. */
  cut(start: number, end: number): void {
    this.#edits.push({ start, end, text: "" });
  }

  #put(pair: Pair, how: Putting): void {
    const [open, close] = how.brackets;
    const { value } = pair;
    const state = this.stateOf(pair);
    this.#places.push((state === "empty" ? null : startOf(value)) ?? startOf(pair.key)!);
    if (state === "collection" && how.isHere(value)) {
      const there = value as Collection;
      if (there.flow === true) this.#insert(this.#behindBracket(there, open), how.flow.join(", ") + (there.items.length > 0 ? "," : ""));
      else this.#insertLines(pair, how.block(how.columnOf(there)));
    } else if (state === "collection") {
      throw this.#manifests.problem(value, `expected ${open === "{" ? "a map" : "a list"} here`);
    } else if (state === "empty") {
      this.#insertLines(pair, how.block(how.childColumn(this.#columnOfKey(pair))));
    } else {
      const [start, end] = (value as { range: Range }).range;
      this.#edits.push({ start, end, text: open + how.flow.join(", ") + close });
    }
  }

  #block(value: unknown, column: number, isIndented: boolean): string {
    const text = stringify(value, { version: "1.1", lineWidth: 0, indentSeq: isIndented, aliasDuplicateObjects: false });
    const margin = " ".repeat(column);
    const lines = text.replace(/\n$/, "").split("\n");
    return lines.map((line) => (line === "" ? "" : margin + line) + this.#lineEnd).join("");
  }

  #insert(offset: number, text: string): void {
    this.#edits.push({ start: offset, end: offset, text });
  }

  /** Inserts lines right below the one of a key. */
  #insertLines(pair: Pair, lines: string): void {
    const key = (pair.key as unknown as { range: Range }).range;
    const end = this.#text.indexOf("\n", key[1]);
    if (end >= 0) this.#insert(end + 1, lines);
    else this.#insert(this.#text.length, this.#lineEnd + lines.slice(0, -this.#lineEnd.length));
  }

  /** Columns from 0. */
  #columnOfKey(pair: Pair): number {
    const start = startOf(pair.key);
    if (start === null) throw this.#manifests.problem(pair.value, "a key is missing here");
    const before = this.#text.slice(this.#lineStart(start), start);
    if (!/^(?: |- )*$/.test(before)) throw this.#manifests.problemAt(start, "a key that does not begin its line", OWN_LINE);
    return before.length;
  }

  #columnOfDash(list: YAMLSeq): number {
    const offset = this.#dashOf(list, 0);
    const before = this.#text.slice(this.#lineStart(offset), offset);
    if (before.trim() !== "") throw this.#manifests.problemAt(offset, "a list that does not begin its line", OWN_LINE);
    return before.length;
  }

  #dashOf(list: YAMLSeq, index: number): number {
    const token = list.srcToken as { items?: { start: { type: string; offset: number }[] }[] } | undefined;
    // Comments in front of an item are items without a dash.
    const dashes = token?.items?.flatMap(({ start }) => start.filter(({ type }) => type === "seq-item-ind")) ?? [];
    const dash = dashes[index];
    if (dash === undefined) throw this.#manifests.problem(list, "a list in a layout that cannot be changed");
    return dash.offset;
  }

  #behindBracket(value: Collection, bracket: string): number {
    const start = startOf(value)!;
    if (this.#text[start] !== bracket) throw this.#manifests.problem(value, `expected ${bracket} here`);
    return start + 1;
  }

  #keyLine(pair: Pair): number {
    const start = startOf(pair.key)!;
    const line = this.#lineStart(start);
    if (this.#text.slice(line, start).trim() === "") return line;
    throw this.#manifests.problemAt(start, "a key that does not begin its line cannot be taken away", OWN_LINE);
  }

  #dashLine(list: YAMLSeq, item: unknown): number {
    return this.#lineStart(this.#dashOf(list, list.items.indexOf(item)));
  }

  #lineStart(offset: number): number {
    return this.#text.lastIndexOf("\n", offset - 1) + 1;
  }

  /** Each from the beginning of a line to the end of the one in which the content ends; in the order of the text. */
  #removeLines(parts: readonly (readonly [number, number])[]): void {
    let from = -1;
    let to = -1;
    const flush = (): void => {
      if (from >= 0) this.cut(from, to);
    };
    for (const [start, contentEnd] of parts) {
      const lineEnd = this.#text.indexOf("\n", contentEnd) + 1;
      if (start !== to) {
        flush();
        from = start;
      }
      to = lineEnd > 0 ? lineEnd : this.#text.length;
      // The last line has no line end: what stands before loses its own.
      if (lineEnd === 0) from = Math.max(0, from - (this.#text.endsWith("\r\n", from) ? 2 : 1));
    }
    flush();
  }

  /** Behind the last character that a node has, comments not counted. */
  #endOf(node: unknown): number | null {
    if ((isMap(node) || isSeq(node)) && node.flow !== true && node.items.length > 0) {
      const last = node.items.at(-1)!;
      if (!isMap(node)) return this.#endOf(last);
      const { key, value } = last as Pair;
      return this.#endOf(value) ?? this.#endOf(key);
    }
    const range = (node as { range?: Range | null } | null)?.range;
    if (range === undefined || range === null) return null;
    let end = range[1];
    while (end > range[0] && /\s/.test(this.#text[end - 1]!)) end--;
    return end;
  }

  /** What was put in front is followed by a comma; what stands last has one before it. */
  #removeFlow(collection: Collection, parts: readonly unknown[]): void {
    const all: readonly unknown[] = collection.items;
    const isLeft = all.some((part) => !parts.includes(part));
    for (const part of parts) {
      const [first, last] = isMap(collection) ? [(part as Pair).key, (part as Pair).value ?? (part as Pair).key] : [part, part];
      const start = startOf(first)!;
      const end = (last as { range: Range }).range[1];
      const comma = /^\s*,/.exec(this.#text.slice(end, collection.range![1]));
      const isFollowed = all.slice(all.indexOf(part) + 1).some((other) => !parts.includes(other));
      if (isFollowed || !isLeft) {
        // Between two that go, the space goes as well.
        const next = all[all.indexOf(part) + 1];
        const nextStart = next !== undefined && parts.includes(next) ? startOf(isMap(collection) ? (next as Pair).key : next)! : null;
        this.cut(start, nextStart ?? end + (comma?.[0].length ?? 0));
      } else {
        const before = /,\s*$/.exec(this.#text.slice(collection.range![0], start));
        this.cut(start - (before?.[0].length ?? 0), end);
      }
    }
  }
}
