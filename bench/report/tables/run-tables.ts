// The tables of a whole run: bars, before and after, footprint, self-checks, the figures of other tools, what did not take part.

import type { AbReport, BeforeAfterCase, BenchResult, ScenarioResult, Verdict } from "../../result.ts";
import { NONE, count, figure, megabytes, percent } from "../figures.ts";
import { type Table, table } from "../table.ts";

const STATES: Readonly<Record<Verdict["state"], string>> = {
  goal: "goal reached",
  met: "met",
  missed: "MISSED",
  information: "",
  unknown: "unknown",
};

export function verdictTable(result: BenchResult): Table | null {
  if (result.verdicts.length === 0) return null;
  const rows = result.verdicts.map((verdict) => [
    verdict.what,
    verdict.value === null ? NONE : figure(verdict.value),
    verdict.unit,
    figure(verdict.bar),
    figure(verdict.goal),
    verdict.reason === null ? STATES[verdict.state] : `${STATES[verdict.state]}: ${verdict.reason}`,
  ]);
  return table("Against the bars", ["", "found", "unit", "bar", "goal", ""], rows, {
    wordColumns: [2, 5],
    note: "smaller is better; bar: what Weft promises, goal: where it wants to be",
  });
}

/** The run whose rate is the middle one. */
export function middleRun(runs: readonly AbReport[]): AbReport | null {
  const sorted = [...runs].sort((a, b) => a.requestsPerSecond - b.requestsPerSecond);
  return sorted[sorted.length >> 1] ?? null;
}

/** ab's own figures, without Weft, with it, and the difference. */
export function beforeAfterTables(result: BenchResult): Table[] {
  const all = result.beforeAfter;
  if (all === null) return [];
  return all.cases.flatMap((one): Table[] => {
    const without = middleRun(one.without);
    const through = middleRun(one.with);
    if (without === null || through === null) return [];
    const command = `ab ${one.keepAlive ? "-k " : ""}-n ${all.requests} -c ${all.concurrency}`;
    return [
      table(`Before and after: ${command}`, ["", "without Weft", "with Weft", "difference"], beforeAfterRows(without, through), {
        note: `${runsNote(one)}; ab works in a closed loop with ${all.concurrency} requests at a time, so its times are those of a full queue`,
      }),
    ];
  });
}

function runsNote(one: BeforeAfterCase): string {
  const runs = Math.min(one.without.length, one.with.length);
  return runs === 1 ? "one run each" : `the middle one of ${runs} runs each, by rate`;
}

function beforeAfterRows(without: AbReport, through: AbReport): string[][] {
  const row = (what: string, of: (report: AbReport) => number | undefined, decimals: number): string[] => {
    const [before, after] = [of(without), of(through)];
    if (before === undefined || after === undefined) return [what, NONE, NONE, NONE];
    const difference = after - before;
    const share = before === 0 ? "" : ` (${difference >= 0 ? "+" : ""}${((100 * difference) / before).toFixed(0)}\u00a0%)`;
    return [
      what,
      before.toFixed(decimals),
      after.toFixed(decimals),
      `${difference >= 0 ? "+" : ""}${difference.toFixed(decimals)}${share}`,
    ];
  };
  const percentiles = Object.keys(without.percentilesMs).sort((a, b) => Number(a) - Number(b));
  return [
    row("requests per second", (report) => report.requestsPerSecond, 0),
    row("time per request, mean, ms", (report) => report.timePerRequestMs, 3),
    row("  across all at a time, ms", (report) => report.timePerRequestConcurrentMs, 3),
    ...percentiles.map((percentile) =>
      row(percentile === "100" ? "longest, ms" : `${percentile} % within, ms`, (report) => report.percentilesMs[percentile], 0),
    ),
    row("failed requests", (report) => report.failed, 0),
  ];
}

export function footprintTables(result: BenchResult): Table[] {
  const all = result.footprint;
  if (all === null) return [];
  const rows = all.subjects.map((subject) => [
    subject.name,
    megabytes(subject.idle.privateKb),
    megabytes(subject.idle.pssKb),
    megabytes(subject.idle.rssKb),
    megabytes(subject.afterLoad.privateKb),
    figure(subject.perIdleConnectionKb),
    percent(subject.idleCpuShare, 2),
    percent(subject.lowRateCpuShare, 2),
  ]);
  const low = all.subjects[0]?.lowRateRps ?? 0;
  const head = ["", "idle: private, MB", "PSS", "RSS", "after load", "KB per connection", "CPU idle", `at ${count(low)}/s`];
  const ready = all.weftReadyMs.length === 0 ? "" : `Weft was ready after ${all.weftReadyMs.map((ms) => count(ms)).join(", ")} ms; `;
  const growth = all.growth === null ? "" : `private memory of ${all.growth.subject} grew by ${percent(all.growth.share, 1)} under load; `;
  const emphasis = all.subjects.findIndex((subject) => subject.role === "weft");
  return [
    table("Footprint", head, rows, {
      emphasis: emphasis < 0 ? null : emphasis,
      note: `${ready}${growth}CPU: share of one core; memory per connection that is open and idle`,
    }),
  ];
}

/** Only what did not pass: the rest is in the document. What is said of several subjects is said once. */
export function checkSentences(scenario: ScenarioResult): { readonly state: "warn" | "fail"; readonly text: string }[] {
  const groups = new Map<string, { state: "warn" | "fail"; load: string | null; message: string; subjects: string[] }>();
  for (const { state, load, subject, message } of scenario.selfChecks) {
    if (state === "ok") continue;
    const key = JSON.stringify([state, load, message]);
    const group = groups.get(key) ?? { state, load, message, subjects: [] };
    if (subject !== null) group.subjects.push(subject);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ state, load, message, subjects }) => {
    const where = [subjects.join(", "), load ?? ""].filter((part) => part !== "").join("; ");
    return { state, text: where === "" ? message : `${where}: ${message}` };
  });
}

export function crossCheckTable(scenario: ScenarioResult): Table | null {
  if (scenario.crossChecks.length === 0) return null;
  const rows = scenario.crossChecks.map((check) => [
    `${check.subject}: ${check.what}, ${check.unit}`,
    figure(check.ours),
    check.oursFrom,
    figure(check.theirs),
    check.theirsFrom,
    percent(check.theirs === 0 ? null : check.ours / check.theirs - 1),
    check.agrees ? "agrees" : `differs by more than ${percent(check.tolerance)}`,
  ]);
  return table("The same, as other tools see it", ["", "ours", "from", "theirs", "from", "difference", ""], rows, {
    wordColumns: [2, 4, 6],
    isDetail: true,
  });
}

export function skippedTable(result: BenchResult): Table | null {
  const rows = [
    ...result.skipped.map((one) => [one.name, "everything", one.reason, one.install ?? ""]),
    ...result.scenarios.flatMap((scenario) => scenario.skipped.map((one) => [one.name, scenario.name, one.reason, one.install ?? ""])),
  ];
  if (rows.length === 0) return null;
  return table("What did not take part", ["", "in", "why", "how to have it"], rows, { wordColumns: [1, 2, 3] });
}

export function machineTable(result: BenchResult): Table {
  const { machine, versions, options } = result;
  const rows = [
    ["processors", `${machine.cores} x ${machine.cpuModel}`],
    ["memory", `${figure(machine.memoryKb / 1024 / 1024)} GB`],
    ["system", `${machine.kernel}, ${machine.arch}`],
    ["busy before the run", percent(machine.busyShareBefore)],
    ["rounds", `${options.pairs} per load and subject, ${options.workers} worker threads${options.quick ? ", quick" : ""}`],
    ...Object.entries(versions),
  ];
  return table("Measured on", ["", ""], rows, { wordColumns: [1] });
}
