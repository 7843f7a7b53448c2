// A stream of Kubernetes manifests as positions in its text: what kinds of resources stand in it, and where.
//
// The text is never printed anew: the positions serve to insert lines and take them away (text-edits.ts), so comments, order,
// quotes and line ends stay. Read as YAML 1.1, as kubectl does; JSON is YAML. Refuses what no YAML parser would take, and streams over the
// limits. What is no resource (an empty document, a text) is nobody's business here and passes.

import { isAlias, isMap, isScalar, isSeq, LineCounter, parseAllDocuments, visit } from "yaml";
import type { Document, Pair, ParsedNode, Range, YAMLMap } from "yaml";
import type { Problem } from "../../../config/problem.ts";
import { manifestError } from "./manifest-problem.ts";
import type { ManifestProblem } from "./manifest-problem.ts";

/** Bytes: more than etcd would take of a thousand objects; a mistake (a tarball, a core file) ends here. */
const TEXT_LENGTH_MAX = 16 * 1024 * 1024;
/** Resources of a stream, items of lists counted. */
const RESOURCES_MAX = 10_000;
/** Lists within lists. */
const LIST_DEPTH_MAX = 4;
/** Aliases that are followed when a resource is read as a value. */
const ALIASES_MAX = 1_000;

/** A map that is the value of a key. */
export interface MapPlace {
  readonly pair: Pair;
  readonly map: YAMLMap;
}

/** One object of the stream. */
export interface Resource {
  readonly apiVersion: string;
  readonly kind: string;
  /** Empty for one that the server names. */
  readonly name: string;
  /** Null: wherever it is applied to. */
  readonly namespace: string | null;
  readonly document: Document.Parsed;
  readonly map: YAMLMap;
  /** As a plain value, aliases and merges resolved. */
  readonly value: Readonly<Record<string, unknown>>;
}

export class Manifests {
  readonly file: string;
  readonly text: string;
  readonly resources: readonly Resource[];
  readonly documents: readonly Document.Parsed[];
  readonly #lines = new LineCounter();

  /** Throws a ManifestProblem. */
  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
    if (text.length > TEXT_LENGTH_MAX) throw manifestError(file, `longer than ${TEXT_LENGTH_MAX} characters`);
    if (text.includes("\0")) throw manifestError(file, "has bytes that are no text", "expected YAML or JSON");
    const parsed = parseAllDocuments(text, { lineCounter: this.#lines, keepSourceTokens: true, version: "1.1", prettyErrors: false });
    this.documents = Array.isArray(parsed) ? (parsed as Document.Parsed[]) : [];
    for (const document of this.documents) {
      const [error] = document.errors;
      if (error !== undefined) throw this.problemAt(error.pos[0], `no YAML: ${firstLine(error.message)}`, templateHint(text));
      this.#refuseKeys(document);
    }
    const resources: Resource[] = [];
    for (const document of this.documents) if (isMap(document.contents)) this.#collect(document, document.contents, 0, resources);
    this.resources = resources;
  }

  /** A problem at a position of the text. */
  problemAt(offset: number, message: string, hint: string | null = null): ManifestProblem {
    const { line, col } = this.#lines.linePos(offset);
    return manifestError(this.file, message, hint, line, col);
  }

  /** A problem at a node. */
  problem(node: unknown, message: string, hint: string | null = null): ManifestProblem {
    return this.problemAt(startOf(node) ?? 0, message, hint);
  }

  /** What should be known, and keeps nothing from working. */
  warning(node: unknown, message: string): Problem {
    return { ...this.problem(node, message).problem, severity: "warning" };
  }

  /** The map that is the value of this key; undefined when there is no such key or its value is no map. Throws when it cannot be edited. */
  child(map: YAMLMap, key: string): MapPlace | undefined {
    const pair = this.pair(map, key);
    return pair !== undefined && isMap(pair.value) ? { pair, map: pair.value } : undefined;
  }

  /** The pair with this key. Throws a ManifestProblem when it hides behind an alias or a merge. */
  pair(map: YAMLMap, key: string): Pair | undefined {
    for (const pair of map.items) {
      const name = keyOf(pair);
      if (name === "<<") throw this.problem(pair.key, `a merge key where ${key} is looked for`, "write out what it brings");
      if (name !== key) continue;
      if (isAlias(pair.value))
        throw this.problem(pair.value, `${key} is an alias, which cannot be changed for one user of it`, "write it out");
      return pair;
    }
    return undefined;
  }

  #collect(document: Document.Parsed, map: YAMLMap, depth: number, into: Resource[]): void {
    const value = this.#valueOf(document, map);
    const { apiVersion, kind, metadata } = value;
    if (typeof apiVersion !== "string" || typeof kind !== "string") return;
    if (kind === "List" && apiVersion === "v1") {
      if (depth >= LIST_DEPTH_MAX) throw this.problem(map, `more than ${LIST_DEPTH_MAX} lists within each other`);
      const items = this.pair(map, "items")?.value;
      if (isSeq(items)) for (const item of items.items) if (isMap(item)) this.#collect(document, item, depth + 1, into);
      return;
    }
    if (into.length >= RESOURCES_MAX) throw this.problem(map, `more than ${RESOURCES_MAX} resources`, "split the file");
    const { name, generateName, namespace } = isRecord(metadata) ? metadata : {};
    into.push({
      apiVersion,
      kind,
      name: typeof name === "string" ? name : typeof generateName === "string" ? generateName : "",
      namespace: typeof namespace === "string" && namespace !== "" ? namespace : null,
      document,
      map,
      value,
    });
  }

  /** A key that is no text is what `{{ .Values.x }}` is read as. */
  #refuseKeys(document: Document.Parsed): void {
    visit(document, {
      Pair: (_, { key }) => {
        if (!isScalar(key)) throw this.problem(key, "a key that is no text", templateHint(this.text));
      },
    });
  }

  #valueOf(document: Document.Parsed, map: YAMLMap): Record<string, unknown> {
    try {
      return map.toJS(document, { maxAliasCount: ALIASES_MAX }) as Record<string, unknown>;
    } catch (error) {
      throw this.problem(map, `cannot be read: ${firstLine((error as Error).message)}`);
    }
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A key as text. */
export function keyOf(pair: Pair): string | null {
  return isScalar(pair.key) ? (pair.key.source ?? String(pair.key.value)) : null;
}

/** Where a node begins in the text. */
export function startOf(node: unknown): number | null {
  return (node as { range?: Range | null } | null | undefined)?.range?.[0] ?? null;
}

/** Parts of the text that aliases elsewhere in it repeat. */
export function repeatedRanges(document: Document.Parsed): readonly Range[] {
  const ranges: Range[] = [];
  visit(document, {
    Alias(_, alias) {
      const range = (alias.resolve(document) as ParsedNode | undefined)?.range;
      if (range !== undefined) ranges.push(range);
    },
  });
  return ranges;
}

function templateHint(text: string): string | null {
  return text.includes("{{") ? "it looks like a template: render it first (helm template)" : null;
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0]!;
}
