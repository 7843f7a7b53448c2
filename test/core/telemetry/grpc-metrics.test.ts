// gRPC calls by method: names, the bounds on them, and that requests and responses balance.

import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_GRPC_STATUS } from "../../../src/core/http/grpc.ts";
import { GrpcMetrics, type GrpcMethodMetrics } from "../../../src/core/telemetry/grpc-metrics.ts";
import { SUM_OFFSET } from "../../../src/core/telemetry/latency-buckets.ts";
import { Recorder, type SeriesDescriptor } from "../../../src/core/telemetry/recorder.ts";

const LABELS = { direction: "outbound", dst_service: "web", dst_namespace: "shop" } as const;
const ADD = { ...LABELS, rpc_service: "shop.Cart", rpc_method: "Add" };
const OTHER = { ...LABELS, rpc_service: "other", rpc_method: "other" };

interface Stage {
  readonly recorder: Recorder;
  readonly told: SeriesDescriptor[];
  find(path: string): GrpcMethodMetrics | null;
  learn(path: string): GrpcMethodMetrics;
  readonly metrics: GrpcMetrics;
}

function stage(seriesMax = 10_000): Stage {
  const told: SeriesDescriptor[] = [];
  const recorder = new Recorder(Recorder.memory(Recorder.slotsFor(seriesMax)), (descriptor) => told.push(descriptor), seriesMax);
  told.length = 0;
  const metrics = new GrpcMetrics(recorder, LABELS);
  // Between other bytes: only the range counts.
  const at = (path: string): [Buffer, number, number] => [Buffer.from(`x${path}x`), 1, 1 + path.length];
  return { recorder, told, metrics, find: (path) => metrics.find(...at(path)), learn: (path) => metrics.learn(...at(path)) };
}

test("a method has no series before it is learned, and then its own", () => {
  const { told, find, learn, recorder } = stage();
  assert.equal(find("/shop.Cart/Add"), null);
  assert.equal(told.length, 0);
  const method = learn("/shop.Cart/Add");
  assert.equal(find("/shop.Cart/Add"), method);
  assert.equal(learn("/shop.Cart/Add"), method);
  method.started();
  method.started();
  assert.equal(recorder.slots[recorder.counter("grpc_request_total", ADD)], 2);
});

test("responses have status and classification, broken ones an error", () => {
  const { learn, recorder } = stage();
  const method = learn("/shop.Cart/Add");
  for (const [status, isFailure] of [
    [0, false],
    [0, false],
    [14, true],
    [2, false],
    [2, true],
  ] as const)
    method.ended(status, isFailure);
  method.failed(14, "failfast");
  method.failed(NO_GRPC_STATUS, "i/o");
  method.failed(NO_GRPC_STATUS, "i/o");
  const count = (labels: Record<string, string>): number => recorder.slots[recorder.counter("grpc_response_total", { ...ADD, ...labels })]!;
  assert.equal(count({ grpc_status: "0", classification: "success" }), 2);
  assert.equal(count({ grpc_status: "14", classification: "failure" }), 1);
  assert.equal(count({ grpc_status: "2", classification: "success" }), 1);
  assert.equal(count({ grpc_status: "2", classification: "failure" }), 1);
  assert.equal(count({ grpc_status: "14", classification: "failure", error: "failfast" }), 1);
  assert.equal(count({ classification: "failure", error: "i/o" }), 2);
});

test("latency is in milliseconds", () => {
  const { learn, recorder } = stage();
  const method = learn("/shop.Cart/Add");
  method.firstByte(2.5);
  method.firstByte(7);
  assert.equal(recorder.slots[recorder.histogram("grpc_response_latency_ms", ADD) + SUM_OFFSET], 9.5);
});

test("what is no method's path, or too long, counts as other", () => {
  const { learn, metrics, find } = stage();
  for (const path of ["", "/", "//", "/a", "/a/", "a/b", "/a/b?c=d", "/a b/c", `/a/${"m".repeat(300)}`])
    assert.equal(learn(path), metrics.other, path);
  assert.equal(find(`/a/${"m".repeat(300)}`), metrics.other);
  assert.notEqual(learn("/deep/er.Service/Method-1"), metrics.other);
});

test("more methods than a service has count as other", () => {
  const { learn, find, metrics, told } = stage();
  const methods = Array.from({ length: 1_000 }, (_, i) => learn(`/shop.Cart/M${i}`));
  const own = methods.filter((method) => method !== metrics.other);
  assert.equal(own.length, 512);
  assert.equal(find("/shop.Cart/M999"), null);
  assert.equal(told.filter(({ metric }) => metric === "grpc_request_total").length, 513);
});

test("over seriesMax they are folded like all others", () => {
  const { learn, recorder } = stage(100);
  for (let i = 0; i < 200; i++) learn(`/shop.Cart/M${i}`).started();
  const folded = { ...LABELS, dst_service: "other", dst_namespace: "other", rpc_service: "other", rpc_method: "other" };
  let own = 0;
  for (let i = 0; i < 200; i++)
    own += recorder.slots[recorder.counter("grpc_request_total", { ...ADD, rpc_method: `M${i}` })] === 1 ? 1 : 0;
  assert.ok(own > 0 && own < 100, `${own}`);
  assert.equal(recorder.slots[recorder.counter("grpc_request_total", folded)], 200 - own);
});

test("other has its own row", () => {
  const { metrics, recorder } = stage();
  metrics.other.started();
  metrics.other.ended(12, false);
  assert.equal(recorder.slots[recorder.counter("grpc_request_total", OTHER)], 1);
  assert.equal(recorder.slots[recorder.counter("grpc_response_total", { ...OTHER, grpc_status: "12", classification: "success" })], 1);
});
