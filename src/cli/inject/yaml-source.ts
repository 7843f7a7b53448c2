// YAML of other programs, read for editing: every node knows its place, and every scalar stays the text that was written.
//
// The failsafe schema knows maps, lists and text, so `0755`, `yes` and `22:22` are neither understood nor changed: compose and Kubernetes
// read YAML by rules of their own. Limits and refusals are those of Weft's configuration (src/config/yaml-documents.ts), but tags are allowed.

import { isAlias, isMap, isPair, isScalar, isSeq, LineCounter, visit } from "yaml";
import type { Alias, Document, Node, Pair, Scalar } from "yaml";
import type { Problem } from "../../config/problem.ts";
import { composeDocuments, describeSyntaxError, NODES_MAX, Refusal } from "../../config/yaml-documents.ts";
import type { Source } from "./injection.ts";

export interface SourceDocument {
  readonly document: Document.Parsed;
  /** What each alias stands for. */
  readonly targets: ReadonlyMap<Alias, Node>;
}

export interface YamlSource {
  readonly source: Source;
  /** Those with something in them. */
  readonly documents: readonly SourceDocument[];
  readonly problems: readonly Problem[];
  /** The line of an offset, from 0. */
  lineAt(offset: number): number;
  /** A problem at an offset or a node; without either, at the beginning. */
  problemAt(place: unknown, severity: Problem["severity"], message: string, hint: string | null): Problem;
}

/** Reads all documents. Never throws for what the text says: a text with mistakes has problems. */
export function readYaml(source: Source): YamlSource {
  const lines = new LineCounter();
  const problems: Problem[] = [];
  const documents: SourceDocument[] = [];
  const problemAtOffset = (offset: number, severity: Problem["severity"], message: string, hint: string | null): Problem => {
    const { line, col } = lines.linePos(offset);
    return { file: source.file, line, column: col, severity, message, hint };
  };
  try {
    const options = { version: "1.2", schema: "failsafe", uniqueKeys: false, prettyErrors: false } as const;
    for (const document of composeDocuments(source.text, lines, options)) {
      const [error] = document.errors;
      if (error !== undefined) problems.push(problemAtOffset(error.pos[0], "error", ...describeSyntaxError(error)));
      else if (document.contents !== null && !isEmpty(document.contents)) documents.push({ document, targets: findTargets(document) });
    }
  } catch (reason) {
    if (!(reason instanceof Refusal)) throw reason;
    problems.push(problemAtOffset(reason.offset, "error", reason.message, reason.hint));
  }
  return {
    source,
    documents,
    problems,
    lineAt: (offset) => lines.linePos(offset).line - 1,
    problemAt: (place, severity, message, hint) =>
      problemAtOffset(typeof place === "number" ? place : startOf(place), severity, message, hint),
  };
}

/** Where a node begins in the text. */
export function startOf(node: unknown): number {
  if (isPair(node)) return startOf(node.key);
  return isNode(node) ? (node.range?.[0] ?? 0) : 0;
}

/** Where a node's text ends, without comments and blank lines behind it. */
export function endOf(node: unknown): number {
  if (isPair(node)) return Math.max(endOf(node.key), endOf(node.value));
  if ((isMap(node) || isSeq(node)) && node.flow !== true && node.items.length > 0) return endOf(node.items.at(-1));
  return isNode(node) ? (node.range?.[1] ?? 0) : 0;
}

function isNode(node: unknown): node is Node {
  return isScalar(node) || isMap(node) || isSeq(node) || isAlias(node);
}

function isEmpty(contents: Node): boolean {
  return isScalar(contents) && contents.type === "PLAIN" && contents.value === "" && contents.anchor === undefined;
}

/** One walk in the order of the text: an anchor may be given again, then the last one before an alias counts. */
function findTargets(document: Document.Parsed): Map<Alias, Node> {
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node>();
  let nodesLeft = NODES_MAX;
  visit(document, {
    Node: (_key, node) => {
      if (--nodesLeft < 0) throw new Refusal(startOf(node), `there are more than ${NODES_MAX} values`, null);
      if (isAlias(node)) {
        const target = anchors.get(node.source);
        if (target === undefined)
          throw new Refusal(startOf(node), `there is no anchor &${node.source} before this alias`, "text that begins with * needs quotes");
        targets.set(node, target);
      } else if (node.anchor !== undefined) anchors.set(node.anchor, node);
    },
  });
  return targets;
}

/** The text of a key or a plain or quoted value; null for anything else. */
export function textOf(node: unknown): string | null {
  return isScalar(node) && typeof node.value === "string" ? node.value : null;
}

/** True for a value that is not there, or says so. */
export function isNull(node: unknown): boolean {
  return node === null || node === undefined || (isScalar(node) && isPlain(node) && /^(?:|~|null|Null|NULL)$/.test(String(node.value)));
}

/** True for a scalar without quotes. */
export function isPlain(node: Scalar): boolean {
  return node.type === undefined || node.type === "PLAIN";
}

/** The pair of a key in a map as it stands there; null without one. */
export function pairOf(map: unknown, key: string): Pair | null {
  return isMap(map) ? (map.items.find((pair) => textOf(pair.key) === key) ?? null) : null;
}
