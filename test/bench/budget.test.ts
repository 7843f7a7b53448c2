// The verdict on the latency budget, from made-up rounds: what is kept, broken, or cannot be told, and the reason that is given.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type BudgetPair, type BudgetRound, judgeBudget, noiseOf } from "../../bench/budget/verdict.ts";
import { parseBudgetOptions } from "../../bench/budget.ts";
import { othersShare, stolenShare } from "../../bench/support/machine.ts";
import { createRandom } from "../../src/core/util/random.ts";
import { distribution } from "./support/distributions.ts";

const BUDGET_US = 1000;
const random = createRandom(7);

/** 1000 requests of about so many microseconds, one in 50 a tail that is so much longer. */
function round(us: number, tailUs: number, other: Partial<BudgetRound> = {}): BudgetRound {
  const samples = Array.from({ length: 1000 }, (_, i) => Math.round(us + 20 * random() + (i % 50 === 0 ? tailUs : 0)));
  return { latency: distribution(samples), latenessP99Us: 20, sent: 1000, errors: 0, othersShare: 0.05, stealShare: 0, ...other };
}

function pairs(count: number, make: (index: number) => BudgetPair): BudgetPair[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

const kept = (): BudgetPair => ({ direct: round(80, 50), through: round(180, 200) });

test("a proxy that adds a tenth of the budget keeps it", () => {
  const verdict = judgeBudget(pairs(7, kept), BUDGET_US);
  assert.equal(verdict.code, 0);
  assert.match(
    verdict.sentence,
    /^the budget of 1\.000 ms is kept: the proxy adds 0\.1\d\d ms at p50 \(95 % interval .+\) and 0\.2\d\d ms at p99/,
  );
  assert.deepEqual([verdict.quietPairs, verdict.pairs], [7, 7]);
});

test("a proxy that adds two milliseconds breaks it", () => {
  const verdict = judgeBudget(
    pairs(7, () => ({ direct: round(80, 50), through: round(2200, 200) })),
    BUDGET_US,
  );
  assert.equal(verdict.code, 1);
  assert.match(verdict.sentence, /is broken: the proxy adds 2\.\d\d\d ms at p50 .+ and 2\.\d\d\d ms at p99/);
});

test("a tail alone breaks it, and only the tail is named", () => {
  const verdict = judgeBudget(
    pairs(7, () => ({ direct: round(80, 50), through: round(180, 3000) })),
    BUDGET_US,
  );
  assert.equal(verdict.code, 1);
  assert.match(verdict.sentence, /adds 3\.\d\d\d ms at p99/);
  assert.doesNotMatch(verdict.sentence, /p50/);
});

test("pairs that disagree about which side of the budget they are on tell nothing", () => {
  const verdict = judgeBudget(
    pairs(8, (i) => ({ direct: round(80, 50), through: round(180, i % 2 === 0 ? 200 : 2500) })),
    BUDGET_US,
  );
  assert.equal(verdict.code, 2);
  assert.match(verdict.sentence, /^cannot tell: the proxy adds .+ at p99 .+, and the budget of 1\.000 ms lies within that interval$/);
});

test("pairs that are all over the budget, but by a little and by a lot, tell nothing", () => {
  const verdict = judgeBudget(
    pairs(7, (i) => ({ direct: round(80, 50), through: round(180, [1_500, 1_500, 4_000, 4_000, 4_000, 27_000, 27_000][i]!) })),
    BUDGET_US,
  );
  assert.equal(verdict.code, 2);
  assert.match(verdict.sentence, /^cannot tell: the proxy adds .+ at p99 .+, and pairs of rounds that differ so much tell nothing$/);
  assert.match(verdict.sentence, /interval 1\.\d+ ms to 27\.\d ms/);
});

for (const [what, noise, expected] of [
  ["other programs", { othersShare: 0.6 }, /other programs took 60 % of the processors/],
  ["other virtual machines", { stealShare: 0.1 }, /other virtual machines took 10 % of the processors/],
  ["a late generator", { latenessP99Us: 700 }, /the load generator itself was 0\.700 ms late at p99 with no proxy running/],
] as const) {
  test(`${what}: no verdict, whatever was found, and the reason is said`, () => {
    for (const us of [180, 2200]) {
      const verdict = judgeBudget(
        pairs(9, () => ({ direct: round(80, 50, noise), through: round(us, 50) })),
        BUDGET_US,
      );
      assert.equal(verdict.code, 2);
      assert.match(
        verdict.sentence,
        /^cannot tell, the machine is too noisy: .+; only 0 of 9 pairs of rounds were quiet, and 5 are needed$/,
      );
      assert.match(verdict.sentence, expected);
    }
  });
}

test("a slow direct target: no verdict", () => {
  const verdict = judgeBudget(
    pairs(9, () => ({ direct: round(80, 800), through: round(180, 800) })),
    BUDGET_US,
  );
  assert.equal(verdict.code, 2);
  assert.match(verdict.sentence, /without any proxy p99 was already 0\.8\d\d ms \(at most 0\.500 ms may be/);
});

test("noisy pairs among enough quiet ones do not count", () => {
  const noisy = (): BudgetPair => ({ direct: round(80, 50), through: round(5000, 50, { othersShare: 0.9 }) });
  const verdict = judgeBudget([...pairs(4, noisy), ...pairs(6, kept)], BUDGET_US);
  assert.deepEqual([verdict.code, verdict.quietPairs, verdict.pairs], [0, 6, 10]);
});

test("a proxy that keeps the generator from its work is slow, the machine is not noisy", () => {
  const pair = { direct: round(80, 50), through: round(2200, 500, { latenessP99Us: 2000 }) };
  assert.deepEqual(noiseOf(pair, BUDGET_US), []);
  assert.equal(
    judgeBudget(
      pairs(7, () => pair),
      BUDGET_US,
    ).code,
    1,
  );
});

test("a generator that is late while other programs run beside the proxy is no fault of the proxy", () => {
  const pair = { direct: round(80, 50), through: round(2200, 500, { latenessP99Us: 2000, othersShare: 0.12 }) };
  assert.match(noiseOf(pair, BUDGET_US)[0]!.sentence, /the load generator was 2\.000 ms late at p99 .+ while other programs took 12 %/);
  const undisturbed = { ...pair, through: { ...pair.through, latenessP99Us: 100 } };
  assert.deepEqual(noiseOf(undisturbed, BUDGET_US), []);
});

test("requests that fail through the proxy break the budget; those that fail without it tell nothing", () => {
  const broken = judgeBudget([...pairs(7, kept), { direct: round(80, 50), through: round(180, 50, { errors: 3 }) }], BUDGET_US);
  assert.equal(broken.code, 1);
  assert.match(broken.sentence, /^3 of 8000 requests failed through the proxy, and none without it$/);
  const unknown = judgeBudget([...pairs(7, kept), { direct: round(80, 50, { errors: 1 }), through: round(180, 50) }], BUDGET_US);
  assert.equal(unknown.code, 2);
});

test("too few requests for p99 tell nothing", () => {
  const few = (us: number): BudgetRound => ({ ...round(us, 50), latency: distribution(Array.from({ length: 60 }, () => us)) });
  const verdict = judgeBudget(
    pairs(7, () => ({ direct: few(80), through: few(180) })),
    BUDGET_US,
  );
  assert.equal(verdict.code, 2);
  assert.match(verdict.sentence, /too few requests for p99/);
});

test("nothing measured is no verdict", () => {
  assert.equal(judgeBudget([], BUDGET_US).code, 2);
});

test("what the hypervisor gave away is a share of all cores' time", () => {
  const reading = { total: 0, programs: 0, stolen: 0, ours: 0, ended: 0 };
  assert.equal(stolenShare(reading, { ...reading, total: 2e6, programs: 9e5, stolen: 5e5 }), 0.25);
  assert.equal(othersShare(reading, { ...reading, total: 2e6, programs: 9e5, stolen: 5e5, ours: 1e5 }), 0.4);
  assert.equal(stolenShare(reading, reading), null);
});

test("options that make no sense are refused by name", () => {
  assert.equal(parseBudgetOptions(["--budget", "--budget-ms", "0.5"]).budgetUs, 500);
  for (const args of [
    ["--budget-ms", "0"],
    ["--budget-ms", "much"],
    ["--rate", "1.5"],
    ["--pairs", "4"],
    ["--output", "html"],
  ]) {
    assert.throws(() => parseBudgetOptions(["--budget", ...args]), { message: new RegExp(args[0]!) });
  }
  assert.throws(() => parseBudgetOptions(["--budget", "--wrong"]), /--wrong/);
});
