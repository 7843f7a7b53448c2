// How a benchmark says what it found: aligned tables for people, one JSON document for programs, and a verdict per bar.
//
// Absolute figures depend on the machine and on who else uses it; only ratios of the same run are worth quoting. The
// tables say so each time.

import { cpus, release } from "node:os";
import { toolVersion } from "./child.ts";

/** One figure against what it has to be. */
export interface Verdict {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** What the project promises; NaN: nothing, the figure is for information. */
  readonly bar: number;
  /** Where it wants to be (design: what the numbers must become). */
  readonly goal: number;
}

export interface Report {
  readonly title: string;
  readonly notes: readonly string[];
  readonly tables: readonly Table[];
  readonly verdicts: readonly Verdict[];
  /** Every single run, for whoever wants to compute something else. */
  readonly raw: unknown;
}

export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function isMet(verdict: Verdict): boolean {
  return Number.isNaN(verdict.bar) || verdict.value <= verdict.bar;
}

/** What the figures were taken on. */
export function machine(): Record<string, string> {
  const all = cpus();
  return {
    cores: `${all.length} x ${all[0]?.model ?? "unknown"}`,
    kernel: release(),
    node: process.version,
    nginx: toolVersion("nginx", "-v") ?? "not installed",
    haproxy: toolVersion("haproxy", "-v") ?? "not installed",
  };
}

/** First column to the left, the others to the right: they are figures. */
export function formatTable(table: Table): string {
  const lines = [table.head, ...table.rows];
  const widths = table.head.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? "").length)));
  const text = lines.map((line) => {
    return widths.map((width, column) => (column === 0 ? (line[0] ?? "").padEnd(width) : (line[column] ?? "").padStart(width))).join("  ");
  });
  return [table.title, ...text.map((line) => `  ${line.trimEnd()}`)].join("\n");
}

/** Three significant digits: what such figures can carry. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (value === 0) return "0";
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 4));
}

function verdictTable(verdicts: readonly Verdict[]): Table {
  return {
    title: "against the bars",
    head: ["", "found", "bar", "goal", ""],
    rows: verdicts.map((verdict) => [
      verdict.what,
      `${figure(verdict.value)} ${verdict.unit}`,
      figure(verdict.bar),
      figure(verdict.goal),
      Number.isNaN(verdict.bar) ? "" : verdict.value <= verdict.goal ? "goal" : isMet(verdict) ? "met" : "MISSED",
    ]),
  };
}

export function printReport(report: Report, format: "text" | "json"): void {
  if (format === "json") {
    process.stdout.write(`${JSON.stringify({ ...report, machine: machine() }, null, 1)}\n`);
    return;
  }
  const about = Object.entries(machine()).map(([key, value]) => `  ${key.padEnd(8)} ${value}`);
  const parts = [report.title, about.join("\n"), ...report.tables.map(formatTable)];
  if (report.verdicts.length > 0) parts.push(formatTable(verdictTable(report.verdicts)));
  parts.push(...report.notes.map((note) => `note: ${note}`));
  process.stdout.write(`${parts.join("\n\n")}\n`);
}

/** Progress goes to stderr: stdout is the report. */
export function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  else process.stderr.write(`${text}\n`);
}
