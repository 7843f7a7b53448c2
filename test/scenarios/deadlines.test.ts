// Peers that are slow: each gets its deadline and the right answer; a good client beside them notices nothing.

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { connect, once, request } from "../support/client.ts";
import { header, text } from "../support/http-lite.ts";
import { startApp } from "../support/origin-app.ts";
import { startOrigin } from "../support/origin.ts";
import { scenario } from "../support/scenario.ts";
import { SeededContent, seededHash } from "../support/seeded-content.ts";
import { waitUntil } from "../support/wait.ts";
import type { Wire } from "../support/wire.ts";

/** Sends one byte every `everyMs` until the connection is gone. */
function drip(wire: Wire, bytes: string, everyMs: number): void {
  let at = 0;
  const timer = setInterval(() => {
    if (wire.isClosed || wire.isEnded || at >= bytes.length) clearInterval(timer);
    else void wire.send(bytes[at++]!);
  }, everyMs);
  timers.push(timer);
}
const timers: NodeJS.Timeout[] = [];

describe("deadlines", () => {
  const s = scenario(
    async () => ({
      app: await startApp(),
      endless: await startOrigin(async (x) => {
        await x.wire.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n");
        const content = new SeededContent(1, 1e9);
        while (!x.wire.isClosed) await x.wire.send(content.next());
      }),
    }),
    (o) => ({
      // Declared: the last connection of an origin must be the request's, not one that was dialled ahead.
      protocol: "http1",
      services: { web: { endpoints: [o.app.address] }, endless: { endpoints: [o.endless.address] } },
      limits: {
        headerDeadlineMs: 400,
        bodyMinBytesPerSecond: 1000,
        bodyRateWindowMs: 400,
        idleTimeoutMs: 500,
        writeDeadlineMs: 500,
        upstreamIdleTimeoutMs: 500,
        lingerMs: 200,
      },
    }),
  );
  after(() => {
    for (const timer of timers) clearInterval(timer);
  });

  it("408: a head that drips in (slowloris)", async () => {
    const client = await connect(s.port);
    drip(client, request("GET", "/", { "X-Long": "a".repeat(1000) }), 20);
    const response = await client.expectResponse();
    assert.equal(response.status, 408);
    assert.equal(header(response, "connection"), "close");
    await client.expectEnd();
    client.destroy();
  });

  it("408: the second head of a connection drips in", async () => {
    const client = await connect(s.port);
    await client.send(request("GET", "/"));
    assert.equal((await client.expectResponse()).status, 200);
    drip(client, request("GET", "/", { "X-Long": "a".repeat(1000) }), 20);
    assert.equal((await client.expectResponse()).status, 408);
    client.destroy();
  });

  it("408: a body that drips in, and its exchange at the service is cancelled", async () => {
    const { app } = s.origins;
    const seen = app.requests.length;
    const client = await connect(s.port);
    await client.send("POST /hash HTTP/1.1\r\nHost: web\r\nContent-Length: 5000\r\n\r\n");
    await waitUntil("the request at the origin", () => app.requests.length > seen);
    const upstream = app.connections.at(-1)!;
    drip(client, "a".repeat(5000), 20);
    assert.equal((await client.expectResponse()).status, 408);
    await client.expectClosed();
    await upstream.expectClosed();
    client.destroy();
  });

  it("lets a steady body take longer than the window", async () => {
    const client = await connect(s.port);
    await client.send("POST /hash HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n");
    const start = performance.now();
    let sent = 0;
    await waitUntil("a second of uploading", async () => {
      await client.send("64\r\n" + "a".repeat(100) + "\r\n");
      sent += 100;
      return performance.now() - start > 1000;
    });
    await client.send("0\r\n\r\n");
    assert.match(text(await client.expectResponse()), new RegExp(`^${sent} `));
    client.destroy();
  });

  it("closes an idle connection without an answer", async () => {
    const client = await connect(s.port);
    await client.send(request("GET", "/"));
    assert.equal((await client.expectResponse()).status, 200);
    await client.expectEnd();
    client.destroy();
  });

  it("closes idle connections to the service", async () => {
    await once(s.port, request("GET", "/"));
    await waitUntil("the pooled connections to close", () => s.origins.app.openConnections === 0);
  });

  it("cuts a client that stops reading, and its exchange at the service", async () => {
    const client = await connect(s.port);
    await client.send(request("GET", "/", { Host: "endless" }));
    await client.until("some bytes", () => client.bytesReceived > 0);
    client.pause();
    await s.origins.endless.connections.at(-1)!.finished();
    client.resume();
    await client.expectClosed();
    client.destroy();
  });

  it("does not cut a slow reader that goes on reading", async () => {
    const size = 20_000_000;
    const client = await connect(s.port);
    await client.send(request("GET", `/bytes/${size}/2`));
    const breathe = setInterval(() => {
      client.pause();
      setTimeout(() => client.resume(), 15);
    }, 25);
    timers.push(breathe);
    assert.equal((await client.expectResponse({ hashOnly: true })).bodyHash, seededHash(2, size));
    clearInterval(breathe);
    client.destroy();
  });

  it("serves a good client beside a hundred slow ones, and closes all of these by their deadline", async () => {
    const slow = await Promise.all(Array.from({ length: 100 }, () => connect(s.port)));
    for (const [i, client] of slow.entries()) {
      await client.send(
        i % 2 === 0 ? "GET / HTTP/1.1\r\nHost: web\r\nX" : "POST /hash HTTP/1.1\r\nHost: web\r\nContent-Length: 999\r\n\r\nx",
      );
    }
    let closed = 0;
    for (const client of slow) void client.expectClosed().then(() => closed++);
    let served = 0;
    await waitUntil("the slow ones to be closed", async () => {
      assert.equal((await once(s.port, request("GET", "/"))).status, 200);
      served++;
      return closed === slow.length;
    });
    assert.ok(served > 5);
    for (const client of slow) client.destroy();
  });
});
