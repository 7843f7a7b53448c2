// YAML text to plain values that remember where they stood. Beside it only src/cli/inject knows the yaml package, which edits files of others.
//
// YAML 1.2 with its core schema. Refused: nesting beyond DEPTH_MAX (before any recursive code sees it), more than NODES_MAX
// values with aliases expanded ("billion laughs"), tags, keys that are not text, keys given twice. Of a document with broken
// syntax only the first mistake is told: those after it are mostly its echo.

import { Composer, isAlias, isMap, isScalar, isSeq, Lexer, LineCounter, Parser } from "yaml";
import type { Document, DocumentOptions, Node, Pair, ParseOptions, SchemaOptions, YAMLError } from "yaml";
import type { Path, Problem } from "./problem.ts";

/** Nested values at most; the deepest key of ours stands at 6. */
export const DEPTH_MAX = 64;
/** Values per load: 16 MiB of endpoints have fewer. */
export const NODES_MAX = 1_000_000;

/** One document with something in it. */
export interface SourceDocument {
  readonly file: string;
  readonly value: unknown;
  /** The problem at a path: at the key itself or at its value; where the path ends early, at what is there. */
  problemAt(path: Path, at: "key" | "value", severity: Problem["severity"], message: string, hint: string | null): Problem;
}

export interface ParsedText {
  readonly documents: readonly SourceDocument[];
  readonly problems: readonly Problem[];
  /** False when some of the text could not be understood, so that things may be missing which are there. */
  readonly isComplete: boolean;
}

/** Reads all documents of a text. Never throws for what the text says. */
export function parseYaml(file: string, text: string): ParsedText {
  const lines = new LineCounter();
  const problems: Problem[] = [];
  const documents: SourceDocument[] = [];
  const report = (offset: number, message: string, hint: string | null): Problem => {
    const { line, col } = lines.linePos(offset);
    return { file, line, column: col, severity: "error", message, hint };
  };
  let isComplete = true;
  let nodesLeft = NODES_MAX;
  try {
    for (const document of composeDocuments(text, lines)) {
      const syntaxError = document.errors[0] ?? document.warnings[0];
      if (syntaxError !== undefined) {
        isComplete = false;
        problems.push(report(syntaxError.pos[0], ...describeSyntaxError(syntaxError)));
        continue;
      }
      if (document.contents === null) continue;
      const reader = new ValueReader(nodesLeft);
      const value = reader.read(document.contents, 0);
      nodesLeft = reader.nodesLeft;
      problems.push(...reader.mistakes.map((mistake) => report(mistake.offset, mistake.message, mistake.hint)));
      if (reader.hasGaps) isComplete = false;
      if (value === null || reader.hasGaps) continue;
      const problemAt: SourceDocument["problemAt"] = (path, at, severity, message, hint) => ({
        ...report(reader.offsetOf(document.contents, path, at), message, hint),
        severity,
      });
      documents.push({ file, value, problemAt });
    }
  } catch (reason) {
    if (!(reason instanceof Refusal)) throw reason;
    return { documents, problems: [...problems, report(reason.offset, reason.message, reason.hint)], isComplete: false };
  }
  return { documents, problems, isComplete };
}

interface Mistake {
  readonly offset: number;
  readonly message: string;
  readonly hint: string | null;
}

/** Ends the reading of a text. */
export class Refusal extends Error implements Mistake {
  readonly offset: number;
  readonly hint: string | null;

  constructor(offset: number, message: string, hint: string | null) {
    super(message);
    this.offset = offset;
    this.hint = hint;
  }
}

function tooDeep(offset: number): Refusal {
  return new Refusal(offset, `values are nested more than ${DEPTH_MAX} deep`, null);
}

/** How a configuration is read. Keys given twice are looked for by ValueReader: the library's check takes quadratic time. */
const CONFIGURATION: ParseOptions & DocumentOptions & SchemaOptions = {
  version: "1.2",
  schema: "core",
  uniqueKeys: false,
  prettyErrors: false,
};

/** The library's own loop, token by token, so that the depth is known before its recursive composer runs. Throws a Refusal. */
export function* composeDocuments(text: string, lines: LineCounter, options = CONFIGURATION): Generator<Document.Parsed> {
  const parser = new Parser(lines.addNewLine);
  const composer = new Composer(options);
  lines.addNewLine(0);
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) yield* composer.next(token);
    if (parser.stack.length > DEPTH_MAX) throw tooDeep(parser.offset);
  }
  for (const token of parser.end()) yield* composer.next(token);
  yield* composer.end();
}

class ValueReader {
  nodesLeft: number;
  readonly mistakes: Mistake[] = [];
  /** Something could not be read: checking the rest would report what is not wrong. */
  hasGaps = false;
  /** Where the outermost alias stands whose value is being read: that is what somebody wrote there. */
  #aliasOffset: number | null = null;
  readonly #anchors = new Map<string, Node>();
  readonly #targets = new Map<Node, Node>();

  constructor(nodesMax: number) {
    this.nodesLeft = nodesMax;
  }

  read(node: unknown, depth: number): unknown {
    const offset = this.#aliasOffset ?? offsetOfNode(node);
    if (--this.nodesLeft < 0) throw new Refusal(offset, `there are more than ${NODES_MAX} values, aliases counted`, null);
    if (depth > DEPTH_MAX) throw tooDeep(offset);
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      if (target === undefined) {
        this.#reportGap({
          offset,
          message: `there is no anchor &${node.source} before this alias`,
          hint: "text that begins with * needs quotes",
        });
        return null;
      }
      this.#targets.set(node, target);
      const outer = this.#aliasOffset;
      this.#aliasOffset = offset;
      const value = this.read(target, depth);
      this.#aliasOffset = outer;
      return value;
    }
    const value = this.#readContents(node, depth);
    if ((isMap(node) || isSeq(node) || isScalar(node)) && node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    return value;
  }

  #readContents(node: unknown, depth: number): unknown {
    if (isScalar(node)) return node.value;
    if (isSeq(node)) return node.items.map((item) => this.read(item, depth + 1));
    if (!isMap(node)) return null;
    const value: Record<string, unknown> = {};
    for (const pair of node.items) {
      const key = this.#readKey(pair);
      const isTwice = Object.hasOwn(value, key);
      if (isTwice)
        this.mistakes.push({ offset: offsetOfNode(pair.key), message: `the key ${key} stands here twice`, hint: "remove one of them" });
      // Defined, not assigned: `__proto__` is a key like any other.
      const part = this.read(pair.value, depth + 1);
      Object.defineProperty(value, key, { value: part, enumerable: true, configurable: true, writable: true });
    }
    return value;
  }

  #readKey(pair: Pair): string {
    if (isScalar(pair.key) && typeof pair.key.value === "string") return pair.key.value;
    if (isScalar(pair.key) && pair.key.source !== undefined) return pair.key.source;
    this.#reportGap({ offset: offsetOfNode(pair.key), message: "a key is not text", hint: "keys are plain words" });
    return "";
  }

  #reportGap(mistake: Mistake): void {
    this.hasGaps = true;
    this.mistakes.push(mistake);
  }

  /** Where the value, or the key that leads to it, begins in the text. */
  offsetOf(root: unknown, path: Path, at: "key" | "value"): number {
    let node = this.#follow(root);
    let offset = offsetOfNode(node);
    for (const step of path) {
      const pair = isMap(node) ? node.items.find((item) => isScalar(item.key) && String(item.key.value) === step) : undefined;
      const next = isSeq(node) && typeof step === "number" ? node.items[step] : pair?.value;
      if (pair === undefined && next === undefined) return offset;
      node = this.#follow(next);
      offset = pair !== undefined && (at === "key" || !hasContents(node)) ? offsetOfNode(pair.key) : offsetOfNode(node);
    }
    return offset;
  }

  #follow(node: unknown): unknown {
    return isAlias(node) ? this.#targets.get(node) : node;
  }
}

function offsetOfNode(node: unknown): number {
  return isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? (node.range?.[0] ?? 0) : 0;
}

function hasContents(node: unknown): boolean {
  return isMap(node) || isSeq(node) || (isScalar(node) && node.value !== null);
}

/** What is wrong with a text that is no YAML, and what was probably meant. */
export function describeSyntaxError(error: YAMLError): [message: string, hint: string | null] {
  switch (error.code) {
    case "TAB_AS_INDENT":
      return ["a tab stands where YAML wants spaces", "indent with spaces"];
    case "MULTILINE_IMPLICIT_KEY":
      return ["this line is no key and value", "is the space after the colon missing?"];
    case "BLOCK_AS_IMPLICIT_KEY":
      return ["a map begins inside a value on the same line", "is this or the next line indented wrongly, or does the value need quotes?"];
    case "BAD_INDENT":
      return ["the indentation is wrong, or a bracket is not closed", "keys of one map begin in the same column"];
    case "MISSING_CHAR":
      return [`a quote or bracket is not closed (${error.message})`, null];
    case "BAD_SCALAR_START":
      return ["a plain value cannot begin with this character", "put the value in quotes"];
    case "TAG_RESOLVE_FAILED":
      return ["tags (!...) are not used here", "remove it, or put the value in quotes"];
    case "UNEXPECTED_TOKEN":
      return [
        "something stands where the value has already ended",
        'does the value need quotes, such as "[::1]:4140"? Or is the line indented wrongly?',
      ];
    default:
      return [`this is not YAML: ${error.message}`, null];
  }
}
