// A report before it has a form: sections of tables, pictures and sentences. The terminal, markdown and HTML are three ways to write it.

import type { BenchResult, ScenarioResult } from "../result.ts";
import type { Chart } from "./charts/canvas.ts";
import { Palette } from "./charts/palette.ts";
import { scenarioCharts } from "./charts/scenario-charts.ts";
import { duration, moment, slug } from "./figures.ts";
import type { Table } from "./table.ts";
import {
  beforeAfterTables,
  checkSentences,
  crossCheckTable,
  footprintTables,
  machineTable,
  skippedTable,
  verdictTable,
} from "./tables/run-tables.ts";
import { overviewTables } from "./tables/overview-tables.ts";
import { scenarioTables } from "./tables/scenario-tables.ts";

export interface Remark {
  readonly kind: "remark";
  /** `warn`: figures are coarser than they look; `fail`: something else was measured. */
  readonly state: "plain" | "warn" | "fail";
  readonly text: string;
}

export interface Section {
  /** Unique, for links. */
  readonly id: string;
  readonly title: string;
  readonly text: string | null;
  readonly blocks: readonly (Table | Chart | Remark)[];
}

export interface ReportDocument {
  readonly title: string;
  /** What was typed, when, how long it took. */
  readonly facts: readonly (readonly [string, string])[];
  readonly sections: readonly Section[];
}

function remark(text: string, state: Remark["state"] = "plain"): Remark {
  return { kind: "remark", state, text };
}

function scenarioSection(scenario: ScenarioResult, palette: Palette): Section {
  const failed = scenario.subjects.filter((subject) => subject.state === "failed");
  const tables = [...scenarioTables(scenario), crossCheckTable(scenario)].filter((one) => one !== null);
  const notes = scenario.subjects.filter((subject) => subject.note !== null);
  return {
    id: slug(`scenario-${scenario.name}`),
    title: scenario.name,
    text: `${scenario.what} (origin: ${scenario.origin})`,
    blocks: [
      ...checkSentences(scenario).map(({ state, text }) => remark(text, state)),
      ...failed.map((subject) => remark(`${subject.name} failed and does not count: ${subject.failure ?? "no reason given"}`, "fail")),
      ...scenarioCharts(scenario, palette),
      ...tables,
      ...notes.map((subject) => remark(`${subject.name}: ${subject.note}`)),
    ],
  };
}

function section(id: string, title: string, blocks: readonly (Table | Chart | Remark | null)[]): Section[] {
  const there = blocks.filter((block) => block !== null);
  return there.length === 0 ? [] : [{ id, title, text: null, blocks: there }];
}

function commandLines(result: BenchResult): Remark[] {
  const seen = new Map<string, string>();
  for (const subject of result.scenarios.flatMap((scenario) => scenario.subjects)) {
    if (subject.commandLine.length > 0) seen.set(subject.name, subject.commandLine.join(" "));
  }
  return [...seen].map(([name, line]) => remark(`${name}: ${line}`));
}

export function reportDocument(result: BenchResult): ReportDocument {
  const palette = new Palette(result.scenarios.flatMap((scenario) => scenario.subjects));
  return {
    title: result.title,
    facts: [
      ["measured", `${moment(result.startedAt)}, in ${duration(result.durationMs)}`],
      ["command", result.commandLine],
    ],
    sections: [
      ...section("verdicts", "What was found", [
        ...overviewTables(result),
        verdictTable(result),
        ...(result.options.quick
          ? [remark("This was a quick run: it shows that everything works, its figures are worth little.", "warn")]
          : []),
        ...result.notes.map((note) => remark(note)),
      ]),
      ...section("before-after", "Before and after", beforeAfterTables(result)),
      ...result.scenarios.map((scenario) => scenarioSection(scenario, palette)),
      ...section("footprint", "Footprint", footprintTables(result)),
      ...section("setup", "Machine and programs", [machineTable(result), skippedTable(result), ...commandLines(result)]),
    ],
  };
}

/** All pictures, to be written as files. */
export function chartsOf(document: ReportDocument): Chart[] {
  return document.sections.flatMap((one) => one.blocks.filter((block) => block.kind === "chart"));
}
