// What an endpoint's exchanges count, by Linkerd's names and labels.

import assert from "node:assert/strict";
import { test } from "node:test";
import { EndpointMetrics, isFailureStatus } from "../../../src/core/telemetry/endpoint-metrics.ts";
import { SUM_OFFSET } from "../../../src/core/telemetry/latency-buckets.ts";
import { Recorder, type SeriesDescriptor } from "../../../src/core/telemetry/recorder.ts";

const LABELS = {
  direction: "outbound",
  dst_service: "web",
  dst_namespace: "shop",
  target_addr: "127.0.0.1:9001",
  target_ip: "127.0.0.1",
  target_port: "9001",
  tls: "no_identity",
  no_tls_reason: "not_provided_by_service_discovery",
} as const;

function endpoint(): { metrics: EndpointMetrics; recorder: Recorder; told: SeriesDescriptor[] } {
  const told: SeriesDescriptor[] = [];
  const recorder = new Recorder(Recorder.memory(Recorder.slotsFor(100)), (descriptor) => told.push(descriptor), 100);
  told.length = 0;
  return { metrics: new EndpointMetrics(recorder, LABELS), recorder, told };
}

test("constructing registers nothing", () => {
  const { told } = endpoint();
  assert.equal(told.length, 0);
});

test("request_total counts requests that were sent", () => {
  const { metrics, recorder } = endpoint();
  metrics.requestStarted();
  metrics.requestStarted();
  assert.equal(recorder.slots[recorder.counter("request_total", LABELS)], 2);
});

test("response_total has the status and the classification", () => {
  const { metrics, recorder } = endpoint();
  metrics.ended(200, false);
  metrics.ended(404, false);
  metrics.ended(200, false);
  metrics.ended(503, true);
  metrics.ended(200, true);
  const count = (status_code: string, classification: string): number =>
    recorder.slots[recorder.counter("response_total", { ...LABELS, status_code, classification })]!;
  assert.equal(count("200", "success"), 2);
  assert.equal(count("404", "success"), 1);
  assert.equal(count("503", "failure"), 1);
  assert.equal(count("200", "failure"), 1);
});

test("a broken exchange without a status has an error label and no status_code", () => {
  const { metrics, recorder, told } = endpoint();
  metrics.failed(0, "i/o");
  metrics.failed(0, "i/o");
  metrics.failed(504, "connect timeout");
  const failure = { ...LABELS, classification: "failure" };
  assert.equal(recorder.slots[recorder.counter("response_total", { ...failure, error: "i/o" })], 2);
  assert.equal(recorder.slots[recorder.counter("response_total", { ...failure, error: "connect timeout", status_code: "504" })], 1);
  assert.equal(told.filter((descriptor) => descriptor.metric === "response_total").length, 2);
});

test("response_latency_ms is per status, in milliseconds", () => {
  const { metrics, recorder } = endpoint();
  metrics.firstByte(200, 2_500);
  metrics.firstByte(503, 80);
  metrics.firstByte(200, 500);
  const ok = recorder.histogram("response_latency_ms", { ...LABELS, status_code: "200" });
  const bad = recorder.histogram("response_latency_ms", { ...LABELS, status_code: "503" });
  assert.equal(recorder.slots[ok], 1);
  assert.equal(recorder.slots[ok + 2], 1);
  assert.equal(recorder.slots[ok + SUM_OFFSET], 3);
  assert.equal(recorder.slots[bad], 1);
});

test("latencies reach the HDR histograms of the endpoint and of its service", () => {
  const { metrics, recorder } = endpoint();
  const other = new EndpointMetrics(recorder, { ...LABELS, target_addr: "127.0.0.1:9002", target_port: "9002" });
  metrics.firstByte(200, 100);
  other.firstByte(200, 100);
  const service = { direction: "outbound", dst_service: "web", dst_namespace: "shop" };
  assert.equal(recorder.hdr("service_latency_us", service, 2).snapshot().counts[100], 2);
  assert.equal(recorder.hdr("endpoint_latency_us", { ...service, target_addr: "127.0.0.1:9001" }, 2).snapshot().counts[100], 1);
});

test("two objects of the same endpoint share their series", () => {
  const { metrics, recorder } = endpoint();
  metrics.requestStarted();
  new EndpointMetrics(recorder, LABELS).requestStarted();
  assert.equal(recorder.slots[recorder.counter("request_total", LABELS)], 2);
});

test("a status of 500 or more is a failure", () => {
  assert.deepEqual([200, 404, 499, 500, 599].map(isFailureStatus), [false, false, false, true, true]);
});
