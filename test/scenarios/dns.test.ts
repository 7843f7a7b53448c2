// Services by DNS name: addresses that move under load, lookups that fail, names that lead back to the proxy itself.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { connect, once, request } from "../support/client.ts";
import { header, text } from "../support/http-lite.ts";
import { DnsServer } from "../support/dns-server.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { stopProxy } from "../support/scenario.ts";
import { waitUntil } from "../support/wait.ts";

/** The addresses stand for hosts; the port is the same on all, as it is in DNS. */
const [FIRST, SECOND, NOBODY] = ["127.0.0.11", "127.0.0.12", "127.0.0.13"] as const;

describe("endpoints by DNS name", () => {
  let dns: DnsServer;
  let first: Origin;
  let second: Origin;
  let proxy: ProxyProcess;
  before(async () => {
    dns = await DnsServer.start();
    first = await startOrigin((x) => x.reply(200, "first"), { host: FIRST });
    second = await startOrigin((x) => x.reply(200, "second"), { host: SECOND, port: first.port });
    dns.set("moving.test", { addresses: [FIRST], ttlS: 600 });
    dns.set("both.test", { addresses: [FIRST, SECOND], ttlS: 600 });
    dns.set("half.test", { addresses: [FIRST, NOBODY], ttlS: 600 });
    const byName = (name: string) => ({ endpoints: [], dns: [`${name}:${first.port}`], loadBalancer: "round-robin" as const });
    proxy = await ProxyProcess.start({
      services: { moving: byName("moving.test"), both: byName("both.test"), half: byName("half.test"), lost: byName("lost.test") },
      default: "moving",
      dnsServer: dns.address,
      limits: { dnsTtlMaxMs: 200, failFastTimeoutMs: 300 },
    });
  });
  after(async () => {
    await stopProxy(proxy);
    dns.stop();
    await Promise.all([first.stop(), second.stop()]);
  });

  const ask = async (service: string): Promise<string> => text(await once(proxy.port, request("GET", "/", { Host: service })));

  it("uses every address of a name", async () => {
    const answers = new Set(await Promise.all(Array.from({ length: 10 }, () => ask("both"))));
    assert.deepEqual([...answers].sort(), ["first", "second"]);
  });

  it("follows an address that changes under load, though its TTL is 600 s, and fails no request", async () => {
    const client = await connect(proxy.port);
    let answered = 0;
    const answers = new Set<string>();
    const next = async (): Promise<string> => {
      await client.send(request("GET", "/", { Host: "moving" }));
      const response = await client.expectResponse();
      assert.equal(response.status, 200);
      answered++;
      answers.add(text(response));
      return text(response);
    };
    assert.equal(await next(), "first");
    dns.set("moving.test", { addresses: [SECOND], ttlS: 600 });
    await waitUntil("the new address", async () => (await next()) === "second");
    for (let i = 0; i < 20; i++) assert.equal(await next(), "second");
    assert.ok(answered > 20);
    client.destroy();
  });

  it("keeps the last answer while lookups fail or find nothing", async () => {
    for (const failure of ["servfail", "nxdomain"] as const) {
      dns.set("both.test", { addresses: [], failure });
      const asked = dns.asked("both.test");
      await waitUntil("three more lookups", () => dns.asked("both.test") > asked + 3);
      assert.equal((await once(proxy.port, request("GET", "/", { Host: "both" }))).status, 200);
    }
  });

  it("serves though one of the addresses refuses connections", async () => {
    for (let i = 0; i < 10; i++) assert.equal(await ask("half"), "first");
  });

  it("504: a name that does not exist; and serves once it does", async () => {
    const refused = await once(proxy.port, request("GET", "/", { Host: "lost" }));
    assert.equal(refused.status, 504);
    dns.set("lost.test", { addresses: [SECOND], ttlS: 600 });
    await waitUntil("the name to be found", async () => (await ask("lost")) === "second");
  });

  it("508: a name that leads back to the proxy", async () => {
    dns.set("mirror.test", { addresses: ["127.0.0.1"], ttlS: 600 });
    const { options } = proxy;
    await proxy.reconfigure({
      ...options,
      services: { ...options.services, mirror: { endpoints: [], dns: [`mirror.test:${proxy.port}`] } },
    });
    const response = await once(proxy.port, request("GET", "/", { Host: "mirror" }));
    assert.equal(response.status, 508);
    assert.equal(header(response, "connection"), "close");
    assert.ok(header(response, "l5d-proxy-error"));
  });
});
