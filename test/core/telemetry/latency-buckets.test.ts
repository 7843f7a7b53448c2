// Linkerd's latency bounds, inclusive as Prometheus's `le` says.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  HISTOGRAM_SLOTS,
  INFINITY_OFFSET,
  LATENCY_BOUNDS_MS,
  observeLatency,
  SUM_OFFSET,
} from "../../../src/core/telemetry/latency-buckets.ts";

function bucketOf(ms: number): number {
  const slots = new Float64Array(HISTOGRAM_SLOTS + 2);
  observeLatency(slots, 1, ms);
  assert.equal(slots[0], 0);
  assert.equal(slots[HISTOGRAM_SLOTS + 1], 0);
  return slots.subarray(1, 1 + SUM_OFFSET).indexOf(1);
}

test("a value equal to a bound is in its bucket, one above it in the next", () => {
  for (const [index, bound] of LATENCY_BOUNDS_MS.entries()) {
    assert.equal(bucketOf(bound), index);
    assert.equal(bucketOf(bound + 0.001), index + 1);
  }
});

test("what is over every bound is in the last bucket", () => {
  assert.equal(bucketOf(1e9), INFINITY_OFFSET);
  assert.equal(bucketOf(Number.POSITIVE_INFINITY), INFINITY_OFFSET);
});

test("a negative value and NaN count as 0", () => {
  assert.equal(bucketOf(-5), 0);
  assert.equal(bucketOf(Number.NaN), 0);
});

test("the sum is kept with its fraction", () => {
  const slots = new Float64Array(HISTOGRAM_SLOTS);
  observeLatency(slots, 0, 0.25);
  observeLatency(slots, 0, 7.5);
  assert.equal(slots[SUM_OFFSET], 7.75);
});
