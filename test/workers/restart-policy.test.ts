import assert from "node:assert/strict";
import { test } from "node:test";
import { RestartPolicy } from "../../src/workers/restart-policy.ts";

test("single crashes are repaired at once", () => {
  const policy = new RestartPolicy();
  for (let crash = 0; crash < 5; crash++) assert.deepEqual(policy.crashed(crash * 1000), { crashes: crash + 1, delayMs: 0 });
});

test("a worker that goes on crashing waits twice as long each time, 30 s at most", () => {
  const policy = new RestartPolicy();
  const delays = Array.from({ length: 14 }, (_, crash) => policy.crashed(crash).delayMs);
  assert.deepEqual(delays, [0, 0, 0, 0, 0, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
});

test("a minute without a crash forgets those before it", () => {
  const policy = new RestartPolicy();
  for (let crash = 0; crash < 8; crash++) policy.crashed(crash);
  assert.deepEqual(policy.crashed(70_000), { crashes: 1, delayMs: 0 });
});
