// Loading good configurations: what the snapshot says, and the defaults of what nobody said.

import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_LIMITS } from "../../src/config/limits.ts";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import type { ProxySnapshot } from "../../src/config/snapshot.ts";

function load(text: string, proxyName: string | null = null): ProxySnapshot {
  const result = loadConfig({ text, proxyName });
  if ("problems" in result) assert.fail(result.problems.map(formatProblem).join("\n"));
  return result.snapshot;
}

const PROXY = "apiVersion: weft.dev/v1alpha1\nkind: Proxy\nmetadata: {name: p, namespace: shop}\n";
const SERVICE =
  "apiVersion: weft.dev/v1alpha1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {endpoints: [{address: 127.0.0.1:9001}]}\n";

test("a Proxy that says nothing has the documented defaults", () => {
  assert.deepEqual(load("apiVersion: weft.dev/v1alpha1\nkind: Proxy\nmetadata: {name: p}\n"), {
    name: "p",
    namespace: "default",
    workers: "auto",
    listeners: [{ id: "outbound", direction: "outbound", listen: { host: "127.0.0.1", port: 4140 }, protocol: "detect", service: null }],
    outbound: { default: null, unknown: "refuse", allowOverride: false },
    admin: { host: "127.0.0.1", port: 4191 },
    shutdownEndpoint: true,
    forwarded: false,
    allowConnect: false,
    accessLog: "off",
    logLevel: "info",
    limits: DEFAULT_LIMITS,
    services: [],
  });
});

test("every key of a Proxy arrives in the snapshot", () => {
  const snapshot = load(`${PROXY}spec:
  workers: 3
  outbound: {listen: "[::1]:5140", protocol: http1, default: web, unknown: forward, allowOverride: true}
  inbound: {listen: "0.0.0.0:5143", target: "127.0.0.1:8080", protocol: http1}
  admin: {listen: "127.0.0.1:5191", shutdownEndpoint: false}
  forwarded: true
  allowConnect: true
  accessLog: json
  logLevel: warn
  limits: {headerBytesMax: 65536}
---
${SERVICE}`);
  assert.deepEqual(snapshot, {
    name: "p",
    namespace: "shop",
    workers: 3,
    listeners: [
      { id: "outbound", direction: "outbound", listen: { host: "::1", port: 5140 }, protocol: "http1", service: null },
      { id: "inbound", direction: "inbound", listen: { host: "0.0.0.0", port: 5143 }, protocol: "http1", service: "inbound/5143" },
    ],
    outbound: { default: "shop/web", unknown: "forward", allowOverride: true },
    admin: { host: "127.0.0.1", port: 5191 },
    shutdownEndpoint: false,
    forwarded: true,
    allowConnect: true,
    accessLog: "json",
    logLevel: "warn",
    limits: { ...DEFAULT_LIMITS, headerBytesMax: 65536 },
    services: [
      {
        key: "shop/web",
        name: "web",
        namespace: "shop",
        ports: [],
        loadBalancer: "ewma",
        addresses: [{ host: "127.0.0.1", port: 9001 }],
        dns: [],
      },
      {
        key: "inbound/5143",
        name: "inbound/5143",
        namespace: "shop",
        ports: [],
        loadBalancer: "ewma",
        addresses: [{ host: "127.0.0.1", port: 8080 }],
        dns: [],
      },
    ],
  });
});

test("addresses are canonical and endpoints keep their order by kind", () => {
  const [service] = load(`${PROXY}---
apiVersion: weft.dev/v1alpha1
kind: Service
metadata: {name: web}
spec:
  ports: [{port: 80}, {port: 443, protocol: opaque}]
  loadBalancer: p2c
  endpoints:
    - address: "[2001:DB8:0:0::1]:80"
    - dns: Web.Example.COM:8080
    - address: "[::ffff:10.0.0.1]:80"
    - dns: absolute.example.:81
`).services;
  assert.deepEqual(service, {
    key: "default/web",
    name: "web",
    namespace: "default",
    ports: [
      { port: 80, protocol: "detect" },
      { port: 443, protocol: "opaque" },
    ],
    loadBalancer: "p2c",
    addresses: [
      { host: "2001:db8::1", port: 80 },
      { host: "10.0.0.1", port: 80 },
    ],
    dns: [
      { host: "web.example.com", port: 8080 },
      { host: "absolute.example.", port: 81 },
    ],
  });
});

test("additional outbound listeners take the protocol of the port they stand for", () => {
  const snapshot = load(`${PROXY}spec:
  outbound:
    listen: off
    ports:
      - {listen: "127.0.0.1:5432", service: db}
      - {listen: "127.0.0.1:15432", service: "db:5432"}
      - {listen: "127.0.0.1:8008", service: db.shop, protocol: http1}
      - {listen: "127.0.0.2:5432", service: db.shop.svc.cluster.local}
      - {listen: "127.0.0.1:3306", service: one}
---
apiVersion: weft.dev/v1alpha1
kind: Service
metadata: {name: db, namespace: shop}
spec: {ports: [{port: 8008, protocol: detect}, {port: 5432, protocol: opaque}], endpoints: [{address: 10.0.0.1:5432}]}
---
apiVersion: weft.dev/v1alpha1
kind: Service
metadata: {name: one, namespace: shop}
spec: {ports: [{port: 1234, protocol: opaque}], endpoints: [{address: 10.0.0.1:1234}]}
`);
  assert.deepEqual(
    snapshot.listeners.map(({ id, protocol, service }) => [id, protocol, service]),
    [
      ["outbound/127.0.0.1:5432", "opaque", "shop/db"],
      ["outbound/127.0.0.1:15432", "opaque", "shop/db"],
      ["outbound/127.0.0.1:8008", "http1", "shop/db"],
      ["outbound/127.0.0.2:5432", "opaque", "shop/db"],
      ["outbound/127.0.0.1:3306", "opaque", "shop/one"],
    ],
  );
});

test("further inbound ports listen beside the first, each with a service of its own", () => {
  const snapshot = load(`${PROXY}spec:
  outbound: {listen: off}
  inbound:
    target: app:8080
    ports: [{port: 5432, target: "127.0.0.1:15432", protocol: opaque}]
`);
  assert.deepEqual(snapshot.listeners, [
    { id: "inbound", direction: "inbound", listen: { host: "0.0.0.0", port: 4143 }, protocol: "detect", service: "inbound/4143" },
    { id: "inbound/5432", direction: "inbound", listen: { host: "0.0.0.0", port: 5432 }, protocol: "opaque", service: "inbound/5432" },
  ]);
  assert.deepEqual(
    snapshot.services.map(({ key, addresses, dns }) => [key, addresses, dns]),
    [
      ["inbound/4143", [], [{ host: "app", port: 8080 }]],
      ["inbound/5432", [{ host: "127.0.0.1", port: 15432 }], []],
    ],
  );
});

test("workers: auto is one beside a service, and left to the cores of a host otherwise", () => {
  assert.equal(load(`${PROXY}spec: {workers: auto, inbound: {target: "127.0.0.1:8080"}}\n`).workers, 1);
  assert.equal(load(`${PROXY}spec: {workers: 2, inbound: {target: "127.0.0.1:8080"}}\n`).workers, 2);
  assert.equal(load(`${PROXY}spec: {workers: auto}\n`).workers, "auto");
});

test("admin can be off", () => {
  assert.equal(load(`${PROXY}spec: {admin: {listen: off}}\n`).admin, null);
});

test("one of several Proxy documents is selected by its name", () => {
  const other = "apiVersion: weft.dev/v1alpha1\nkind: Proxy\nmetadata: {name: q}\nspec: {workers: 7}\n";
  assert.equal(load(`${PROXY}---\n${other}`, "q").workers, 7);
  assert.equal(load(`${PROXY}---\n${other}`, "shop/p").workers, "auto");
});

test("anchors and aliases stand for what they name", () => {
  const snapshot = load(`${PROXY}spec: {admin: &same {listen: "127.0.0.1:0"}, outbound: *same}\n`);
  assert.deepEqual(snapshot.listeners[0]?.listen, { host: "127.0.0.1", port: 0 });
});

test("the snapshot is frozen all the way down", () => {
  const snapshot = load(`${PROXY}---\n${SERVICE}`);
  const unfrozen: unknown[] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    if (!Object.isFrozen(value)) unfrozen.push(value);
    for (const part of Object.values(value)) visit(part);
  };
  visit(snapshot);
  assert.deepEqual(unfrozen, []);
});

test("overrides of the command line stand above the document", () => {
  const result = loadConfig({ text: PROXY, overrides: { workers: 2, admin: null } });
  assert.ok("snapshot" in result);
  assert.equal(result.snapshot.workers, 2);
  assert.equal(result.snapshot.admin, null);
});
