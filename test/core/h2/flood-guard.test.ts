import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { H2ConnectionOptions, H2ConnectionOwner, H2Session } from "../../../src/core/h2/contract.ts";
import { Flood, FloodGuard } from "../../../src/core/h2/flood-guard.ts";
import { DEFAULT_H2_LIMITS } from "../../../src/core/h2/limits.ts";

export type Parts = [H2ConnectionOptions, H2ConnectionOwner, H2Session];

/** How many events of a kind pass at one moment. */
function burstAt(guard: FloodGuard, kind: Flood, nowMs: number): number {
  let passed = 0;
  while (!guard.isOver(kind, nowMs)) passed++;
  return passed;
}

describe("the flood guard", () => {
  it("lets two seconds' worth of every kind through at once, and no more", () => {
    const limits = DEFAULT_H2_LIMITS;
    const rates = [
      limits.resetsPerSecondMax,
      limits.faultsPerSecondMax,
      limits.refusalsPerSecondMax,
      limits.settingsPerSecondMax,
      limits.pingsPerSecondMax,
      limits.prioritiesPerSecondMax,
      limits.emptyDataPerSecondMax,
      limits.tinyDataPerSecondMax,
      limits.windowUpdatesPerSecondMax,
      limits.unknownFramesPerSecondMax,
    ];
    const guard = new FloodGuard(limits);
    for (const kind of Object.values(Flood)) {
      assert.equal(burstAt(guard, kind, 5000), 2 * rates[kind]!, guard.reason(kind));
    }
  });

  it("lets the rate through for ever", () => {
    const guard = new FloodGuard({ ...DEFAULT_H2_LIMITS, resetsPerSecondMax: 100 });
    for (let nowMs = 1000; nowMs < 61_000; nowMs += 10) assert.ok(!guard.isOver(Flood.reset, nowMs));
  });

  it("loses no time when events come between two milliseconds", () => {
    const guard = new FloodGuard({ ...DEFAULT_H2_LIMITS, resetsPerSecondMax: 100 });
    for (let i = 0; i < 6000; i++) assert.ok(!guard.isOver(Flood.reset, 1000 + i * 10.3), `event ${i}`);
  });

  it("stops a rate that is too high within seconds", () => {
    const guard = new FloodGuard({ ...DEFAULT_H2_LIMITS, resetsPerSecondMax: 100 });
    let passed = 0;
    for (let nowMs = 1000; !guard.isOver(Flood.reset, nowMs); nowMs += 5) passed++;
    assert.ok(passed >= 390 && passed <= 410, `${passed}: twice the rate fills a bucket of 200 with every other event`);
  });

  it("counts a clock that steps back as no time", () => {
    const guard = new FloodGuard({ ...DEFAULT_H2_LIMITS, resetsPerSecondMax: 10 });
    assert.equal(burstAt(guard, Flood.reset, 10_000), 20);
    assert.ok(guard.isOver(Flood.reset, 1000));
  });

  it("lets streams opened and DATA sent pay for window updates, and streams for priorities", () => {
    const guard = new FloodGuard(DEFAULT_H2_LIMITS);
    for (const kind of [Flood.windowUpdate, Flood.priority, Flood.ping, Flood.fault]) burstAt(guard, kind, 1000);
    guard.opened += 50;
    guard.sent += 50;
    assert.equal(burstAt(guard, Flood.windowUpdate, 1000), 399, "the event that was one too many is paid, too");
    assert.equal(burstAt(guard, Flood.priority, 1000), 99);
    assert.equal(burstAt(guard, Flood.ping, 1000), 0);
    assert.equal(burstAt(guard, Flood.fault, 1000), 0);
  });

  it("lets a fourth of the streams be reset for ever, and stops a rapid reset after 200", () => {
    const patient = new FloodGuard(DEFAULT_H2_LIMITS);
    for (let i = 0; i < 10_000; i++) {
      patient.opened += 4;
      assert.ok(!patient.isOver(Flood.reset, 1000), `reset ${i}`);
    }
    const attacked = new FloodGuard(DEFAULT_H2_LIMITS);
    let started = 0;
    do {
      attacked.opened++;
      started++;
    } while (!attacked.isOver(Flood.reset, 1000));
    assert.ok(started <= 201, `${started} were started`);
  });
});
