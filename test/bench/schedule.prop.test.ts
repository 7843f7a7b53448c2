import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Schedule } from "../../bench/load/schedule.ts";

test("every request of an open-loop schedule is due in its own slot, so the rate is exact and the order is kept", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20_000 }), fc.integer(), fc.integer({ min: 1, max: 5_000 }), (rate, seed, count) => {
      const schedule = new Schedule(rate, seed);
      const slotUs = 1_000_000 / rate;
      for (let i = 0; i < count; i++) {
        const due = schedule.next();
        assert.ok(due >= i * slotUs && due < (i + 1) * slotUs, `request ${i} is due at ${due}`);
      }
    }),
    { numRuns: 50 },
  );
});

test("the same seed gives the same schedule, another seed another one", () => {
  const moments = (seed: number): number[] => {
    const schedule = new Schedule(1000, seed);
    return Array.from({ length: 100 }, () => schedule.next());
  };
  assert.deepEqual(moments(7), moments(7));
  assert.notDeepEqual(moments(7), moments(8));
});

test("the jitter spreads over the whole slot", () => {
  const schedule = new Schedule(1000, 42);
  const offsets = Array.from({ length: 10_000 }, (_, i) => (schedule.next() - i * 1000) / 1000);
  const mean = offsets.reduce((sum, one) => sum + one, 0) / offsets.length;
  assert.ok(Math.abs(mean - 0.5) < 0.02, `mean offset ${mean}`);
  assert.ok(Math.min(...offsets) < 0.01 && Math.max(...offsets) > 0.99);
});
