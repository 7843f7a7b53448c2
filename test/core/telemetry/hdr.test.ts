// HDR latencies: clamping, percentiles, merging, reading from another view of the memory.

import assert from "node:assert/strict";
import { test } from "node:test";
import { HdrLatency, LATENCY_US_MAX, readMemory, summarise } from "../../../src/core/telemetry/hdr.ts";

test("values out of range are clamped, and nothing throws", () => {
  const latency = new HdrLatency(3);
  for (const value of [-1, Number.NaN, Number.NEGATIVE_INFINITY, 0, 1e12, Number.POSITIVE_INFINITY, LATENCY_US_MAX]) latency.record(value);
  const { counts, max, sum } = latency.snapshot();
  assert.equal(counts[0], 4);
  assert.equal(summarise(3, counts).count, 7);
  assert.equal(max, LATENCY_US_MAX);
  assert.equal(sum, 3 * LATENCY_US_MAX);
});

test("a fraction is rounded", () => {
  const latency = new HdrLatency(3);
  latency.record(41.5);
  assert.equal(latency.snapshot().counts[42], 1);
});

test("percentiles keep their significant digits", () => {
  for (const [digits, error] of [
    [2, 0.01],
    [3, 0.001],
  ] as const) {
    const latency = new HdrLatency(digits);
    for (let us = 1; us <= 100_000; us += 1) latency.record(us);
    const { count, p50, p95, p99, p999, max } = summarise(digits, latency.snapshot().counts);
    assert.equal(count, 100_000);
    for (const [value, wanted] of [
      [p50, 50_000],
      [p95, 95_000],
      [p99, 99_000],
      [p999, 99_900],
      [max, 100_000],
    ] as const) {
      assert.ok(Math.abs(value - wanted) <= wanted * error, `${value} is not within ${error} of ${wanted}`);
    }
  }
});

test("an empty histogram reads as zero", () => {
  assert.deepEqual(summarise(2, new HdrLatency(2).snapshot().counts), { count: 0, p50: 0, p95: 0, p99: 0, p999: 0, max: 0 });
});

test("merging adds counts and sums, and keeps the larger maximum", () => {
  const one = new HdrLatency(2);
  const two = new HdrLatency(2);
  one.record(100);
  two.record(300);
  two.record(100);
  const merged = HdrLatency.merge([one.snapshot(), two.snapshot()]);
  assert.equal(merged.counts[100], 2);
  assert.equal(merged.sum, 500);
  assert.equal(merged.max, 300);
  assert.equal(summarise(2, merged.counts).count, 3);
});

test("merging different digits is refused", () => {
  assert.throws(() => HdrLatency.merge([new HdrLatency(2).snapshot(), new HdrLatency(3).snapshot()]), RangeError);
});

test("merging nothing is empty", () => {
  assert.equal(summarise(2, HdrLatency.merge([]).counts).count, 0);
});

test("another thread's view of the memory sees what was recorded, a snapshot does not change", () => {
  const latency = new HdrLatency(2);
  latency.record(7);
  const before = latency.snapshot();
  latency.record(7);
  assert.equal(before.counts[7], 1);
  assert.equal(readMemory(latency.memory, 2).counts[7], 2);
});
