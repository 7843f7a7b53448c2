// The race of keep-alive: a service closes an idle connection while a request is on its way. Tried again on a fresh connection, once more where that one
// is reset, only where that is safe (RFC 9112 section 9.3.1, RFC 9110 section 9.2.2).

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { connect, once, request } from "../support/client.ts";
import { text } from "../support/http-lite.ts";
import { startOrigin, startRawOrigin } from "../support/origin.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { scenario, stopProxy } from "../support/scenario.ts";
import { waitUntil, within } from "../support/wait.ts";

describe("retries", () => {
  /** What the origin does with the n-th request of a connection; `/warm` is always answered. */
  let onSecond: "close" | "reset" | "half" = "close";
  let onFresh: "answer" | "close" | "reset" = "answer";
  let attempts: string[] = [];

  const s = scenario(
    async () => ({
      web: await startRawOrigin(async (wire) => {
        for (let count = 1; ; count++) {
          await wire.until("a request or the end", () => wire.buffered > 0 || wire.isEnded || wire.isClosed, 60_000);
          if (wire.buffered === 0) return wire.endWrite();
          const head = await wire.expectUntil("\r\n\r\n");
          const line = head.split("\r\n")[0]!;
          if (!line.includes("/warm")) attempts.push(`${line.split(" ")[0]} ${count === 1 ? "fresh" : "reused"}`);
          const action = line.includes("/warm") ? "answer" : count === 1 ? onFresh : onSecond;
          if (action === "answer") await wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
          else if (action === "half") await wire.send("HTTP/1.1 200 OK\r\nContent-");
          if (action === "reset") return wire.reset();
          if (action !== "answer") return wire.destroy();
        }
      }),
    }),
    // Declared: with detection a slow client's connection is dialled ahead, and which one is fresh would be a matter of luck.
    (o) => ({ protocol: "http1", services: { web: { endpoints: [o.web.address] } } }),
  );

  /** One connection in the pool, then this request. */
  async function onReused(method: string, body?: string): Promise<string> {
    await once(s.port, request("GET", "/warm"));
    attempts = [];
    const response = await once(s.port, request(method, "/x", {}, body), { isHead: method === "HEAD" });
    return `${response.status} ${text(response)}`.trim();
  }

  for (const how of ["close", "reset"] as const) {
    for (const method of ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"]) {
      it(`tries ${method} again on a fresh connection when the reused one was ended by a ${how}`, async () => {
        [onSecond, onFresh] = [how, "answer"];
        assert.match(await onReused(method), /^200/);
        assert.deepEqual(attempts, [`${method} reused`, `${method} fresh`]);
      });
    }

    it(`does not try POST again, ${how}`, async () => {
      [onSecond, onFresh] = [how, "answer"];
      assert.equal(`${await onReused("POST")} ${attempts}`, "502 POST reused");
    });
  }

  it("does not try again with a body that was sent", async () => {
    [onSecond, onFresh] = ["close", "answer"];
    const answer = await onReused("PUT", "body");
    // The body may not have been sent yet when the close was noticed; then trying again is right. Never twice.
    assert.ok(attempts.length <= 2, attempts.join());
    assert.match(answer, attempts.length === 1 ? /^502/ : /^200/);
  });

  it("does not try again once any framing of a chunked body was sent", async () => {
    // The head alone, sent a second time, would take what comes next on the connection for its body.
    [onSecond, onFresh] = ["close", "answer"];
    await once(s.port, request("GET", "/warm"));
    attempts = [];
    const response = await once(s.port, "PUT /x HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert.equal(response.status, 502);
    assert.deepEqual(attempts, ["PUT reused"]);
  });

  it("tries once only where the fresh one is closed", async () => {
    [onSecond, onFresh] = ["close", "close"];
    assert.equal(await onReused("GET"), "502");
    assert.deepEqual(attempts, ["GET reused", "GET fresh"]);
  });

  it("tries twice at most where new ones are reset, too", async () => {
    [onSecond, onFresh] = ["reset", "reset"];
    assert.equal(await onReused("GET"), "502");
    assert.deepEqual(attempts, ["GET reused", "GET fresh", "GET fresh"]);
  });

  it("does not try again on a connection that was fresh", async () => {
    [onSecond, onFresh] = ["close", "close"];
    // The pool is empty after the test before: every connection was closed.
    attempts = [];
    assert.equal((await once(s.port, request("GET", "/x"))).status, 502);
    assert.deepEqual(attempts, ["GET fresh"]);
  });

  it("does not try again once a byte of a response has come", async () => {
    [onSecond, onFresh] = ["half", "answer"];
    assert.equal(await onReused("GET"), "502");
    assert.deepEqual(attempts, ["GET reused"]);
  });
});

/** Listens and accepts nothing until it is told, and closes then: the kernel takes connections and requests for it, and resets them. */
const LEAVING = `
  const { parentPort, workerData } = require("node:worker_threads");
  const server = require("node:net").createServer();
  server.listen({ port: 0, host: "127.0.0.1" }, () => {
    parentPort.postMessage(server.address().port);
    Atomics.wait(workerData, 0, 0);
    server.close(() => parentPort.postMessage("closed"));
  });
`;

describe("a service that stops listening before it has taken a connection", () => {
  const LONG_MS = 60_000;

  for (const [method, status] of [
    ["GET", 200],
    ["POST", 502],
  ] as const) {
    it(`${method}: ${status === 200 ? "the other endpoint answers" : "is not sent again, for nobody can know that it was not read"}`, async () => {
      const leave = new Int32Array(new SharedArrayBuffer(4));
      const thread = new Worker(LEAVING, { eval: true, workerData: leave });
      const port = await within("the thread to listen", new Promise<number>((resolve) => thread.once("message", resolve)), LONG_MS);
      const other = await startOrigin((x) => x.reply(200, "other"));
      const endpoints = [`127.0.0.1:${port}`, other.address];
      const proxy = await ProxyProcess.start({ protocol: "http1", services: { web: { endpoints, loadBalancer: "round-robin" } } });
      try {
        // One is for the other endpoint; the first one's request has left the proxy, and waits.
        const clients = [await connect(proxy.port), await connect(proxy.port)];
        for (const client of clients) await client.send(request(method, "/x"));
        const written = async (): Promise<number> =>
          (await proxy.metrics()).sum("tcp_write_bytes_total", { peer: "dst", target_port: `${port}` });
        await waitUntil("the request to be sent", async () => (await written()) > 0, LONG_MS);
        await waitUntil("the other answer", () => other.requests.length === 1, LONG_MS);
        Atomics.store(leave, 0, 1);
        Atomics.notify(leave, 0);
        const answers = await Promise.all(clients.map((client) => client.expectResponse({}, LONG_MS)));
        assert.deepEqual(answers.map((answer) => answer.status).sort(), [200, status]);
        assert.equal(other.requests.length, status === 200 ? 2 : 1);
        assert.equal((await proxy.metrics()).sum("proxy_reused_connection_retries_total"), status === 200 ? 1 : 0);
        for (const client of clients) client.destroy();
      } finally {
        await stopProxy(proxy);
        await other.stop();
        await thread.terminate();
      }
    });
  }
});
