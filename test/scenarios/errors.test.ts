// The answers that Weft makes itself (linkerd.md 3.4): status, reason, empty body, and whether the connection ends.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect, once, request } from "../support/client.ts";
import { header, type Message, text } from "../support/http-lite.ts";
import { startOrigin } from "../support/origin.ts";
import { startApp } from "../support/origin-app.ts";
import { closedPort } from "../support/ports.ts";
import { scenario } from "../support/scenario.ts";
import { Gate, waitUntil } from "../support/wait.ts";

function isWefts(response: Message, status: number, close: boolean): void {
  assert.equal(response.status, status);
  assert.ok(header(response, "l5d-proxy-error"), "a reason in l5d-proxy-error");
  assert.equal(header(response, "content-length"), "0");
  assert.equal(header(response, "connection"), close ? "close" : undefined);
}

describe("errors", () => {
  let dead = 0;
  let held = new Gate();
  const s = scenario(
    async () => {
      dead = await closedPort();
      return {
        app: await startApp(),
        slow: await startOrigin(async (x) => {
          await held.opened;
          await x.reply(200, "late");
        }),
        rude: await startOrigin((x) => x.wire.send("HTTP/1.1 200 OK\r\nl5d-proxy-error: not ours\r\nContent-Length: 0\r\n\r\n")),
      };
    },
    (o) => ({
      services: {
        app: { endpoints: [o.app.address] },
        rude: { endpoints: [o.rude.address] },
        dead: { endpoints: [`127.0.0.1:${dead}`] },
        empty: { endpoints: [] },
        slow: { endpoints: [o.slow.address] },
      },
      default: null,
      limits: {
        failFastTimeoutMs: 150,
        responseTimeoutMs: 600,
        upstreamConnectionsMax: 1,
        pendingRequestsMax: 1,
        reconnectBackoffMinMs: 50,
        reconnectBackoffMaxMs: 100,
      },
    }),
  );

  it("404: a name that is no service, and the connection goes on", async () => {
    const client = await connect(s.port);
    await client.send(request("GET", "/", { Host: "nobody" }));
    const response = await client.expectResponse();
    isWefts(response, 404, false);
    assert.match(header(response, "l5d-proxy-error")!, /nobody/);
    await client.send(request("GET", "/", { Host: "app" }));
    assert.equal(text(await client.expectResponse()), "hello");
    client.destroy();
  });

  it("404: a request that names none, without a default", async () => {
    isWefts(await once(s.port, request("GET", "/", { Host: "127.0.0.1" })), 404, false);
  });

  it("404: with an upload behind it, whose bytes are not taken for requests", async () => {
    const client = await connect(s.port);
    await client.send(request("POST", "/", { Host: "nobody" }, request("GET", "/", { Host: "app" })));
    assert.equal((await client.expectResponse()).status, 404);
    await client.send(request("GET", "/status/418", { Host: "app" }));
    // Either the connection goes on behind the upload, or it ends: never an answer to the upload's bytes.
    await client.until("an answer or the end", () => client.buffered > 0 || client.isEnded || client.isClosed);
    if (client.buffered > 0) assert.equal((await client.expectResponse()).status, 418);
    client.destroy();
  });

  it("502: the endpoint refuses connections", async () => {
    const client = await connect(s.port);
    await client.send(request("GET", "/", { Host: "dead" }));
    isWefts(await client.expectResponse(), 502, true);
    await client.expectEnd();
    client.destroy();
  });

  it("504 fail-fast: a service without endpoints", async () => {
    isWefts(await once(s.port, request("GET", "/", { Host: "empty" })), 504, true);
  });

  it("504: no answer in time; the exchange at the service is cancelled", async () => {
    held = new Gate();
    isWefts(await once(s.port, request("GET", "/", { Host: "slow" })), 504, false);
    await s.origins.slow.connections.at(-1)!.expectClosed(1000);
  });

  it("503: more requests wait than may", async () => {
    held = new Gate();
    const { slow } = s.origins;
    const seen = slow.requests.length;
    const first = once(s.port, request("GET", "/", { Host: "slow" }));
    await waitUntil("the first request at the origin", () => slow.requests.length > seen);
    const answers = await Promise.all([1, 2, 3].map(() => once(s.port, request("GET", "/", { Host: "slow" }))));
    held.open();
    assert.equal(text(await first), "late");
    const statuses = answers.map((answer) => answer.status).sort();
    // One may wait (and gets 504 when it waited too long); the others are refused at once.
    assert.deepEqual(statuses.slice(0, 2), [503, 503]);
    for (const answer of answers) if (answer.status === 503) isWefts(answer, 503, true);
  });

  it("hides a reason that a service claims in Weft's name", async () => {
    assert.equal(header(await once(s.port, request("GET", "/", { Host: "rude" })), "l5d-proxy-error"), undefined);
  });

  it("answers HEAD without a body", async () => {
    const client = await connect(s.port);
    await client.send(request("HEAD", "/", { Host: "nobody" }));
    assert.equal((await client.expectResponse({ isHead: true })).status, 404);
    await client.send(request("GET", "/", { Host: "app" }));
    assert.equal(text(await client.expectResponse()), "hello");
    client.destroy();
  });

  it("counts them", async () => {
    const metrics = await s.proxy.metrics();
    for (const error of ["no route", "failfast", "i/o", "loadshed"])
      assert.ok(metrics.sum("outbound_http_errors_total", { error }) > 0, error);
  });
});

describe("errors of clients at an inbound listener", () => {
  const s = scenario(
    async () => ({ app: await startApp() }),
    (o) => ({ services: { app: { endpoints: [o.app.address] } }, inbound: { target: o.app.address } }),
  );

  it("are counted there, the malformed request too that was never routed", async () => {
    const wire = await connect(s.proxy.listener("inbound"));
    await wire.send("GET / HTTP/1.1\r\nHost : x\r\n\r\n");
    assert.equal((await wire.expectResponse()).status, 400);
    const metrics = await s.proxy.metrics();
    assert.equal(metrics.sum("inbound_http_errors_total"), 1);
    assert.equal(metrics.sum("outbound_http_errors_total"), 0);
    assert.equal(s.origins.app.requests.length, 0);
  });
});

describe("an endpoint that nobody serves", () => {
  let dead = 0;
  const s = scenario(
    async () => {
      dead = await closedPort();
      return {};
    },
    () => ({
      services: { web: { endpoints: [`127.0.0.1:${dead}`] } },
      limits: { failFastTimeoutMs: 100, reconnectBackoffMinMs: 30_000, reconnectBackoffMaxMs: 60_000 },
    }),
  );

  it("is named with the reason: in the answer, in the log, and still when requests fail fast", async () => {
    const reason = `127.0.0.1:${dead}: ECONNREFUSED`;
    const first = await once(s.port, request("GET", "/"));
    assert.equal(first.status, 502);
    assert.ok(header(first, "l5d-proxy-error")?.endsWith(`(${reason})`), header(first, "l5d-proxy-error"));
    const second = await once(s.port, request("GET", "/"));
    assert.equal(second.status, 504);
    assert.ok(header(second, "l5d-proxy-error")?.endsWith(`(default/web; ${reason})`), header(second, "l5d-proxy-error"));
    await waitUntil("the line", () => s.proxy.log.includes("an endpoint cannot be reached"));
    const lines = s.proxy.log.split("\n").filter((line) => line.includes("an endpoint cannot be reached"));
    assert.equal(lines.length, 1);
    assert.match(lines[0]!, new RegExp(`"endpoint":"127.0.0.1:${dead}","service":"default/web","detail":"ECONNREFUSED"`));
  });
});
