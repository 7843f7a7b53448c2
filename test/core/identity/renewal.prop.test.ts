// When a certificate is renewed and retried: for every life, every chance and every clock.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { countLife, isPerhapsValid, renewalDelayMs, retryDelayMs } from "../../../src/core/identity/renewal.ts";

const DAY_MS = 86_400_000;
const chance = fc.double({ min: 0, max: 1, noNaN: true });
const lifeMs = fc.integer({ min: 1_000, max: 400 * DAY_MS });
const NOW = 1_795_000_000_000;
const MONOTONIC = 5_000;

test("a certificate is renewed between 0.6 and 0.7 of its life", () => {
  fc.assert(
    fc.property(lifeMs, chance, (length, where) => {
      const life = countLife(NOW, NOW + length, NOW, MONOTONIC, where);
      const delay = renewalDelayMs(life, NOW, MONOTONIC);
      assert.ok(delay >= length * 0.6 - 1 && delay <= length * 0.7 + 1, `${delay} of ${length}`);
      assert.equal(renewalDelayMs(life, NOW + delay, MONOTONIC + delay), 0);
    }),
  );
});

test("one that was kept over a restart is renewed when the same part of its life is over", () => {
  fc.assert(
    fc.property(lifeMs, chance, fc.double({ min: 0, max: 1.5, noNaN: true }), (length, where, used) => {
      const now = NOW + length * used;
      const fresh = renewalDelayMs(countLife(NOW, NOW + length, NOW, 0, where), NOW, 0);
      const delay = renewalDelayMs(countLife(NOW, NOW + length, now, MONOTONIC, where), now, MONOTONIC);
      assert.ok(Math.abs(delay - Math.max(0, fresh - length * used)) < 1, `${delay}`);
    }),
  );
});

test("a wall clock that jumps never delays a renewal, and brings it forward only when it says that it is time, or not yet the certificate's", () => {
  fc.assert(
    fc.property(lifeMs, chance, fc.integer({ min: -2 * DAY_MS, max: 2 * DAY_MS }), chance, (length, where, jump, part) => {
      const life = countLife(NOW, NOW + length, NOW, MONOTONIC, where);
      const gone = part * length * 0.6;
      const steady = renewalDelayMs(life, NOW + gone, MONOTONIC + gone);
      const jumped = renewalDelayMs(life, NOW + gone + jump, MONOTONIC + gone);
      assert.ok(jumped <= steady + 0.01);
      if (gone + jump < -60_000) assert.equal(jumped, 0);
      else if (jump <= 0) assert.ok(Math.abs(jumped - steady) < 0.01);
      else assert.ok(Math.abs(jumped - Math.max(0, steady - jump)) < 1);
    }),
  );
});

test("it is offered as proof as long as either clock says that it may be good", () => {
  const life = countLife(NOW, NOW + DAY_MS, NOW, MONOTONIC, 0.5);
  assert.ok(isPerhapsValid(life, NOW + DAY_MS - 1, MONOTONIC + DAY_MS));
  assert.ok(isPerhapsValid(life, NOW + 3 * DAY_MS, MONOTONIC + 1));
  assert.ok(!isPerhapsValid(life, NOW + DAY_MS, MONOTONIC + DAY_MS));
});

test("waits grow to a maximum, and differ by a quarter at most", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000 }), fc.option(lifeMs), chance, (failures, length, where) => {
      const delay = retryDelayMs(failures, length, where);
      const middle = retryDelayMs(failures, length, 0.5);
      assert.ok(delay >= Math.floor(middle * 0.75) && delay <= Math.ceil(middle * 1.25));
      assert.ok(middle <= retryDelayMs(failures + 1, length, 0.5));
      if (length !== null) assert.ok(middle >= 200 && middle <= Math.max(200, length / 12) + 1 && middle <= 300_000);
      else assert.ok(middle >= 250 && middle <= 10_000);
    }),
  );
});

test("a certificate of a day is asked for again after 10 s, one of 12 s after a fraction of a second", () => {
  assert.equal(retryDelayMs(1, DAY_MS, 0.5), 10_000);
  assert.equal(retryDelayMs(100, DAY_MS, 0.5), 300_000);
  assert.equal(retryDelayMs(1, 12_000, 0.5), 200);
  assert.equal(retryDelayMs(100, 12_000, 0.5), 1_000);
});
