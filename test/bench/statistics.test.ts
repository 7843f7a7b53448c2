import assert from "node:assert/strict";
import { test } from "node:test";
import { median, spreadOf } from "../../bench/support/statistics.ts";

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
