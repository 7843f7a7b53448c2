// `npm run bench -- compare BEFORE.json AFTER.json`: what got better or worse between two kept runs, beyond noise.
//
// Exit code 0; 1 with --fail-on-worse when something got worse; 2 when nothing could be compared, or, with --fail-on-worse, when there
// were too few rounds to tell anything: silence is no good news.

import { parseArgs } from "node:util";
import { type ComparedFigure, type Comparison, compareResults } from "./compare/comparison.ts";
import type { FigureKind } from "./compare/samples.ts";
import { UsageError } from "./options.ts";
import { readResult } from "./report/command.ts";
import { figure, megabytes, milliseconds } from "./report/figures.ts";
import { plainTable, table } from "./report/table.ts";

export const COMPARE_USAGE = `npm run bench -- compare BEFORE.json AFTER.json [OPTIONS]
  what got better or worse beyond noise; exit code 0, or 2 when nothing could be compared
  --fail-on-worse    exit code 1 when something got worse, 2 when nothing can be told
  --anyway           also when the runs are from different machines
`;

const VERDICTS = {
  better: "BETTER",
  worse: "WORSE",
  same: "no difference beyond noise",
  unknown: "cannot tell: fewer than five rounds",
} as const;

function value(kind: FigureKind, of: number): string {
  if (kind === "us") return milliseconds(of);
  return kind === "kb" ? megabytes(of) : figure(of);
}

function signed(kind: FigureKind, amount: number): string {
  if (!Number.isFinite(amount)) return "-";
  const text = kind === "us" ? milliseconds(amount) : `${(amount * 100).toFixed(1)} %`;
  return amount > 0 ? `+${text}` : text;
}

function row({ scenario, subject, figure: of, change }: ComparedFigure): string[] {
  const { kind, what } = of;
  const interval = Number.isFinite(change.low) ? `${signed(kind, change.low)} to ${signed(kind, change.high)}` : "-";
  return [
    `${scenario}, ${subject}, ${what}`,
    value(kind, change.before),
    value(kind, change.after),
    signed(kind, change.amount),
    interval,
    change.control === null ? "-" : signed(kind, change.control).replace("+", ""),
    VERDICTS[change.verdict],
  ];
}

/** One sentence: the outcome. */
export function outcome({ refusal, figures }: Comparison): string {
  if (refusal !== null) return `Nothing is compared: ${refusal}.`;
  const count = (verdict: keyof typeof VERDICTS): number => figures.filter((one) => one.change.verdict === verdict).length;
  const [better, worse, unknown] = [count("better"), count("worse"), count("unknown")];
  const untold = unknown === 0 ? "" : ` Of ${unknown} nothing can be told: an interval needs five rounds in both runs.`;
  if (better + worse === 0) return `No difference beyond noise in ${figures.length - unknown} figures.${untold}`;
  return `Of ${figures.length} figures ${better} got better and ${worse} worse beyond noise.${untold}`;
}

export function comparisonText(comparison: Comparison): string {
  const order = ["worse", "better", "same", "unknown"];
  const sorted = comparison.figures.toSorted((a, b) => order.indexOf(a.change.verdict) - order.indexOf(b.change.verdict));
  const head = ["", "before", "after", "change", "99 % interval", "unchanged peers moved by", ""];
  const differences = comparison.differences.map((sentence) => `note: ${sentence}`);
  const parts = [
    ...(differences.length === 0 ? [] : [differences.join("\n")]),
    ...(sorted.length === 0 ? [] : [plainTable(table("before and after (less is better)", head, sorted.map(row), { wordColumns: [6] }))]),
    outcome(comparison),
  ];
  return `${parts.join("\n\n")}\n`.replaceAll("\u00a0", " ");
}

export function comparisonExitCode({ figures, refusal }: Comparison, failOnWorse: boolean): 0 | 1 | 2 {
  if (refusal !== null) return 2;
  if (!failOnWorse) return 0;
  if (figures.some((one) => one.change.verdict === "worse")) return 1;
  return figures.every((one) => one.change.verdict === "unknown") ? 2 : 0;
}

/** Prints the comparison, resolves with the exit code. Throws for files that are no results. */
export function compareCommand(args: readonly string[]): number {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { "fail-on-worse": { type: "boolean", default: false }, anyway: { type: "boolean", default: false } },
  });
  const [before, after] = positionals;
  if (before === undefined || after === undefined || positionals.length > 2)
    throw new UsageError("compare takes two result files, the older first");
  const comparison = compareResults(readResult(before), readResult(after), values.anyway);
  process.stdout.write(comparisonText(comparison));
  return comparisonExitCode(comparison, values["fail-on-worse"]);
}
