// A mistake in a configuration: where it is, what is wrong, what was probably meant.
//
// Problems are plain data, so that they can cross threads and be printed as JSON. Errors refuse the configuration, warnings do not.
// No problem of a load quotes a token or a private key, wherever somebody wrote it.

import { withoutSecrets } from "../core/util/secret-text.ts";

export interface Problem {
  /** The file as the user named it, `WEFT_CONFIG` for text of the environment, or a command line option. */
  readonly file: string;
  /** From 1; 0 where there is no text to point at. */
  readonly line: number;
  readonly column: number;
  readonly severity: "error" | "warning";
  readonly message: string;
  /** What was probably meant, or what to do. */
  readonly hint: string | null;
}

/** Exit code of a proxy that its configuration or its options keep from starting (EX_USAGE, and what Linkerd's proxy says). */
export const BAD_CONFIGURATION = 64;

/** Steps from a document's root to a value. */
export type Path = readonly (string | number)[];

/** Problems per load that are kept: a broken file of megabytes must not answer with megabytes. */
export const PROBLEMS_MAX = 200;

/** `file:line:column: what is wrong; what was probably meant`, in one line without its end. */
export function formatProblem(problem: Problem): string {
  const place = problem.line === 0 ? problem.file : `${problem.file}:${problem.line}:${problem.column}`;
  const severity = problem.severity === "warning" ? "warning: " : "";
  const hint = problem.hint === null ? "" : `; ${problem.hint}`;
  return `${place}: ${severity}${problem.message}${hint}`;
}

/** `spec.outbound.ports[0].listen`; the document itself is `the document`. */
export function formatPath(path: Path): string {
  let text = "";
  for (const step of path) text += typeof step === "number" ? `[${step}]` : `${text === "" ? "" : "."}${step}`;
  return text === "" ? "the document" : text;
}

/** By file, then by place, each only once, without secrets, cut at PROBLEMS_MAX with a last line that says so. */
export function sortProblems(problems: readonly Problem[], fileOrder: readonly string[]): Problem[] {
  const rank = new Map(fileOrder.map((file, index) => [file, index]));
  const sorted = [...problems]
    .sort((a, b) => (rank.get(a.file) ?? -1) - (rank.get(b.file) ?? -1) || a.line - b.line || a.column - b.column)
    .map(hideSecrets);
  const seen = new Set<string>();
  const unique = sorted.filter((problem) => {
    const text = formatProblem(problem);
    return !seen.has(text) && seen.add(text) !== undefined;
  });
  const first = unique[PROBLEMS_MAX];
  if (first === undefined) return unique;
  const more: Problem = {
    ...first,
    severity: worst(unique),
    message: "there are more problems, not shown",
    hint: "begin with those above",
  };
  return [...unique.slice(0, PROBLEMS_MAX), more];
}

function hideSecrets(problem: Problem): Problem {
  const { file, message, hint } = problem;
  return { ...problem, file: withoutSecrets(file), message: withoutSecrets(message), hint: hint === null ? null : withoutSecrets(hint) };
}

function worst(problems: readonly Problem[]): Problem["severity"] {
  return problems.some((problem) => problem.severity === "error") ? "error" : "warning";
}
