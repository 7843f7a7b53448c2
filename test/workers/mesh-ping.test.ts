// PING on a quiet connection between two proxies: when it is asked, what counts as an answer, and that a late look alone kills nothing.

import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { DEFAULT_LIMITS } from "../../src/config/limits.ts";
import type { H2Session } from "../../src/core/h2/contract.ts";
import { MeshPing } from "../../src/workers/mesh-ping.ts";

const LIMITS = { ...DEFAULT_LIMITS, meshPingIntervalMs: 10_000, meshPingTimeoutMs: 3_000 };
const START = 5_000;

describe("PING between two proxies", () => {
  let pings: number;
  let ping: MeshPing;
  const isDead = (now: number): boolean => ping.isDead(START + now, LIMITS);
  beforeEach(() => {
    pings = 0;
    ping = new MeshPing({ ping: () => void pings++ } as unknown as H2Session, START);
  });

  it("is sent when nothing came for the interval, and once", () => {
    assert.equal(isDead(9_999), false);
    assert.equal(pings, 0);
    for (const now of [10_000, 10_200, 12_999]) assert.equal(isDead(now), false);
    assert.equal(pings, 1);
  });

  it("is answered by whatever comes, and asked again after another interval", () => {
    assert.equal(isDead(10_000), false);
    ping.heard(START + 12_900);
    for (const now of [13_000, 20_000, 22_899]) assert.equal(isDead(now), false);
    assert.equal(pings, 1);
    assert.equal(isDead(22_900), false);
    assert.equal(pings, 2);
  });

  it("without an answer in time the peer is dead, at the second look", () => {
    assert.equal(isDead(10_000), false);
    assert.equal(isDead(13_000), false);
    assert.equal(isDead(13_200), true);
  });

  it("a proxy that stood still for an hour reads what came meanwhile before it believes its clock", () => {
    assert.equal(isDead(10_000), false);
    assert.equal(isDead(3_600_000), false);
    ping.heard(START + 3_600_001);
    assert.equal(isDead(3_600_200), false);
    assert.equal(isDead(3_610_000), false);
    assert.equal(pings, 1);
  });

  it("connections that are heard all the time are never asked", () => {
    for (let now = 0; now < 100_000; now += 200) {
      ping.heard(START + now);
      assert.equal(isDead(now), false);
    }
    assert.equal(pings, 0);
  });
});
