// Two result documents side by side: what can be compared, what cannot and why, and the judgement of each figure. Pure.
//
// Nothing is compared in silence that was not done the same way: another machine ends the comparison, another load or origin leaves
// its scenario out, and everything else that differs (kernel, options, versions) is named.

import type { BenchResult, LoadDescription, ScenarioResult, SubjectResult } from "../result.ts";
import { type Change, judge } from "./judge.ts";
import { type Figure, figuresOf } from "./samples.ts";

export interface ComparedFigure {
  readonly scenario: string;
  readonly subject: string;
  readonly figure: Figure;
  readonly change: Change;
}

export interface Comparison {
  /** Why nothing is compared at all; null: it is. */
  readonly refusal: string | null;
  /** Differences of the runs that the reader has to know of, sentences. */
  readonly differences: readonly string[];
  readonly figures: readonly ComparedFigure[];
}

/** The yardstick for CPU: the first of them that is the same program in both runs. */
const YARDSTICKS = ["nginx", "haproxy", "envoy", "linkerd2-proxy", "traefik", "caddy"];

function machineDifferences(before: BenchResult, after: BenchResult): string[] {
  const rows: readonly (readonly [string, string, string])[] = [
    ["processor", before.machine.cpuModel, after.machine.cpuModel],
    ["number of cores", String(before.machine.cores), String(after.machine.cores)],
    ["architecture", before.machine.arch, after.machine.arch],
  ];
  return rows.filter(([, one, other]) => one !== other).map(([what, one, other]) => `${what}: ${one} before, ${other} after`);
}

function settingDifferences(before: BenchResult, after: BenchResult): string[] {
  const options = Object.keys(before.options) as (keyof BenchResult["options"])[];
  const versions = [...new Set([...Object.keys(before.versions), ...Object.keys(after.versions)])].sort();
  const rows: (readonly [string, unknown, unknown])[] = [
    ["kernel", before.machine.kernel, after.machine.kernel],
    ...options.map((name) => [`option ${name}`, before.options[name], after.options[name]] as const),
    ...versions.map((name) => [`version of ${name}`, before.versions[name] ?? "none", after.versions[name] ?? "none"] as const),
  ];
  return rows
    .filter(([, one, other]) => one !== other)
    .map(([what, one, other]) => `${what}: ${String(one)} before, ${String(other)} after`);
}

/** What makes two loads of the same name different work. */
function isSameLoad(one: LoadDescription, other: LoadDescription): boolean {
  const fields = ["tool", "loop", "connections", "offeredRps", "requestBytes", "responseBytes"] as const;
  return fields.every((field) => one[field] === other[field]);
}

/** The scenario reduced to the loads that both have; the sentences say what is left out. */
function commonLoads(before: ScenarioResult, after: ScenarioResult, differences: string[]): ScenarioResult | null {
  if (before.origin !== after.origin) {
    differences.push(`${before.name} is not compared: its origin was ${before.origin} before and ${after.origin} after`);
    return null;
  }
  const loads = before.loads.filter((load) => {
    const other = after.loads.find((one) => one.id === load.id);
    if (other === undefined || !isSameLoad(load, other)) {
      differences.push(`${before.name}, ${load.id} is not compared: ${load.what} before, ${other?.what ?? "nothing"} after`);
      return false;
    }
    return true;
  });
  return { ...before, loads };
}

interface Both {
  readonly before: SubjectResult;
  readonly after: SubjectResult;
}

function commonSubjects(before: ScenarioResult, after: ScenarioResult, differences: string[]): Both[] {
  for (const [one, other, where] of [
    [before, after, "before"],
    [after, before, "after"],
  ] as const) {
    const alone = one.subjects.filter((subject) => !other.subjects.some((candidate) => candidate.name === subject.name));
    if (alone.length > 0) differences.push(`${before.name}: only ${where}: ${alone.map((subject) => subject.name).join(", ")}`);
  }
  return before.subjects.flatMap((subject) => {
    const partner = after.subjects.find((one) => one.name === subject.name);
    if (partner === undefined) return [];
    const failed = [subject, partner].find((one) => one.state === "failed");
    if (failed !== undefined) {
      differences.push(`${before.name}: ${subject.name} is not compared: it failed ${failed === subject ? "before" : "after"}`);
      return [];
    }
    return [{ before: subject, after: partner }];
  });
}

/** Peers that are the same program in both runs: what they show is the machine. */
function isControl({ before, after }: Both): boolean {
  return before.role === "peer" && before.version !== null && before.version === after.version;
}

function compareScenario(before: ScenarioResult, after: ScenarioResult, differences: string[]): ComparedFigure[] {
  const common = commonLoads(before, after, differences);
  if (common === null) return [];
  const later = { ...after, loads: common.loads };
  const subjects = commonSubjects(common, later, differences);
  const controls = subjects.filter(isControl);
  const yardstick = YARDSTICKS.map((name) => controls.find((one) => one.before.name === name)).find((one) => one !== undefined) ?? null;
  if (yardstick === null) {
    differences.push(
      `${before.name}: no peer of the same version is in both runs, so CPU time is compared as it is, and drift of the machine with it`,
    );
  }
  const figuresOfBoth = (both: Both) => {
    const second = figuresOf(later, both.after, yardstick?.after ?? null);
    return figuresOf(common, both.before, yardstick?.before ?? null).flatMap((figure) => {
      const partner = second.find((one) => one.id === figure.id);
      return partner === undefined ? [] : [{ before: figure, after: partner }];
    });
  };
  const known = controls.map((both) => ({ both, figures: figuresOfBoth(both) }));
  return subjects
    .filter((both) => both.before.role !== "direct" && !isControl(both))
    .flatMap((both) =>
      figuresOfBoth(both).map((pair) => {
        // The yardstick's own CPU has no ratio, so its id differs and it is no control of a ratio.
        const same = known.flatMap(({ figures }) => figures.filter((one) => one.before.id === pair.before.id));
        return { scenario: before.name, subject: both.before.name, figure: pair.before, change: judge(pair.before, pair.after, same) };
      }),
    );
}

/** `anyway`: compares runs of different machines too. */
export function compareResults(before: BenchResult, after: BenchResult, anyway: boolean): Comparison {
  const machine = machineDifferences(before, after);
  const differences = [...machine, ...settingDifferences(before, after)];
  if (machine.length > 0 && !anyway) {
    return { refusal: "the two runs are from different machines; --anyway compares them all the same", differences, figures: [] };
  }
  const figures = before.scenarios.flatMap((scenario) => {
    const partner = after.scenarios.find((one) => one.name === scenario.name);
    return partner === undefined ? [] : compareScenario(scenario, partner, differences);
  });
  for (const [one, other, where] of [
    [before, after, "before"],
    [after, before, "after"],
  ] as const) {
    const alone = one.scenarios.filter((scenario) => !other.scenarios.some((candidate) => candidate.name === scenario.name));
    if (alone.length > 0) differences.push(`scenarios only ${where}: ${alone.map((scenario) => scenario.name).join(", ")}`);
  }
  return { refusal: figures.length === 0 ? "the two runs have nothing in common that could be compared" : null, differences, figures };
}
