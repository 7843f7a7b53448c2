// The buckets of response_latency_ms, Linkerd's own bounds, in the slots of a recorder.
//
// A histogram takes HISTOGRAM_SLOTS neighbouring slots: one count per bucket (not cumulative: the exposition adds them up,
// so that recording touches one bucket only), then the number of observations above all bounds, then the sum.

/** Upper bounds in milliseconds, inclusive. The bucket +Inf follows them. */
export const LATENCY_BOUNDS_MS: readonly number[] = [
  1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 100, 200, 300, 400, 500, 1_000, 2_000, 3_000, 4_000, 5_000, 10_000, 20_000, 30_000, 40_000, 50_000,
];

const BOUNDS = new Float64Array(LATENCY_BOUNDS_MS);

/** Offset of the +Inf bucket from a histogram's base slot. */
export const INFINITY_OFFSET: number = LATENCY_BOUNDS_MS.length;

/** Offset of the sum of all observations, in milliseconds. */
export const SUM_OFFSET: number = INFINITY_OFFSET + 1;

/** Slots per histogram. The number of observations is the sum of its buckets. */
export const HISTOGRAM_SLOTS: number = SUM_OFFSET + 1;

/** Counts one observation. `ms` may have a fraction; what is not a number, or is negative, counts as 0. Never throws. */
export function observeLatency(slots: Float64Array, base: number, ms: number): void {
  const value = ms > 0 ? ms : 0;
  let bucket = 0;
  // A proxied response takes few milliseconds: the first bounds decide, and a linear search finds them at once.
  while (bucket < INFINITY_OFFSET && value > BOUNDS[bucket]!) bucket += 1;
  slots[base + bucket]! += 1;
  slots[base + SUM_OFFSET]! += value;
}
