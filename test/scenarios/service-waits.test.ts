// Requests that wait for a service: for a connect that hangs, for an endpoint that failed, in a queue, for an answer.
//
// Stories: (1) thirty connects that failed together counted as thirty failures in a row: the endpoint was left alone for the longest
// pause (10 s) though it was back at once. (2) Requests whose clients had left stayed in the queue while no live one was late: they
// filled it, and live ones were refused. (3) responseTimeoutMs, which ends with the response's head, began again at the end
// of an upload that was answered early, and cut a body that was on its way.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { connect, once, request } from "../support/client.ts";
import { DeafListener } from "../support/deaf-listener.ts";
import { header, text } from "../support/http-lite.ts";
import { startOrigin, startRawOrigin } from "../support/origin.ts";
import { closedPort } from "../support/ports.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { scenario, stopProxy } from "../support/scenario.ts";
import { Gate, waitUntil, within } from "../support/wait.ts";
import { endpointStats, forwarderStats } from "../support/worker-stats.ts";

describe("a connect that hangs", () => {
  let deaf: DeafListener;
  let proxy: ProxyProcess;
  before(async () => {
    deaf = await DeafListener.start();
    proxy = await ProxyProcess.start({
      // Two services: each has its own view of the endpoint, and this one is not ready for a while after the connect that failed.
      services: { web: { endpoints: [deaf.address] }, opaque: { endpoints: [deaf.address] } },
      listeners: { opaque: { service: "opaque", protocol: "opaque" } },
      limits: { connectTimeoutMs: 200 },
    });
  });
  after(async () => {
    await stopProxy(proxy);
    await deaf.stop();
  });

  it("is given up after connectTimeoutMs: 504", async () => {
    const response = await once(proxy.port, request("GET", "/"));
    assert.equal(response.status, 504);
    assert.match(header(response, "l5d-proxy-error") ?? "", /WEFT_CONNECT_TIMEOUT/);
  });

  it("ends an opaque connection", async () => {
    const client = await connect(proxy.listener("opaque"));
    await client.send("\0");
    await client.expectClosed();
    assert.equal(client.bytesReceived, 0);
    await waitUntil("the reason in the log", () => proxy.log.includes("[WEFT_CONNECT_TIMEOUT]"));
    client.destroy();
  });
});

describe("a connect that hangs for a client that is silent", () => {
  const GREETING = "220 ready\r\n";

  for (const [isAlone, what] of [
    [false, "gets the greeting of another endpoint"],
    [true, "ends after headerDeadlineMs where there is no other: the endpoint is left alone, as after any connect that fails"],
  ] as const) {
    it(what, async () => {
      const deaf = await DeafListener.start();
      const greeter = await startRawOrigin(async (wire) => {
        await wire.send(GREETING);
        await wire.until("the end", () => wire.isEnded || wire.isClosed, 60_000);
        wire.endWrite();
      });
      const proxy = await ProxyProcess.start({
        // Round robin: of two clients one is given the endpoint that hangs first.
        services: { web: { endpoints: isAlone ? [deaf.address] : [deaf.address, greeter.address], loadBalancer: "round-robin" } },
        limits: { reconnectBackoffMinMs: 60_000, reconnectBackoffMaxMs: 60_000, reconnectQuickMaxMs: 60_000, headerDeadlineMs: 300 },
      });
      try {
        const clients = [await connect(proxy.port), await connect(proxy.port)];
        for (const client of clients) {
          if (isAlone) await client.expectClosed(60_000);
          else assert.equal((await client.expectBytes(GREETING.length, 60_000)).toString("latin1"), GREETING);
          client.destroy();
        }
        const stats = await forwarderStats(proxy);
        const { endpoints } = stats!.services.find(({ service }) => service === "default/web")!;
        const { ready } = endpoints.find(({ address }) => address === deaf.address)!;
        assert.equal(ready, false);
        await waitUntil("nothing to be under way", async () => {
          const now = await forwarderStats(proxy);
          return now?.services.every((one) => one.endpoints.every(({ inFlight }) => inFlight === 0));
        });
      } finally {
        await proxy.stop();
        await greeter.stop();
        await deaf.stop();
      }
    });
  }
});

const CLIENTS = 30;

describe("an endpoint that refused many connects at once", () => {
  let proxy: ProxyProcess;
  let port = 0;
  before(async () => {
    port = await closedPort();
    proxy = await ProxyProcess.start({
      protocol: "http1",
      services: { web: { endpoints: [`127.0.0.1:${port}`] } },
      // Doubled for each of them, the pause would be longer than any test.
      limits: { reconnectBackoffMinMs: 100, reconnectBackoffMaxMs: 600_000, reconnectQuickMaxMs: 600_000 },
    });
  });
  after(() => stopProxy(proxy));

  it("is tried again soon after it is back", async () => {
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => connect(proxy.port)));
    for (const client of clients) void client.send(request("GET", "/"));
    for (const client of clients) {
      assert.ok([502, 504].includes((await client.expectResponse()).status));
      client.destroy();
    }
    // The first try after the first pause: it decides how long the second one is.
    assert.ok([502, 504].includes((await once(proxy.port, request("GET", "/"))).status));
    const origin = await startOrigin((x) => x.reply(200, "back"), { port });
    try {
      await waitUntil("the endpoint to serve", async () => (await once(proxy.port, request("GET", "/"))).status === 200);
    } finally {
      await origin.stop();
    }
  });
});

/** Doubled so often, a pause of 100 ms would be three minutes: longer than a request waits for an endpoint. */
const REFUSALS = 12;

describe("an endpoint that refuses connects for a while", () => {
  const limits = { reconnectBackoffMinMs: 100, reconnectBackoffMaxMs: 600_000, reconnectQuickMaxMs: 200 };
  const web = { endpoints: ["127.0.0.1:1"] };
  for (const [what, portOf, configure] of [
    ["a service's", (proxy: ProxyProcess) => proxy.port, (address: string) => ({ services: { web: { endpoints: [address] } } })],
    [
      "an inbound listener's",
      (proxy: ProxyProcess) => proxy.listener("inbound"),
      // Not even reconnectQuickMaxMs: the application is on this host.
      (target: string) => ({ services: { web }, inbound: { target }, limits: { ...limits, reconnectQuickMaxMs: 600_000 } }),
    ],
  ] as const) {
    it(`is tried again all the time (${what}), and serves when it is there`, async () => {
      const port = await closedPort();
      const proxy = await ProxyProcess.start({ limits, ...configure(`127.0.0.1:${port}`) });
      const ask = async (): Promise<number> => (await once(portOf(proxy), request("GET", "/"))).status;
      // Each waits for the end of a pause and is then the one that tries.
      for (let i = 0; i < REFUSALS; i++) assert.equal(await ask(), 502);
      const origin = await startOrigin((x) => x.reply(200, "there"), { port });
      try {
        await waitUntil("the endpoint to serve", async () => (await ask()) === 200);
      } finally {
        await stopProxy(proxy);
        await origin.stop();
      }
    });
  }
});

const BURST = 40;
/** Each has no connection yet when its turn comes. */
const ENDPOINTS = Array.from({ length: 100 }, (_, index) => `127.0.1.${index + 1}`);

describe("a connection that was dialled for a request which another one served", () => {
  const s = scenario(
    async () => ({ web: await startOrigin((x) => x.reply(200, "hello"), { host: "0.0.0.0" }) }),
    (o) => ({
      protocol: "http1",
      services: Object.fromEntries(ENDPOINTS.map((host, index) => [`web-${index}`, { endpoints: [`${host}:${o.web.port}`] }])),
    }),
  );

  // Story: an application on Node was restarted; its server waited for such a connection until the proxy closed it, after half a minute.
  it("goes soon: servers that are told to end wait for clients which have not asked yet", async () => {
    const unused = (): number =>
      s.origins.web.connections.filter((wire) => wire.bytesReceived === 0 && !wire.isEnded && !wire.isClosed).length;
    for (let index = 0; index < ENDPOINTS.length && unused() === 0; index++)
      await Promise.all(Array.from({ length: BURST }, () => once(s.port, request("GET", "/", { Host: `web-${index}` }))));
    assert.ok(unused() > 0, "no connection was dialled in vain");
    await waitUntil("it to go", () => unused() === 0);
  });
});

const QUEUE_MAX = 20;

describe("requests whose clients left while they waited for a connection", () => {
  const mayAnswer = new Gate();
  const s = scenario(
    async () => ({
      web: await startOrigin(async (x) => {
        await mayAnswer.opened;
        await x.reply(200, x.request.target);
      }),
    }),
    (o) => ({
      protocol: "http1",
      services: { web: { endpoints: [o.web.address] } },
      limits: { upstreamConnectionsMax: 1, pendingRequestsMax: QUEUE_MAX, failFastTimeoutMs: 60_000 },
    }),
  );

  const waiting = async (): Promise<number | undefined> => (await endpointStats(s.proxy))?.waiting;

  it("leave room in the queue", async () => {
    const first = once(s.port, request("GET", "/first"));
    await waitUntil("the first request at the service", () => s.origins.web.requests.length === 1);
    const leaving = await Promise.all(Array.from({ length: QUEUE_MAX }, () => connect(s.port)));
    for (const client of leaving) void client.send(request("GET", "/never"));
    await waitUntil("the queue to be full", async () => (await waiting()) === QUEUE_MAX);
    assert.equal((await once(s.port, request("GET", "/shed"))).status, 503);
    for (const client of leaving) client.reset();
    await waitUntil("the queue to be empty", async () => (await waiting()) === 0);
    const next = await connect(s.port);
    await next.send(request("GET", "/next"));
    await waitUntil("a request in the queue, or a refusal", async () => (await waiting()) === 1 || next.buffered > 0);
    mayAnswer.open();
    assert.equal(text(await first), "/first");
    assert.equal(text(await next.expectResponse()), "/next");
    next.destroy();
    assert.deepEqual(
      s.origins.web.requests.map((one) => one.target),
      ["/first", "/next"],
    );
  });
});

describe("a response that began before the upload was complete", () => {
  const uploaded = new Gate();
  const mayEnd = new Gate();
  const s = scenario(
    async () => ({
      early: await startOrigin(async (x) => {
        await x.wire.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
        await x.body();
        uploaded.open();
        await mayEnd.opened;
        await x.wire.send("half");
      }),
      mute: await startRawOrigin(() => undefined),
    }),
    (o) => ({
      protocol: "http1",
      services: { early: { endpoints: [o.early.address] }, mute: { endpoints: [o.mute.address] } },
      limits: { responseTimeoutMs: 100 },
    }),
  );

  it("may take longer than responseTimeoutMs", async () => {
    const client = await connect(s.port);
    await client.send("POST / HTTP/1.1\r\nHost: early\r\nContent-Length: 4\r\n\r\nab");
    await client.expectUntil("\r\n\r\nhalf");
    await client.send("cd");
    await within("the upload at the service", uploaded.opened);
    // Asked later, and given up by the same limit.
    assert.equal((await once(s.port, request("GET", "/", { Host: "mute" }))).status, 504);
    mayEnd.open();
    assert.equal((await client.expectBytes(4)).toString(), "half");
    client.destroy();
  });
});
