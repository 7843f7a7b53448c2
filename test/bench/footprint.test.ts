// What the memory run says about growth: a full heap that breathes is none, a small leak is, and a short run says nothing.

import assert from "node:assert/strict";
import { test } from "node:test";
import { footprintVerdicts, growthOf } from "../../bench/footprint.ts";

/** Ten minutes of laps. */
const LAPS = 90;
const FULL_KB = 48_000;
/** Opened and closed in a lap. */
const CONNECTIONS = 2_000;

function lapsKb(leakBytesPerConnection: number): number[] {
  return Array.from({ length: LAPS }, (_, lap) => {
    const filling = Math.min(1, 0.8 + lap / 50);
    // Garbage between two collections: up to 4 MB, in a rhythm of its own.
    const garbage = (lap % 7) * 600;
    return FULL_KB * filling + garbage + (lap * CONNECTIONS * leakBytesPerConnection) / 1024;
  });
}

function verdictOf(laps: readonly number[], minutes: number): { state: string; reason: string | null } {
  const growth = growthOf("weft, 1 worker", laps, minutes);
  const [verdict] = footprintVerdicts({ weftReadyMs: [], subjects: [], growth });
  assert.equal(verdict?.id, "memory/growth");
  return { state: verdict.state, reason: verdict.reason };
}

test("a heap that fills in the first quarter and breathes afterwards has not grown", () => {
  assert.match(verdictOf(lapsKb(0), 10).state, /^(goal|met)$/);
});

test("a connection that leaves 40 bytes behind is growth", () => {
  assert.equal(verdictOf(lapsKb(40), 10).state, "missed");
});

test("a run of one minute says nothing, and says what to do", () => {
  const { state, reason } = verdictOf(lapsKb(0), 1);
  assert.equal(state, "unknown");
  assert.match(reason!, /--minutes 10/);
});
