// The encoder: which form each field takes on the wire, what enters the table, and how it follows the peer's limit.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HpackDecoder } from "../../../src/core/hpack/decoder.ts";
import { HpackEncoder } from "../../../src/core/hpack/encoder.ts";
import { HpackCode } from "../../../src/core/hpack/hpack-codes.ts";
import { decode, encode, type Field, LIMITS, listed, tableOf } from "./codec.ts";

const GRPC = listed(
  ":method: POST",
  ":scheme: http",
  ":path: /shop.Orders/Get",
  ":authority: orders:4143",
  "content-type: application/grpc",
  "te: trailers",
  "user-agent: grpc-node-js/1.12.0",
  "grpc-accept-encoding: identity,deflate,gzip",
);

function hexOf(encoder: HpackEncoder, ...lines: string[]): string {
  return encode(encoder, listed(...lines)).toString("hex");
}

describe("the form of a field", () => {
  it("static entries are one byte", () => {
    const encoder = new HpackEncoder();
    const lines = [":method: GET", ":method: POST", ":scheme: http", ":scheme: https", ":path: /", ":path: /index.html"];
    assert.equal(hexOf(encoder, ...lines), "828386878485");
    assert.equal(hexOf(encoder, "accept-encoding: gzip, deflate"), "90");
    const statuses = [200, 204, 206, 304, 400, 404, 500].map((status) => `:status: ${status}`);
    assert.equal(hexOf(encoder, ...statuses), "88898a8b8c8d8e");
    assert.equal(encoder.tableCount, 0);
  });

  it("a repeated gRPC request is one byte per field from the third time on", () => {
    const encoder = new HpackEncoder();
    const sizes = [1, 2, 3, 4].map(() => encode(encoder, GRPC).length);
    assert.equal(sizes[2], GRPC.length);
    assert.equal(sizes[3], GRPC.length);
    assert.ok(sizes[0]! > sizes[1]! && sizes[1]! > sizes[2]!, String(sizes));
  });

  it("a status without an entry of its own enters the table when it comes again", () => {
    const encoder = new HpackEncoder();
    assert.equal(hexOf(encoder, ":status: 503"), "0803353033");
    assert.equal(hexOf(encoder, ":status: 503"), "4803353033");
    assert.equal(hexOf(encoder, ":status: 503"), "be");
  });

  it("names leave in lower case, and spellings share an entry", () => {
    const encoder = new HpackEncoder();
    const first = encode(encoder, listed("User-Agent: curl/8", "X-Custom-Name: 1"));
    assert.deepEqual(decode(new HpackDecoder(LIMITS), first).fields, listed("user-agent: curl/8", "x-custom-name: 1"));
    hexOf(encoder, "user-agent: curl/8");
    assert.equal(hexOf(encoder, "USER-AGENT: curl/8"), "be");
  });

  it("content-length, etag and their like stay literals for ever", () => {
    const encoder = new HpackEncoder();
    for (let i = 0; i < 3; i++) assert.equal(hexOf(encoder, "content-length: 7"), "0f0d0137");
    for (let i = 0; i < 3; i++) hexOf(encoder, 'etag: "a"', "set-cookie: a=b", "if-none-match: x", "location: /");
    assert.equal(encoder.tableCount, 0);
  });

  it("authorization, short cookies and flagged fields are never-indexed, also when the same bytes are in the table", () => {
    const encoder = new HpackEncoder();
    for (let i = 0; i < 3; i++) {
      assert.equal(hexOf(encoder, "authorization: a"), "1f080161");
      assert.equal(hexOf(encoder, "proxy-authorization: a"), "1f220161");
      assert.equal(hexOf(encoder, "cookie: a=b"), "1f1103613d62");
    }
    const field: Field = { name: "x-key", value: "secret" };
    encode(encoder, [field]);
    encode(encoder, [field]);
    assert.equal(encode(encoder, [field]).length, 1);
    for (const name of ["x-key", "user-agent", ":path", ":authority"]) {
      const bytes = encode(encoder, [{ name, value: "secret", never: true }]);
      assert.equal(bytes[0]! & 0xf0, 0x10, name);
    }
  });

  it("what is another each time never enters, wherever it differs", () => {
    const encoder = new HpackEncoder();
    for (let i = 0; i < 2000; i++) {
      const id = String(i).padStart(6, "0");
      hexOf(
        encoder,
        `:path: /users/${id}/orders/of/this/year`,
        `x-request-id: ${id}-1c1d-4e0a-9f57-2b1f8f0a1c11`,
        `traceparent: 00-${"ab".repeat(7)}${id}-01`,
      );
    }
    assert.equal(encoder.tableCount, 0);
  });

  it("a long cookie enters when it comes again", () => {
    const encoder = new HpackEncoder();
    const cookie = `cookie: session=${"x".repeat(30)}`;
    const sizes = [1, 2, 3].map(() => hexOf(encoder, cookie).length / 2);
    assert.deepEqual([sizes[2], encoder.tableCount], [1, 1]);
  });

  it("a field larger than a quarter of the table stays a literal", () => {
    const encoder = new HpackEncoder();
    for (let i = 0; i < 3; i++) hexOf(encoder, `user-agent: ${"x".repeat(1100)}`, `x-large: ${"x".repeat(4000)}`);
    assert.equal(encoder.tableCount, 0);
  });
});

/** Both sides of a connection that agree on everything but the limit in between. */
function pair(tableSizeMax?: number): { encoder: HpackEncoder; decoder: HpackDecoder; send: (fields: readonly Field[]) => Buffer } {
  const encoder = new HpackEncoder(tableSizeMax === undefined ? {} : { tableSizeMax });
  const decoder = new HpackDecoder(LIMITS);
  const send = (fields: readonly Field[]): Buffer => {
    const bytes = encode(encoder, fields);
    const decoded = decode(decoder, bytes);
    assert.equal(decoded.code, HpackCode.ok);
    assert.equal(encoder.tableSize, decoder.tableSize);
    assert.equal(encoder.tableCount, decoder.tableCount);
    return bytes;
  };
  return { encoder, decoder, send };
}

describe("the peer's table size (RFC 7541 section 4.2)", () => {
  it("a lowered limit is announced in the next block and obeyed", () => {
    const { encoder, decoder, send } = pair();
    send(GRPC);
    send(GRPC);
    encoder.setPeerTableSize(100);
    decoder.setTableLimit(100);
    const bytes = send(GRPC);
    assert.equal(bytes.toString("hex", 0, 2), "3f45");
    assert.ok(decoder.tableSize <= 100);
    assert.equal((send(GRPC)[0]! & 0xe0) === 0x20, false, "announced once");
  });

  it("lowered and raised in between: both sizes, the smaller one first", () => {
    const { encoder, decoder, send } = pair();
    send(GRPC);
    for (const size of [0, 200, 4096]) {
      encoder.setPeerTableSize(size);
      decoder.setTableLimit(size);
    }
    assert.equal(send(GRPC).toString("hex", 0, 4), "203fe11f");
    assert.ok(decoder.tableCount > 0);
  });

  it("0 turns the table off", () => {
    const { encoder, decoder, send } = pair();
    encoder.setPeerTableSize(0);
    decoder.setTableLimit(0);
    for (let i = 0; i < 3; i++) send(GRPC);
    assert.deepEqual(tableOf(decoder), []);
  });

  it("a peer that allows more gets no more than our cap, and no update", () => {
    const { encoder, decoder, send } = pair();
    encoder.setPeerTableSize(0xffffffff);
    decoder.setTableLimit(64 * 1024);
    assert.equal(send(GRPC)[0], 0x83);
  });

  it("a cap of our own above 4096 is used when the peer allows it, and announced", () => {
    const { encoder, decoder, send } = pair(16_384);
    encoder.setPeerTableSize(16_384);
    decoder.setTableLimit(16_384);
    assert.equal(send(GRPC).toString("hex", 0, 4), "3fe17f83");
    for (let i = 0; i < 400; i++) send(listed(`user-agent: number ${i >> 1} with some more text to fill the table`));
    assert.ok(decoder.tableSize > 12_000);
  });

  it("a cap of our own below 4096 is announced first of all", () => {
    const { send } = pair(1024);
    assert.equal(send(GRPC).toString("hex", 0, 3), "3fe107");
    for (let i = 0; i < 100; i++) send(listed(`user-agent: number ${i >> 1}`));
  });
});

describe("Huffman coding, when it is asked for", () => {
  it("is used where it is shorter", () => {
    const encoder = new HpackEncoder({ huffman: true });
    assert.equal(hexOf(encoder, ":authority: www.example.com"), "018cf1e3c2e5f23a6ba0ab90f4ff");
    assert.equal(hexOf(encoder, "cache-control: no-cache").slice(0, 4), "0f09");
    assert.equal(hexOf(encoder, "content-length: |||"), "0f0d037c7c7c");
    const decoder = new HpackDecoder(LIMITS);
    const fields = listed("x-custom: some value of a custom field", "y: z", ":protocol: websocket");
    assert.deepEqual(decode(decoder, encode(new HpackEncoder({ huffman: true }), [fields[2]!, fields[0]!, fields[1]!])).fields, [
      fields[2]!,
      fields[0]!,
      fields[1]!,
    ]);
  });
});
