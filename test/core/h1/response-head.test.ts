// What the response parser accepts, refuses and concludes, and the framing that follows (RFC 9112 sections 4 and 6.3).

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { responseFraming } from "../../../src/core/h1/framing.ts";
import { ResponseHeadParser } from "../../../src/core/h1/head-parser.ts";
import { Framing, MessageHead, Method } from "../../../src/core/http/head.ts";
import { bytesOf, LIMITS, type Outcome, parseBytewise, parseWhole } from "./feed.ts";

function parse(text: string, limits = LIMITS): Outcome {
  const bytes = bytesOf(text);
  const whole = parseWhole("response", bytes, limits);
  assert.deepEqual(parseBytewise("response", bytes, limits), whole, "split at every byte");
  return whole;
}

function accepts(text: string): Record<string, unknown> {
  const { result, head } = parse(text);
  assert.equal(result, String(text.length));
  assert.ok(head !== null);
  return head;
}

function refuses(text: string, code: string, limits = LIMITS): void {
  assert.equal(parse(text, limits).result, code);
}

describe("status line (RFC 9112 section 4)", () => {
  it("reads version and status", () => {
    const head = accepts("HTTP/1.0 404 Not Found\r\nA: b\r\n\r\n");
    assert.equal(head.version, 10);
    assert.equal(head.status, 404);
    assert.equal(head.fieldsStart, 24);
  });
  for (const line of [
    "HTTP/1.1 200 ",
    "HTTP/1.1 200",
    "HTTP/1.1 200 \xe9t\xe9",
    "HTTP/1.1 599 a\tb",
    "HTTP/1.1 999 x",
    "HTTP/1.1 100 Continue",
  ]) {
    it(`accepts ${JSON.stringify(line)}`, () => assert.equal(accepts(`${line}\r\n\r\n`).version, 11));
  }
  const refused: readonly [string, string][] = [
    ["HTTP/1.1 20 OK\r\n", "WEFT_H1_BAD_STATUS_LINE"],
    ["HTTP/1.1 2000 OK\r\n", "WEFT_H1_BAD_STATUS_LINE"],
    ["HTTP/1.1 099 OK\r\n", "WEFT_H1_BAD_STATUS_LINE"],
    ["HTTP/1.1 2x0 OK\r\n", "WEFT_H1_BAD_STATUS_LINE"],
    ["HTTP/1.1  200 OK\r\n", "WEFT_H1_BAD_STATUS_LINE"],
    ["HTTP/1.1 200\tOK\r\n", "WEFT_H1_BAD_STATUS_LINE"],
    ["HTTP/1.1 200 O\0K\r\n", "WEFT_H1_BAD_STATUS_LINE"],
    ["HTTP/1.1\r\n", "WEFT_H1_BAD_VERSION"],
    ["HTTP/1.2 200 OK\r\n", "WEFT_H1_BAD_VERSION"],
    ["HTTP/2 200\r\n", "WEFT_H1_BAD_VERSION"],
    ["HTTP/1.11 200 OK\r\n", "WEFT_H1_BAD_VERSION"],
    ["http/1.1 200 OK\r\n", "WEFT_H1_BAD_STATUS_LINE"],
    ["ICY 200 OK\r\n", "WEFT_H1_BAD_STATUS_LINE"],
    ["\r\nHTTP/1.1 200 OK\r\n", "WEFT_H1_BAD_STATUS_LINE"],
    [" HTTP/1.1 200 OK\r\n", "WEFT_H1_BAD_STATUS_LINE"],
    ["<html>", "WEFT_H1_BAD_STATUS_LINE"],
    ["HTTP/1.1 200 OK\n", "WEFT_H1_BARE_LF"],
    ["HTTP/1.1 200\n", "WEFT_H1_BARE_LF"],
    ["HTTP/1.1 200 OK\rX", "WEFT_H1_BARE_CR"],
    ["HTTP/1.1 200\rX", "WEFT_H1_BARE_CR"],
    ["HTTP\rX", "WEFT_H1_BARE_CR"],
  ];
  for (const [text, code] of refused) it(`refuses ${JSON.stringify(text)}`, () => refuses(text, code));
});

describe("fields of responses", () => {
  it("ignores Host and Expect, which mean nothing here", () => {
    const head = accepts("HTTP/1.1 200 OK\r\nHost: a b\r\nHost: c\r\nExpect: x\r\n\r\n");
    assert.equal(head.hasHost, false);
    assert.equal(head.expectsContinue, false);
  });
  it("reads Connection and Upgrade of a 101", () => {
    const head = accepts("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert.equal(head.saysUpgrade, true);
    assert.equal(head.hasUpgrade, true);
  });
  it("knows whether the connection can be used again (section 9.3)", () => {
    const persistent = (text: string) => {
      const head = new MessageHead();
      const bytes = bytesOf(text);
      assert.equal(new ResponseHeadParser(LIMITS).parse(bytes, 0, bytes.length, head), bytes.length);
      return head.isPersistent;
    };
    assert.equal(persistent("HTTP/1.1 200 OK\r\n\r\n"), true);
    assert.equal(persistent("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), false);
    assert.equal(persistent("HTTP/1.0 200 OK\r\n\r\n"), false);
    assert.equal(persistent("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n"), true);
    assert.equal(persistent("HTTP/1.1 200 OK\r\nConnection: keep-alive, close\r\n\r\n"), false);
  });
  const refused: readonly [string, string, string][] = [
    ["Content-Length with Transfer-Encoding", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "WEFT_H1_LENGTH_WITH_CODING"],
    ["a repeated Content-Length", "Content-Length: 1\r\nContent-Length: 1\r\n", "WEFT_H1_BAD_CONTENT_LENGTH"],
    ["a list in Content-Length", "Content-Length: 1, 1\r\n", "WEFT_H1_BAD_CONTENT_LENGTH"],
    ["gzip as transfer coding", "Transfer-Encoding: gzip, chunked\r\n", "WEFT_H1_BAD_TRANSFER_ENCODING"],
    ["obs-fold", "A: b\r\n c\r\n", "WEFT_H1_OBS_FOLD"],
    ["a space before the colon", "A : b\r\n", "WEFT_H1_BAD_FIELD_NAME"],
    ["Connection: content-length", "Connection: content-length\r\n", "WEFT_H1_BAD_CONNECTION"],
  ];
  for (const [what, lines, code] of refused) it(`refuses ${what}`, () => refuses(`HTTP/1.1 200 OK\r\n${lines}\r\n`, code));
  it("refuses Transfer-Encoding in HTTP/1.0", () =>
    refuses("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "WEFT_H1_BAD_TRANSFER_ENCODING"));
  for (const status of [100, 103, 199, 204]) {
    it(`refuses a coding with ${status} (section 6.1)`, () =>
      refuses(`HTTP/1.1 ${status} x\r\nTransfer-Encoding: chunked\r\n\r\n`, "WEFT_H1_BAD_TRANSFER_ENCODING"));
    it(`refuses a length with ${status}, but not 0`, () => {
      refuses(`HTTP/1.1 ${status} x\r\nContent-Length: 5\r\n\r\n`, "WEFT_H1_BAD_CONTENT_LENGTH");
      assert.equal(accepts(`HTTP/1.1 ${status} x\r\nContent-Length: 0\r\n\r\n`).contentLength, 0);
    });
  }
  it("accepts a length with 304", () => assert.equal(accepts("HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n").contentLength, 5));
  it("limits the head", () => {
    const small = { headerBytesMax: 40, headerCountMax: 2 };
    refuses(`HTTP/1.1 200 ${"x".repeat(40)}\r\n`, "WEFT_H1_HEAD_TOO_LARGE", small);
    refuses(`HTTP/1.1 200 OK\r\nA: ${"x".repeat(40)}\r\n`, "WEFT_H1_HEAD_TOO_LARGE", small);
    refuses("HTTP/1.1 200 OK\r\nA:\r\nB:\r\nC:\r\n\r\n", "WEFT_H1_TOO_MANY_FIELDS", small);
  });
});

describe("responseFraming (RFC 9112 section 6.3)", () => {
  function framing(
    status: number,
    fields: Partial<Pick<MessageHead, "contentLength" | "isChunked">>,
    method: number = Method.get,
  ): Framing {
    const head = new MessageHead();
    Object.assign(head, { status, ...fields });
    return responseFraming(head, method);
  }
  it("has no body after HEAD, whatever the fields say", () => {
    assert.equal(framing(200, { contentLength: 5 }, Method.head), Framing.none);
    assert.equal(framing(200, { isChunked: true }, Method.head), Framing.none);
    assert.equal(framing(200, {}, Method.head), Framing.none);
  });
  for (const status of [100, 101, 103, 204, 304]) {
    it(`has no body with ${status}`, () => assert.equal(framing(status, {}), Framing.none));
  }
  it("has no body with 304 that tells a length", () => assert.equal(framing(304, { contentLength: 5 }), Framing.none));
  it("has no body when CONNECT succeeds, but one when it fails", () => {
    assert.equal(framing(200, { contentLength: 5 }, Method.connect), Framing.none);
    assert.equal(framing(404, { contentLength: 5 }, Method.connect), Framing.length);
  });
  it("goes by the coding, the length, or the close", () => {
    assert.equal(framing(200, { isChunked: true }), Framing.chunked);
    assert.equal(framing(200, { contentLength: 5 }), Framing.length);
    assert.equal(framing(200, { contentLength: 0 }), Framing.none);
    assert.equal(framing(200, {}), Framing.untilClose);
    assert.equal(framing(500, {}, Method.post), Framing.untilClose);
  });
});
