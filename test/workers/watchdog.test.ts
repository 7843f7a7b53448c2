import assert from "node:assert/strict";
import { test } from "node:test";
import { Watchdog } from "../../src/workers/watchdog.ts";

function looksUntilLost(watchdog: Watchdog, beat: number): number {
  for (let looks = 1; looks <= 100; looks++) if (watchdog.isLost(beat)) return looks;
  return Number.POSITIVE_INFINITY;
}

test("a worker whose heart beats is never lost", () => {
  const watchdog = new Watchdog();
  for (let beat = 1; beat < 100; beat++) assert.equal(watchdog.isLost(beat), false);
});

test("five looks without a beat lose a worker", () => {
  const watchdog = new Watchdog();
  watchdog.isLost(1);
  assert.equal(looksUntilLost(watchdog, 1), 5);
});

test("a beat in time forgives the silence before it", () => {
  const watchdog = new Watchdog();
  watchdog.isLost(1);
  for (let look = 0; look < 4; look++) assert.equal(watchdog.isLost(1), false);
  assert.equal(watchdog.isLost(2), false);
  assert.equal(looksUntilLost(watchdog, 2), 5);
});

test("a worker that has not begun gets twenty looks", () => {
  assert.equal(looksUntilLost(new Watchdog(), 0), 20);
});
