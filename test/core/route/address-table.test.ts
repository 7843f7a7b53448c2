// Which service an address belongs to, and to whom when several say it is theirs.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type AddressedService, AddressTable } from "../../../src/core/route/address-table.ts";

function service(key: string, endpoints: string[], ports: number[] = [], addresses: string[] = []): AddressedService {
  return { key, endpoints, ports: ports.map((port) => ({ port })), addresses };
}

describe("an address and port", () => {
  const table = new AddressTable([
    service("shop/web", ["10.0.0.1:8080", "10.0.0.2:8080", "[fd00::1]:8080"], [80]),
    service("shop/db", ["10.0.0.9:5432"]),
    service("shop/api", ["10.0.0.3:4143"], [80, 443], ["10.96.0.1", "fd00:96::1"]),
    service("shop/any", ["10.0.0.4:1"], [], ["10.96.0.2"]),
  ]);
  const cases: [string, number, string | null][] = [
    ["10.0.0.1", 8080, "shop/web"],
    ["10.0.0.2", 8080, "shop/web"],
    ["fd00::1", 8080, "shop/web"],
    // A port that the service declares, at an address of one of its endpoints.
    ["10.0.0.1", 80, "shop/web"],
    ["fd00::1", 80, "shop/web"],
    ["10.0.0.3", 443, "shop/api"],
    ["10.0.0.3", 4143, "shop/api"],
    // Its own addresses, with the ports that it declares.
    ["10.96.0.1", 80, "shop/api"],
    ["fd00:96::1", 443, "shop/api"],
    ["10.96.0.1", 8080, null],
    // Without declared ports: all of them.
    ["10.96.0.2", 1234, "shop/any"],
    ["10.0.0.9", 5432, "shop/db"],
    // Another port of the same machine is somebody else.
    ["10.0.0.9", 22, null],
    ["10.0.0.1", 443, null],
    ["10.0.0.4", 2, null],
    ["192.0.2.1", 80, null],
    ["fd00::2", 8080, null],
  ];
  for (const [host, port, key] of cases) {
    test(`${host} ${port} ${key === null ? "is nobody's" : `is of ${key}`}`, () => assert.equal(table.lookup(host, port), key));
  }
});

test("an endpoint stands above a declared port, and that above an own address", () => {
  const exact = service("b/exact", ["10.0.0.1:80"]);
  const declared = service("a/declared", ["10.0.0.1:8080"], [80]);
  const own = service("a/a-own", [], [80], ["10.0.0.1"]);
  assert.equal(new AddressTable([own, declared, exact]).lookup("10.0.0.1", 80), "b/exact");
  assert.equal(new AddressTable([own, declared]).lookup("10.0.0.1", 80), "a/declared");
  assert.equal(new AddressTable([own]).lookup("10.0.0.1", 80), "a/a-own");
});

test("of several that claim the same, the first by key has it, in whatever order they come", () => {
  const services = ["shop/web-2", "shop/web", "shop/web-1"].map((key) => service(key, ["10.0.0.1:80"], [443], ["10.96.0.1"]));
  for (const order of [services, services.toReversed()]) {
    const table = new AddressTable(order);
    for (const port of [80, 443]) assert.equal(table.lookup("10.0.0.1", port), "shop/web");
    assert.equal(table.lookup("10.96.0.1", 443), "shop/web");
  }
});
