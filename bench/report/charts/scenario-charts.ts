// The pictures of one scenario, from the result document.

import type { LoadDescription, Round, ScenarioResult, SubjectResult } from "../../result.ts";
import { SPREAD_COUNT_MIN, spreadOf } from "../../statistics/spread.ts";
import { figure, slug } from "../figures.ts";
import { cpuRatio, loadsWith, mergedLatency, roundsOf, subjectNamed } from "../rounds.ts";
import type { Chart } from "./canvas.ts";
import { type CpuBar, cpuBars } from "./cpu-bars.ts";
import { latencyCurve } from "./latency-curve.ts";
import type { Palette } from "./palette.ts";
import { type TimeSeries, type TimeSlice, timeline } from "./timeline.ts";

function idOf(scenario: ScenarioResult, load: LoadDescription, picture: string): string {
  return slug(`${scenario.name}-${load.id}-${picture}`);
}

function barOf(scenario: ScenarioResult, subject: SubjectResult, load: LoadDescription): CpuBar | null {
  const cpus = roundsOf(subject, load.id)
    .map((round) => round.cpu)
    .filter((cpu) => cpu !== null);
  if (cpus.length === 0) return null;
  const { median, q1, q3, count } = spreadOf(cpus.map((cpu) => cpu.totalUs));
  const [user, system] = [cpus.reduce((sum, cpu) => sum + cpu.userUs, 0), cpus.reduce((sum, cpu) => sum + cpu.systemUs, 0)];
  const reference = scenario.reference === null ? null : subjectNamed(scenario, scenario.reference);
  const ratio = reference === null || reference === subject ? null : cpuRatio(subject, reference, load.id);
  return {
    name: subject.name,
    totalUs: median,
    // Ticks may have seen nothing at all in a short run: then the whole is drawn as user time.
    userShare: user + system > 0 ? user / (user + system) : 1,
    middle: count < SPREAD_COUNT_MIN ? null : { lowUs: q1, highUs: q3 },
    ratio: ratio === null ? "" : `${figure(ratio.median)} x ${reference!.name}`,
  };
}

function cpuChart(scenario: ScenarioResult, load: LoadDescription, palette: Palette): Chart | null {
  const bars = scenario.subjects.map((subject) => barOf(scenario, subject, load)).filter((bar) => bar !== null);
  return cpuBars(idOf(scenario, load, "cpu"), "CPU per request", `${scenario.name}: ${load.what}`, bars, palette);
}

function curveChart(scenario: ScenarioResult, load: LoadDescription, palette: Palette): Chart | null {
  const series = scenario.subjects.flatMap((subject) => {
    const latency = mergedLatency(subject, load.id);
    return latency === null ? [] : [{ name: subject.name, latency }];
  });
  return latencyCurve(idOf(scenario, load, "latency"), "Latency by percentile", `${scenario.name}: ${load.what}`, series, palette);
}

function timeChart(scenario: ScenarioResult, load: LoadDescription, palette: Palette): Chart | null {
  const rounds = new Map(scenario.subjects.map((subject) => [subject.name, roundsOf(subject, load.id)]));
  const lengths = new Map<number, number>();
  for (const round of [...rounds.values()].flat()) lengths.set(round.index, Math.max(lengths.get(round.index) ?? 0, round.durationMs));
  const offsets = new Map<number, number>();
  const ends: number[] = [];
  let end = 0;
  for (const index of [...lengths.keys()].sort((a, b) => a - b)) {
    offsets.set(index, end);
    end += lengths.get(index)!;
    ends.push(end);
  }
  const series = [...rounds].map(
    ([name, own]): TimeSeries => ({ name, rounds: own.map((round) => ({ offsetMs: offsets.get(round.index)!, slices: slicesOf(round) })) }),
  );
  return timeline(idOf(scenario, load, "time"), `${scenario.name}: ${load.what}`, series, ends, palette);
}

/** Each slice at its middle; what is answered after the end of the round stands at the end. */
function slicesOf(round: Round): TimeSlice[] {
  const half = round.slices.length < 2 ? 0 : (round.slices[1]!.atMs - round.slices[0]!.atMs) / 2;
  return round.slices
    .filter((slice) => slice.count > 0)
    .map((slice) => ({ atMs: Math.min(slice.atMs + half, round.durationMs), p50Us: slice.p50Us, maxUs: slice.maxUs }));
}

export function scenarioCharts(scenario: ScenarioResult, palette: Palette): Chart[] {
  const withCpu = loadsWith(scenario, (round) => round.cpu !== null);
  const withLatency = loadsWith(scenario, (round) => round.latency !== null);
  return [
    ...withLatency.map((load) => curveChart(scenario, load, palette)),
    ...withCpu.map((load) => cpuChart(scenario, load, palette)),
    ...withLatency.map((load) => timeChart(scenario, load, palette)),
  ].filter((chart) => chart !== null);
}
