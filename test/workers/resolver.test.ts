import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import { Resolver } from "../../src/workers/resolver.ts";
import { DnsServer } from "../support/dns-server.ts";
import { waitUntil } from "../support/wait.ts";

describe("resolver", () => {
  const folder = mkdtempSync(join(tmpdir(), "weft-dns-"));
  const hostsFile = join(folder, "hosts");
  const resolvConf = join(folder, "resolv.conf");
  after(() => rmSync(folder, { recursive: true }));

  let server: DnsServer;
  let resolver: Resolver;
  let changed: string[];
  let logged: string[];
  let lookups: string[];
  let ttlMaxMs: number;

  beforeEach(async () => {
    server = await DnsServer.start();
    writeFileSync(hostsFile, "");
    writeFileSync(resolvConf, "");
    changed = [];
    logged = [];
    lookups = [];
    ttlMaxMs = 60_000;
    resolver = new Resolver({
      ttlMaxMs: () => ttlMaxMs,
      onChange: (name) => changed.push(`${name}=${resolver.addresses(name).join()}`),
      onLookup: (type, result) => lookups.push(`${type} ${result}`),
      log: (level, message, fields) => logged.push(`${level} ${message} ${fields?.["host"]}`),
      server: server.address,
      hostsFile,
      resolvConf,
    });
  });

  afterEach(() => {
    resolver.close();
    server.stop();
  });

  async function resolve(...names: string[]): Promise<void> {
    resolver.setNames(names);
    await resolver.settled(5_000);
  }

  it("makes every A and AAAA record an address, sorted, IPv4 first", async () => {
    server.set("web.test", { addresses: ["10.0.0.9", "fd00::2", "10.0.0.10", "fd00::1"] });
    await resolve("web.test");
    assert.deepEqual(resolver.addresses("web.test"), ["10.0.0.10", "10.0.0.9", "fd00::1", "fd00::2"]);
    assert.deepEqual(lookups.sort(), ["A ok", "AAAA ok"]);
  });

  it("says nothing when the same addresses come in another order", async () => {
    ttlMaxMs = 100;
    server.set("web.test", { addresses: ["10.0.0.1", "10.0.0.2"] });
    await resolve("web.test");
    server.set("web.test", { addresses: ["10.0.0.2", "10.0.0.1"] });
    const asked = server.asked("web.test");
    await waitUntil("two more lookups", () => server.asked("web.test") >= asked + 2);
    assert.deepEqual(changed, ["web.test=10.0.0.1,10.0.0.2"]);
  });

  it("asks again after ttlMaxMs although the TTL is 600 s", async () => {
    ttlMaxMs = 200;
    server.set("web.test", { addresses: ["10.0.0.1"], ttlS: 600 });
    await resolve("web.test");
    server.set("web.test", { addresses: ["10.0.0.2"], ttlS: 600 });
    await waitUntil("the new address", () => resolver.addresses("web.test").join() === "10.0.0.2");
  });

  it("asks again after the TTL when that is shorter than ttlMaxMs", async () => {
    server.set("web.test", { addresses: ["10.0.0.1"], ttlS: 1 });
    await resolve("web.test");
    server.set("web.test", { addresses: ["10.0.0.2"], ttlS: 1 });
    await waitUntil("the new address", () => resolver.addresses("web.test").join() === "10.0.0.2");
  });

  for (const failure of ["nxdomain", "servfail", "silent"] as const) {
    it(`keeps the last answer when the next is ${failure}, says so once, and takes the one after it`, async () => {
      ttlMaxMs = 100;
      server.set("web.test", { addresses: ["10.0.0.1"] });
      await resolve("web.test");
      server.set("web.test", { addresses: [], failure });
      await waitUntil("the failure", () => logged.length > 0);
      assert.deepEqual(resolver.addresses("web.test"), ["10.0.0.1"]);
      server.set("web.test", { addresses: ["10.0.0.3"] });
      await waitUntil("the recovery", () => resolver.addresses("web.test").join() === "10.0.0.3", 20_000);
      assert.deepEqual(logged, [
        "warn a name cannot be resolved: its last addresses stay web.test",
        "info a name is resolved again web.test",
      ]);
    });
  }

  it("keeps the addresses of the family that fails when the other answers", async () => {
    ttlMaxMs = 100;
    server.set("web.test", { addresses: ["10.0.0.1", "fd00::1"] });
    await resolve("web.test");
    server.set("web.test", { addresses: ["10.0.0.2", "fd00::2"], failure: { aaaa: "servfail" } });
    await waitUntil("the new A", () => resolver.addresses("web.test").includes("10.0.0.2"));
    assert.deepEqual(resolver.addresses("web.test"), ["10.0.0.2", "fd00::1"]);
  });

  it("asks at once after a failed connect, but only once a second", async () => {
    server.set("web.test", { addresses: ["10.0.0.1"] });
    await resolve("web.test");
    const startedAt = performance.now();
    for (let connect = 0; connect < 100; connect++) resolver.refresh("web.test");
    await waitUntil("the second lookup", () => server.asked("web.test") === 2);
    assert.ok(performance.now() - startedAt > 900, "not before the first lookup was a second old");
    resolver.refresh("web.test");
    resolver.refresh("web.test");
    await waitUntil("the third lookup", () => server.asked("web.test") === 3);
    assert.ok(performance.now() - startedAt > 1_900);
  });

  it("takes /etc/hosts first, and sees that it changed", async () => {
    ttlMaxMs = 100;
    writeFileSync(hostsFile, "10.9.9.9 Web\n10.9.9.8 web\n");
    await resolve("web");
    assert.deepEqual(resolver.addresses("web"), ["10.9.9.8", "10.9.9.9"]);
    assert.deepEqual(server.questions, []);
    writeFileSync(hostsFile, "10.9.9.7 web # moved\n");
    await waitUntil("the new line", () => resolver.addresses("web").join() === "10.9.9.7");
  });

  it("walks the search list by ndots", async () => {
    writeFileSync(resolvConf, "search shop.test test\noptions ndots:2\n");
    server.set("web.test", { addresses: ["10.0.0.4"] });
    await resolve("web");
    assert.deepEqual(resolver.addresses("web"), ["10.0.0.4"]);
    assert.deepEqual([server.asked("web.shop.test"), server.asked("web.test"), server.asked("web")], [1, 1, 0]);
  });

  it("does not take a candidate that fails for one that does not exist", async () => {
    writeFileSync(resolvConf, "search shop.test test\n");
    server.set("web.shop.test", { addresses: [], failure: "servfail" });
    server.set("web.test", { addresses: ["10.0.0.66"] });
    await resolve("web");
    assert.deepEqual(resolver.addresses("web"), []);
    assert.equal(server.asked("web.test"), 0);
  });

  it("does not hold a start up when the server is silent", async () => {
    server.set("web.test", { addresses: [], failure: "silent" });
    resolver.setNames(["web.test"]);
    const startedAt = performance.now();
    await resolver.settled(50);
    assert.ok(performance.now() - startedAt < 1_000);
    assert.deepEqual(resolver.addresses("web.test"), []);
  });

  it("takes an address literal as it is", async () => {
    await resolve("127.0.0.1", "::1");
    assert.deepEqual([resolver.addresses("127.0.0.1"), resolver.addresses("::1")], [["127.0.0.1"], ["::1"]]);
    assert.deepEqual(server.questions, []);
  });

  it("forgets a name that is no longer wanted", async () => {
    ttlMaxMs = 50;
    server.set("web.test", { addresses: ["10.0.0.1"] });
    server.set("db.test", { addresses: ["10.0.0.2"] });
    await resolve("web.test", "db.test");
    resolver.setNames(["db.test"]);
    const [web, db] = [server.asked("web.test"), server.asked("db.test")];
    await waitUntil("lookups of the other", () => server.asked("db.test") >= db + 3);
    assert.equal(server.asked("web.test"), web);
    assert.deepEqual(resolver.addresses("web.test"), []);
  });

  it("resolves thousands of names, some at a time", async () => {
    const names = Array.from({ length: 1_000 }, (_, index) => `n${index}.test`);
    for (const name of names) server.set(name, { addresses: ["10.0.0.1"] });
    await resolve(...names);
    assert.ok(names.every((name) => resolver.addresses(name).length === 1));
  });

  describe("renewed", () => {
    it("resolves when a question that was asked after the call is answered", async () => {
      server.set("web.test", { addresses: ["10.0.0.1"] });
      await resolve("web.test");
      server.set("web.test", { addresses: ["10.0.0.2"] });
      await resolver.renewed(["web.test", "nobody.test"]);
      assert.deepEqual(resolver.addresses("web.test"), ["10.0.0.2"]);
      assert.deepEqual(changed, ["web.test=10.0.0.1", "web.test=10.0.0.2"]);
    });

    it("does not take the answer to an earlier question, which may be the old one", async () => {
      server.set("web.test", { addresses: ["10.0.0.1"] });
      resolver.setNames(["web.test"]);
      const renewed = resolver.renewed(["web.test"]);
      await resolver.settled(5_000);
      server.set("web.test", { addresses: ["10.0.0.2"] });
      await renewed;
      assert.deepEqual(resolver.addresses("web.test"), ["10.0.0.2"]);
    });

    it("asks once for all who wait", async () => {
      server.set("web.test", { addresses: ["10.0.0.1"] });
      await resolve("web.test");
      await Promise.all(Array.from({ length: 100 }, () => resolver.renewed(["web.test"])));
      assert.equal(server.asked("web.test"), 2);
    });

    it("resolves where nobody answers, and the last addresses stay", async () => {
      server.set("web.test", { addresses: ["10.0.0.1"] });
      await resolve("web.test");
      server.set("web.test", { addresses: [], failure: "silent" });
      await resolver.renewed(["web.test"]);
      assert.deepEqual(resolver.addresses("web.test"), ["10.0.0.1"]);
      assert.deepEqual(logged, []);
    });
  });
});
