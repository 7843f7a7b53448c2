// HPACK: typical gRPC and browser heads, decoded and encoded, and what its parts cost. Run with the project's node:
//
//   node_modules/.bin/node bench/micro/hpack.bench.ts
//
// Only ratios inside one run count. "strings" is the same work by an implementation as one would write it first (maps, arrays of pairs,
// strings), the one that the tests compare with.

import { Buffer } from "node:buffer";
import { do_not_optimize } from "mitata";
import { fieldId } from "../../src/core/h1/field-names.ts";
import { HpackDecoder } from "../../src/core/hpack/decoder.ts";
import { type EncoderOptions, HpackEncoder } from "../../src/core/hpack/encoder.ts";
import { FieldBlock } from "../../src/core/hpack/field-block.ts";
import { Pseudo } from "../../src/core/hpack/hpack-codes.ts";
import { decodedRoom, decodeHuffman } from "../../src/core/hpack/huffman-decode.ts";
import { encodeHuffman, huffmanSize } from "../../src/core/hpack/huffman-encode.ts";
import { ReferenceDecoder } from "../../test/support/hpack-reference.ts";
import { bench, run, summary } from "./support/micro.ts";

const LIMITS = { listBytesMax: 64 * 1024, fieldsMax: 200 };

type Fields = readonly (readonly [name: string, value: string])[];

const GRPC_REQUEST: Fields = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/shop.v1.OrderService/GetOrder"],
  [":authority", "orders.internal:4143"],
  ["content-type", "application/grpc"],
  ["te", "trailers"],
  ["user-agent", "grpc-node-js/1.12.0"],
  ["grpc-accept-encoding", "identity,deflate,gzip"],
];
const GRPC_RESPONSE: Fields = [
  [":status", "200"],
  ["content-type", "application/grpc"],
  ["grpc-accept-encoding", "identity,deflate,gzip"],
];
const BROWSER_REQUEST: Fields = [
  [":method", "GET"],
  [":authority", "shop.example.com"],
  [":scheme", "https"],
  [":path", "/api/v1/items/4711?expand=all"],
  ["sec-ch-ua", '"Chromium";v="130", "Not?A_Brand";v="99"'],
  ["sec-ch-ua-mobile", "?0"],
  ["sec-ch-ua-platform", '"Linux"'],
  ["user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"],
  ["accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"],
  ["sec-fetch-site", "same-origin"],
  ["sec-fetch-mode", "navigate"],
  ["sec-fetch-dest", "document"],
  ["accept-encoding", "gzip, deflate, br, zstd"],
  ["accept-language", "en-GB,en;q=0.9,de;q=0.8"],
  ["cookie", "session=7f3c2a901c1d4e0a9f572b1f8f0a1c11"],
  ["cookie", "theme=dark"],
];
const UNIQUE_REQUEST: Fields = [
  ...GRPC_REQUEST,
  ["grpc-timeout", "998m"],
  ["x-request-id", "7f3c2a90-1c1d-4e0a-9f57-2b1f8f0a1c11"],
  ["traceparent", "00-7f3c2a90b34da6a3ce929d0e0e473600-00f067aa0ba902b7-01"],
];
const WEB_RESPONSE: Fields = [
  [":status", "200"],
  ["server", "nginx/1.22.1"],
  ["date", "Mon, 05 Oct 2026 10:00:00 GMT"],
  ["content-type", "application/json"],
  ["content-length", "24817"],
  ["etag", '"68e2-f8"'],
  ["cache-control", "no-cache"],
];

const PSEUDO: Readonly<Record<string, Pseudo>> = {
  ":method": Pseudo.method,
  ":scheme": Pseudo.scheme,
  ":authority": Pseudo.authority,
  ":path": Pseudo.path,
};

/** Fields as a codec has them: ranges of one buffer. */
class Message {
  readonly src: Buffer;
  readonly ranges: number[] = [];
  readonly ids: number[] = [];
  readonly pseudo: number[] = [];
  readonly #status: number;
  readonly #idsAt: number[] = [];

  constructor(fields: Fields) {
    const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`);
    this.src = Buffer.from(lines.join(""), "latin1");
    this.#status = Number(fields.find(([name]) => name === ":status")?.[1] ?? 0);
    for (let id = this.src.indexOf("7f3c2a90"); id >= 0; id = this.src.indexOf("7f3c2a90", id + 1)) this.#idsAt.push(id);
    let at = 0;
    for (const [name, value] of fields) {
      const valueAt = at + name.length + 2;
      this.ranges.push(at, at + name.length, valueAt, valueAt + value.length);
      this.ids.push(fieldId(this.src, at, at + name.length));
      this.pseudo.push(name === ":status" ? Pseudo.status : (PSEUDO[name] ?? -1));
      at = valueAt + value.length + 2;
    }
  }

  /** Makes the ids others than last time, as each request would: a few bytes, so that the change itself costs little. */
  vary(n: number): void {
    for (const at of this.#idsAt) {
      this.src[at + 8] = 0x30 + (n & 7);
      this.src[at + 12] = 0x30 + ((n >> 3) & 7);
      this.src[at + 20] = 0x30 + ((n >> 6) & 7);
    }
  }

  encode(encoder: HpackEncoder, out: Buffer): number {
    const { src, ranges, ids, pseudo } = this;
    let p = encoder.begin(out, 0);
    for (let i = 0; i < ids.length; i++) {
      const kind = pseudo[i]!;
      const valueAt = ranges[4 * i + 2]!;
      const valueEnd = ranges[4 * i + 3]!;
      if (kind === Pseudo.status) p = encoder.status(out, p, this.#status);
      else if (kind >= 0) p = encoder.pseudo(out, p, kind as Pseudo, src, valueAt, valueEnd, 0);
      else p = encoder.field(out, p, src, ranges[4 * i]!, ranges[4 * i + 1]!, valueAt, valueEnd, ids[i]!, 0);
    }
    return p;
  }
}

/** A connection in steady state: the blocks that it carries, whatever it costs to get there. */
class Lane {
  readonly message: Message;
  readonly encoder: HpackEncoder;
  readonly decoder = new HpackDecoder(LIMITS);
  readonly reference = new ReferenceDecoder();
  readonly out = Buffer.alloc(128 * 1024);
  readonly lines = Buffer.alloc(128 * 1024);
  readonly block = new FieldBlock();
  readonly steady: Buffer;
  readonly first: Buffer;
  readonly #isUnique: boolean;
  #n = 0;

  constructor(fields: Fields, options: EncoderOptions = {}) {
    this.#isUnique = fields === UNIQUE_REQUEST;
    this.message = new Message(fields);
    this.encoder = new HpackEncoder(options);
    let bytes = Buffer.alloc(0);
    let first = bytes;
    for (let i = 0; i < 4; i++) {
      if (this.#isUnique) this.message.vary(i);
      bytes = Buffer.from(this.out.subarray(0, this.message.encode(this.encoder, this.out)));
      if (i === 0) first = bytes;
      if (this.decoder.decode(bytes, 0, bytes.length, this.block, this.lines, 0) !== 0) throw new Error("refused");
      this.reference.decode(bytes);
    }
    this.first = first;
    this.steady = bytes;
  }

  encode(): number {
    if (this.#isUnique) this.message.vary(this.#n++);
    return this.message.encode(this.encoder, this.out);
  }

  decode(): number {
    return this.decoder.decode(this.steady, 0, this.steady.length, this.block, this.lines, 0);
  }
}

for (const [name, fields] of [
  ["gRPC request, 8 fields", GRPC_REQUEST],
  ["gRPC response, 3 fields", GRPC_RESPONSE],
  ["gRPC request with ids, 11 fields", UNIQUE_REQUEST],
  ["browser request, 16 fields", BROWSER_REQUEST],
  ["web response, 7 fields", WEB_RESPONSE],
] as const) {
  const lane = new Lane(fields);
  const size = fields.reduce((sum, [field, value]) => sum + field.length + value.length + 4, 0);
  summary(() => {
    bench(`${name} (${size} bytes as ${lane.steady.length}): decode`, () => do_not_optimize(lane.decode()));
    bench(`${name}: encode`, () => do_not_optimize(lane.encode()));
    bench(`${name}: decode, strings`, () => do_not_optimize(lane.reference.decode(lane.steady)));
  });
}

// A connection's first request: everything is a literal that enters the table. A new codec each time.
for (const [name, options] of [
  ["as it is", {}],
  ["Huffman", { huffman: true }],
] as const) {
  const lane = new Lane(BROWSER_REQUEST, options);
  summary(() => {
    bench(`first browser request, literals ${name} (${lane.first.length} bytes): new decoder, decode`, () => {
      const decoder = new HpackDecoder(LIMITS);
      do_not_optimize(decoder.decode(lane.first, 0, lane.first.length, lane.block, lane.lines, 0));
    });
    bench(`first browser request, literals ${name}: new encoder, encode`, () =>
      do_not_optimize(lane.message.encode(new HpackEncoder(options), lane.out)),
    );
  });
}

// One value, as it is and Huffman-coded.
for (const text of ["24817", "/api/v1/items/4711?expand=all", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"]) {
  const raw = Buffer.from(text);
  const coded = Buffer.alloc(huffmanSize(raw, 0, raw.length));
  encodeHuffman(raw, 0, raw.length, coded, 0);
  const out = Buffer.alloc(decodedRoom(coded.length) + 200);
  summary(() => {
    bench(`${raw.length} bytes: copy`, () => do_not_optimize(raw.copy(out, 0, 0, raw.length)));
    bench(`${raw.length} bytes: Huffman, size and encode (${coded.length})`, () => {
      do_not_optimize(huffmanSize(raw, 0, raw.length));
      do_not_optimize(encodeHuffman(raw, 0, raw.length, out, 0));
    });
    bench(`${raw.length} bytes: Huffman, decode`, () => do_not_optimize(decodeHuffman(coded, 0, coded.length, out, 0)));
  });
}

await run();
