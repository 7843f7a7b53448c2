import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createRandom, randomIndex } from "../../../src/core/util/random.ts";

describe("random", () => {
  it("gives the same sequence for the same seed", () => {
    const a = createRandom(42);
    const b = createRandom(42);
    for (let i = 0; i < 1000; i++) assert.equal(a(), b());
  });

  it("gives unrelated sequences for neighbouring seeds", () => {
    const seen = new Set<number>();
    for (let seed = 0; seed < 1000; seed++) seen.add(createRandom(seed)());
    assert.ok(seen.size > 995, `${seen.size} different first numbers of 1000`);
  });

  it("takes any number as a seed", () => {
    for (const seed of [0, -1, 0.5, 2 ** 32, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY]) {
      const random = createRandom(seed);
      const drawn = new Set(Array.from({ length: 100 }, random));
      assert.ok(drawn.size > 95, `seed ${seed} gives ${drawn.size} different numbers of 100`);
    }
  });

  it("stays in [0, 1) and is uniform over 16 buckets", () => {
    const random = createRandom(7);
    const buckets = new Array<number>(16).fill(0);
    const draws = 160_000;
    for (let i = 0; i < draws; i++) {
      const value = random();
      assert.ok(value >= 0 && value < 1);
      buckets[Math.floor(value * 16)]!++;
    }
    // 10,000 expected each, standard deviation 97: five of them.
    for (const count of buckets) assert.ok(Math.abs(count - 10_000) < 485, `bucket of ${count}`);
  });

  it("draws pairs without correlation", () => {
    const random = createRandom(11);
    const cells = new Array<number>(64).fill(0);
    for (let i = 0; i < 64_000; i++) cells[randomIndex(random, 8) * 8 + randomIndex(random, 8)]!++;
    // 1000 expected each, standard deviation 31.
    for (const count of cells) assert.ok(Math.abs(count - 1000) < 160, `cell of ${count}`);
  });

  it("gives indices below the count", () => {
    const random = createRandom(3);
    for (const count of [1, 2, 3, 5000]) {
      for (let i = 0; i < 1000; i++) {
        const index = randomIndex(random, count);
        assert.ok(Number.isInteger(index) && index >= 0 && index < count);
      }
    }
    assert.equal(
      randomIndex(() => 1 - 2 ** -32, 3),
      2,
    );
  });
});
