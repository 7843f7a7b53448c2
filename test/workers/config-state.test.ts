import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_LIMITS } from "../../src/config/limits.ts";
import type { ListenerSnapshot, ProxySnapshot, ServiceSnapshot } from "../../src/config/snapshot.ts";
import { ConfigState } from "../../src/workers/config-state.ts";

const LISTENER: ListenerSnapshot = {
  id: "outbound",
  direction: "outbound",
  listen: { host: "127.0.0.1", port: 4140 },
  protocol: "detect",
  service: null,
};

function service(name: string, addresses: readonly string[], dns: readonly string[] = []): ServiceSnapshot {
  return {
    key: `shop/${name}`,
    name,
    namespace: "shop",
    ports: [],
    loadBalancer: "ewma",
    addresses: addresses.map((host) => ({ host, port: 80 })),
    dns: dns.map((host) => ({ host, port: 8080 })),
  };
}

function snapshot(services: readonly ServiceSnapshot[]): ProxySnapshot {
  return {
    name: "p",
    namespace: "shop",
    workers: 1,
    listeners: [LISTENER],
    outbound: { default: null, unknown: "refuse", allowOverride: false },
    admin: null,
    shutdownEndpoint: false,
    forwarded: false,
    allowConnect: false,
    accessLog: "off",
    logLevel: "info",
    limits: DEFAULT_LIMITS,
    services,
  };
}

function setUp(services: readonly ServiceSnapshot[]): { state: ConfigState; names: Map<string, string[]> } {
  const names = new Map<string, string[]>();
  return { state: new ConfigState(snapshot(services), [LISTENER], (name) => names.get(name) ?? []), names };
}

test("a worker that begins gets everything at the current version", () => {
  const { state, names } = setUp([service("a", ["10.0.0.1"], ["a.test"])]);
  names.set("a.test", ["10.0.0.2", "fd00::1"]);
  const update = state.full();
  assert.equal(update.version, state.version);
  assert.notEqual(update.proxy, null);
  assert.deepEqual(update.services[0]!.endpoints, ["10.0.0.1:80", "10.0.0.2:8080", "[fd00::1]:8080"]);
});

test("a reload tells what changed, and nothing else", () => {
  const { state } = setUp([service("a", ["10.0.0.1"]), service("b", ["10.0.0.2"]), service("c", ["10.0.0.3"])]);
  const before = state.version;
  const next = [service("a", ["10.0.0.1"]), service("b", ["10.0.0.9"]), service("d", ["10.0.0.4"])];
  const update = state.replace(snapshot(next), [LISTENER])!;
  assert.equal(update.version, before + 1);
  assert.equal(update.proxy, null);
  assert.deepEqual(
    update.services.map(({ key }) => key),
    ["shop/b", "shop/d"],
  );
  assert.deepEqual(update.removed, ["shop/c"]);
});

test("a reload of the same is no update and no version", () => {
  const { state } = setUp([service("a", ["10.0.0.1"])]);
  const before = state.version;
  assert.equal(state.replace(snapshot([service("a", ["10.0.0.1"])]), [LISTENER]), null);
  assert.equal(state.version, before);
});

test("a name that moves touches the services behind it", () => {
  const { state, names } = setUp([service("a", [], ["x.test"]), service("b", [], ["x.test", "y.test"]), service("c", ["10.0.0.3"])]);
  names.set("x.test", ["10.1.1.1"]);
  const update = state.moved(new Set(["x.test"]))!;
  assert.deepEqual(
    update.services.map(({ key, endpoints }) => [key, endpoints]),
    [
      ["shop/a", ["10.1.1.1:8080"]],
      ["shop/b", ["10.1.1.1:8080"]],
    ],
  );
  assert.equal(state.moved(new Set(["elsewhere.test"])), null);
});

test("names follow the services of a reload", () => {
  const { state } = setUp([service("a", [], ["x.test"])]);
  assert.deepEqual([...state.names], ["x.test"]);
  state.replace(snapshot([service("a", [], ["y.test"]), service("b", [], ["y.test"])]), [LISTENER]);
  assert.deepEqual([...state.names], ["y.test"]);
  assert.deepEqual(state.namesOf("shop/b"), ["y.test"]);
  assert.deepEqual(state.namesOf("shop/none"), []);
});

test("keys of TLS tickets: with everything for a new worker, and an update of their own when they change", () => {
  const state = new ConfigState(snapshot([]), [LISTENER], () => [], new Uint8Array([1]));
  assert.deepEqual(state.full().ticketKeys, new Uint8Array([1]));
  const update = state.rotate(new Uint8Array([2]));
  assert.deepEqual(update, { version: 2, proxy: null, services: [], removed: [], ticketKeys: new Uint8Array([2]) });
  assert.deepEqual(state.full().ticketKeys, new Uint8Array([2]));
  assert.equal(state.version, 2);
});
