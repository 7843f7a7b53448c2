// The race of keep-alive: a service closes an idle connection while a request is on its way. Tried again once, on a fresh connection, only
// where that is safe (RFC 9112 section 9.3.1, RFC 9110 section 9.2.2).

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { once, request } from "../support/client.ts";
import { text } from "../support/http-lite.ts";
import { startRawOrigin } from "../support/origin.ts";
import { scenario } from "../support/scenario.ts";

describe("retries", () => {
  /** What the origin does with the n-th request of a connection; `/warm` is always answered. */
  let onSecond: "close" | "reset" | "half" = "close";
  let onFresh: "answer" | "close" = "answer";
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

  it("tries once only", async () => {
    [onSecond, onFresh] = ["close", "close"];
    assert.equal(await onReused("GET"), "502");
    assert.deepEqual(attempts, ["GET reused", "GET fresh"]);
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
