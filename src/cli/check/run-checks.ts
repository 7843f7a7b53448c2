// Runs checks in their order and says what came of them. One that may still come up is looked at again until the deadline; a fatal failure
// ends the run, because what is behind it could not be looked at.

import { type Category, categoryOf, type CheckId, rowOf } from "./catalogue.ts";

/** What a check found. Null: there is nothing here that it could look at, and it is not shown. */
export type Outcome = Passed | Failed | null;

interface Passed {
  readonly ok: true;
  /** Worth knowing all the same. */
  readonly note?: string;
}

interface Failed {
  /** What is wrong and where, line by line. */
  readonly problem: readonly string[];
  /** When this failure is another than the check's failures are. */
  readonly severity?: "error" | "warning";
}

export interface Check {
  readonly id: CheckId;
  look(): Outcome | Promise<Outcome>;
}

export type Result = "success" | "warning" | "error";

export interface CheckResult {
  readonly id: CheckId;
  readonly category: Category;
  readonly title: string;
  readonly result: Result;
  readonly note: string | null;
  /** Empty for a success. */
  readonly problem: readonly string[];
}

export interface RunOptions {
  /** Milliseconds that retried checks have, all together. */
  readonly waitMs: number;
  /** Before a check is looked at again: what it looks at must be read anew. */
  readonly refresh: () => Promise<void>;
  /** While something is waited for: its id and first line, null when it is over. */
  readonly onWaiting: (line: string | null) => void;
}

/** Between two looks at what is on its way up. */
const RETRY_PAUSE_MS = 2_000;

export const PASSED: Outcome = { ok: true };

/** Results in the order of the checks; up to the first fatal failure. */
export async function runChecks(checks: readonly Check[], options: RunOptions): Promise<CheckResult[]> {
  const endMs = performance.now() + options.waitMs;
  const results: CheckResult[] = [];
  for (const check of checks) {
    const outcome = await lookUntil(check, endMs, options);
    if (outcome === null) continue;
    results.push(resultOf(check.id, outcome));
    if ("problem" in outcome && rowOf(check.id).fails === "fatal") break;
  }
  return results;
}

async function lookUntil(check: Check, endMs: number, { refresh, onWaiting }: RunOptions): Promise<Outcome> {
  const isRetried = rowOf(check.id).isRetried === true;
  let isWaiting = false;
  for (;;) {
    const outcome = await check.look();
    const leftMs = endMs - performance.now();
    // Nobody wants to wait for a warning.
    if (!isRetried || outcome === null || "ok" in outcome || severityOf(check.id, outcome) === "warning" || leftMs <= 0) {
      if (isWaiting) onWaiting(null);
      return outcome;
    }
    onWaiting(`${rowOf(check.id).title}: ${outcome.problem[0] ?? ""}`);
    isWaiting = true;
    await new Promise((resolve) => setTimeout(resolve, Math.min(RETRY_PAUSE_MS, leftMs)));
    await refresh();
  }
}

function resultOf(id: CheckId, outcome: NonNullable<Outcome>): CheckResult {
  const common = { id, category: categoryOf(id), title: rowOf(id).title };
  if ("ok" in outcome) return { ...common, result: "success", note: outcome.note ?? null, problem: [] };
  return { ...common, result: severityOf(id, outcome), note: null, problem: outcome.problem };
}

function severityOf(id: CheckId, { severity }: Failed): "error" | "warning" {
  return severity ?? (rowOf(id).fails === "warning" ? "warning" : "error");
}

/** Things that a failure names, at most: a mesh of a thousand proxies would fill the screen. */
const NAMED_MAX = 10;

/** Passed when there is nothing to say, else a failure that names each thing. */
export function failureOf(lines: readonly string[], severity?: "error" | "warning"): NonNullable<Outcome> {
  if (lines.length === 0) return { ok: true };
  const more = lines.length - NAMED_MAX;
  const problem = more > 0 ? [...lines.slice(0, NAMED_MAX), `and ${more} more`] : lines;
  return { problem, ...(severity !== undefined && { severity }) };
}
