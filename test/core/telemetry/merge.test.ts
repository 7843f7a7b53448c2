// The metric store: merging workers, and what a worker's death may not change.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LATENCY_US_MAX } from "../../../src/core/telemetry/hdr.ts";
import type { Labels } from "../../../src/core/telemetry/labels.ts";
import { HISTOGRAM_SLOTS, observeLatency, SUM_OFFSET } from "../../../src/core/telemetry/latency-buckets.ts";
import { MetricStore, singleValue, WORKER_LOST } from "../../../src/core/telemetry/merge.ts";
import { WINDOW_MS } from "../../../src/core/telemetry/merged-series.ts";
import type { MetricName } from "../../../src/core/telemetry/metric-names.ts";
import { Recorder, type SeriesDescriptor } from "../../../src/core/telemetry/recorder.ts";
import { TransportMetrics } from "../../../src/core/telemetry/transport-metrics.ts";

function startWorker(store: MetricStore, id: string): Recorder {
  const memory = Recorder.memory(Recorder.slotsFor(100));
  store.addWorker(id, memory);
  return new Recorder(memory, (descriptor) => store.addSeries(id, descriptor), 100);
}

function value(store: MetricStore, metric: MetricName, labels: Labels): number | undefined {
  return store.values(metric).find((entry) => JSON.stringify(entry.labels) === JSON.stringify(labels))?.value;
}

function bump(recorder: Recorder, metric: MetricName, labels: Labels, by: number): void {
  recorder.slots[recorder.counter(metric, labels)]! += by;
}

test("counters of the same metric and labels add up over workers", () => {
  const store = new MetricStore();
  bump(startWorker(store, "1"), "request_total", { a: "x" }, 2);
  const second = startWorker(store, "2");
  bump(second, "request_total", { a: "x" }, 3);
  bump(second, "request_total", { a: "y" }, 1);
  assert.equal(value(store, "request_total", { a: "x" }), 5);
  assert.equal(value(store, "request_total", { a: "y" }), 1);
});

test("no counter and no histogram decreases when a worker is removed, and its successor counts on", () => {
  const store = new MetricStore();
  const first = startWorker(store, "1");
  bump(first, "request_total", {}, 7);
  observeLatency(first.slots, first.histogram("response_latency_ms", {}), 3);
  first.hdr("proxy_overhead_us", {}, 3).record(100);
  store.removeWorker("1");
  const again = startWorker(store, "1");
  bump(again, "request_total", {}, 1);
  observeLatency(again.slots, again.histogram("response_latency_ms", {}), 3);
  again.hdr("proxy_overhead_us", {}, 3).record(300);

  assert.equal(value(store, "request_total", {}), 8);
  const histogram = store.collect().find((family) => family.metric === "response_latency_ms")!.series[0]!;
  assert.ok(histogram.kind === "histogram");
  const cells = new Float64Array(HISTOGRAM_SLOTS);
  histogram.read(cells);
  assert.equal(cells[2], 2);
  assert.equal(cells[SUM_OFFSET], 6);
  const [overhead] = store.latencies("proxy_overhead_us", 0);
  assert.equal(overhead!.count, 2);
  assert.equal(overhead!.sum, 400);
  assert.equal(overhead!.max, 300);
});

test("a removed worker's gauges are 0", () => {
  const store = new MetricStore();
  const worker = startWorker(store, "1");
  worker.slots[worker.gauge("proxy_workers", {})] = 4;
  assert.equal(value(store, "proxy_workers", {}), 4);
  store.removeWorker("1");
  assert.equal(value(store, "proxy_workers", {}), 0);
});

test("connections that a dead worker had open count as closed: opened = closed + open", () => {
  const store = new MetricStore();
  const labels = { direction: "outbound", peer: "src", tls: "no_identity" } as const;
  const doomed = new TransportMetrics(startWorker(store, "1"), labels);
  const living = new TransportMetrics(startWorker(store, "2"), labels);
  for (let index = 0; index < 5; index += 1) doomed.opened();
  doomed.closed("");
  living.opened();
  store.removeWorker("1");
  const closed = store.values("tcp_close_total").reduce((sum, entry) => sum + entry.value, 0);
  assert.equal(value(store, "tcp_open_total", labels), 6);
  assert.equal(value(store, "tcp_open_connections", labels), 1);
  assert.equal(closed, 5);
  assert.equal(value(store, "tcp_close_total", { ...labels, errno: WORKER_LOST }), 4);
});

test("a series that is told of after its worker's removal still counts", () => {
  const store = new MetricStore();
  const memory = Recorder.memory(Recorder.slotsFor(100));
  const late: SeriesDescriptor[] = [];
  store.addWorker("1", memory);
  const recorder = new Recorder(memory, (descriptor) => late.push(descriptor), 100);
  bump(recorder, "request_total", {}, 9);
  store.removeWorker("1");
  for (const descriptor of late) store.addSeries("1", descriptor);
  assert.equal(value(store, "request_total", {}), 9);
});

test("a series of an unknown worker is ignored", () => {
  const store = new MetricStore();
  store.addSeries("nobody", { slot: 0, metric: "request_total", kind: "counter", labels: {}, hdr: null });
  assert.deepEqual(store.collect(), []);
});

test("removing a worker twice changes nothing", () => {
  const store = new MetricStore();
  bump(startWorker(store, "1"), "request_total", {}, 2);
  store.removeWorker("1");
  store.removeWorker("1");
  assert.equal(value(store, "request_total", {}), 2);
});

test("percentiles forget what is older than the window, totals do not", () => {
  const store = new MetricStore();
  const latency = startWorker(store, "1").hdr("proxy_overhead_us", {}, 3);
  const read = (nowMs: number) => store.latencies("proxy_overhead_us", nowMs)[0]!;
  latency.record(LATENCY_US_MAX);
  assert.equal(read(0).window.count, 1);
  assert.equal(read(WINDOW_MS).window.count, 1);
  for (let index = 0; index < 10; index += 1) latency.record(50);
  const later = read(2 * WINDOW_MS);
  assert.equal(later.window.count, 10);
  assert.equal(later.window.p999, 50);
  assert.equal(later.count, 11);
  assert.equal(read(3 * WINDOW_MS).window.count, 0);
  assert.equal(read(4 * WINDOW_MS).max, LATENCY_US_MAX);
});

test("a reader at any rate sees a window, two readers do not disturb each other", () => {
  const store = new MetricStore();
  const latency = startWorker(store, "1").hdr("proxy_overhead_us", {}, 3);
  for (let nowMs = 0; nowMs <= 5 * WINDOW_MS; nowMs += 1_000) {
    latency.record(10);
    const one = store.latencies("proxy_overhead_us", nowMs)[0]!.window.count;
    assert.equal(store.latencies("proxy_overhead_us", nowMs)[0]!.window.count, one);
    const seconds = nowMs / 1_000 + 1;
    assert.ok(one >= Math.min(seconds, WINDOW_MS / 1_000) && one <= (2 * WINDOW_MS) / 1_000, `${one} after ${seconds} s`);
  }
});

test("families come in the order of the metric table, single values among them", () => {
  const store = new MetricStore();
  const worker = startWorker(store, "1");
  worker.gauge("proxy_workers", {});
  worker.counter("request_total", {});
  assert.deepEqual(
    store.collect().map((family) => family.metric),
    ["request_total", "proxy_series_overflow_total", "proxy_workers"],
  );
  const family = singleValue("process_open_fds", {}, 12);
  assert.ok(family.series[0]!.kind === "scalar" && family.series[0]!.read() === 12);
});
