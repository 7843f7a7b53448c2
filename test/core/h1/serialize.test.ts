// What heads look like behind Weft: what is copied, dropped, rewritten, added. Each case is parsed, written into a buffer full of
// other bytes at an offset, and compared as text.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { RequestHeadParser, ResponseHeadParser } from "../../../src/core/h1/head-parser.ts";
import {
  CHUNK_SIZE_ROOM,
  ConnectionOption,
  ERROR_RESPONSE_ROOM,
  LAST_CHUNK,
  lastChunkRoom,
  type RequestHeadOptions,
  type ResponseHeadOptions,
  requestHeadRoom,
  responseHeadRoom,
  writeChunkSize,
  writeErrorResponse,
  writeLastChunk,
  writeRequestHead,
  writeResponseHead,
} from "../../../src/core/h1/serialize.ts";
import { MessageHead } from "../../../src/core/http/head.ts";
import { bytesOf, LIMITS, poisoned } from "./feed.ts";

const PLAIN: RequestHeadOptions = { hostFallback: null, upgrade: false, forwardedFor: null, via: null, clientId: null };
const ANSWER: ResponseHeadOptions = { connection: ConnectionOption.none, dropTransferEncoding: false, upgrade: false, via: null };

/** Room before the text, to see that nothing is written there. */
const AT = 9;

function parsed(kind: "request" | "response", text: string): MessageHead {
  const head = new MessageHead();
  const { buffer, start } = poisoned(bytesOf(text));
  const parser = kind === "request" ? new RequestHeadParser(LIMITS) : new ResponseHeadParser(LIMITS);
  assert.equal(parser.parse(buffer, start, start + text.length, head), text.length, text);
  return head;
}

function written(room: number, write: (out: Buffer) => number): string {
  const out = Buffer.alloc(AT + room + 1, "#");
  const end = write(out);
  assert.ok(end <= AT + room, "more than the room said");
  assert.equal(out.toString("latin1", 0, AT), "#".repeat(AT));
  assert.ok(
    out.subarray(end).every((byte) => byte === 0x23),
    "bytes behind the end were touched",
  );
  return out.toString("latin1", AT, end);
}

function request(text: string, options: Partial<RequestHeadOptions> = {}): string {
  const head = parsed("request", text);
  return written(requestHeadRoom(head), (out) => writeRequestHead(head, out, AT, { ...PLAIN, ...options }));
}

function response(text: string, options: Partial<ResponseHeadOptions> = {}): string {
  const head = parsed("response", text);
  return written(responseHeadRoom(head), (out) => writeResponseHead(head, out, AT, { ...ANSWER, ...options }));
}

describe("writeRequestHead", () => {
  it("forwards a head that needs no change byte for byte", () => {
    const text = "gEt /a?b HTTP/1.1\r\nhOST:a\r\nX-A:b\r\nx-a: \t c \r\nContent-Length: 05\r\n\r\n";
    assert.equal(request(text), text);
  });
  it("forwards chunked and Expect byte for byte", () => {
    const text = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\nExpect: 100-continue\r\nTrailer: X\r\n\r\n";
    assert.equal(request(text), text);
  });
  it("writes routing and framing fields anew that have unusual white space around their value", () => {
    assert.equal(
      request("POST / HTTP/1.1\r\nhOST:  a \r\nA:  b \r\nTransfer-Encoding:\tchunked\t\r\n\r\n"),
      "POST / HTTP/1.1\r\nhOST: a\r\nA:  b \r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    assert.equal(
      request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:5 \r\n\r\n"),
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
    );
  });
  it("drops what is hop-by-hop, and what Connection names, wherever it stands", () => {
    const text =
      "GET / HTTP/1.1\r\nX-Named: 1\r\nHost: a\r\nConnection: x-named, keep-alive\r\nKeep-Alive: 5\r\nA: 1\r\nProxy-Connection: x\r\nUpgrade: x\r\nHTTP2-Settings: x\r\nx-NAMED: 2\r\n\r\n";
    assert.equal(request(text), "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\n\r\n");
  });
  it("drops Weft's own fields in any spelling", () => {
    const names = [
      "l5d-dst-override",
      "L5D-Require-Id",
      "l5d_client_id",
      "l5d-dst_canonical",
      "l5d-orig-proto",
      "l5d-proxy-error",
      "l5d-proxy-connection",
    ];
    assert.equal(
      request(`GET / HTTP/1.1\r\nHost: a\r\n${names.map((name) => `${name}: x\r\n`).join("")}\r\n`),
      "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    );
  });
  it("keeps fields that only look like these", () => {
    const text = "GET / HTTP/1.1\r\nHost: a\r\nkeep_alive: 1\r\nl5d-timeout: 5s\r\nX-Upgrade: 1\r\nProxy-Authorization: x\r\n\r\n";
    assert.equal(request(text), text);
  });
  it("makes origin-form of absolute-form, and Host of its authority, in place", () => {
    assert.equal(
      request("GET http://web:80/p?q HTTP/1.1\r\nA: 1\r\nhost:other\r\nB: 2\r\n\r\n"),
      "GET /p?q HTTP/1.1\r\nA: 1\r\nhost: web:80\r\nB: 2\r\n\r\n",
    );
    assert.equal(request("GET http://web HTTP/1.1\r\nHost: \r\n\r\n"), "GET / HTTP/1.1\r\nHost: web\r\n\r\n");
    assert.equal(request("GET http://web?q HTTP/1.1\r\nHost:  web\r\n\r\n"), "GET /?q HTTP/1.1\r\nHost: web\r\n\r\n");
  });
  it("makes asterisk-form of OPTIONS for a whole server (RFC 9112 section 3.2.4)", () => {
    assert.equal(request("OPTIONS http://web HTTP/1.1\r\nHost: web\r\n\r\n"), "OPTIONS * HTTP/1.1\r\nHost: web\r\n\r\n");
    assert.equal(request("OPTIONS http://web/ HTTP/1.1\r\nHost: web\r\n\r\n"), "OPTIONS / HTTP/1.1\r\nHost: web\r\n\r\n");
  });
  it("speaks HTTP/1.1 for an HTTP/1.0 client, with a Host", () => {
    assert.equal(request("GET / HTTP/1.0\r\nHost: a\r\nA: 1\r\n\r\n"), "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\n\r\n");
    assert.equal(
      request("GET / HTTP/1.0\r\nA: 1\r\n\r\n", { hostFallback: bytesOf("web.shop") }),
      "GET / HTTP/1.1\r\nHost: web.shop\r\nA: 1\r\n\r\n",
    );
    assert.equal(request("GET / HTTP/1.0\r\n\r\n"), "GET / HTTP/1.1\r\nHost: \r\n\r\n");
    assert.equal(request("GET http://h:1/x HTTP/1.0\r\n\r\n", { hostFallback: bytesOf("web") }), "GET /x HTTP/1.1\r\nHost: h:1\r\n\r\n");
    assert.equal(request("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  });
  it("does not ask for a 100 that an HTTP/1.0 client did not understand", () => {
    assert.equal(request("POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\n\r\n"), "POST / HTTP/1.1\r\nHost: a\r\n\r\n");
  });
  it("keeps TE only for trailers, and names it", () => {
    assert.equal(
      request("GET / HTTP/1.1\r\nHost: a\r\nTE: Trailers\r\nConnection: te\r\n\r\n"),
      "GET / HTTP/1.1\r\nHost: a\r\nTE: Trailers\r\nConnection: TE\r\n\r\n",
    );
    assert.equal(request("GET / HTTP/1.1\r\nHost: a\r\nTE: gzip, trailers\r\nConnection: te\r\n\r\n"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert.equal(request("GET / HTTP/1.0\r\nHost: a\r\nTE: trailers\r\n\r\n"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  });
  it("forwards an upgrade when told to", () => {
    const text = "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nA: 1\r\n\r\n";
    assert.equal(
      request(text, { upgrade: true }),
      "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nA: 1\r\nConnection: Upgrade\r\n\r\n",
    );
    assert.equal(request(text), "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\n\r\n");
  });
  it("appends the client to the last X-Forwarded-For", () => {
    const forwardedFor = bytesOf("10.0.0.1");
    assert.equal(
      request("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1\r\nx-forwarded-for: 2 \r\nA: 1\r\n\r\n", { forwardedFor }),
      "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1\r\nx-forwarded-for: 2, 10.0.0.1\r\nA: 1\r\n\r\n",
    );
    assert.equal(
      request("GET / HTTP/1.1\r\nHost: a\r\n\r\n", { forwardedFor }),
      "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n",
    );
    assert.equal(
      request("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For:\r\n\r\n", { forwardedFor }),
      "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For:10.0.0.1\r\n\r\n",
    );
  });
  it("does not append to an X-Forwarded-For that ends here", () => {
    assert.equal(
      request("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1\r\nConnection: x-forwarded-for\r\n\r\n", { forwardedFor: bytesOf("9") }),
      "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9\r\n\r\n",
    );
  });
  it("adds Via with the version that came in", () => {
    const via = bytesOf("weft");
    assert.equal(
      request("GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 x\r\n\r\n", { via }),
      "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 x\r\nVia: 1.1 weft\r\n\r\n",
    );
    assert.equal(request("GET / HTTP/1.0\r\nHost: a\r\n\r\n", { via }), "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 weft\r\n\r\n");
  });
  it("writes the head from wherever its bytes were moved", () => {
    const head = parsed("request", "GET http://h/p HTTP/1.1\r\nHost: a\r\nConnection: x\r\nX: 1\r\n\r\n");
    head.retainIn(Buffer.alloc(200), 50);
    assert.equal(
      written(requestHeadRoom(head), (out) => writeRequestHead(head, out, AT, PLAIN)),
      "GET /p HTTP/1.1\r\nHost: h\r\n\r\n",
    );
  });
  it("writes a long head, whose runs are copied natively", () => {
    const long = `A: ${"x".repeat(500)}\r\n`;
    assert.equal(
      request(`GET /${"y".repeat(300)} HTTP/1.0\r\nHost: a\r\n${long}Connection: close\r\n${long}\r\n`),
      `GET /${"y".repeat(300)} HTTP/1.1\r\nHost: a\r\n${long}${long}\r\n`,
    );
  });
});

describe("writeResponseHead", () => {
  it("forwards a head that needs no change byte for byte", () => {
    const text = "HTTP/1.1 200 Fine \r\ndate:x\r\nContent-Length: 5\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n";
    assert.equal(response(text), text);
  });
  it("writes a length anew that has unusual white space around it", () => {
    assert.equal(
      response("HTTP/1.1 200 OK\r\nContent-Length:\t5\r\nA:\tb\r\n\r\n"),
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA:\tb\r\n\r\n",
    );
  });
  it("keeps chunked, drops what is hop-by-hop", () => {
    assert.equal(
      response(
        "HTTP/1.1 200 OK\r\nConnection: X-a, keep-alive\r\nTransfer-Encoding: chunked\r\nKeep-Alive: x\r\nx-A: 1\r\nServer: s\r\nUpgrade: h2c\r\nTE: x\r\n\r\n",
      ),
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nServer: s\r\n\r\n",
    );
  });
  it("drops what only Weft may say", () => {
    assert.equal(
      response("HTTP/1.1 502 x\r\nl5d-proxy-error: a\r\nL5d-Proxy-Connection: close\r\nl5d_orig_proto: HTTP/1.1\r\n\r\n"),
      "HTTP/1.1 502 x\r\n\r\n",
    );
  });
  it("says HTTP/1.1 whatever the upstream said", () => {
    assert.equal(response("HTTP/1.0 200 OK\r\nA: b\r\n\r\n"), "HTTP/1.1 200 OK\r\nA: b\r\n\r\n");
  });
  it("adds the space that a status line lacked", () => {
    assert.equal(response("HTTP/1.0 200\r\nA: b\r\nConnection: close\r\n\r\n"), "HTTP/1.1 200 \r\nA: b\r\n\r\n");
  });
  it("tells the client about its connection", () => {
    assert.equal(
      response("HTTP/1.1 200 OK\r\n\r\n", { connection: ConnectionOption.close }),
      "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    );
    assert.equal(
      response("HTTP/1.1 200 OK\r\nConnection: close\r\nA: b\r\n\r\n", { connection: ConnectionOption.keepAlive }),
      "HTTP/1.1 200 OK\r\nA: b\r\nConnection: keep-alive\r\n\r\n",
    );
  });
  it("drops the coding for a client that knows none", () => {
    assert.equal(
      response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n", {
        dropTransferEncoding: true,
        connection: ConnectionOption.close,
      }),
      "HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\n",
    );
  });
  it("forwards an upgrade when told to", () => {
    assert.equal(
      response("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nA: b\r\n\r\n", { upgrade: true }),
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nA: b\r\nConnection: Upgrade\r\n\r\n",
    );
  });
  it("adds Via", () =>
    assert.equal(response("HTTP/1.0 200 OK\r\n\r\n", { via: bytesOf("weft") }), "HTTP/1.1 200 OK\r\nVia: 1.0 weft\r\n\r\n"));
});

describe("chunk writers", () => {
  for (const [size, text] of [
    [1, "1"],
    [15, "f"],
    [16, "10"],
    [65536, "10000"],
    [0xffffffff, "ffffffff"],
  ] as const) {
    it(`writes ${size} as ${text}`, () =>
      assert.equal(
        written(CHUNK_SIZE_ROOM, (out) => writeChunkSize(out, AT, size)),
        `${text}\r\n`,
      ));
  }
  it("ends a body", () => {
    assert.equal(LAST_CHUNK.toString(), "0\r\n\r\n");
    assert.equal(
      written(lastChunkRoom(null), (out) => writeLastChunk(out, AT, null)),
      "0\r\n\r\n",
    );
    const trailers = { buffer: bytesOf("xxA: 1\r\nB: 2\r\nxx"), start: 2, end: 14 };
    assert.equal(
      written(lastChunkRoom(trailers), (out) => writeLastChunk(out, AT, trailers)),
      "0\r\nA: 1\r\nB: 2\r\n\r\n",
    );
  });
});

describe("writeErrorResponse", () => {
  const answer = {
    status: 502,
    code: "WEFT_CONNECT_FAILED",
    detail: "10.0.0.1:80 refused",
    close: false,
    isHead: false,
    now: "Mon, 05 Oct 2026 10:00:00 GMT",
  };
  const write = (change: object) => written(ERROR_RESPONSE_ROOM, (out) => writeErrorResponse(out, AT, { ...answer, ...change }));

  it("writes an answer without a body, with its reason", () => {
    assert.equal(
      write({}),
      "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nDate: Mon, 05 Oct 2026 10:00:00 GMT\r\nl5d-proxy-error: [WEFT_CONNECT_FAILED] 10.0.0.1:80 refused\r\n\r\n",
    );
  });
  it("says when the connection ends and when to come again", () => {
    const text = write({ close: true, retryAfter: 1.2, status: 503 });
    assert.match(text, /^HTTP\/1\.1 503 Service Unavailable\r\n/);
    assert.match(text, /\r\nRetry-After: 2\r\nConnection: close\r\nl5d-proxy-connection: close\r\n\r\n$/);
  });
  it("lets no byte of a detail end the line", () => {
    const text = write({ detail: `a\r\nSet-Cookie: x\0\u{1f600}${"y".repeat(2000)}` });
    const head = parsed("response", text);
    assert.equal(head.count, 3);
    assert.match(text, /\] a {2}Set-Cookie: x {3}y+\r\n\r\n$/);
  });
  it("gives an unknown status an empty phrase", () => assert.match(write({ status: 599 }), /^HTTP\/1\.1 599 \r\n/));
});
