import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PeakEwma } from "../../../src/core/balance/ewma.ts";

const DECAY = 10_000;

function close(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) <= 1e-9 * Math.max(1, Math.abs(expected)), `${actual} is not ${expected}`);
}

describe("PeakEwma", () => {
  it("starts at the default round trip", () => {
    assert.equal(new PeakEwma(DECAY, 30, 1000).estimate(1000), 30);
  });

  it("decays the assumed round trip from the endpoint's beginning", () => {
    close(new PeakEwma(DECAY, 30, 1000).estimate(1000 + DECAY), 30 / Math.E);
  });

  it("jumps to a peak at once", () => {
    const ewma = new PeakEwma(DECAY, 30, 0);
    ewma.observe(500, 1);
    assert.equal(ewma.estimate(1), 500);
  });

  it("averages a lower sample by its age", () => {
    const ewma = new PeakEwma(DECAY, 30, 0);
    ewma.observe(500, 0);
    ewma.observe(100, 5000);
    const weight = Math.exp(-0.5);
    close(ewma.estimate(5000), 500 * weight + 100 * (1 - weight));
  });

  it("takes a sample above the decayed estimate as a peak, though it is below the stored one", () => {
    const ewma = new PeakEwma(DECAY, 30, 0);
    ewma.observe(500, 0);
    ewma.observe(300, DECAY);
    assert.equal(ewma.estimate(DECAY), 300);
  });

  it("comes down slowly: a fast sample soon after a peak hardly counts", () => {
    const ewma = new PeakEwma(DECAY, 30, 0);
    ewma.observe(1000, 0);
    ewma.observe(1, 10);
    assert.ok(ewma.estimate(10) > 998);
  });

  it("converges to a steady latency", () => {
    const ewma = new PeakEwma(DECAY, 30, 0);
    for (let now = 10; now <= 20 * DECAY; now += 10) ewma.observe(4, now);
    close(Math.round(ewma.estimate(20 * DECAY) * 1e6) / 1e6, 4);
  });

  it("decays towards 0 without samples", () => {
    const ewma = new PeakEwma(DECAY, 30, 0);
    ewma.observe(100, 0);
    close(ewma.estimate(DECAY), 100 / Math.E);
    close(ewma.estimate(3 * DECAY), 100 / Math.E ** 3);
  });

  it("ignores a stale sample, also a peak", () => {
    const ewma = new PeakEwma(DECAY, 30, 0);
    ewma.observe(50, 1000);
    ewma.observe(9999, 999);
    ewma.observe(1, 500);
    assert.equal(ewma.estimate(1000), 50);
  });

  it("lets only a peak count among samples of one instant", () => {
    const ewma = new PeakEwma(DECAY, 30, 0);
    ewma.observe(50, 1000);
    ewma.observe(1, 1000);
    assert.equal(ewma.estimate(1000), 50);
    ewma.observe(70, 1000);
    assert.equal(ewma.estimate(1000), 70);
  });

  it("does not mutate on a read", () => {
    const ewma = new PeakEwma(DECAY, 30, 0);
    ewma.observe(100, 0);
    const before = ewma.estimate(5000);
    ewma.estimate(50_000);
    ewma.load(900_000, 3);
    assert.equal(ewma.estimate(5000), before);
    ewma.observe(1, 5000);
    const weight = Math.exp(-0.5);
    close(ewma.estimate(5000), 100 * weight + (1 - weight));
  });

  it("reads before the newest sample as at the newest sample", () => {
    const ewma = new PeakEwma(DECAY, 30, 0);
    ewma.observe(100, 5000);
    assert.equal(ewma.estimate(1000), 100);
    assert.equal(ewma.estimate(Number.NaN), 100);
  });

  it("stays finite over a large gap", () => {
    const ewma = new PeakEwma(DECAY, 30, 0);
    ewma.observe(100, 0);
    assert.equal(ewma.estimate(Number.MAX_SAFE_INTEGER), 0);
    ewma.observe(5, Number.MAX_SAFE_INTEGER);
    assert.equal(ewma.estimate(Number.MAX_SAFE_INTEGER), 5);
  });

  it("clamps a decay of zero, less, or not a number", () => {
    for (const decay of [0, -5, Number.NaN]) {
      const ewma = new PeakEwma(decay, 30, 0);
      ewma.observe(100, 0);
      close(ewma.estimate(1), 100 / Math.E);
      ewma.observe(1, 0.5);
      assert.ok(Number.isFinite(ewma.estimate(0.5)));
    }
  });

  it("clamps a default round trip below one millisecond", () => {
    for (const rtt of [0, 0.2, -1, Number.NaN]) assert.equal(new PeakEwma(DECAY, rtt, 0).estimate(0), 1);
  });

  it("drops samples that are no latency or have no time", () => {
    const ewma = new PeakEwma(DECAY, 30, 0);
    ewma.observe(40, 10);
    for (const bad of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
      ewma.observe(bad, 20);
      ewma.observe(99, bad);
    }
    ewma.observe(0, Number.NaN);
    assert.equal(ewma.estimate(10), 40);
  });

  it("multiplies the estimate by the requests in flight and the one to come", () => {
    const ewma = new PeakEwma(DECAY, 30, 0);
    assert.equal(ewma.load(0, 0), 30);
    assert.equal(ewma.load(0, 4), 150);
    close(ewma.load(DECAY, 1), 60 / Math.E);
  });

  it("lets requests in flight decide once estimates have vanished", () => {
    const ewma = new PeakEwma(DECAY, 30, 0);
    const late = 1e9;
    assert.equal(ewma.estimate(late), 0);
    assert.ok(ewma.load(late, 5) > ewma.load(late, 1));
  });
});
