// Our index arithmetic is the library's: any value, recorded both ways, gives the same counts.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import float64 from "hdr-histogram-js/dist/Float64Histogram.js";
import { countsLength, type HdrDigits, HdrLatency, LATENCY_US_MAX, summarise } from "../../../src/core/telemetry/hdr.ts";

/** Values of every magnitude, not only large ones. */
const microseconds = fc
  .tuple(fc.integer({ min: 0, max: LATENCY_US_MAX }), fc.integer({ min: 0, max: 25 }))
  .map(([value, shift]) => value >>> shift);

for (const digits of [2, 3] as const satisfies HdrDigits[]) {
  test(`record counts where the library's recordValue counts (${digits} digits)`, () => {
    fc.assert(
      fc.property(fc.array(microseconds, { minLength: 1, maxLength: 500 }), (values) => {
        const library = new float64.default(1, LATENCY_US_MAX, digits);
        const ours = new HdrLatency(digits);
        for (const value of values) {
          library.recordValue(value);
          ours.record(value);
        }
        assert.deepEqual(ours.snapshot().counts, library._counts);
      }),
      { numRuns: 150 },
    );
  });

  test(`percentiles are the library's (${digits} digits)`, () => {
    fc.assert(
      fc.property(fc.array(microseconds, { minLength: 1, maxLength: 500 }), (values) => {
        const library = new float64.default(1, LATENCY_US_MAX, digits);
        for (const value of values) library.recordValue(value);
        assert.deepEqual(summarise(digits, library._counts as Float64Array), {
          count: values.length,
          p50: library.getValueAtPercentile(50),
          p95: library.getValueAtPercentile(95),
          p99: library.getValueAtPercentile(99),
          p999: library.getValueAtPercentile(99.9),
          max: library.getValueAtPercentile(100),
        });
      }),
      { numRuns: 150 },
    );
  });

  test(`every power of two and its neighbours count where the library counts (${digits} digits)`, () => {
    const library = new float64.default(1, LATENCY_US_MAX, digits);
    const ours = new HdrLatency(digits);
    for (let power = 0; power < 26; power += 1) {
      for (const value of [2 ** power - 1, 2 ** power, 2 ** power + 1, LATENCY_US_MAX]) {
        if (value > LATENCY_US_MAX) continue;
        library.recordValue(value);
        ours.record(value);
      }
    }
    assert.equal(library.countsArrayLength, countsLength(digits));
    assert.deepEqual(ours.snapshot().counts, library._counts);
  });
}
