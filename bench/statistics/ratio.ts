// Ratios of runs that stood side by side: one per pair, and what they say together.
//
// A peer's own figure swings by 1.7 x within minutes on a shared machine; two runs right after each other swing together. So the
// ratio is taken pair by pair, and the median of the ratios counts, with the middle half and an interval beside it.

import { type Interval, medianInterval } from "./bootstrap.ts";
import { spreadOf } from "./spread.ts";

export interface PairRatio {
  readonly median: number;
  readonly q1: number;
  readonly q3: number;
  /** Of the median; null with fewer than five pairs. */
  readonly interval: Interval | null;
  readonly pairs: number;
}

/** Null when there is no pair with a figure over 0 below the line. */
export function ratioOfPairs(pairs: readonly { readonly value: number; readonly reference: number }[]): PairRatio | null {
  const ratios = pairs.filter((pair) => pair.reference > 0).map((pair) => pair.value / pair.reference);
  if (ratios.length === 0) return null;
  const { median, q1, q3, count } = spreadOf(ratios);
  return { median, q1, q3, interval: medianInterval(ratios), pairs: count };
}
