import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import {
  decodeTransportHeader,
  encodeTransportHeader,
  MESSAGE_BYTES_MAX,
  type TransportHeader,
} from "../../../src/core/tcp/transport-header.ts";
import { Random } from "../../fuzz/random.ts";

const PREFACE = Buffer.from("transport.l5d.io/v1\r\n\r\n", "latin1");

function framed(message: readonly number[] | Buffer, size = message.length): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(size);
  return Buffer.concat([PREFACE, length, Buffer.from(message)]);
}

const decode = (bytes: Buffer): ReturnType<typeof decodeTransportHeader> => decodeTransportHeader(bytes, 0, bytes.length);

/** Bytes as protobuf's own encoders write them, and what they say. */
const KNOWN: readonly (readonly [string, readonly number[], TransportHeader])[] = [
  ["a port", [0x08, 0x50], { port: 80, name: "", sessionProtocol: "opaque" }],
  ["the highest port", [0x08, 0xff, 0xff, 0x03], { port: 65_535, name: "", sessionProtocol: "opaque" }],
  ["HTTP/1", [0x08, 0x90, 0x3f, 0x1a, 0x02, 0x0a, 0x00], { port: 8080, name: "", sessionProtocol: "http1" }],
  ["HTTP/2", [0x08, 0x90, 0x3f, 0x1a, 0x02, 0x12, 0x00], { port: 8080, name: "", sessionProtocol: "http2" }],
  ["a name", [0x08, 0x50, 0x12, 0x03, 0x77, 0x65, 0x62], { port: 80, name: "web", sessionProtocol: "opaque" }],
  ["fields in another order", [0x12, 0x01, 0x61, 0x08, 0x01], { port: 1, name: "a", sessionProtocol: "opaque" }],
];

describe("Linkerd's transport header", () => {
  it("has a preface of 23 bytes", () => assert.equal(PREFACE.length, 23));

  for (const [what, message, header] of KNOWN) {
    it(`has ${what}, however it is split, and not a byte more`, () => {
      const bytes = framed(message);
      for (let size = 0; size < bytes.length; size++) {
        assert.equal(decodeTransportHeader(bytes, 0, size), "incomplete", `${size} bytes`);
      }
      assert.deepEqual(decode(bytes), { header, end: bytes.length });
      const within = Buffer.concat([Buffer.from("xx"), bytes, Buffer.from("GET / HTTP/1.1")]);
      assert.deepEqual(decodeTransportHeader(within, 2, within.length), { header, end: 2 + bytes.length });
    });
  }

  for (const [what, message, header] of KNOWN.slice(0, 5)) {
    it(`writes ${what} as protobuf does`, () => assert.deepEqual(encodeTransportHeader(header), framed(message)));
  }

  it("skips what it does not know; of a field that is there twice the last counts", () => {
    const unknown = [
      0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x29, 1, 2, 3, 4, 5, 6, 7, 8, 0x32, 0x02, 1, 2, 0x3d, 1, 2, 3, 4,
    ];
    assert.deepEqual(decode(framed([...unknown, 0x08, 0x50, 0x08, 0x51])), {
      header: { port: 81, name: "", sessionProtocol: "opaque" },
      end: PREFACE.length + 4 + unknown.length + 4,
    });
  });

  const refused: Readonly<Record<string, Buffer>> = {
    "another preface": Buffer.from("transport.l5d.io/v2\r\n\r\n"),
    "an HTTP request": Buffer.from("GET"),
    "no message": framed([]),
    "a length over the limit": framed([], MESSAGE_BYTES_MAX + 1),
    "the largest length": framed([], 0xffffffff),
    "no port": framed([0x12, 0x01, 0x61]),
    "port 0": framed([0x08, 0x00]),
    "port 65536": framed([0x08, 0x80, 0x80, 0x04]),
    "a negative port": framed([0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
    "a port of 2 GB before a good one": framed([0x08, 0x80, 0x80, 0x80, 0x80, 0x08, 0x08, 0x50]),
    "a port as bytes": framed([0x0a, 0x01, 0x50]),
    "a name as a number": framed([0x08, 0x50, 0x10, 0x01]),
    "a name behind the end": framed([0x08, 0x50, 0x12, 0x7f, 0x61]),
    "a name with a length of 2 GB": framed([0x08, 0x50, 0x12, 0xff, 0xff, 0xff, 0xff, 0x07]),
    "a name with CR LF": framed([0x08, 0x50, 0x12, 0x03, 0x61, 0x0d, 0x0a]),
    "a name with NUL": framed([0x08, 0x50, 0x12, 0x02, 0x61, 0x00]),
    "a name of 256 bytes": framed([0x08, 0x50, 0x12, 0x80, 0x02, ...new Array<number>(256).fill(0x61)]),
    "field 0": framed([0x08, 0x50, 0x00, 0x01]),
    "a group": framed([0x08, 0x50, 0x23]),
    "an endless integer": framed([0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]),
    "an integer without its end": framed([0x08, 0x80]),
    "a session protocol as a number": framed([0x08, 0x50, 0x18, 0x01]),
    "a session protocol that is broken inside": framed([0x08, 0x50, 0x1a, 0x02, 0x0a, 0x05]),
    "a kind as a number": framed([0x08, 0x50, 0x1a, 0x02, 0x08, 0x01]),
  };
  for (const [what, bytes] of Object.entries(refused)) {
    it(`refuses ${what}`, () => assert.equal(decode(bytes), "malformed"));
  }

  it("keeps its promises for 20,000 damaged ones: never beyond what it was given, and what it takes it writes to the same", () => {
    const random = new Random(7);
    for (let run = 0; run < 20_000; run++) {
      const [, message] = KNOWN[random.int(KNOWN.length)]!;
      const bytes = framed(message);
      for (let i = random.int(4); i >= 0; i--) bytes[random.int(bytes.length)] = random.int(256);
      const size = random.int(bytes.length + 1);
      const result = decodeTransportHeader(bytes, 0, size);
      if (typeof result === "string") continue;
      assert.ok(result.end <= size && result.header.port >= 1 && result.header.port <= 65_535, `seed 7, run ${run}`);
      assert.deepEqual(decode(encodeTransportHeader(result.header)), {
        header: result.header,
        end: encodeTransportHeader(result.header).length,
      });
    }
  });
});
