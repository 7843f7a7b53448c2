// The supervisor's side: every worker's series merged by metric and labels.
//
// A worker is known by an id and its recorder's memory; its descriptors arrive in any order and at any time, also a little
// after the worker was removed (messages outlive threads). The main thread's own recorder is a worker like any other.
// Invariants: no counter or histogram ever decreases; a removed worker's gauges are 0; opened = closed + open for TCP.

import { type Labels, seriesKey } from "./labels.ts";
import { HistogramSeries, type LatencyReading, LatencySeries, ScalarSeries } from "./merged-series.ts";
import { METRICS, type MetricName } from "./metric-names.ts";
import type { SeriesDescriptor } from "./recorder.ts";
import { closeLabels } from "./transport-metrics.ts";

export type WorkerId = string | number;

export type MergedSeries = ScalarSeries | HistogramSeries | LatencySeries;

/** All series of one metric. The list is a copy: series may be added while it is rendered in slices. */
export interface Family {
  readonly metric: MetricName;
  readonly series: readonly MergedSeries[];
}

export interface LabelledValue {
  readonly labels: Labels;
  readonly value: number;
}

export interface LabelledLatency extends LatencyReading {
  readonly labels: Labels;
}

/** errno of connections that were open when their worker died. */
export const WORKER_LOST = "worker_lost";

/** Removed workers whose late descriptors are still understood. */
const REMOVED_MAX = 8;

interface Source {
  readonly slots: Float64Array;
  readonly descriptors: SeriesDescriptor[];
}

export class MetricStore {
  readonly #workers = new Map<WorkerId, Source>();
  readonly #removed = new Map<WorkerId, Source>();
  readonly #families = new Map<MetricName, Map<string, MergedSeries>>();

  /** A worker starts. An id that was removed may come back with new memory. */
  addWorker(id: WorkerId, memory: SharedArrayBuffer): void {
    this.removeWorker(id);
    this.#removed.delete(id);
    this.#workers.set(id, { slots: new Float64Array(memory), descriptors: [] });
  }

  /** A worker told of a series. Of an unknown worker: ignored. */
  addSeries(id: WorkerId, descriptor: SeriesDescriptor): void {
    const living = this.#workers.get(id);
    const source = living ?? this.#removed.get(id);
    if (source === undefined) return;
    this.#attach(source, descriptor);
    if (living === undefined) this.#fold(source, descriptor);
    else living.descriptors.push(descriptor);
  }

  /** A worker is gone: its counts stay, its gauges fall to 0, connections that it had open count as closed. */
  removeWorker(id: WorkerId): void {
    const source = this.#workers.get(id);
    if (source === undefined) return;
    this.#workers.delete(id);
    for (const descriptor of source.descriptors) this.#fold(source, descriptor);
    this.#removed.set(id, { slots: source.slots, descriptors: [] });
    if (this.#removed.size > REMOVED_MAX) this.#removed.delete(this.#removed.keys().next().value!);
  }

  /** All families that have series, in the order of the metric table. Cheap: values are read when rendered. */
  collect(): Family[] {
    const families: Family[] = [];
    for (const metric of Object.keys(METRICS) as MetricName[]) {
      const family = this.#families.get(metric);
      if (family !== undefined) families.push({ metric, series: [...family.values()] });
    }
    return families;
  }

  /** The values of a counter or a gauge, for statistics. */
  values(metric: MetricName): LabelledValue[] {
    const found: LabelledValue[] = [];
    for (const series of this.#families.get(metric)?.values() ?? []) {
      if (series.kind === "scalar") found.push({ labels: series.labels, value: series.read() });
    }
    return found;
  }

  /** The percentiles of an HDR metric, for statistics; 10 to 20 us per series. `nowMs`: the same clock as the exposition's. */
  latencies(metric: MetricName, nowMs: number): LabelledLatency[] {
    const found: LabelledLatency[] = [];
    for (const series of this.#families.get(metric)?.values() ?? []) {
      if (series.kind === "summary") found.push({ labels: series.labels, ...series.read(nowMs) });
    }
    return found;
  }

  #attach(source: Source, descriptor: SeriesDescriptor): void {
    const series = this.#series(descriptor);
    if (series.kind === "summary") {
      if (descriptor.hdr !== null) series.attach(descriptor.hdr.memory);
    } else series.attach(source.slots, descriptor.slot);
  }

  #fold(source: Source, descriptor: SeriesDescriptor): void {
    const series = this.#series(descriptor);
    if (series.kind === "summary") {
      if (descriptor.hdr !== null) series.fold(descriptor.hdr.memory);
    } else if (series.kind === "histogram") {
      series.fold(source.slots);
    } else {
      const last = series.detach(source.slots);
      if (descriptor.kind === "counter") series.add(last);
      else if (descriptor.metric === "tcp_open_connections" && last > 0) this.#countLost(descriptor.labels, last);
    }
  }

  #countLost(labels: Labels, connections: number): void {
    const closes = this.#series({
      slot: -1,
      metric: "tcp_close_total",
      kind: "counter",
      labels: closeLabels(labels, WORKER_LOST),
      hdr: null,
    });
    if (closes.kind === "scalar") closes.add(connections);
  }

  /** The merged series of a descriptor, made if it is new. */
  #series(descriptor: SeriesDescriptor): MergedSeries {
    const { metric, labels } = descriptor;
    let family = this.#families.get(metric);
    if (family === undefined) {
      family = new Map();
      this.#families.set(metric, family);
    }
    const key = seriesKey(metric, labels);
    let series = family.get(key);
    if (series === undefined) {
      series = newSeries(descriptor);
      family.set(key, series);
    }
    return series;
  }
}

function newSeries(descriptor: SeriesDescriptor): MergedSeries {
  if (descriptor.hdr !== null) return new LatencySeries(descriptor.labels, descriptor.hdr.digits);
  return descriptor.kind === "histogram" ? new HistogramSeries(descriptor.labels) : new ScalarSeries(descriptor.labels);
}

/** A family of one value that is not recorded but known at the moment of the scrape (process metrics). */
export function singleValue(metric: MetricName, labels: Labels, value: number): Family {
  const series = new ScalarSeries(labels);
  series.add(value);
  return { metric, series: [series] };
}
