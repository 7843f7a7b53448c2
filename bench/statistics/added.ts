// What a proxy adds: percentiles through it minus percentiles direct, over rounds that ran right after each other.
//
// Where each round has the samples for a percentile, the difference is taken round by round and the median counts (a disturbed round
// does not move it). Where only all rounds together have them, the difference of the merged histograms counts. Where not even
// they do, there is no figure. A difference of percentiles is not the percentile of a difference: nobody can measure that one.

import { type Interval, bootstrapInterval, medianInterval } from "./bootstrap.ts";
import { type Distribution, carries, mergeDistributions, valueAtCounts, valueAtPercentile } from "./distribution.ts";
import { median } from "./spread.ts";

export interface DistributionPair {
  readonly through: Distribution;
  readonly direct: Distribution;
}

export interface Added {
  readonly percentile: number;
  /** Microseconds; may be below 0 when the difference drowns in noise. Null: too few samples. */
  readonly us: number | null;
  readonly interval: Interval | null;
  /** `rounds`: median of the rounds' differences; `merged`: difference of all rounds together. */
  readonly method: "rounds" | "merged";
}

export function addedAt(pairs: readonly DistributionPair[], percentile: number): Added {
  const isEachEnough = pairs.length > 0 && pairs.every(({ through, direct }) => carries(Math.min(through.count, direct.count), percentile));
  if (isEachEnough) {
    const differences = pairs.map(({ through, direct }) => valueAtPercentile(through, percentile) - valueAtPercentile(direct, percentile));
    return { percentile, us: median(differences), interval: medianInterval(differences), method: "rounds" };
  }
  const through = new Columns(pairs.map((pair) => pair.through));
  const direct = new Columns(pairs.map((pair) => pair.direct));
  const isEnough = carries(Math.min(through.merged.count, direct.merged.count), percentile);
  if (!isEnough) return { percentile, us: null, interval: null, method: "merged" };
  return {
    percentile,
    us: valueAtPercentile(through.merged, percentile) - valueAtPercentile(direct.merged, percentile),
    interval: bootstrapInterval(pairs.length, (picks) => through.drawn(picks, percentile) - direct.drawn(picks, percentile)),
    method: "merged",
  };
}

/** Rounds over one common list of values, so that adding drawn rounds up is adding columns. */
class Columns {
  readonly merged: Distribution;
  readonly #rounds: readonly Float64Array[];
  readonly #sum: Float64Array;

  constructor(rounds: readonly Distribution[]) {
    this.merged = mergeDistributions(rounds);
    const place = new Map<number, number>();
    for (const [index, value] of this.merged.values.entries()) place.set(value, index);
    this.#rounds = rounds.map((round) => {
      const column = new Float64Array(place.size);
      for (const [index, value] of round.values.entries()) column[place.get(value)!] = round.counts[index]!;
      return column;
    });
    this.#sum = new Float64Array(place.size);
  }

  /** The percentile of the drawn rounds together. */
  drawn(picks: Int32Array, percentile: number): number {
    const sum = this.#sum.fill(0);
    let count = 0;
    for (const pick of picks) {
      const column = this.#rounds[pick]!;
      for (let index = 0; index < sum.length; index++) {
        sum[index]! += column[index]!;
        count += column[index]!;
      }
    }
    return valueAtCounts(this.merged.values, sum, count, percentile);
  }
}
