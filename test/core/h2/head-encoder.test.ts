import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import type { RequestEdits } from "../../../src/core/http/exchange.ts";
import type { MessageHead } from "../../../src/core/http/head.ts";
import { encodeRequestHead, encodeResponseHead, requestBlockRoom, responseBlockRoom } from "../../../src/core/h2/head-encoder.ts";
import { frameBlock, framesRoom } from "../../../src/core/h2/head-frames.ts";
import { HpackEncoder } from "../../../src/core/hpack/encoder.ts";
import { NO_EDITS } from "../../support/h2-engine.ts";
import { h1Request, h1Response } from "../../support/h1-heads.ts";
import { FrameSplitter } from "../../support/h2-frames.ts";
import { type Fields, HpackDecoder } from "../../support/h2-hpack.ts";
import { readRequest, readResponse, scratch } from "./heads.ts";

interface RequestOptions {
  readonly edits?: Partial<RequestEdits>;
  readonly isHttps?: boolean;
  readonly isUpgrade?: boolean;
  readonly isMesh?: boolean;
}

/** Encodes into exactly the room that was promised. */
function request(head: MessageHead, options: RequestOptions = {}): string[] {
  const edits = { ...NO_EDITS, ...options.edits };
  const out = Buffer.alloc(requestBlockRoom(head));
  const { isHttps = false, isUpgrade = false, isMesh = false } = options;
  const end = encodeRequestHead(new HpackEncoder(), head, edits, isHttps, isUpgrade, isMesh, out, 0);
  return lines(new HpackDecoder().decode(out.subarray(0, end)));
}

function response(head: MessageHead, via: string | null = null, isUpgrade = false, isOriginal = false): string[] {
  const out = Buffer.alloc(responseBlockRoom(head));
  const end = encodeResponseHead(new HpackEncoder(), head, via === null ? null : Buffer.from(via), isUpgrade, isOriginal, out, 0);
  return lines(new HpackDecoder().decode(out.subarray(0, end)));
}

function lines(fields: Fields): string[] {
  return fields.map(([name, value]) => `${name}=${value}`);
}

const FRONT = [":method=GET", ":scheme=http", ":path=/a", ":authority=web"];

describe("a request for HTTP/2", () => {
  it("has its names in lower case and Host as :authority", () => {
    const head = h1Request("GET /a HTTP/1.1\r\nUser-Agent: U\r\nHost: web\r\nX-Mixed-Case: Value\r\nx-EMPTY:\r\n\r\n");
    assert.deepEqual(request(head), [...FRONT, "user-agent=U", "x-mixed-case=Value", "x-empty="]);
  });

  it("leaves out what ends at this hop, and what only Weft may say", () => {
    const head = h1Request(
      "GET /a HTTP/1.1\r\nHost: web\r\nConnection: X-Hop, Keep-Alive, Upgrade, HTTP2-Settings\r\nKeep-Alive: 5\r\nX-Hop: 1\r\nUpgrade: h2c\r\n" +
        "HTTP2-Settings: AAAA\r\nProxy-Connection: close\r\nl5d-dst-override: x\r\nL5D_client_id: y\r\nl5d-orig-proto: z\r\nX-Kept: 1\r\n\r\n",
    );
    assert.deepEqual(request(head), [...FRONT, "x-kept=1"]);
  });

  it("has no Transfer-Encoding, and keeps Content-Length", () => {
    const chunked = h1Request("GET /a HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n");
    assert.deepEqual(request(chunked), [...FRONT, "trailer=X"]);
    assert.deepEqual(request(h1Request("GET /a HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\n\r\n")), [...FRONT, "content-length=5"]);
  });

  it("keeps TE only as trailers", () => {
    const te = (value: string): string[] => request(h1Request(`GET /a HTTP/1.1\r\nHost: web\r\nConnection: TE\r\nTE: ${value}\r\n\r\n`));
    assert.deepEqual(te("trailers"), [...FRONT, "te=trailers"]);
    assert.deepEqual(te("trailers, gzip"), FRONT);
    assert.deepEqual(te("gzip"), FRONT);
  });

  it("takes an absolute target apart, whose authority wins over Host", () => {
    const path = (target: string, method = "GET"): string[] => request(h1Request(`${method} ${target} HTTP/1.1\r\nHost: other\r\n\r\n`));
    assert.deepEqual(path("http://web/a"), FRONT);
    assert.deepEqual(path("http://web"), [FRONT[0], FRONT[1], ":path=/", FRONT[3]]);
    assert.deepEqual(path("http://web?q"), [FRONT[0], FRONT[1], ":path=/?q", FRONT[3]]);
    assert.deepEqual(path("http://web", "OPTIONS"), [":method=OPTIONS", FRONT[1], ":path=*", FRONT[3]]);
  });

  it("gets an authority where it has none", () => {
    assert.deepEqual(request(h1Request("GET /a HTTP/1.0\r\n\r\n")), [FRONT[0], FRONT[1], FRONT[2], ":authority=fallback"]);
    assert.deepEqual(request(h1Request("GET /a HTTP/1.1\r\nHost:\r\n\r\n")), [FRONT[0], FRONT[1], FRONT[2], ":authority=fallback"]);
  });

  it("loses what an HTTP/1.0 client cannot mean", () => {
    const head = h1Request("GET /a HTTP/1.0\r\nHost: web\r\nTE: trailers\r\nExpect: 100-continue\r\n\r\n");
    assert.deepEqual(request(head), FRONT);
  });

  it("gets X-Forwarded-For, behind the last that is there", () => {
    const edits = { forwardedFor: Buffer.from("9.9.9.9") };
    assert.deepEqual(request(h1Request("GET /a HTTP/1.1\r\nHost: web\r\n\r\n"), { edits }), [...FRONT, "x-forwarded-for=9.9.9.9"]);
    const head = h1Request("GET /a HTTP/1.1\r\nHost: web\r\nX-Forwarded-For: 1.1.1.1\r\nX: y\r\nX-Forwarded-For: 2.2.2.2\r\nZ: w\r\n\r\n");
    assert.deepEqual(request(head, { edits }), [...FRONT, "x-forwarded-for=1.1.1.1", "x=y", "x-forwarded-for=2.2.2.2, 9.9.9.9", "z=w"]);
    const empty = h1Request("GET /a HTTP/1.1\r\nHost: web\r\nX-Forwarded-For:\r\n\r\n");
    assert.deepEqual(request(empty, { edits }), [...FRONT, "x-forwarded-for=9.9.9.9"]);
  });

  it("says who the client is, and never what the client says of that", () => {
    const lines = "GET /a HTTP/1.1\r\nHost: web\r\nl5d-client-id: root\r\nL5D_Client_Id: root\r\n\r\n";
    assert.deepEqual(request(h1Request(lines)), FRONT);
    assert.deepEqual(request(h1Request(lines), { edits: { clientId: Buffer.from("web.shop") } }), [...FRONT, "l5d-client-id=web.shop"]);
  });

  it("gets Via with the version that it came in", () => {
    const edits = { via: Buffer.from("weft") };
    assert.deepEqual(request(h1Request("GET /a HTTP/1.1\r\nHost: web\r\nVia: 1.0 p\r\n\r\n"), { edits }), [
      ...FRONT,
      "via=1.0 p",
      "via=1.1 weft",
    ]);
    assert.deepEqual(request(h1Request("GET /a HTTP/1.0\r\nHost: web\r\n\r\n"), { edits }), [...FRONT, "via=1.0 weft"]);
    readRequest([
      [":method", "GET"],
      [":scheme", "http"],
      [":path", "/a"],
      [":authority", "web"],
    ]);
    assert.deepEqual(request(scratch.head, { edits }), [...FRONT, "via=2.0 weft"]);
  });

  it("is an extended CONNECT when it is an upgrade (RFC 8441)", () => {
    const head = h1Request(
      "GET /a HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n\r\n",
    );
    assert.deepEqual(request(head, { isUpgrade: true, isHttps: true }), [
      ":method=CONNECT",
      ":protocol=websocket",
      ":scheme=https",
      ":path=/a",
      ":authority=web",
      "sec-websocket-version=13",
    ]);
  });

  it("has neither :scheme nor :path for CONNECT", () => {
    assert.deepEqual(request(h1Request("CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n")), [":method=CONNECT", ":authority=db:5432"]);
  });

  it("that came by HTTP/2 leaves as it came", () => {
    const fields: Fields = [
      [":method", "POST"],
      [":scheme", "http"],
      [":path", "/shop.v1.Orders/Get"],
      [":authority", "web"],
      ["content-type", "application/grpc"],
      ["te", "trailers"],
      ["grpc-timeout", "1S"],
      ["x-latin", "caf\xe9"],
    ];
    readRequest(fields, { isEnd: false });
    assert.deepEqual(request(scratch.head), lines(fields));
  });

  it("keeps never-indexed fields out of every table", () => {
    readRequest(
      [
        [":method", "GET"],
        [":scheme", "http"],
        [":path", "/a"],
        [":authority", "web"],
        ["user-agent", "secret"],
      ],
      {
        neverIndexed: ["user-agent"],
      },
    );
    const out = Buffer.alloc(requestBlockRoom(scratch.head));
    const encoder = new HpackEncoder();
    for (let time = 0; time < 3; time++) {
      const end = encodeRequestHead(encoder, scratch.head, NO_EDITS, false, false, false, out, 0);
      // User-Agent is index 58 of the static table: a never-indexed literal begins with 0001 and four bits of a longer index.
      assert.ok(out.subarray(0, end).includes(Buffer.from([0x1f, 58 - 15])), out.subarray(0, end).toString("hex"));
    }
  });
});

describe("a response for HTTP/2", () => {
  it("leaves out what ends at this hop", () => {
    const head = h1Response(
      "HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTransfer-Encoding: chunked\r\nUpgrade: h2c\r\nTE: x\r\nl5d-proxy-error: x\r\nETag: e\r\n\r\n",
    );
    assert.deepEqual(response(head), [":status=200", "etag=e"]);
  });

  it("gets Via, and 200 for the 101 of an upgrade", () => {
    const head = h1Response("HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\nX: y\r\n\r\n");
    assert.deepEqual(response(head, "weft", true), [":status=200", "x=y", "via=1.1 weft"]);
  });

  it("that came by HTTP/2 leaves as it came", () => {
    const fields: Fields = [
      [":status", "418"],
      ["content-type", "text/plain"],
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
    ];
    readResponse(fields);
    assert.deepEqual(response(scratch.head), lines(fields));
  });
});

describe("a block above the peer's frame size", () => {
  for (const size of [1, 99, 100, 101, 200, 201, 999, 1000]) {
    it(`of ${size} bytes is cut into HEADERS and CONTINUATION of 100`, () => {
      const out = Buffer.alloc(7 + framesRoom(size, 100), 0xee);
      const block = Buffer.from(Array.from({ length: size }, (_, i) => i & 0xff));
      block.copy(out, 7 + 9);
      const end = frameBlock(out, 7, 7 + 9 + size, 5, 1, 100);
      const frames = new FrameSplitter().push(out.subarray(7, end));
      assert.deepEqual(Buffer.concat(frames.map(({ payload }) => payload)), block);
      assert.deepEqual(
        frames.map(({ type, flags, streamId }) => [type, flags, streamId]),
        frames.map((_, i) => [i === 0 ? 1 : 9, (i === 0 ? 1 : 0) | (i === frames.length - 1 ? 4 : 0), 5]),
      );
      assert.ok(frames.every(({ payload }, i) => payload.length === (i === frames.length - 1 ? size - 100 * i : 100)));
    });
  }
});
