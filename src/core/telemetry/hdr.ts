// Latencies in HDR histograms (hdr-histogram-js) whose counts lie in shared memory.
//
// One thread records, any thread reads: the counts of a worker survive its death, and the supervisor reads them without
// asking. `record` writes the library's own counts array at the library's own index, computed with integers: 8 to 12 ns
// where `recordValue` (log2, pow) takes 100 to 140; a property test proves the index equal. All reading (percentiles,
// equivalent ranges) is the library's. The class is imported by its file: the main entry costs 5 MB.
//
// Invariants: counts never decrease; a value is clamped to 0..LATENCY_US_MAX; nothing here throws on a value.

import float64 from "hdr-histogram-js/dist/Float64Histogram.js";

/** Longest latency that is told apart, one minute; longer ones count as this. */
export const LATENCY_US_MAX = 60_000_000;

/** Significant decimal digits: 2 (20 KB) for the many, 3 (139 KB) for the few. */
export type HdrDigits = 2 | 3;

/** Counts plus exact sum and maximum, as plain data. */
export interface HdrSnapshot {
  readonly digits: HdrDigits;
  readonly counts: Float64Array;
  /** Sum of all values, microseconds. */
  readonly sum: number;
  /** Largest value, microseconds. */
  readonly max: number;
}

/** What people read of a histogram. Microseconds; all zero when count is 0. */
export interface LatencySummary {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

const EMPTY_SUMMARY: LatencySummary = Object.freeze({ count: 0, p50: 0, p95: 0, p99: 0, p999: 0, max: 0 });

/** log2 of half the sub-buckets of the library at these digits: 256 and 2048 sub-buckets. */
const MAGNITUDE: Readonly<Record<HdrDigits, number>> = { 2: 7, 3: 10 };

/** Length of the library's counts array for 1..LATENCY_US_MAX: it ends with the half bucket that the largest value is in. */
export function countsLength(digits: HdrDigits): number {
  const half = 1 << MAGNITUDE[digits];
  return half * (Math.floor(indexOf(LATENCY_US_MAX, MAGNITUDE[digits]) / half) + 1);
}

/** Index of an integer value below 2^31 in the counts: bucket by power of two, sub-bucket by the top bits. */
function indexOf(value: number, magnitude: number): number {
  const power = 31 - Math.clz32(value) - magnitude;
  const bucket = power > 0 ? power : 0;
  return (bucket << magnitude) + (value >>> bucket);
}

/** Cell that a value from 0 to LATENCY_US_MAX is counted in. */
export function cellOf(us: number, digits: HdrDigits): number {
  return indexOf(us, MAGNITUDE[digits]);
}

/** One histogram of microseconds. */
export class HdrLatency {
  readonly digits: HdrDigits;
  /** Hand this to another thread once; it can read for ever. */
  readonly memory: SharedArrayBuffer;
  readonly #cells: Float64Array;
  readonly #magnitude: number;
  readonly #sumCell: number;

  constructor(digits: HdrDigits, memory: SharedArrayBuffer = HdrLatency.memory(digits)) {
    this.digits = digits;
    this.memory = memory;
    this.#cells = new Float64Array(memory);
    this.#magnitude = MAGNITUDE[digits];
    this.#sumCell = countsLength(digits);
  }

  /** Zeroed memory for one histogram: the counts, the sum, the maximum. */
  static memory(digits: HdrDigits): SharedArrayBuffer {
    return new SharedArrayBuffer((countsLength(digits) + 2) * Float64Array.BYTES_PER_ELEMENT);
  }

  /** Counts one latency in microseconds, rounded and clamped; NaN counts as 0. */
  record(us: number): void {
    const value = us > 0 ? (us < LATENCY_US_MAX ? (us + 0.5) | 0 : LATENCY_US_MAX) : 0;
    const cells = this.#cells;
    const sumCell = this.#sumCell;
    // The maximum first: readers look at no cell above it.
    if (value > cells[sumCell + 1]!) cells[sumCell + 1] = value;
    cells[sumCell]! += value;
    cells[indexOf(value, this.#magnitude)]! += 1;
  }

  /** A copy that can be sent to another thread. */
  snapshot(): HdrSnapshot {
    return readMemory(this.memory, this.digits);
  }

  /** The sum of several snapshots of the same digits. An empty list gives an empty histogram of 2 digits. */
  static merge(snapshots: readonly HdrSnapshot[]): HdrSnapshot {
    const digits = snapshots[0]?.digits ?? 2;
    const counts = new Float64Array(countsLength(digits));
    let sum = 0;
    let max = 0;
    for (const snapshot of snapshots) {
      if (snapshot.digits !== digits) throw new RangeError("histograms of different digits cannot be merged");
      addCounts(counts, snapshot.counts);
      sum += snapshot.sum;
      max = Math.max(max, snapshot.max);
    }
    return { digits, counts, sum, max };
  }
}

/** Copies a histogram out of shared memory. */
export function readMemory(memory: SharedArrayBuffer, digits: HdrDigits): HdrSnapshot {
  const cells = new Float64Array(memory);
  const size = countsLength(digits);
  return { digits, counts: cells.slice(0, size), sum: cells[size]!, max: cells[size + 1]! };
}

/** target += source, cell by cell. */
export function addCounts(target: Float64Array, source: Float64Array): void {
  for (let index = 0; index < target.length; index += 1) target[index]! += source[index]!;
}

/** One histogram of the library per precision, for its arithmetic only: making one allocates up to 139 KB. */
const readers: { 2: InstanceType<typeof float64.default> | null; 3: InstanceType<typeof float64.default> | null } = { 2: null, 3: null };

/**
 * Percentiles of a counts array: the library's values, found in one pass instead of one per percentile (a scrape reads
 * hundreds of histograms). A property test compares them with `getValueAtPercentile`.
 */
export function summarise(digits: HdrDigits, counts: Float64Array): LatencySummary {
  let count = 0;
  let last = 0;
  for (let index = 0; index < counts.length; index += 1) {
    const here = counts[index]!;
    if (here === 0) continue;
    count += here;
    last = index;
  }
  if (count === 0) return EMPTY_SUMMARY;
  const histogram = readers[digits] ?? new float64.default(1, LATENCY_US_MAX, digits);
  readers[digits] = histogram;
  let index = 0;
  let seen = counts[0]!;
  /** Smallest value that so many thousandths of all values do not exceed; to be asked in rising order. */
  const valueAt = (thousandths: number): number => {
    const wanted = Math.ceil((count * thousandths) / 1000);
    while (seen < wanted && index < last) {
      index += 1;
      seen += counts[index]!;
    }
    return histogram.highestEquivalentValue(histogram.valueFromIndex(index));
  };
  return { count, p50: valueAt(500), p95: valueAt(950), p99: valueAt(990), p999: valueAt(999), max: valueAt(1000) };
}
