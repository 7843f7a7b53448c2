// Answers that the client has not read: they cost bounded memory, and no end of the connection loses their last bytes.
//
// Story: a client that pipelined and did not read made Weft ask the service for one answer after the other and keep them all. And
// whatever closed a connection (the client's FIN, its idle timeout, a drain, the end of a linger) closed it at once, though the
// last bytes of the answer were still waiting for room in the kernel: the client got a shorter body and an orderly end.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect, once, request } from "../support/client.ts";
import { bytesRead, fillWithChunks } from "../support/fill.ts";
import { header } from "../support/http-lite.ts";
import { startOrigin } from "../support/origin.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import type { ProxyOptions } from "../support/proxy-config.ts";
import { scenario } from "../support/scenario.ts";
import { Gate, waitUntil } from "../support/wait.ts";
import { endpointStats, forwarderStats } from "../support/worker-stats.ts";
import type { Wire } from "../support/wire.ts";

const ANSWER = "x".repeat(64 * 1024);
const REQUESTS = 1500;
/** Linux lets a connection hold tens of megabytes at most (tcp_wmem, tcp_rmem); the answers to all requests are 98 MB. */
const KERNEL_BYTES_MAX = 48 * 1024 * 1024;

describe("a client that pipelines and does not read", () => {
  const s = scenario(
    async () => ({ web: await startOrigin((x) => x.reply(200, ANSWER)) }),
    (o) => ({ protocol: "http1", services: { web: { endpoints: [o.web.address] } } }),
  );

  it("is not asked for at the service until it has read, and then gets every answer", async () => {
    const { web } = s.origins;
    const client = await connect(s.port);
    client.pause();
    void client.send(request("GET", "/").repeat(REQUESTS));
    let seen = -1;
    await waitUntil("the requests to stop", async () => {
      const endpoint = await endpointStats(s.proxy);
      const before = seen;
      seen = web.requests.length;
      return seen > 1 && seen === before && endpoint !== null && endpoint.inFlight === 0 && endpoint.idle === endpoint.connections;
    });
    assert.ok(seen * ANSWER.length < KERNEL_BYTES_MAX, `${seen} answers, none of them read`);
    client.resume();
    for (let i = 0; i < REQUESTS; i++) {
      const response = await client.expectResponse();
      assert.equal(response.status, 200);
      assert.equal(response.bodySize, ANSWER.length);
    }
    assert.equal(web.requests.length, REQUESTS);
    client.destroy();
  });
});

const EARLY = "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 1000\r\n\r\nabc";

describe("the last bytes of an answer, not yet taken by the client, arrive", () => {
  /** Weft holds the end of an answer; `end` lets something happen that ends the connection; then the client reads on. */
  async function arrives(
    bytes: string,
    limits: ProxyOptions["limits"],
    end: (client: Wire, proxy: ProxyProcess) => Promise<void>,
  ): Promise<void> {
    const answering = new Gate();
    const origin = await startOrigin(async (x) => {
      if (x.request.target === "/ping") return x.reply(200, "pong");
      await x.wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      await answering.opened;
      if (x.request.method === "POST") await x.wire.expectClosed(60_000);
    });
    const proxy = await ProxyProcess.start({
      protocol: "http1",
      services: { web: { endpoints: [origin.address] } },
      ...(limits && { limits }),
    });
    try {
      const client = await connect(proxy.port);
      client.pause();
      await client.send(bytes);
      await waitUntil("the request at the origin", async () => origin.requests.length === 1 && (await bytesRead(proxy, "dst")) > 0);
      const upstream = origin.connections[0]!;
      const { bytes: size } = await fillWithChunks(proxy, upstream, "dst");
      await upstream.send("0\r\n\r\n");
      await waitUntil("the end of the answer in Weft", async () => {
        const endpoint = await endpointStats(proxy);
        return endpoint !== null && endpoint.connections === endpoint.idle;
      });
      answering.open();
      await end(client, proxy);
      client.resume();
      const response = await client.expectResponse();
      assert.equal(response.bodySize, size);
      await client.expectEnd();
      client.destroy();
    } finally {
      answering.open();
      proxy.kill();
      await origin.stop();
    }
  }

  /** FIN, and the proxy has seen it: what another client sends after it is answered. */
  async function halfClose(client: Wire, proxy: ProxyProcess): Promise<void> {
    const sent = new Promise((resolve) => client.socket.once("finish", resolve));
    client.endWrite();
    await sent;
    for (let i = 0; i < 2; i++) assert.equal((await once(proxy.port, request("GET", "/ping"))).status, 200);
  }

  const ways: [string, string, ProxyOptions["limits"], (client: Wire, proxy: ProxyProcess) => Promise<void>][] = [
    ["after the client's FIN", request("GET", "/"), {}, halfClose],
    [
      "after the idle timeout",
      request("GET", "/"),
      { idleTimeoutMs: 300 },
      async (_, proxy) => {
        // It became idle later, so its timeout passes later too.
        const other = await connect(proxy.port);
        await other.expectEnd();
        other.destroy();
      },
    ],
    [
      "during a drain",
      request("GET", "/"),
      { drainIdleMs: 100 },
      async (_, proxy) => {
        const other = await connect(proxy.port);
        await other.send(request("GET", "/ping"));
        await other.expectResponse();
        proxy.signal("SIGTERM");
        await other.expectEnd();
        other.destroy();
      },
    ],
    ["after an early answer and the client's FIN", EARLY, {}, halfClose],
    [
      "after an early answer and lingerMs",
      EARLY,
      { lingerMs: 300 },
      async (_, proxy) => {
        // It lingers too, and later.
        const other = await connect(proxy.port);
        await other.send("GET / HTTP/9.9\r\n\r\n");
        await other.expectResponse();
        await waitUntil("lingerMs", async () => (await proxy.metrics()).sum("tcp_open_connections", { peer: "src" }) < 2);
        other.destroy();
      },
    ],
  ];
  for (const [what, bytes, limits, end] of ways) it(what, () => arrives(bytes, limits, end));
});

describe("an answer behind which Weft closes arrives, though the client goes on sending", () => {
  // More than Weft takes for read (64 KB), little enough for the kernel to take all of it from Weft while the client does not read.
  const body = "x".repeat(200_000);
  const s = scenario(
    async () => ({ web: await startOrigin((x) => x.reply(200, x.request.target === "/small" ? "small" : body)) }),
    (o) => ({ protocol: "http1", services: { web: { endpoints: [o.web.address] } }, limits: { requestsPerConnectionMax: 1 } }),
  );

  /** Sends further requests in pieces once Weft has written the whole answer, not before: then reads (RFC 9112 section 9.6). */
  async function readsAll(first: string, size: number): Promise<void> {
    const before = await bytesRead(s.proxy, "dst");
    const client = await connect(s.port);
    client.pause();
    await client.send(first);
    await waitUntil("the whole answer to be written", async () => {
      const stats = await forwarderStats(s.proxy);
      return stats !== null && stats.buffers.stream + stats.buffers.out === 0 && (await bytesRead(s.proxy, "dst")) - before > size;
    });
    for (let i = 0; i < 5; i++) {
      await client.send(request("GET", `/${i}`));
      // A round trip through the proxy: a reset would be here by now.
      await bytesRead(s.proxy, "src");
    }
    client.resume();
    const response = await client.expectResponse();
    assert.equal(response.bodySize, size);
    assert.equal(header(response, "connection"), "close");
    await client.expectEnd();
    client.destroy();
  }

  it("when Weft decided to close", () => readsAll(request("GET", "/small"), 5));
  it("when Weft decided to close, behind a large answer", () => readsAll(request("GET", "/"), body.length));
  it("when the client asked for the close, behind a large answer", () =>
    readsAll(request("GET", "/", { Connection: "close" }), body.length));
});
