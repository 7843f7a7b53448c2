// The recorder: slots, their identity, and the cap on label sets.

import assert from "node:assert/strict";
import { test } from "node:test";
import { HISTOGRAM_SLOTS } from "../../../src/core/telemetry/latency-buckets.ts";
import { HDR_SERIES_MAX, Recorder, type SeriesDescriptor } from "../../../src/core/telemetry/recorder.ts";

function recorder(seriesMax: number): { recorder: Recorder; told: SeriesDescriptor[]; memory: SharedArrayBuffer } {
  const told: SeriesDescriptor[] = [];
  const memory = Recorder.memory(Recorder.slotsFor(seriesMax));
  return { recorder: new Recorder(memory, (descriptor) => told.push(descriptor), seriesMax), told, memory };
}

/** proxy_series_overflow_total, by its descriptor. */
function overflow(told: SeriesDescriptor[], memory: SharedArrayBuffer): number {
  const slot = told.find((descriptor) => descriptor.metric === "proxy_series_overflow_total")!.slot;
  return new Float64Array(memory)[slot]!;
}

test("the same metric and labels have the same slot, whatever the order of the labels", () => {
  const { recorder: r } = recorder(100);
  assert.equal(r.counter("request_total", { a: "1", b: "2" }), r.counter("request_total", { b: "2", a: "1" }));
  assert.notEqual(r.counter("request_total", { a: "1" }), r.counter("request_total", { a: "2" }));
  assert.notEqual(r.counter("request_total", { a: "1" }), r.counter("response_total", { a: "1" }));
});

test("label values that contain a separator do not collide", () => {
  const { recorder: r } = recorder(100);
  assert.notEqual(r.counter("request_total", { a: '1",b="2' }), r.counter("request_total", { a: "1", b: "2" }));
});

test("a series is described once, with its kind and labels", () => {
  const { recorder: r, told } = recorder(100);
  const slot = r.gauge("tcp_open_connections", { peer: "src" });
  r.gauge("tcp_open_connections", { peer: "src" });
  const mine = told.filter((descriptor) => descriptor.metric === "tcp_open_connections");
  assert.deepEqual(mine, [{ slot, metric: "tcp_open_connections", kind: "gauge", labels: { peer: "src" }, hdr: null }]);
});

test("another thread's view of the memory sees the counts", () => {
  const { recorder: r, memory } = recorder(100);
  const slot = r.counter("request_total", {});
  r.slots[slot]! += 3;
  assert.equal(new Float64Array(memory)[slot], 3);
});

test("a histogram's slots are its own", () => {
  const { recorder: r } = recorder(100);
  const first = r.histogram("response_latency_ms", { status_code: "200" });
  const second = r.histogram("response_latency_ms", { status_code: "500" });
  assert.ok(Math.abs(second - first) >= HISTOGRAM_SLOTS);
});

test("label sets over the cap share one series of `other`, keep direction and classification, and are counted", () => {
  const { recorder: r, told, memory } = recorder(3);
  r.counter("response_total", { direction: "outbound", target_addr: "a", classification: "success" });
  r.counter("response_total", { direction: "outbound", target_addr: "b", classification: "success" });
  const folded = r.counter("response_total", { direction: "outbound", target_addr: "c", classification: "failure" });
  assert.equal(r.counter("response_total", { direction: "outbound", target_addr: "d", classification: "failure" }), folded);
  assert.deepEqual(told.at(-1)!.labels, { direction: "outbound", target_addr: "other", classification: "failure" });
  assert.equal(overflow(told, memory), 2);
});

test("a series known before the cap keeps its slot after it", () => {
  const { recorder: r } = recorder(2);
  const slot = r.counter("request_total", { target_addr: "a" });
  r.counter("request_total", { target_addr: "b" });
  assert.equal(r.counter("request_total", { target_addr: "a" }), slot);
});

test("memory that is too small loses counts, never overlaps them", () => {
  const told: SeriesDescriptor[] = [];
  const r = new Recorder(Recorder.memory(HISTOGRAM_SLOTS + 2), (descriptor) => told.push(descriptor), 100);
  const kept = r.counter("request_total", { a: "1" });
  const lost = r.counter("request_total", { a: "2" });
  const wide = r.histogram("response_latency_ms", {});
  r.slots[lost]! += 1;
  r.slots[wide + HISTOGRAM_SLOTS - 1]! += 1;
  assert.equal(r.slots[kept], 0);
  assert.equal(told.length, 2);
  assert.ok(wide + HISTOGRAM_SLOTS <= r.slots.length);
});

test("ten thousand random label sets stay within the described bound", () => {
  const { recorder: r, told } = recorder(50);
  for (let index = 0; index < 10_000; index += 1) r.counter("request_total", { direction: "outbound", target_addr: String(index) });
  assert.equal(told.length, 51);
});

test("an HDR histogram is shared by the same labels, and capped per metric", () => {
  const { recorder: r, told, memory } = recorder(100);
  assert.equal(r.hdr("endpoint_latency_us", { a: "1" }, 2), r.hdr("endpoint_latency_us", { a: "1" }, 2));
  for (let index = 0; index < HDR_SERIES_MAX + 20; index += 1) r.hdr("endpoint_latency_us", { a: String(index) }, 2);
  assert.equal(told.filter((descriptor) => descriptor.kind === "hdr").length, HDR_SERIES_MAX + 1);
  assert.equal(overflow(told, memory), 20);
  assert.equal(r.hdr("service_latency_us", { a: "1" }, 2).digits, 2);
});
