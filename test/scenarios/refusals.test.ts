// Requests that are refused: the answer always arrives, also at a client that is still sending, and the service sees nothing.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect, once, request } from "../support/client.ts";
import { header, type Message } from "../support/http-lite.ts";
import { startApp } from "../support/origin-app.ts";
import { scenario } from "../support/scenario.ts";

const MB = Buffer.alloc(1024 * 1024, "x");
const CLIENTS = 30;
const MEGABYTES = 4;

describe("refusals", () => {
  const s = scenario(
    async () => ({ web: await startApp(), untouched: await startApp() }),
    (o) => ({
      services: { web: { endpoints: [o.web.address] }, untouched: { endpoints: [o.untouched.address] } },
      limits: { headerBytesMax: 8192, headerCountMax: 50, bodyBytesMax: 100_000 },
    }),
  );

  /** Goes on sending whatever comes back, as a client does that reads its answer only after its upload. */
  async function uploadThenRead(start: string | Buffer): Promise<Message> {
    const client = await connect(s.port);
    await client.send(start);
    const answer = client.expectResponse();
    for (let i = 0; i < MEGABYTES && !client.isClosed; i++) await client.send(MB);
    client.endWrite();
    const response = await answer;
    client.destroy();
    return response;
  }

  const uploads: [number, string, string][] = [
    [400, "a malformed head", "POST / HTTP/1.1\r\nHost: untouched\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"],
    [400, "a malformed chunk", "POST /hash HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
    [413, "a body over the limit by its length", "POST / HTTP/1.1\r\nHost: untouched\r\nContent-Length: 8000000\r\n\r\n"],
    [413, "a body over the limit by its chunks", "POST /hash HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n4000000\r\n"],
    [431, "a head over the limit", `POST / HTTP/1.1\r\nHost: untouched\r\nX: ${"a".repeat(9000)}`],
    [414, "a request line over the limit", `GET /${"a".repeat(9000)}`],
  ];
  for (const [status, what, start] of uploads) {
    it(`${CLIENTS} of ${CLIENTS} clients that are still uploading see the ${status}: ${what}`, async () => {
      const answers = await Promise.all(Array.from({ length: CLIENTS }, () => uploadThenRead(start)));
      assert.deepEqual(
        answers.map((answer) => answer.status),
        new Array(CLIENTS).fill(status),
      );
      assert.equal(header(answers[0]!, "connection"), "close");
    });
  }

  const malformed: [string, string][] = [
    [
      "Content-Length with Transfer-Encoding (RFC 9112 section 6.1)",
      "POST / HTTP/1.1\r\nHost: untouched\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    [
      "differing Content-Lengths (RFC 9112 section 6.3)",
      "POST / HTTP/1.1\r\nHost: untouched\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    ],
    ["a transfer coding other than chunked", "POST / HTTP/1.1\r\nHost: untouched\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"],
    ["a bare LF (RFC 9112 section 2.2)", "GET / HTTP/1.1\nHost: untouched\r\n\r\n"],
    ["a bare CR", "GET / HTTP/1.1\r\nHost: untouched\r\nX: a\rb\r\n\r\n"],
    ["obs-fold (RFC 9112 section 5.2)", "GET / HTTP/1.1\r\nHost: untouched\r\nX: a\r\n b\r\n\r\n"],
    ["a space before the colon (RFC 9112 section 5.1)", "GET / HTTP/1.1\r\nHost: untouched\r\nX : a\r\n\r\n"],
    ["NUL", "GET / HTTP/1.1\r\nHost: untouched\r\nX: a\0b\r\n\r\n"],
    ["an empty name", "GET / HTTP/1.1\r\nHost: untouched\r\n: a\r\n\r\n"],
    ["a missing Host (RFC 9112 section 3.2)", "GET / HTTP/1.1\r\n\r\n"],
    ["a duplicate Host", "GET / HTTP/1.1\r\nHost: untouched\r\nHost: untouched\r\n\r\n"],
    ["a malformed Host", "GET / HTTP/1.1\r\nHost: un touched\r\n\r\n"],
    ["a version of the future", "GET / HTTP/1.2\r\nHost: untouched\r\n\r\n"],
  ];
  for (const [what, bytes] of malformed) {
    it(`refuses ${what}, whole and behind a good request, and the service sees nothing`, async () => {
      const alone = await connect(s.port);
      await alone.send(bytes);
      const response = await alone.expectResponse();
      assert.equal(response.status, 400);
      assert.ok(header(response, "l5d-proxy-error"));
      await alone.expectEnd();
      alone.destroy();

      const behind = await connect(s.port);
      await behind.send(request("GET", "/") + bytes + request("GET", "/", { Host: "untouched" }));
      assert.equal((await behind.expectResponse()).status, 200);
      assert.equal((await behind.expectResponse()).status, 400);
      await behind.expectEnd();
      behind.destroy();
      assert.deepEqual(
        s.origins.untouched.requests.map((message) => message.rawHead),
        [],
      );
    });
  }

  it("refuses too many fields with 431", async () => {
    const fields = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`X-${i}`, "1"]));
    assert.equal((await once(s.port, request("GET", "/", { Host: "untouched", ...fields }))).status, 431);
  });

  it("opens no connection to a service for what it refuses", () => {
    assert.equal(s.origins.untouched.connections.length, 0);
  });
});
