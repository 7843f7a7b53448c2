// The figures of a scenario that two runs are compared by, as one number per round: only what is already relative within its own run.
//
// CPU per request swings with the machine by a factor of 1.7, so it is taken as a ratio to a peer that ran beside it in both runs (the
// yardstick); latency is what was added to direct. Memory does not swing. Throughput is not compared: it is CPU per request again,
// with the generator's share mixed in.

import type { LoadDescription, ScenarioResult, SubjectResult } from "../result.ts";
import { latencyPairs, pairsOf, roundsOf } from "../report/rounds.ts";
import { carries, valueAtPercentile } from "../statistics/distribution.ts";

export type FigureKind = "ratio" | "us" | "kb" | "cpu";

export interface Figure {
  /** The same in both runs. */
  readonly id: string;
  readonly what: string;
  readonly kind: FigureKind;
  /** One per round (or pair of rounds); smaller is better. */
  readonly samples: readonly number[];
}

const PERCENTILES = [50, 90, 99, 99.9];

/** `yardstick`: the peer that CPU is held against, null for none. */
export function figuresOf(scenario: ScenarioResult, subject: SubjectResult, yardstick: SubjectResult | null): Figure[] {
  const direct = scenario.subjects.find((one) => one.role === "direct") ?? null;
  const figures = scenario.loads.flatMap((load) => [
    cpuFigure(subject, load, yardstick),
    ...(direct === null || direct === subject ? [] : PERCENTILES.map((percentile) => addedFigure(subject, direct, load, percentile))),
  ]);
  return [...figures, memoryFigure(scenario, subject)].filter((figure) => figure.samples.length > 0);
}

function cpuFigure(subject: SubjectResult, load: LoadDescription, yardstick: SubjectResult | null): Figure {
  if (yardstick === null || yardstick === subject) {
    const samples = roundsOf(subject, load.id).flatMap((round) => (round.cpu === null ? [] : [round.cpu.totalUs]));
    return { id: `${load.id}/cpu`, what: `${load.id}: CPU per request, µs`, kind: "cpu", samples };
  }
  const samples = pairsOf(subject, yardstick, load.id).flatMap(({ one, other }) =>
    one.cpu === null || other.cpu === null || other.cpu.totalUs <= 0 ? [] : [one.cpu.totalUs / other.cpu.totalUs],
  );
  return { id: `${load.id}/cpu-ratio`, what: `${load.id}: CPU per request, x ${yardstick.name}`, kind: "ratio", samples };
}

/** Only from rounds that can carry the percentile: each is one sample. */
function addedFigure(subject: SubjectResult, direct: SubjectResult, load: LoadDescription, percentile: number): Figure {
  const pairs = latencyPairs(subject, direct, load.id);
  const isEnough = pairs.every((pair) => carries(Math.min(pair.through.count, pair.direct.count), percentile));
  const samples = isEnough
    ? pairs.map((pair) => valueAtPercentile(pair.through, percentile) - valueAtPercentile(pair.direct, percentile))
    : [];
  return { id: `${load.id}/p${percentile}`, what: `${load.id}: added at p${percentile}, ms`, kind: "us", samples };
}

/** The highest of each round's readings would be one number; the readings after each round are the samples. */
function memoryFigure(scenario: ScenarioResult, subject: SubjectResult): Figure {
  const rounds = scenario.loads.flatMap((load) => roundsOf(subject, load.id));
  const samples = rounds.flatMap((round) => (round.memory === null ? [] : [round.memory.privateKb]));
  return { id: "memory", what: "private memory, MB", kind: "kb", samples };
}
