// Results as people and programs read them, in the shape that Linkerd's `check` has: categories underlined, √ ‼ × per check, what is wrong and
// where help is below, a verdict at the end. `short` leaves out what is well.

import { CATEGORIES, rowOf } from "./catalogue.ts";
import type { Category } from "./catalogue.ts";
import type { CheckResult, Result } from "./run-checks.ts";

export type CheckOutput = "table" | "short" | "json";

const MARKS: Readonly<Record<Result, string>> = { success: "√", warning: "‼", error: "×" };
/** Green, yellow, red. */
const COLOURS: Readonly<Record<Result, number>> = { success: 32, warning: 33, error: 31 };

/** Where each check is explained, by its id. */
const DOCUMENT = "docs/checks.md";

/** True when nothing failed; warnings are no failures. */
export function isSuccess(results: readonly CheckResult[]): boolean {
  return results.every(({ result }) => result !== "error");
}

/** The whole output, with its line end. */
export function render(results: readonly CheckResult[], output: CheckOutput, isColoured: boolean): string {
  if (output === "json") return `${JSON.stringify(jsonOf(results), null, 2)}\n`;
  const shown = output === "short" ? results.filter(({ result }) => result !== "success") : results;
  const lines = grouped(shown).flatMap(([category, group]) => [
    category,
    "-".repeat(category.length),
    ...group.flatMap((result) => linesOf(result, isColoured)),
    "",
  ]);
  const verdict = marked(isSuccess(results) ? "success" : "error", isColoured);
  return `${[...lines, `Status check results are ${verdict}`].join("\n")}\n`;
}

function linesOf({ id, title, result, note, problem }: CheckResult, isColoured: boolean): string[] {
  const line = `${marked(result, isColoured)} ${title}${note === null ? "" : ` (${note})`}`;
  if (result === "success") return [line];
  return [line, ...[...problem, `what to do: ${rowOf(id).remedy}`, `see ${hintOf(id)} for hints`].map((text) => `    ${text}`)];
}

function marked(result: Result, isColoured: boolean): string {
  return isColoured ? `\u001b[${COLOURS[result]}m${MARKS[result]}\u001b[0m` : MARKS[result];
}

function hintOf(id: string): string {
  return `${DOCUMENT}#${id}`;
}

function jsonOf(results: readonly CheckResult[]): object {
  return {
    success: isSuccess(results),
    categories: grouped(results).map(([categoryName, group]) => ({
      categoryName,
      checks: group.map(({ id, title, result, note, problem }) => ({
        id,
        description: title,
        ...(note !== null && { note }),
        ...(result !== "success" && { hint: hintOf(id), error: problem.join("\n"), remedy: rowOf(id).remedy }),
        result,
      })),
    })),
  };
}

/** By category, in the categories' order, those that have something. */
function grouped(results: readonly CheckResult[]): [Category, CheckResult[]][] {
  return (Object.keys(CATEGORIES) as Category[])
    .map((name): [Category, CheckResult[]] => [name, results.filter(({ category }) => category === name)])
    .filter(([, group]) => group.length > 0);
}
