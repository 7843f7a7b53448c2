// Destinations that are nobody's: bounded, the least lately used forgotten first, brought back by their key.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { WorkerService } from "../../src/config/snapshot.ts";
import type { Service } from "../../src/workers/service.ts";
import { hasOwnLabels, isStraightKey, StraightServices, straightKey } from "../../src/workers/straight-services.ts";
import type { WorkerLoop } from "../../src/workers/worker-loop.ts";

interface Made {
  readonly config: WorkerService;
  isRemoved: boolean;
}

function table(): { services: StraightServices; made: Made[] } {
  const made: Made[] = [];
  const loop = { now: 0, run: (f: () => void) => f() } as unknown as WorkerLoop;
  const services = new StraightServices(loop, (config) => {
    const one: Made = { config, isRemoved: false };
    made.push(one);
    return { assigned: 0, config, remove: () => (one.isRemoved = true) } as unknown as Service;
  });
  return { services, made };
}

const key = (i: number) => straightKey("outbound", `10.0.${i >> 8}.${i & 255}`, 80);

describe("keys of straight services", () => {
  it("hold direction, address and port, and are no keys of configured services", () => {
    assert.equal(straightKey("outbound", "10.0.0.1", 80), "straight/10.0.0.1:80");
    assert.equal(straightKey("inbound", "fd00::1", 8080), "inbound/[fd00::1]:8080");
    for (const straight of ["straight/10.0.0.1:80", "inbound/10.0.0.1:8080", "inbound/[fd00::1]:8080"]) assert.ok(isStraightKey(straight));
    for (const other of ["shop/web", "inbound/8080", "forward/web:80"]) assert.ok(!isStraightKey(other), other);
  });
});

describe("straight services", () => {
  it("are made once for each destination, with its address as the one endpoint", () => {
    const { services, made } = table();
    services.use(key(1));
    assert.equal(services.get(key(1)), services.get(key(1)));
    assert.deepEqual(
      made.map(({ config }) => [config.key, config.name, config.endpoints]),
      [["straight/10.0.0.1:80", "10.0.0.1:80", ["10.0.0.1:80"]]],
    );
    assert.equal(services.get("shop/web"), null);
    assert.equal(made.length, 1);
    services.clear();
  });

  it("are 1024 at most: the one that was used least lately makes room, and comes back when it is asked for", () => {
    const { services, made } = table();
    for (let i = 0; i < 1024; i++) services.use(key(i));
    services.use(key(0));
    services.use(key(5000));
    assert.equal(services.services().length, 1024);
    assert.deepEqual(
      made.filter(({ isRemoved }) => isRemoved).map(({ config }) => config.key),
      [key(1)],
    );
    assert.notEqual(services.get(key(1)), null);
    assert.equal(services.services().length, 1024);
    services.clear();
    assert.ok(made.every(({ isRemoved }) => isRemoved));
    assert.equal(services.services().length, 0);
  });

  it("have metrics of their own up to the 128th; the rest counts together", () => {
    const { services, made } = table();
    for (let i = 0; i < 130; i++) services.use(key(i));
    services.clear();
    services.use(key(3));
    services.use(key(129));
    services.clear();
    assert.deepEqual(
      made.map(({ config }) => hasOwnLabels(config)),
      [...Array<boolean>(128).fill(true), false, false, true, false],
    );
    assert.equal(made[128]?.config.name, "other");
  });
});
