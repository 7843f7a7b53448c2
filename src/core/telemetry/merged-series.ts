// One series over all workers: what the living count in shared memory, plus what the dead had counted.
//
// Invariants: a counter and every cell of a histogram never decrease, also when a worker is removed (its last values are
// folded into the base); a gauge counts the living only. Values are read when they are rendered, not when collected.

import { addCounts, cellOf, countsLength, type HdrDigits, type LatencySummary, summarise } from "./hdr.ts";
import { type Labels, labelText } from "./labels.ts";
import { HISTOGRAM_SLOTS } from "./latency-buckets.ts";

/** A counter or a gauge. */
export class ScalarSeries {
  readonly kind = "scalar";
  readonly labels: Labels;
  readonly text: string;
  readonly #sources = new Map<Float64Array, number>();
  #base = 0;

  constructor(labels: Labels) {
    this.labels = labels;
    this.text = labelText(labels);
  }

  attach(slots: Float64Array, slot: number): void {
    this.#sources.set(slots, slot);
  }

  /** Removes a source and returns its last value, which the caller may `add` to a counter. */
  detach(slots: Float64Array): number {
    const slot = this.#sources.get(slots);
    if (slot === undefined) return 0;
    this.#sources.delete(slots);
    return slots[slot]!;
  }

  /** Adds to what the dead had counted. */
  add(value: number): void {
    this.#base += value;
  }

  read(): number {
    let sum = this.#base;
    for (const [slots, slot] of this.#sources) sum += slots[slot]!;
    return sum;
  }
}

/** A histogram with the bounds of latency-buckets.ts. */
export class HistogramSeries {
  readonly kind = "histogram";
  readonly labels: Labels;
  readonly text: string;
  readonly #sources = new Map<Float64Array, number>();
  readonly #base = new Float64Array(HISTOGRAM_SLOTS);

  constructor(labels: Labels) {
    this.labels = labels;
    this.text = labelText(labels);
  }

  attach(slots: Float64Array, slot: number): void {
    this.#sources.set(slots, slot);
  }

  /** Folds a source into the base and forgets it. */
  fold(slots: Float64Array): void {
    const slot = this.#sources.get(slots);
    if (slot === undefined) return;
    this.#sources.delete(slots);
    for (let offset = 0; offset < HISTOGRAM_SLOTS; offset += 1) this.#base[offset]! += slots[slot + offset]!;
  }

  /** Writes the HISTOGRAM_SLOTS cells, not cumulative, into `target`. */
  read(target: Float64Array): void {
    target.set(this.#base);
    for (const [slots, slot] of this.#sources) {
      for (let offset = 0; offset < HISTOGRAM_SLOTS; offset += 1) target[offset]! += slots[slot + offset]!;
    }
  }
}

/** An HDR series as it is read: totals since the start, percentiles over the window. Microseconds. */
export interface LatencyReading {
  /** Observations and their sum since the start. */
  readonly count: number;
  readonly sum: number;
  /** Largest value since the start. */
  readonly max: number;
  /** Over the last one to two WINDOW_MS; without reads in between, since the read before. */
  readonly window: LatencySummary;
}

/** Percentiles are over at least this long, at most twice as long: alerts want minutes, not a process' whole life. */
export const WINDOW_MS = 30_000;

/** Counts at some moment, without the zeros at both ends: latencies fill a small part of the array. */
interface Mark {
  readonly from: number;
  readonly counts: Float64Array;
}

/** Room to add up the counts of one series, per precision; used within one call. */
const scratch: { 2: Float64Array | null; 3: Float64Array | null } = { 2: null, 3: null };

/** An HDR histogram. */
export class LatencySeries {
  readonly kind = "summary";
  readonly labels: Labels;
  readonly text: string;
  readonly digits: HdrDigits;
  readonly #sources = new Set<SharedArrayBuffer>();
  #baseCounts: Float64Array | null = null;
  #baseSum = 0;
  #baseMax = 0;
  #older: Mark | null = null;
  #newer: Mark | null = null;
  #markedAtMs = -1;

  constructor(labels: Labels, digits: HdrDigits) {
    this.labels = labels;
    this.text = labelText(labels);
    this.digits = digits;
  }

  attach(memory: SharedArrayBuffer): void {
    this.#sources.add(memory);
  }

  /** Folds a source into the base and forgets it. */
  fold(memory: SharedArrayBuffer): void {
    if (!this.#sources.delete(memory)) return;
    const size = countsLength(this.digits);
    const cells = new Float64Array(memory);
    this.#baseCounts = this.#baseCounts ?? new Float64Array(size);
    addCounts(this.#baseCounts, cells);
    this.#baseSum += cells[size]!;
    this.#baseMax = Math.max(this.#baseMax, cells[size + 1]!);
  }

  /** `nowMs`: any clock that does not go back. Moves the window on. */
  read(nowMs: number): LatencyReading {
    const size = countsLength(this.digits);
    const sources: Float64Array[] = [];
    for (const memory of this.#sources) sources.push(new Float64Array(memory));
    let sum = this.#baseSum;
    let max = this.#baseMax;
    for (const cells of sources) {
      sum += cells[size]!;
      max = Math.max(max, cells[size + 1]!);
    }
    // Nothing is above the cell of the maximum: most latencies are small, and most cells need not be looked at.
    const used = cellOf(max, this.digits) + 1;
    const all = scratch[this.digits] ?? new Float64Array(size);
    scratch[this.digits] = all;
    const counts = all.subarray(0, used);
    if (this.#baseCounts === null) counts.fill(0);
    else counts.set(this.#baseCounts.subarray(0, used));
    for (const cells of sources) addCounts(counts, cells);
    let count = 0;
    for (let index = 0; index < used; index += 1) count += counts[index]!;
    this.#rotate(counts, nowMs);
    if (this.#older !== null) subtract(counts, this.#older);
    return { count, sum, max, window: summarise(this.digits, counts) };
  }

  #rotate(counts: Float64Array, nowMs: number): void {
    if (this.#markedAtMs < 0) {
      this.#markedAtMs = nowMs;
      return;
    }
    if (nowMs - this.#markedAtMs < WINDOW_MS) return;
    this.#older = this.#newer;
    this.#newer = mark(counts);
    this.#markedAtMs = nowMs;
  }
}

function mark(counts: Float64Array): Mark {
  let from = 0;
  let end = counts.length;
  while (from < end && counts[from] === 0) from += 1;
  while (end > from && counts[end - 1] === 0) end -= 1;
  return { from, counts: counts.slice(from, end) };
}

function subtract(counts: Float64Array, earlier: Mark): void {
  for (let index = 0; index < earlier.counts.length; index += 1) counts[earlier.from + index]! -= earlier.counts[index]!;
}
