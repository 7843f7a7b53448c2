// Where a worker counts: single-writer slots in shared memory, and the description of each series, told once.
//
// The hot path is `recorder.slots[i] += 1`. The supervisor reads the same memory whenever it likes, so nothing is asked
// of a worker for a scrape, and what a worker counted outlives it. A slot is aligned and 8 bytes wide and has one
// writer, so a reader never sees half a number. Slots are never freed; they are bounded: over `seriesMax` label sets
// are folded into `other`, and what does not fit even so counts in a scratch area that nobody reads.

import { HISTOGRAM_SLOTS } from "./latency-buckets.ts";
import { HdrLatency, type HdrDigits } from "./hdr.ts";
import { type Labels, overflowLabels, seriesKey } from "./labels.ts";
import type { MetricName } from "./metric-names.ts";

/** `hdr` series have memory of their own instead of a slot. */
export type SeriesKind = "counter" | "gauge" | "histogram" | "hdr";

/** Tells the reader what a slot means. Plain data: it may cross threads (the memory by reference). */
export interface SeriesDescriptor {
  /** First slot; -1 for `hdr`. */
  readonly slot: number;
  readonly metric: MetricName;
  readonly kind: SeriesKind;
  readonly labels: Labels;
  readonly hdr: { readonly memory: SharedArrayBuffer; readonly digits: HdrDigits } | null;
}

/** Series beyond seriesMax: the folded ones. Their labels have few values, so this is never reached in practice. */
const OVERFLOW_SERIES_MAX = 256;

/** HDR histograms per metric name and worker: 256 of 20 KB are 5 MB at most. */
export const HDR_SERIES_MAX = 256;

export class Recorder {
  /** All slots. `slots[i] += 1` counts, `slots[i] += bytes` adds. */
  readonly slots: Float64Array;
  readonly #onSeries: (descriptor: SeriesDescriptor) => void;
  readonly #seriesMax: number;
  readonly #slotOf = new Map<string, number>();
  readonly #hdrOf = new Map<string, HdrLatency>();
  readonly #hdrCount = new Map<MetricName, number>();
  readonly #slotsEnd: number;
  #slotNext = 0;
  readonly #overflowSlot: number;

  /** `onSeries` hears of each series once, before its first count. */
  constructor(memory: SharedArrayBuffer, onSeries: (descriptor: SeriesDescriptor) => void, seriesMax: number) {
    this.slots = new Float64Array(memory);
    this.#onSeries = onSeries;
    this.#seriesMax = seriesMax;
    this.#slotsEnd = this.slots.length - HISTOGRAM_SLOTS;
    if (this.#slotsEnd < 1) throw new RangeError(`a recorder needs at least ${HISTOGRAM_SLOTS + 1} slots`);
    this.#overflowSlot = this.counter("proxy_series_overflow_total", {});
  }

  /** Zeroed shared memory for so many slots. Pages that are never written cost nothing. */
  static memory(slotsMax: number): SharedArrayBuffer {
    return new SharedArrayBuffer(slotsMax * Float64Array.BYTES_PER_ELEMENT);
  }

  /** Slots that suffice for `seriesMax` series, were they all histograms, and for the folded ones. */
  static slotsFor(seriesMax: number): number {
    return (seriesMax + OVERFLOW_SERIES_MAX + 1) * HISTOGRAM_SLOTS;
  }

  /** Slot of a counter: the same for the same metric and labels. */
  counter(metric: MetricName, labels: Labels): number {
    return this.#slot(metric, "counter", labels, 1);
  }

  /** Slot of a gauge. A worker's gauges count as 0 once it is gone. */
  gauge(metric: MetricName, labels: Labels): number {
    return this.#slot(metric, "gauge", labels, 1);
  }

  /** Base slot of a histogram, for `observeLatency`. */
  histogram(metric: MetricName, labels: Labels): number {
    return this.#slot(metric, "histogram", labels, HISTOGRAM_SLOTS);
  }

  /** An HDR histogram of microseconds: the same for the same metric and labels; at most HDR_SERIES_MAX per metric. */
  hdr(metric: MetricName, labels: Labels, digits: HdrDigits): HdrLatency {
    const key = seriesKey(metric, labels);
    const known = this.#hdrOf.get(key);
    if (known !== undefined) return known;
    const count = this.#hdrCount.get(metric) ?? 0;
    if (count >= HDR_SERIES_MAX) {
      this.slots[this.#overflowSlot]! += 1;
      return this.#foldedHdr(metric, overflowLabels(labels), digits);
    }
    this.#hdrCount.set(metric, count + 1);
    return this.#addHdr(key, metric, labels, digits);
  }

  #foldedHdr(metric: MetricName, labels: Labels, digits: HdrDigits): HdrLatency {
    const key = seriesKey(metric, labels);
    return this.#hdrOf.get(key) ?? this.#addHdr(key, metric, labels, digits);
  }

  #addHdr(key: string, metric: MetricName, labels: Labels, digits: HdrDigits): HdrLatency {
    const latency = new HdrLatency(digits);
    this.#hdrOf.set(key, latency);
    this.#onSeries({ slot: -1, metric, kind: "hdr", labels, hdr: { memory: latency.memory, digits } });
    return latency;
  }

  #slot(metric: MetricName, kind: SeriesKind, labels: Labels, width: number): number {
    const known = this.#slotOf.get(seriesKey(metric, labels));
    if (known !== undefined) return known;
    if (this.#slotOf.size < this.#seriesMax) return this.#add(metric, kind, labels, width);
    this.slots[this.#overflowSlot]! += 1;
    const folded = overflowLabels(labels);
    const slot = this.#slotOf.get(seriesKey(metric, folded));
    if (slot !== undefined) return slot;
    return this.#slotOf.size < this.#seriesMax + OVERFLOW_SERIES_MAX ? this.#add(metric, kind, folded, width) : this.#slotsEnd;
  }

  #add(metric: MetricName, kind: SeriesKind, labels: Labels, width: number): number {
    const slot = this.#slotNext;
    // The scratch area behind the end is as wide as the widest series.
    if (slot + width > this.#slotsEnd) return this.#slotsEnd;
    this.#slotNext = slot + width;
    this.#slotOf.set(seriesKey(metric, labels), slot);
    this.#onSeries({ slot, metric, kind, labels, hdr: null });
    return slot;
  }
}
