import assert from "node:assert/strict";
import { test } from "node:test";
import { formatDuration, remainingMs } from "../../bench/support/progress.ts";

test("the remaining time is the estimate until the clock knows better", () => {
  assert.equal(remainingMs(60_000, 0, 500), 60_000);
  assert.equal(remainingMs(60_000, 10_000, 20_000), 100_000);
  assert.equal(remainingMs(60_000, 70_000, 20_000), 0);
});

test("durations are read by people", () => {
  assert.equal(formatDuration(45_400), "45 s");
  assert.equal(formatDuration(80_000), "1 min 20 s");
  assert.equal(formatDuration(1_500_000), "25 min");
});
