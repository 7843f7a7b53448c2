import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { PeakEwma } from "../../../src/core/balance/ewma.ts";

const rtt = fc.double({ min: 0, max: 1e7, noNaN: true });
const gap = fc.double({ min: 0, max: 1e6, noNaN: true });
const samples = fc.array(fc.tuple(rtt, gap), { minLength: 1, maxLength: 200, size: "max" });

describe("PeakEwma, properties", () => {
  it("stays between 0 and the largest latency ever seen", () => {
    fc.assert(
      fc.property(samples, fc.double({ min: 1, max: 1e5, noNaN: true }), (list, decay) => {
        const ewma = new PeakEwma(decay, 30, 0);
        let now = 0;
        let largest = 30;
        for (const [value, wait] of list) {
          now += wait;
          ewma.observe(value, now);
          largest = Math.max(largest, value);
          const estimate = ewma.estimate(now);
          assert.ok(estimate >= 0 && estimate <= largest * (1 + 1e-12), `${estimate} of ${largest}`);
        }
      }),
    );
  });

  it("is never below the sample that it has just taken", () => {
    fc.assert(
      fc.property(samples, (list) => {
        const ewma = new PeakEwma(10_000, 30, 0);
        let now = 0;
        for (const [value, wait] of list) {
          now += wait;
          ewma.observe(value, now);
          assert.ok(ewma.estimate(now) >= value * (1 - 1e-12));
        }
      }),
    );
  });

  it("never rises between samples", () => {
    fc.assert(
      fc.property(samples, fc.array(gap, { minLength: 2, maxLength: 50 }), (list, waits) => {
        const ewma = new PeakEwma(10_000, 30, 0);
        let now = 0;
        for (const [value, wait] of list) {
          now += wait;
          ewma.observe(value, now);
        }
        let last = ewma.estimate(now);
        for (const wait of waits) {
          now += wait;
          const next = ewma.estimate(now);
          assert.ok(next <= last);
          last = next;
        }
      }),
    );
  });

  it("does not depend on how often it is read", () => {
    fc.assert(
      fc.property(samples, fc.array(gap, { maxLength: 20 }), (list, reads) => {
        const quiet = new PeakEwma(10_000, 30, 0);
        const read = new PeakEwma(10_000, 30, 0);
        let now = 0;
        for (const [value, wait] of list) {
          now += wait;
          for (const later of reads) read.load(now + later, 2);
          quiet.observe(value, now);
          read.observe(value, now);
        }
        assert.equal(read.estimate(now + 1), quiet.estimate(now + 1));
      }),
    );
  });

  it("survives any numbers at all", () => {
    const any = fc.double();
    fc.assert(
      fc.property(any, any, any, fc.array(fc.tuple(any, any), { maxLength: 50 }), (decay, start, born, list) => {
        const ewma = new PeakEwma(decay, start, born);
        for (const [value, now] of list) {
          ewma.observe(value, now);
          const estimate = ewma.estimate(now);
          assert.ok(Number.isFinite(estimate) && estimate >= 0, `${estimate}`);
        }
      }),
    );
  });
});
