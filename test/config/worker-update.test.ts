// What workers are told: everything once, then only what is different.

import assert from "node:assert/strict";
import { test } from "node:test";
import { loadConfig } from "../../src/config/load.ts";
import type { HostPort, ProxySnapshot } from "../../src/config/snapshot.ts";
import { endpointsUpdate, isEmptyUpdate, workerUpdate } from "../../src/config/worker-update.ts";

function snapshotOf(services: Record<string, string>, spec = "{}", namespace = "shop"): ProxySnapshot {
  const documents = [`apiVersion: weft.dev/v1alpha1\nkind: Proxy\nmetadata: {name: p, namespace: ${namespace}}\nspec: ${spec}\n`];
  for (const [name, serviceSpec] of Object.entries(services)) {
    documents.push(`apiVersion: weft.dev/v1alpha1\nkind: Service\nmetadata: {name: ${name}, namespace: shop}\nspec: ${serviceSpec}\n`);
  }
  const result = loadConfig({ text: documents.join("---\n") });
  assert.ok("snapshot" in result, JSON.stringify(result));
  return result.snapshot;
}

const ONE = "{endpoints: [{address: 10.0.0.1:80}]}";
const TWO = "{endpoints: [{address: 10.0.0.2:80}]}";
const NAMED = "{endpoints: [{address: 10.0.0.3:80}, {dns: web:80}]}";
const nothing = (): string[] => [];

test("the first update carries everything", () => {
  const snapshot = snapshotOf({ web: ONE, named: NAMED }, '{inbound: {target: "127.0.0.1:8080"}}');
  const update = workerUpdate(1, null, snapshot, () => ["10.9.0.1:80", "10.0.0.3:80", "[2001:db8::1]:80"]);
  assert.deepEqual(update.proxy, {
    listeners: snapshot.listeners,
    outbound: snapshot.outbound,
    admin: snapshot.admin,
    forwarded: false,
    allowConnect: false,
    accessLog: "off",
    limits: snapshot.limits,
  });
  assert.deepEqual(
    update.services.map(({ key, hosts, endpoints }) => ({ key, hosts, endpoints })),
    [
      { key: "shop/web", hosts: ["web", "web.shop", "web.shop.svc.cluster.local"], endpoints: ["10.0.0.1:80"] },
      {
        key: "shop/named",
        hosts: ["named", "named.shop", "named.shop.svc.cluster.local"],
        endpoints: ["10.0.0.3:80", "10.9.0.1:80", "[2001:db8::1]:80"],
      },
      { key: "inbound/4143", hosts: [], endpoints: ["127.0.0.1:8080"] },
    ],
  );
  assert.deepEqual([update.version, update.removed], [1, []]);
});

test("a step between equal configurations is empty", () => {
  const update = workerUpdate(2, snapshotOf({ web: ONE, named: NAMED }), snapshotOf({ web: ONE, named: NAMED }), nothing);
  assert.deepEqual(update, { version: 2, proxy: null, services: [], removed: [] });
  assert.ok(isEmptyUpdate(update));
});

test("only services that are new or different are carried, and those that went are named", () => {
  const update = workerUpdate(2, snapshotOf({ a: ONE, b: ONE, c: ONE }), snapshotOf({ b: ONE, c: TWO, d: ONE }), nothing);
  assert.equal(update.proxy, null);
  assert.deepEqual(
    update.services.map(({ key, endpoints }) => [key, endpoints]),
    [
      ["shop/c", ["10.0.0.2:80"]],
      ["shop/d", ["10.0.0.1:80"]],
    ],
  );
  assert.deepEqual(update.removed, ["shop/a"]);
});

test("a change of the proxy alone carries no service", () => {
  const update = workerUpdate(2, snapshotOf({ a: ONE }), snapshotOf({ a: ONE }, "{limits: {idleTimeoutMs: 5000}}"), nothing);
  assert.equal(update.proxy?.limits.idleTimeoutMs, 5000);
  assert.deepEqual(update.services, []);
});

test("what does not concern workers makes an empty step", () => {
  const next = snapshotOf({ a: ONE }, "{logLevel: debug, workers: 3}");
  assert.ok(isEmptyUpdate(workerUpdate(2, snapshotOf({ a: ONE }), next, nothing)));
});

test("another namespace of the proxy renames every service", () => {
  const update = workerUpdate(2, snapshotOf({ a: ONE }), snapshotOf({ a: ONE }, "{}", "other"), nothing);
  assert.deepEqual(update.services[0]?.hosts, ["a.shop", "a.shop.svc.cluster.local"]);
});

test("moved addresses are carried for the named services only, and only looked up there", () => {
  const snapshot = snapshotOf({ a: ONE, named: NAMED });
  const asked: string[] = [];
  const resolved = ({ host }: HostPort): string[] => {
    asked.push(host);
    return ["10.9.0.2:80"];
  };
  const update = endpointsUpdate(3, snapshot, new Set(["shop/named", "shop/gone"]), resolved);
  assert.deepEqual(
    update.services.map(({ key, endpoints }) => [key, endpoints]),
    [["shop/named", ["10.0.0.3:80", "10.9.0.2:80"]]],
  );
  assert.deepEqual([update.proxy, update.removed, asked], [null, [], ["web"]]);
});
