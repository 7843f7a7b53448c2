// Chunked coding (RFC 9112 section 7.1): what is delivered in both modes, what is refused. Every case runs whole, at each
// two-way split and byte by byte.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ChunkEvent, ChunkScanner } from "../../../src/core/h1/chunked.ts";
import { type BodyOutcome, bytesOf, LIMITS, scanBody } from "./feed.ts";

/** Scans in all ways and insists that they come to the same. */
function scan(text: string, limits = LIMITS): BodyOutcome {
  const bytes = bytesOf(text);
  const payload = scanBody(bytes, false, [], limits);
  const wire = scanBody(bytes, true, [], limits);
  assert.equal(wire.result, payload.result);
  assert.equal(wire.trailers, payload.trailers);
  const everywhere = Array.from({ length: bytes.length }, (_, i) => i);
  for (const ends of [everywhere, ...everywhere.map((end) => [end])]) {
    for (const mode of [payload, wire]) {
      const split = scanBody(bytes, mode === wire, ends, limits);
      assert.equal(split.result, payload.result, `split ${ends.length > 1 ? "everywhere" : ends[0]}`);
      assert.equal(split.trailers, payload.trailers);
      if (payload.result !== "end") continue;
      assert.equal(split.consumed, payload.consumed);
      if (mode === payload) assert.equal(split.body, payload.body);
      // Size lines may be written anew; what they frame is the same.
      else assert.equal(scanBody(bytesOf(`${split.wire}0\r\n\r\n`), false).body, payload.body);
    }
  }
  return { ...payload, wire: wire.wire };
}

function refuses(text: string, code: string, limits = LIMITS): void {
  assert.equal(scan(text, limits).result, code);
}

describe("ChunkScanner", () => {
  it("delivers payload without framing", () => {
    const outcome = scan("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET /");
    assert.equal(outcome.body, "hello world");
    assert.equal(outcome.consumed, 26);
    assert.equal(outcome.trailers, null);
  });
  it("delivers wire without the last chunk, as one range", () => {
    const bytes = bytesOf("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
    const outcome = scanBody(bytes, true);
    assert.equal(outcome.wire, "5\r\nhello\r\n6\r\n world\r\n");
    assert.deepEqual(outcome.events, [ChunkEvent.wire, ChunkEvent.end]);
  });
  it("delivers large data as what each read brought", () => {
    const bytes = bytesOf(`40\r\n${"x".repeat(64)}\r\n0\r\n\r\n`);
    const outcome = scanBody(bytes, true, [10, 30]);
    assert.deepEqual(outcome.events, [ChunkEvent.wire, ChunkEvent.more, ChunkEvent.wire, ChunkEvent.more, ChunkEvent.wire, ChunkEvent.end]);
    assert.equal(outcome.wire, `40\r\n${"x".repeat(64)}\r\n`);
  });
  it("writes a size line anew that was split", () => {
    const outcome = scanBody(bytesOf("3\r\nabc\r\n000A\r\n0123456789\r\n0\r\n\r\n"), true, [10]);
    assert.deepEqual(outcome.events, [ChunkEvent.wire, ChunkEvent.more, ChunkEvent.sizeLine, ChunkEvent.wire, ChunkEvent.end]);
    assert.equal(outcome.wire, "3\r\nabc\r\na\r\n0123456789\r\n");
  });
  it("keeps a whole size line as it is, leading zeros and case too", () => {
    assert.equal(scan("0000000A\r\n0123456789\r\n0\r\n\r\n").wire, "0000000A\r\n0123456789\r\n");
  });
  it("takes extensions away", () => {
    const outcome = scan('3;a\r\nabc\r\n3;a=b;c="d;\\"\\e"\r\nabc\r\n0\r\n\r\n');
    assert.equal(outcome.wire, "3\r\nabc\r\n3\r\nabc\r\n");
    assert.equal(outcome.result, "end");
  });
  it("takes an extension of the last chunk away", () => assert.equal(scan("3\r\nabc\r\n0;x=y\r\n\r\n").result, "end"));
  it("accepts a last chunk of several zeros", () => assert.equal(scan("000\r\n\r\n").consumed, 7));
  it("accepts an empty body", () => assert.equal(scan("0\r\n\r\n").body, ""));
  it("reads the largest size that eight digits can say", () => {
    const scanner = new ChunkScanner(LIMITS);
    scanner.reset(false);
    const bytes = bytesOf("ffffffff\r\nx");
    assert.equal(scanner.next(bytes, 0, bytes.length), ChunkEvent.data);
    assert.equal(scanner.size, 0xffffffff);
    assert.deepEqual([scanner.from, scanner.to], [10, 11]);
  });
  it("is ready for the next message after reset", () => {
    const scanner = new ChunkScanner(LIMITS);
    for (const wantsWire of [true, false]) {
      scanner.reset(wantsWire);
      const bytes = bytesOf("2;x\r\nab\r\n0\r\nT: 1\r\n\r\n");
      let event = scanner.next(bytes, 0, bytes.length);
      while (event !== ChunkEvent.end) {
        assert.ok(event === ChunkEvent.wire || event === ChunkEvent.sizeLine || event === ChunkEvent.data);
        event = scanner.next(bytes, scanner.pos, bytes.length);
      }
      assert.ok(scanner.trailers !== null);
    }
  });

  const refused: readonly [string, string][] = [
    ["\r\n", "WEFT_H1_BAD_CHUNK_SIZE"],
    [" 5\r\n", "WEFT_H1_BAD_CHUNK_SIZE"],
    ["5 \r\n", "WEFT_H1_BAD_CHUNK_SIZE"],
    ["5\t\r\n", "WEFT_H1_BAD_CHUNK_SIZE"],
    ["g\r\n", "WEFT_H1_BAD_CHUNK_SIZE"],
    ["-5\r\n", "WEFT_H1_BAD_CHUNK_SIZE"],
    ["+5\r\n", "WEFT_H1_BAD_CHUNK_SIZE"],
    ["0x5\r\n", "WEFT_H1_BAD_CHUNK_SIZE"],
    ["5_0\r\n", "WEFT_H1_BAD_CHUNK_SIZE"],
    ["000000005\r\n", "WEFT_H1_BAD_CHUNK_SIZE"],
    ["100000000\r\n", "WEFT_H1_BAD_CHUNK_SIZE"],
    ["5\n", "WEFT_H1_BARE_LF"],
    ["5;a\n", "WEFT_H1_BARE_LF"],
    ["5\rhello", "WEFT_H1_BARE_CR"],
    ["5;a\rb", "WEFT_H1_BARE_CR"],
    ["5;\r\n", "WEFT_H1_BAD_CHUNK_SIZE"],
    ["5; a\r\n", "WEFT_H1_BAD_CHUNK_SIZE"],
    ["5 ;a\r\n", "WEFT_H1_BAD_CHUNK_SIZE"],
    ["5;a =b\r\n", "WEFT_H1_BAD_CHUNK_SIZE"],
    ["5;a=\r\n", "WEFT_H1_BAD_CHUNK_SIZE"],
    ['5;a="b\r\n', "WEFT_H1_BAD_CHUNK_SIZE"],
    ['5;a="b"c\r\n', "WEFT_H1_BAD_CHUNK_SIZE"],
    ['5;a="b\nc"\r\n', "WEFT_H1_BARE_LF"],
    ["5;a\0\r\n", "WEFT_H1_BAD_CHUNK_SIZE"],
    ["5\r\nhello0\r\n", "WEFT_H1_BAD_CHUNK_END"],
    ["5\r\nhello\n0", "WEFT_H1_BAD_CHUNK_END"],
    ["5\r\nhello\rX", "WEFT_H1_BAD_CHUNK_END"],
    ["5\r\nhello!\r\n", "WEFT_H1_BAD_CHUNK_END"],
    ["0\r\n\rX", "WEFT_H1_BAD_TRAILER"],
    ["0\r\n\n", "WEFT_H1_BAD_TRAILER"],
    ["0\r\nA: b\n", "WEFT_H1_BAD_TRAILER"],
    ["0\r\nA : b\r\n", "WEFT_H1_BAD_TRAILER"],
    ["0\r\nA: b\r\n c\r\n", "WEFT_H1_BAD_TRAILER"],
    ["0\r\n: b\r\n", "WEFT_H1_BAD_TRAILER"],
    ["0\r\nA: b\0\r\n", "WEFT_H1_BAD_TRAILER"],
    ["0\r\nGET / HTTP/1.1\r\n", "WEFT_H1_BAD_TRAILER"],
  ];
  for (const [text, code] of refused) it(`refuses ${JSON.stringify(text)}`, () => refuses(text, code));

  it("bounds the extensions of a line", () => {
    assert.equal(scan(`1;${"a".repeat(1023)}\r\nx\r\n0\r\n\r\n`).result, "end");
    assert.equal(scanBody(bytesOf(`1;${"a".repeat(1024)}\r\nx\r\n`), true).result, "WEFT_H1_EXTENSION_TOO_LONG");
  });
  it("bounds the extensions of a message", () => {
    const chunk = `1;${"a".repeat(1023)}\r\nx\r\n`;
    assert.equal(scanBody(bytesOf(`${chunk.repeat(16)}0\r\n\r\n`), true).result, "end");
    assert.equal(scanBody(bytesOf(`${chunk.repeat(16)}1;a\r\nx\r\n`), true).result, "WEFT_H1_EXTENSION_TOO_LONG");
  });
});

describe("trailers (RFC 9112 section 7.1.2, RFC 9110 section 6.5)", () => {
  it("delivers them as lines", () => {
    const outcome = scan("1\r\nx\r\n0\r\nX-Sum: 1 \r\ngrpc-status:0\r\n\r\nGET");
    assert.equal(outcome.trailers, "X-Sum: 1 \r\ngrpc-status:0\r\n");
    assert.equal(outcome.consumed, 37);
  });
  const dropped = [
    "Transfer-Encoding: chunked",
    "content-length: 5",
    "Host: a",
    "Connection: close",
    "Trailer: X",
    "TE: trailers",
    "Upgrade: x",
    "Keep-Alive: 1",
    "l5d-dst-override: x",
    "L5D_client_id: x",
    "l5d-anything: x",
    "Authorization: x",
    "Cookie: x",
    "Set-Cookie: x",
    "Content-Encoding: gzip",
    "Content-Type: x",
    "Content-Range: x",
    "Cache-Control: x",
    "X-Forwarded-For: 1",
  ];
  for (const line of dropped) {
    it(`drops ${line}`, () => {
      assert.equal(scan(`0\r\n${line}\r\n\r\n`).trailers, null);
      assert.equal(scan(`0\r\nA: 1\r\n${line}\r\nB: 2\r\n\r\n`).trailers, "A: 1\r\nB: 2\r\n");
    });
  }
  it("limits their size, the empty line included", () => {
    const limits = { headerBytesMax: 64, headerCountMax: 100 };
    const section = (filler: number) => `A: ${"x".repeat(filler)}\r\n\r\n`;
    const fit = 64 - section(0).length;
    assert.equal(scan(`0\r\n${section(fit)}`, limits).result, "end");
    refuses(`0\r\n${section(fit + 1)}`, "WEFT_H1_TRAILERS_TOO_LARGE", limits);
  });
  it("counts dropped lines too", () => {
    const limits = { headerBytesMax: 64, headerCountMax: 3 };
    refuses(`0\r\n${"Host: a\r\n".repeat(4)}\r\n`, "WEFT_H1_TOO_MANY_FIELDS", limits);
    refuses(`0\r\n${"Host: aaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(3)}\r\n`, "WEFT_H1_TRAILERS_TOO_LARGE", limits);
  });
  it("does not keep the memory of large trailers", () => {
    const scanner = new ChunkScanner(LIMITS);
    for (const size of [8000, 1]) {
      scanner.reset(false);
      const bytes = bytesOf(`0\r\nA: ${"x".repeat(size)}\r\n\r\n`);
      assert.equal(scanner.next(bytes, 0, bytes.length), ChunkEvent.end);
      assert.ok(scanner.trailers !== null);
      assert.equal(scanner.trailers.end, size + 5);
    }
    assert.ok(scanner.trailers !== null && scanner.trailers.buffer.length <= 4096);
  });
});
