// TCP counters of one kind of connection.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Recorder, type SeriesDescriptor } from "../../../src/core/telemetry/recorder.ts";
import { TransportMetrics } from "../../../src/core/telemetry/transport-metrics.ts";

const LABELS = { direction: "outbound", peer: "src", tls: "no_identity", no_tls_reason: "loopback" } as const;

function transport(): { metrics: TransportMetrics; recorder: Recorder; told: SeriesDescriptor[] } {
  const told: SeriesDescriptor[] = [];
  const recorder = new Recorder(Recorder.memory(Recorder.slotsFor(50)), (descriptor) => told.push(descriptor), 50);
  told.length = 0;
  return { metrics: new TransportMetrics(recorder, LABELS), recorder, told };
}

test("constructing registers nothing", () => {
  assert.equal(transport().told.length, 0);
});

test("open connections are the opened minus the closed", () => {
  const { metrics, recorder } = transport();
  metrics.opened();
  metrics.opened();
  metrics.closed("");
  assert.equal(recorder.slots[recorder.counter("tcp_open_total", LABELS)], 2);
  assert.equal(recorder.slots[recorder.gauge("tcp_open_connections", LABELS)], 1);
});

test("closes are counted by errno", () => {
  const { metrics, recorder } = transport();
  for (const errno of ["", "ECONNRESET", ""]) {
    metrics.opened();
    metrics.closed(errno);
  }
  assert.equal(recorder.slots[recorder.counter("tcp_close_total", { ...LABELS, errno: "" })], 2);
  assert.equal(recorder.slots[recorder.counter("tcp_close_total", { ...LABELS, errno: "ECONNRESET" })], 1);
});

test("bytes are added to the slots, also before the first open", () => {
  const { metrics, recorder } = transport();
  recorder.slots[metrics.readSlot]! += 10;
  recorder.slots[metrics.writeSlot]! += 20;
  assert.equal(recorder.slots[recorder.counter("tcp_read_bytes_total", LABELS)], 10);
  assert.equal(recorder.slots[recorder.counter("tcp_write_bytes_total", LABELS)], 20);
});
