// A distribution of latencies as sorted cells: what is left of a histogram when its empty cells are dropped.
//
// Rounds are merged by adding counts, never by averaging percentiles. A percentile is told only when enough samples lie above it:
// with fewer, it is the luck of a handful of requests. Microseconds everywhere; a cell's value is the largest that it may hold.

import hdr from "hdr-histogram-js";
import type { HdrSnapshot } from "../../src/core/telemetry/hdr.ts";
import { LATENCY_US_MAX } from "../../src/core/telemetry/hdr.ts";

export interface Distribution {
  readonly count: number;
  /** Ascending, each with at least one sample. */
  readonly values: Float64Array;
  readonly counts: Float64Array;
  /** The largest sample itself, exact. 0 when there is none. */
  readonly maxUs: number;
}

/** What every report shows; the longest (the maximum) always stands beside them. */
export const PERCENTILES: readonly number[] = [50, 90, 99, 99.9, 99.99];

/**
 * Samples that must lie above a percentile. With five the rank of what is printed is uncertain by about 1 / sqrt(5) = 45 %, which the
 * interval beside it shows; with fewer it says nothing.
 */
export const TAIL_SAMPLES_MIN = 5;

/** p99 needs 500 samples, p99.99 needs 50,000. */
export function samplesNeeded(percentile: number): number {
  // Rounded first: 100 - 99.99 is not 0.01 in binary, and 50,001 would be asked for.
  return Math.ceil(Math.round((TAIL_SAMPLES_MIN * 1e8) / (100 - percentile)) / 1e6);
}

export function carries(count: number, percentile: number): boolean {
  return count >= samplesNeeded(percentile);
}

/** Reads the Base64 of a compressed histogram. Throws when it is none. */
export function decodeDistribution(text: string, maxUs: number): Distribution {
  const histogram = hdr.decodeFromCompressedBase64(text, 64, false, LATENCY_US_MAX) as unknown as {
    countsArrayLength: number;
    getCountAtIndex(index: number): number;
    valueFromIndex(index: number): number;
    highestEquivalentValue(value: number): number;
  };
  return collect(
    histogram.countsArrayLength,
    (index) => histogram.getCountAtIndex(index),
    (index) => histogram.highestEquivalentValue(histogram.valueFromIndex(index)),
    maxUs,
  );
}

/** Arithmetic of the library for histograms that were never encoded. */
const reader = { 2: new hdr.Float64Histogram(1, LATENCY_US_MAX, 2), 3: new hdr.Float64Histogram(1, LATENCY_US_MAX, 3) };

export function distributionOf(snapshot: HdrSnapshot): Distribution {
  const { counts, digits, max } = snapshot;
  const library = reader[digits];
  return collect(
    counts.length,
    (index) => counts[index]!,
    (index) => library.highestEquivalentValue(library.valueFromIndex(index)),
    max,
  );
}

function collect(length: number, countAt: (index: number) => number, valueAt: (index: number) => number, maxUs: number): Distribution {
  const values: number[] = [];
  const counts: number[] = [];
  let count = 0;
  for (let index = 0; index < length; index++) {
    const here = countAt(index);
    if (here === 0) continue;
    values.push(valueAt(index));
    counts.push(here);
    count += here;
  }
  return { count, values: Float64Array.from(values), counts: Float64Array.from(counts), maxUs };
}

/** The sum of several; empty for an empty list. */
export function mergeDistributions(all: readonly Distribution[]): Distribution {
  const sums = new Map<number, number>();
  for (const one of all) {
    for (const [index, value] of one.values.entries()) sums.set(value, (sums.get(value) ?? 0) + one.counts[index]!);
  }
  const values = Float64Array.from(sums.keys()).sort();
  const counts = values.map((value) => sums.get(value)!);
  return {
    count: all.reduce((sum, one) => sum + one.count, 0),
    values,
    counts,
    maxUs: all.reduce((max, one) => Math.max(max, one.maxUs), 0),
  };
}

/** Smallest cell that so many percent of the samples do not exceed, whether they carry it or not; NaN without samples. */
export function valueAtPercentile(distribution: Distribution, percentile: number): number {
  return valueAtCounts(distribution.values, distribution.counts, distribution.count, percentile);
}

/** As above, on bare columns: resampling has its own counts for the same values. */
export function valueAtCounts(values: Float64Array, counts: Float64Array, count: number, percentile: number): number {
  if (count === 0) return Number.NaN;
  // Rounded as above: 99.9 % of 10,000 is 9990, not a sample more.
  const wanted = Math.max(1, Math.ceil(Math.round(count * percentile * 1e4) / 1e6));
  let seen = 0;
  for (let index = 0; index < values.length; index++) {
    seen += counts[index]!;
    if (seen >= wanted) return values[index]!;
  }
  return values.at(-1)!;
}

/** The percentile, or null when the samples cannot carry it. */
export function percentileOrNull(distribution: Distribution, percentile: number): number | null {
  return carries(distribution.count, percentile) ? valueAtPercentile(distribution, percentile) : null;
}
