import assert from "node:assert/strict";
import { test } from "node:test";
import { addedAt } from "../../bench/statistics/added.ts";
import { bootstrapInterval, INTERVAL_ROUNDS_MIN, medianInterval } from "../../bench/statistics/bootstrap.ts";
import { carries, percentileOrNull, samplesNeeded } from "../../bench/statistics/distribution.ts";
import { ratioOfPairs } from "../../bench/statistics/ratio.ts";
import { median, spreadOf } from "../../bench/statistics/spread.ts";
import { distribution } from "./support/distributions.ts";

test("the median of an odd and of an even count", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
});

test("quartiles hold the middle half", () => {
  assert.deepEqual(spreadOf([5, 1, 4, 2, 3]), { median: 3, min: 1, max: 5, q1: 2, q3: 4, count: 5 });
});

test("nothing measured is not a number, never 0", () => {
  assert.ok(Number.isNaN(spreadOf([]).median));
});

test("a percentile needs five samples above it", () => {
  assert.deepEqual([50, 90, 99, 99.9, 99.99].map(samplesNeeded), [10, 50, 500, 5_000, 50_000]);
  assert.ok(carries(50_000, 99.99));
  assert.ok(!carries(49_999, 99.99));
});

test("a percentile that the samples cannot carry is not told", () => {
  const few = distribution(Array.from({ length: 499 }, (_, i) => i + 1));
  assert.equal(percentileOrNull(few, 90), 450);
  assert.equal(percentileOrNull(few, 99), null);
});

test("fewer than five rounds have no interval, and none is made up", () => {
  assert.equal(medianInterval([1, 2, 3, 4]), null);
  assert.notEqual(medianInterval([1, 2, 3, 4, 5]), null);
  assert.equal(INTERVAL_ROUNDS_MIN, 5);
});

test("a statistic that is no number has no interval", () => {
  assert.equal(
    bootstrapInterval(9, () => Number.NaN),
    null,
  );
});

test("the ratio of pairs is the median of the pairs' ratios, not the ratio of the medians", () => {
  // The machine was four times slower in the third pair: both were.
  const pairs = [
    { value: 20, reference: 10 },
    { value: 22, reference: 11 },
    { value: 80, reference: 40 },
  ];
  assert.deepEqual(ratioOfPairs(pairs), { median: 2, q1: 2, q3: 2, interval: null, pairs: 3 });
});

test("a pair without a figure below the line does not count", () => {
  assert.equal(ratioOfPairs([{ value: 3, reference: 0 }]), null);
  assert.equal(ratioOfPairs([]), null);
});

test("what is added is taken round by round where a round has the samples, else from all rounds together", () => {
  const direct = distribution(Array.from({ length: 100 }, (_, i) => i + 1));
  const through = distribution(Array.from({ length: 100 }, (_, i) => i + 31));
  const pairs = Array.from({ length: 6 }, () => ({ through, direct }));
  assert.deepEqual(addedAt(pairs, 50), { percentile: 50, us: 30, interval: { low: 30, high: 30 }, method: "rounds" });
  assert.deepEqual(addedAt(pairs, 99), { percentile: 99, us: 30, interval: { low: 30, high: 30 }, method: "merged" });
  assert.deepEqual(addedAt(pairs, 99.9), { percentile: 99.9, us: null, interval: null, method: "merged" });
});

test("one disturbed round of nine does not move what is added", () => {
  const direct = distribution(Array.from({ length: 1000 }, () => 100));
  const through = distribution(Array.from({ length: 1000 }, () => 150));
  const disturbed = distribution(Array.from({ length: 1000 }, () => 900));
  const pairs = Array.from({ length: 9 }, (_, i) => ({ through: i === 4 ? disturbed : through, direct }));
  assert.equal(addedAt(pairs, 99).us, 50);
});

test("nothing measured adds nothing that could be told", () => {
  assert.equal(addedAt([], 50).us, null);
});
