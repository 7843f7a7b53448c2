// Confidence intervals by resampling rounds with replacement (Efron's percentile bootstrap). Deterministic: the generator is seeded.
//
// The unit that is drawn is a round, never a request: requests of one round share its luck, and an interval over requests would be
// narrow and wrong. With fewer than five rounds there is no interval: even their whole range holds the median in fewer than 93 of
// 100 cases.

import { createRandom, type Random, randomIndex } from "../../src/core/util/random.ts";

export interface Interval {
  readonly low: number;
  readonly high: number;
}

export const INTERVAL_LEVEL = 0.95;
export const INTERVAL_ROUNDS_MIN = 5;
/** Enough that the ends of a 95 % interval stand on 50 resamples each. */
const RESAMPLES = 2_000;
const SEED = 20_261_122;

/**
 * Interval of a statistic of `count` rounds. `statistic` gets the indices of the drawn rounds (valid during the call only) and
 * answers one figure. Null with too few rounds, or when the statistic is not finite.
 */
export function bootstrapInterval(count: number, statistic: (picks: Int32Array) => number, seed: number = SEED): Interval | null {
  if (count < INTERVAL_ROUNDS_MIN) return null;
  const random = createRandom(seed);
  const picks = new Int32Array(count);
  return intervalOf(INTERVAL_LEVEL, () => statistic(draw(picks, random)));
}

function draw(picks: Int32Array, random: Random): Int32Array {
  for (let i = 0; i < picks.length; i++) picks[i] = randomIndex(random, picks.length);
  return picks;
}

/** The middle share of what a resample gives; null when one of them gives no number. */
function intervalOf(level: number, resample: () => number): Interval | null {
  const found = new Float64Array(RESAMPLES);
  for (let i = 0; i < RESAMPLES; i++) {
    found[i] = resample();
    if (!Number.isFinite(found[i])) return null;
  }
  found.sort();
  const tail = (1 - level) / 2;
  return { low: found[Math.floor(tail * RESAMPLES)]!, high: found[Math.ceil((1 - tail) * RESAMPLES) - 1]! };
}

/** Interval of the median of some figures. */
export function medianInterval(values: readonly number[], seed: number = SEED): Interval | null {
  const drawn = new Float64Array(values.length);
  return bootstrapInterval(
    values.length,
    (picks) => {
      for (let i = 0; i < picks.length; i++) drawn[i] = values[picks[i]!]!;
      return medianOf(drawn);
    },
    seed,
  );
}

/**
 * Interval of a figure made of two medians of independent rounds, such as the difference of two runs. Null when either run has too few.
 */
export function twoMediansInterval(
  before: readonly number[],
  after: readonly number[],
  level: number,
  figure: (before: number, after: number) => number,
): Interval | null {
  if (Math.min(before.length, after.length) < INTERVAL_ROUNDS_MIN) return null;
  const random = createRandom(SEED);
  const drawn = [new Float64Array(before.length), new Float64Array(after.length)] as const;
  const medianDrawn = (values: readonly number[], into: Float64Array): number => {
    for (let i = 0; i < into.length; i++) into[i] = values[randomIndex(random, values.length)]!;
    return medianOf(into);
  };
  return intervalOf(level, () => figure(medianDrawn(before, drawn[0]), medianDrawn(after, drawn[1])));
}

/** Sorts in place. */
function medianOf(values: Float64Array): number {
  values.sort();
  const middle = values.length >> 1;
  return values.length % 2 === 1 ? values[middle]! : (values[middle - 1]! + values[middle]!) / 2;
}
