// Everything at a glance: a row per scenario, a column per subject. Ratios of CPU time, and what is added to the latency.

import type { BenchResult, LoadDescription, ScenarioResult, SubjectResult } from "../../result.ts";
import { addedAt } from "../../statistics/added.ts";
import { NONE, figure, milliseconds } from "../figures.ts";
import { cpuRatio, directOf, latencyPairs, loadsWith, subjectNamed } from "../rounds.ts";
import { type Table, table } from "../table.ts";

/** One scenario needs no overview: its own tables say the same. */
const SCENARIOS_MIN = 2;

interface Row {
  readonly scenario: ScenarioResult;
  readonly load: LoadDescription;
  readonly name: string;
}

/** Scenarios by name; where several loads have the figure, the load stands beside it. */
function rowsOf(result: BenchResult, loads: (scenario: ScenarioResult) => readonly LoadDescription[]): Row[] {
  return result.scenarios.flatMap((scenario) => {
    const all = loads(scenario);
    return all.map((load) => ({ scenario, load, name: all.length === 1 ? scenario.name : `${scenario.name}, ${load.id}` }));
  });
}

function subjectNames(rows: readonly Row[], role: (subject: SubjectResult) => boolean): string[] {
  return [...new Set(rows.flatMap(({ scenario }) => scenario.subjects.filter(role).map((subject) => subject.name)))];
}

function matrix(
  title: string,
  corner: string,
  note: string,
  rows: readonly Row[],
  cell: (row: Row, subject: SubjectResult) => string,
): Table[] {
  const names = subjectNames(rows, (subject) => subject.role !== "direct");
  const cells = rows.map((row) =>
    names.map((name) => {
      const subject = subjectNamed(row.scenario, name);
      return subject === null ? "" : cell(row, subject);
    }),
  );
  const isWorthIt = rows.length >= SCENARIOS_MIN && cells.flat().some((text) => text !== "" && text !== NONE);
  return isWorthIt
    ? [
        table(
          title,
          [corner, ...names],
          rows.map((row, index) => [row.name, ...cells[index]!]),
          { note },
        ),
      ]
    : [];
}

export function overviewTables(result: BenchResult): Table[] {
  const cpu = rowsOf(result, (scenario) => (scenario.reference === null ? [] : loadsWith(scenario, (round) => round.cpu !== null)));
  const latency = rowsOf(result, (scenario) => (directOf(scenario) === null ? [] : loadsWith(scenario, (round) => round.latency !== null)));
  const added = ({ scenario, load }: Row, subject: SubjectResult): string => {
    const pairs = latencyPairs(subject, directOf(scenario)!, load.id);
    return pairs.length === 0 ? NONE : [50, 99].map((percentile) => milliseconds(addedAt(pairs, percentile).us)).join(" / ");
  };
  return [
    ...matrix(
      "CPU per request, all scenarios",
      "x reference",
      "the reference of a scenario is the subject with 1",
      cpu,
      ({ scenario, load }, subject) => {
        if (subject.name === scenario.reference) return "1";
        const reference = subjectNamed(scenario, scenario.reference!);
        const ratio = reference === null ? null : cpuRatio(subject, reference, load.id);
        return ratio === null ? NONE : figure(ratio.median);
      },
    ),
    ...matrix("Added latency, all scenarios", "p50 / p99, ms", "percentile through the proxy minus percentile direct", latency, added),
  ];
}
