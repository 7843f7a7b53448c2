// The naming rules: from an authority to a service, to none, or to nothing that is known.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type RoutedService, RouteTable } from "../../../src/core/route/route-table.ts";
import { isServiceName, serviceHosts } from "../../../src/core/route/service-names.ts";

function service(name: string, namespace: string, ports: number[] = []): RoutedService {
  const hosts = serviceHosts(name, namespace, "shop");
  return { key: `${namespace}/${name}`, hosts, ports: ports.map((port) => ({ port, protocol: "detect" })) };
}

const WEB = service("web", "shop");
const API = service("api", "other", [80, 443]);
const DB = service("db", "shop", [5432]);

function table(fallback: string | null = null): RouteTable<RoutedService> {
  return new RouteTable([WEB, API, DB], { default: fallback });
}

/** The key of the service, with the port where one was named, or why there is none. */
function found(authority: string, routes = table()): string {
  const lookup = routes.lookup(authority);
  if (lookup.kind === "service") return lookup.port === null ? lookup.service.key : `${lookup.service.key}:${lookup.port}`;
  return lookup.kind === "unknown" ? `unknown ${lookup.reason}` : "none";
}

test("a service of the proxy's own namespace has three names", () => {
  for (const host of ["web", "web.shop", "web.shop.svc.cluster.local"]) assert.equal(found(host), "shop/web", host);
});

test("a service of another namespace is not found by its bare name", () => {
  assert.equal(found("api"), "unknown name");
  assert.equal(found("api.other"), "other/api");
  assert.equal(found("api.other.svc.cluster.local:80"), "other/api:80");
});

test("names are compared without case and without the trailing dot", () => {
  assert.equal(found("WEB.Shop"), "shop/web");
  assert.equal(found("web.shop.svc.cluster.local."), "shop/web");
  assert.equal(found("Web.:8080"), "shop/web:8080");
});

test("a service without a list of ports may be named with any", () => {
  assert.equal(found("web:1"), "shop/web:1");
  assert.equal(found("web:65535"), "shop/web:65535");
});

test("a port that the service does not have is unknown", () => {
  assert.equal(found("db:5432"), "shop/db:5432");
  assert.equal(found("db:80"), "unknown port");
  assert.equal(found("db"), "shop/db");
});

test("nothing, localhost and addresses name no service", () => {
  for (const authority of ["", "localhost", "LOCALHOST:4140", "api.localhost", "127.0.0.1:4140", "10.0.0.1", "[::1]:4140"]) {
    assert.equal(found(authority), "none", authority);
  }
});

test("an unknown name is unknown also where there is a default", () => {
  assert.equal(found("wbe", table("shop/web")), "unknown name");
  assert.equal(found("web.shop.svc", table("shop/web")), "unknown name");
});

test("what is no authority is never forwarded by name", () => {
  for (const authority of ["web@evil", "web:80:80", ":80", "127.1", "0x7f.1", "web shop"])
    assert.equal(found(authority), "unknown malformed", authority);
});

test("unknown names tell host and port, for a proxy that forwards them", () => {
  assert.deepEqual(table().lookup("Example.COM:8443"), { kind: "unknown", reason: "name", host: "example.com", port: 8443 });
});

test("the default is a service, or none", () => {
  assert.equal(table().defaultService(), null);
  assert.equal(table("shop/web").defaultService(), WEB);
  assert.equal(table("shop/gone").defaultService(), null);
});

test("an override names a configured service and nothing else", () => {
  const routes = table("shop/web");
  const override = (value: string): string => {
    const lookup = routes.lookupOverride(value);
    return lookup.kind === "service" ? lookup.service.key : lookup.kind;
  };
  assert.equal(override("db:5432"), "shop/db");
  assert.equal(override(" web.shop.svc.cluster.local:80 "), "shop/web");
  for (const value of ["", "localhost:80", "127.0.0.1:80", "db:81", "example.com:80", "db:5432, web:80"])
    assert.equal(override(value), "unknown", value);
});

test("an update replaces, adds and removes", () => {
  const routes = table();
  const moved = { ...WEB, hosts: serviceHosts("web", "shop", "elsewhere"), ports: [{ port: 80, protocol: "http1" }] };
  const added = service("new", "shop");
  routes.update([moved, added], ["shop/db", "shop/never"], { default: "shop/new" });
  assert.equal(found("web", routes), "unknown name");
  assert.equal(found("web.shop:80", routes), "shop/web:80");
  assert.equal(found("web.shop:81", routes), "unknown port");
  assert.equal(found("new", routes), "shop/new");
  assert.equal(found("db", routes), "unknown name");
  assert.equal(routes.defaultService(), added);
  assert.equal(routes.get("shop/db"), null);
});

test("an update without rules keeps the default", () => {
  const routes = table("shop/web");
  routes.update([], [], null);
  assert.equal(routes.defaultService(), WEB);
});

test("a host that another service has taken over is not lost when the first goes", () => {
  const first: RoutedService = { key: "a", hosts: ["x"], ports: [] };
  const second: RoutedService = { key: "b", hosts: ["x"], ports: [] };
  const routes = new RouteTable([first, second], { default: null });
  routes.update([], ["a"], null);
  assert.equal(found("x", routes), "b");
});

test("names are single labels that begin with a letter", () => {
  for (const name of ["web", "web-1", "my_service", "a", "x".repeat(63)]) assert.ok(isServiceName(name), name);
  for (const name of ["", "Web", "1web", "web.shop", "-web", "web-", "_web", "localhost", "x".repeat(64), "wéb", "web\n"])
    assert.ok(!isServiceName(name), name);
});
