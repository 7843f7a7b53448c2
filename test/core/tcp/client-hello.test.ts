// ClientHellos: of real clients and built by hand, cut at every byte and into every kind of records, and what is no hello.

import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { describe, it } from "node:test";
import { connect, type ConnectionOptions } from "node:tls";
import fc from "fast-check";
import { type HelloVerdict, HELLO_BYTES_MAX, HELLO_RECORDS_MAX, readClientHello } from "../../../src/core/tcp/client-hello.ts";

const NAME = "web.shop.serviceaccount.identity.weft.cluster.local";

/** What a TLS client of this Node says first. */
async function helloOf(options: ConnectionOptions): Promise<Buffer> {
  return await new Promise((resolve) => {
    const socket = connect({
      socket: new Duplex({
        read() {},
        write(chunk: Buffer, _encoding, done) {
          resolve(Buffer.from(chunk));
          done();
        },
      }),
      ...options,
    });
    socket.on("error", () => undefined);
  });
}

const uint16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
const vector8 = (...parts: readonly Buffer[]): Buffer => Buffer.concat([Buffer.from([Buffer.concat(parts).length]), ...parts]);
const vector16 = (...parts: readonly Buffer[]): Buffer => Buffer.concat([uint16(Buffer.concat(parts).length), ...parts]);
const extension = (type: number, body: Buffer): Buffer => Buffer.concat([uint16(type), vector16(body)]);
const hostName = (name: string): Buffer => Buffer.concat([Buffer.from([0]), vector16(Buffer.from(name, "latin1"))]);
const sni = (...names: readonly string[]): Buffer => extension(0, vector16(...names.map(hostName)));
const alpn = (...protocols: readonly string[]): Buffer =>
  extension(16, vector16(...protocols.map((name) => vector8(Buffer.from(name, "latin1")))));
const GREASE = extension(0x1a1a, Buffer.alloc(0));

interface Parts {
  readonly version?: number;
  readonly sessionId?: Buffer;
  readonly ciphers?: Buffer;
  readonly compression?: Buffer;
  /** Null: the hello ends before them. */
  readonly extensions?: readonly Buffer[] | null;
  readonly behind?: Buffer;
}

/** The handshake message. */
function message(parts: Parts = {}): Buffer {
  const { version = 0x0303, sessionId = Buffer.alloc(32, 7), ciphers = Buffer.from("1a1a13011302", "hex") } = parts;
  const { compression = Buffer.from([0]), extensions = [sni(NAME)], behind = Buffer.alloc(0) } = parts;
  const body = Buffer.concat([
    uint16(version),
    Buffer.alloc(32, 9),
    vector8(sessionId),
    vector16(ciphers),
    vector8(compression),
    ...(extensions === null ? [] : [vector16(...extensions)]),
    behind,
  ]);
  return Buffer.concat([Buffer.from([1, body.length >> 16, (body.length >> 8) & 0xff, body.length & 0xff]), body]);
}

/** A message in records of so many bytes. */
function records(bytes: Buffer, size = 16_384): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    parts.push(Buffer.from([0x16, 3, 1]), vector16(bytes.subarray(at, at + size)));
  }
  return Buffer.concat(parts);
}

function read(bytes: Buffer): HelloVerdict {
  const padded = Buffer.concat([Buffer.from([0x16, 3]), bytes, Buffer.from([0x16, 3, 1])]);
  return readClientHello(padded, 2, 2 + bytes.length);
}

/** Every prefix: incomplete up to some byte, then one verdict for good. */
function readPrefixes(bytes: Buffer): { readonly last: HelloVerdict; readonly decidedAt: number } {
  let last: HelloVerdict = "incomplete";
  let decidedAt = 0;
  for (let size = 0; size <= bytes.length; size++) {
    const verdict = read(bytes.subarray(0, size));
    if (last !== "incomplete") assert.deepEqual(verdict, last, `the verdict changed at ${size} bytes`);
    else decidedAt = size;
    last = verdict;
  }
  return { last, decidedAt };
}

/** As above; a hello is not one before its last byte. */
function readAll(bytes: Buffer): HelloVerdict {
  const { last, decidedAt } = readPrefixes(bytes);
  if (typeof last !== "string") assert.equal(decidedAt, bytes.length, "a hello before its end");
  return last;
}

describe("a ClientHello", () => {
  for (const [what, options, size] of [
    ["of TLS 1.3 with post-quantum key exchange", { servername: NAME, minVersion: "TLSv1.3", ALPNProtocols: ["h2"] }, 1_500],
    ["of TLS 1.2", { servername: NAME, maxVersion: "TLSv1.2", ALPNProtocols: ["h2"] }, 100],
    ["with three key shares", { servername: NAME, ecdhCurve: "X25519:P-256:P-384", ALPNProtocols: ["h2"] }, 100],
  ] as const) {
    it(`${what} is read at whatever byte it is cut`, async () => {
      const bytes = await helloOf({ ...options, ALPNProtocols: [...options.ALPNProtocols] });
      assert.ok(bytes.length >= size, `${bytes.length} bytes`);
      assert.deepEqual(readAll(bytes), { serverName: NAME, protocols: ["h2"] });
    });
  }

  it("without a server name, and without extensions at all", async () => {
    assert.deepEqual(readAll(await helloOf({ servername: "" })), { serverName: null, protocols: [] });
    assert.deepEqual(readAll(records(message({ extensions: null }))), { serverName: null, protocols: [] });
    assert.deepEqual(readAll(records(message({ extensions: [] }))), { serverName: null, protocols: [] });
  });

  it("with GREASE, in whatever order, with protocols as they were sent", () => {
    const extensions = [GREASE, alpn("\x0a\x0a", "h2", "http/1.1"), sni(NAME), extension(0x2a2a, Buffer.from([0]))];
    assert.deepEqual(readAll(records(message({ extensions }))), { serverName: NAME, protocols: ["\x0a\x0a", "h2", "http/1.1"] });
  });

  it("spread over records", () => {
    const whole = message({ extensions: [sni(NAME), alpn("h2")] });
    for (let size = Math.ceil(whole.length / HELLO_RECORDS_MAX); size <= whole.length; size++) {
      assert.deepEqual(read(records(whole, size)), { serverName: NAME, protocols: ["h2"] }, `records of ${size} bytes`);
    }
    assert.deepEqual(readAll(records(whole, 9)), { serverName: NAME, protocols: ["h2"] });
    assert.equal(readAll(records(whole, Math.ceil(whole.length / (HELLO_RECORDS_MAX + 1)) - 1)), "malformed");
  });

  it("names are told as they were sent: nothing is folded, cut or decoded", () => {
    for (const name of [NAME.toUpperCase(), `${NAME}.`, `${NAME}\0.evil.example`, "\xff\xfe", " x"]) {
      assert.deepEqual(read(records(message({ extensions: [sni(name)] }))), { serverName: name, protocols: [] });
    }
  });

  it("of 15 KB is read, over the limit it is malformed as soon as its length is known", () => {
    const filled = (size: number): Buffer => records(message({ extensions: [extension(0xfe0d, Buffer.alloc(size)), sni(NAME)] }));
    assert.deepEqual(read(filled(15 * 1024)), { serverName: NAME, protocols: [] });
    assert.equal(read(filled(HELLO_BYTES_MAX).subarray(0, 12)), "malformed");
    assert.equal(read(records(Buffer.from([1, 0, 0x3f, 0x00]), 4)), "incomplete");
    assert.equal(read(records(Buffer.from([1, 0xff, 0, 0]), 4)), "malformed");
  });
});

describe("no ClientHello", () => {
  const good = message();
  const malformed: readonly (readonly [string, Buffer])[] = [
    ["a ServerHello", records(Buffer.concat([Buffer.from([2]), good.subarray(1)]))],
    [
      "another record in between",
      Buffer.concat([records(good.subarray(0, 30)), Buffer.from("140303000101", "hex"), records(good.subarray(30))]),
    ],
    ["an empty record", Buffer.concat([Buffer.from("1603010000", "hex"), records(good)])],
    ["something behind the message in its record", records(Buffer.concat([good, Buffer.from([20])]))],
    ["two host names", records(message({ extensions: [sni(NAME, "evil.example")] }))],
    ["two server name extensions", records(message({ extensions: [sni(NAME), sni(NAME)] }))],
    ["an empty host name", records(message({ extensions: [sni("")] }))],
    ["an empty list of names", records(message({ extensions: [extension(0, vector16())] }))],
    ["a name of another kind", records(message({ extensions: [extension(0, vector16(Buffer.from([1]), vector16(Buffer.from("x"))))] }))],
    ["a list of names that is longer than its extension", records(message({ extensions: [extension(0, Buffer.from("00200000", "hex"))] }))],
    ["an empty protocol", records(message({ extensions: [alpn("")] }))],
    ["no protocols", records(message({ extensions: [extension(16, vector16())] }))],
    ["extensions that do not fill the message", records(message({ behind: Buffer.from([0]) }))],
    ["a session id over 32 bytes", records(message({ sessionId: Buffer.alloc(33) }))],
    ["an odd list of ciphers", records(message({ ciphers: Buffer.from("130113", "hex") }))],
    ["no ciphers", records(message({ ciphers: Buffer.alloc(0) }))],
    ["no compression methods", records(message({ compression: Buffer.alloc(0) }))],
    ["another major version", records(message({ version: 0x0203 }))],
    ["a message of nothing", records(Buffer.from([1, 0, 0, 0]))],
    ["a message of no length before its record's end", records(Buffer.concat([Buffer.from([1, 0, 0, 0]), good.subarray(4)]))],
    ["plain text", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
    ["SSLv2", Buffer.from("802e0100", "hex")],
  ];
  for (const [what, bytes] of malformed) {
    it(what, () => {
      assert.equal(readAll(bytes), "malformed");
    });
  }

  it("garbage behind a header never throws and never changes its verdict", () => {
    const tail = fc.uint8Array({ maxLength: 400 });
    fc.assert(
      fc.property(tail, fc.nat(good.length), fc.boolean(), (bytes, keep, isFramed) => {
        const torn = Buffer.concat([good.subarray(0, keep), bytes]);
        readPrefixes(isFramed ? records(torn) : Buffer.concat([records(good).subarray(0, keep), bytes]));
      }),
      { numRuns: 500 },
    );
  });

  it("a changed byte is never read outside of its range", () => {
    const whole = records(message({ extensions: [GREASE, alpn("h2"), sni(NAME)] }));
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, value) => {
        const changed = Buffer.from(whole);
        changed[at] = value;
        assert.deepEqual(read(changed), readClientHello(changed, 0, changed.length));
      }),
      { numRuns: 3000 },
    );
  });
});
