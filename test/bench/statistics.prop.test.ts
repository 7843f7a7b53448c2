// Properties of the statistics: percentiles against sorted samples, merging, and what an interval has to satisfy.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { addedAt } from "../../bench/statistics/added.ts";
import { bootstrapInterval, medianInterval } from "../../bench/statistics/bootstrap.ts";
import {
  type Distribution,
  PERCENTILES,
  decodeDistribution,
  mergeDistributions,
  percentileOrNull,
  samplesNeeded,
  valueAtPercentile,
} from "../../bench/statistics/distribution.ts";
import { median, spreadOf } from "../../bench/statistics/spread.ts";
import { HdrLatency, summarise } from "../../src/core/telemetry/hdr.ts";
import { distribution, encodedHistogram } from "./support/distributions.ts";

/** Three digits keep these exactly. */
const exact = fc.array(fc.integer({ min: 0, max: 2000 }), { minLength: 1, maxLength: 3000 });
const wide = fc.array(fc.integer({ min: 0, max: 60_000_000 }), { minLength: 1, maxLength: 300 });
const figures = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 5, maxLength: 20 });

test("a percentile is the sample at its rank", () => {
  fc.assert(
    fc.property(exact, fc.constantFrom(...PERCENTILES), (samples, percentile) => {
      const sorted = [...samples].sort((a, b) => a - b);
      const rank = Math.max(1, Math.ceil((Math.round(percentile * 100) * samples.length) / 10_000));
      assert.equal(valueAtPercentile(distribution(samples), percentile), sorted[rank - 1]);
    }),
  );
});

test("percentiles agree with those that the proxy itself reports", () => {
  fc.assert(
    fc.property(wide, (samples) => {
      const histogram = new HdrLatency(3);
      for (const sample of samples) histogram.record(sample);
      const { p50, p99, p999 } = summarise(3, histogram.snapshot().counts);
      const ours = distribution(samples);
      assert.deepEqual(
        [50, 99, 99.9].map((percentile) => valueAtPercentile(ours, percentile)),
        [p50, p99, p999],
      );
    }),
  );
});

test("what was encoded is read back cell by cell", () => {
  fc.assert(
    fc.property(wide, (samples) => {
      const maxUs = Math.max(...samples);
      assert.deepEqual(decodeDistribution(encodedHistogram(samples), maxUs), distribution(samples));
    }),
    { numRuns: 30 },
  );
});

test("merging is recording everything into one", () => {
  fc.assert(
    fc.property(fc.array(wide, { maxLength: 5 }), (rounds) => {
      assert.deepEqual(mergeDistributions(rounds.map(distribution)), distribution(rounds.flat()));
    }),
  );
});

test("a percentile that is told stays told when samples come in, and its need grows with it", () => {
  fc.assert(
    fc.property(exact, exact, fc.constantFrom(...PERCENTILES), (few, more, percentile) => {
      if (percentileOrNull(distribution(few), percentile) === null) assert.ok(few.length < samplesNeeded(percentile));
      else assert.notEqual(percentileOrNull(distribution([...few, ...more]), percentile), null);
    }),
  );
  const needs = PERCENTILES.map(samplesNeeded);
  assert.deepEqual(
    needs,
    [...needs].sort((a, b) => a - b),
  );
});

test("an interval of a median lies within the figures, holds the median, and is the same each time", () => {
  fc.assert(
    fc.property(figures, (values) => {
      const interval = medianInterval(values)!;
      const { min, max } = spreadOf(values);
      assert.ok(min <= interval.low && interval.low <= median(values));
      assert.ok(median(values) <= interval.high && interval.high <= max);
      assert.deepEqual(medianInterval(values), interval);
    }),
    { numRuns: 50 },
  );
});

test("an interval moves and stretches with its figures", () => {
  const whole = fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 5, maxLength: 15 });
  fc.assert(
    fc.property(whole, fc.integer({ min: -1000, max: 1000 }), fc.integer({ min: 1, max: 50 }), (values, shift, factor) => {
      const before = medianInterval(values)!;
      const after = medianInterval(values.map((value) => value * factor + shift))!;
      assert.deepEqual(after, { low: before.low * factor + shift, high: before.high * factor + shift });
    }),
    { numRuns: 50 },
  );
});

test("another seed gives nearly the same interval", () => {
  const values = Array.from({ length: 15 }, (_, i) => i);
  const [one, two] = [medianInterval(values, 1)!, medianInterval(values, 2)!];
  assert.ok(Math.abs(one.low - two.low) <= 2 && Math.abs(one.high - two.high) <= 2);
});

test("a resample draws only rounds that there are, each as likely as another", () => {
  const drawn = new Float64Array(7);
  bootstrapInterval(7, (picks) => {
    for (const pick of picks) drawn[pick]! += 1;
    return 0;
  });
  const total = drawn.reduce((sum, count) => sum + count, 0);
  for (const count of drawn) assert.ok(Math.abs(count / total - 1 / 7) < 0.02);
});

test("a proxy that adds a constant is found to add exactly that, at every percentile that can be told", () => {
  const rounds = fc.array(fc.array(fc.integer({ min: 0, max: 900 }), { minLength: 20, maxLength: 200 }), { minLength: 5, maxLength: 9 });
  fc.assert(
    fc.property(rounds, fc.integer({ min: 0, max: 1000 }), fc.constantFrom(...PERCENTILES), (all, constant, percentile) => {
      const pairs = all.map((samples): { through: Distribution; direct: Distribution } => ({
        direct: distribution(samples),
        through: distribution(samples.map((sample) => sample + constant)),
      }));
      const added = addedAt(pairs, percentile);
      const count = all.flat().length;
      if (count < samplesNeeded(percentile)) assert.equal(added.us, null);
      else {
        assert.equal(added.us, constant);
        assert.ok(added.interval !== null);
        if (added.method === "rounds") assert.deepEqual(added.interval, { low: constant, high: constant });
        else assert.ok(added.interval.low <= constant && constant <= added.interval.high);
      }
    }),
    { numRuns: 30 },
  );
});
