// Properties: what is encoded decodes to the same, both tables stay in step through any changes of their limits, the decoder agrees with
// the reference on blocks of any form, the table with a naive one, and Huffman coding with itself and with the reference.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { HpackDecoder } from "../../../src/core/hpack/decoder.ts";
import { DynamicTable } from "../../../src/core/hpack/dynamic-table.ts";
import { HpackEncoder } from "../../../src/core/hpack/encoder.ts";
import { ENTRY_OVERHEAD, HpackCode } from "../../../src/core/hpack/hpack-codes.ts";
import { CODE_LENGTHS, CODES, EOS } from "../../../src/core/hpack/huffman-code.ts";
import { BAD_HUFFMAN, decodedRoom, decodeHuffman, FAULT_BITS, huffmanDecodedSize } from "../../../src/core/hpack/huffman-decode.ts";
import { encodeHuffman, huffmanSize } from "../../../src/core/hpack/huffman-encode.ts";
import { INTEGER_BYTES_MAX, readContinuation, writeInteger } from "../../../src/core/hpack/integer.ts";
import { LINE_BYTES, ROW_NAME_SIZE, ROW_TAG, ROW_VALUE_SIZE } from "../../../src/core/hpack/static-table.ts";
import { ReferenceDecoder, referenceHuffman } from "../../support/hpack-reference.ts";
import { decode, encode, type Field, LIMITS, PSEUDO_NAMES, tableOf } from "./codec.ts";

const NAMES = [
  "user-agent",
  "x-request-id",
  "te",
  "cookie",
  "authorization",
  "content-type",
  "x-a",
  "x-b",
  "grpc-status",
  "accept-encoding",
  "via",
];

const name = fc.oneof(fc.constantFrom(...NAMES), fc.stringMatching(/^[!#$%&'*+.^_`|~0-9a-z-]{1,30}$/));
const value = fc.oneof(
  fc.constantFrom("", "a", "gzip, deflate", "application/grpc", "trailers"),
  fc.stringMatching(/^[!-~\x80-\xff]([\t -~\x80-\xff]{0,60}[!-~\x80-\xff])?$/),
  fc.integer({ min: 0, max: 3000 }).map((size) => "v".repeat(size)),
);
const pseudo = fc.record({ name: fc.constantFrom(...PSEUDO_NAMES.map(([text]) => text)), value });
const regular = fc.record({ name, value, never: fc.boolean() });

/** A list that HTTP/2 allows: pseudo-header fields in the order in which the tests list them, each once. */
const list: fc.Arbitrary<Field[]> = fc
  .tuple(fc.uniqueArray(pseudo, { selector: (field) => field.name, maxLength: 4 }), fc.array(regular, { maxLength: 12 }))
  .map(([first, rest]) => [
    ...PSEUDO_NAMES.flatMap(([text]) => first.filter((field) => field.name === text).map((field) => ({ ...field }))),
    ...rest.map((field) => (field.never ? field : { name: field.name, value: field.value })),
  ]);

/** What a decoder says of a field that was sent: some names are never-indexed whether the caller asks for it or not. */
function expected(field: Field): Field {
  const isSecret =
    field.name === "authorization" || field.name === "proxy-authorization" || (field.name === "cookie" && field.value.length < 20);
  return field.never === true || isSecret
    ? { name: field.name, value: field.value, never: true }
    : { name: field.name, value: field.value };
}

type Step = { readonly fields: Field[] } | { readonly limit: number };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: list.map((fields) => ({ fields })) },
  { weight: 1, arbitrary: fc.oneof(fc.constantFrom(0, 4096), fc.integer({ min: 0, max: 20_000 })).map((limit) => ({ limit })) },
);

describe("encoder and decoder", () => {
  for (const options of [{}, { huffman: true }, { tableSizeMax: 600 }, { tableSizeMax: 65_536 }]) {
    it(`stay in step through any messages and limits: ${JSON.stringify(options)}`, () => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 30, size: "max" }), (steps) => {
          const encoder = new HpackEncoder(options);
          const decoder = new HpackDecoder({ listBytesMax: 256 * 1024, fieldsMax: 100 });
          const reference = new ReferenceDecoder();
          for (const one of steps) {
            if ("limit" in one) {
              encoder.setPeerTableSize(one.limit);
              decoder.setTableLimit(one.limit);
              reference.setTableLimit(one.limit);
              continue;
            }
            const bytes = encode(encoder, one.fields);
            const decoded = decode(decoder, bytes, { listBytesMax: 256 * 1024, fieldsMax: 100 });
            assert.equal(decoded.code, HpackCode.ok);
            assert.deepEqual(decoded.fields, one.fields.map(expected));
            assert.deepEqual(
              reference.decode(bytes).map((field) => [field.name, field.value, field.never]),
              decoded.fields.map((field) => [field.name, field.value, field.never === true]),
            );
            assert.deepEqual(
              tableOf(decoder),
              reference.table.map((entry) => `${entry.name}: ${entry.value}`),
            );
            assert.deepEqual([encoder.tableSize, encoder.tableCount], [decoder.tableSize, decoder.tableCount]);
          }
        }),
        { numRuns: 150 },
      );
    });
  }

  it("stay in step over thousands of messages, with memory that moves and grows", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(LIMITS);
    const limits = [4096, 4096, 100, 4096, 2000, 0, 4096];
    for (let i = 0; i < 6000; i++) {
      if (i % 500 === 499) {
        const limit = limits[Math.floor(i / 500) % limits.length]!;
        encoder.setPeerTableSize(limit);
        decoder.setTableLimit(limit);
      }
      const fields = [
        { name: ":path", value: `/item/${i % 7}` },
        { name: "user-agent", value: `agent ${(i * 7919) % 97}/${"x".repeat((i * 31) % 400)}` },
        { name: `x-name-${i % 13}`, value: `${i % 5}` },
      ];
      const decoded = decode(decoder, encode(encoder, fields));
      assert.deepEqual([decoded.code, decoded.fields], [HpackCode.ok, fields]);
      assert.deepEqual([encoder.tableSize, encoder.tableCount], [decoder.tableSize, decoder.tableCount]);
    }
  });
});

describe("the dynamic table", () => {
  it("is a naive table, whatever is inserted and however it is resized", () => {
    const insert = fc.record({
      name: fc.integer({ min: 0, max: 60 }),
      value: fc.oneof(fc.integer({ min: 0, max: 90 }), fc.integer({ min: 0, max: 3000 })),
    });
    const resize = fc.record({ size: fc.constantFrom(0, 32, 33, 100, 1000, 4096, 20_000) });
    fc.assert(
      fc.property(
        fc.array(fc.oneof({ weight: 12, arbitrary: insert }, { weight: 1, arbitrary: resize }), { maxLength: 400, size: "max" }),
        (operations) => {
          const table = new DynamicTable(4096);
          let model: { text: string; size: number; tag: number }[] = [];
          let maxSize = 4096;
          for (const [i, operation] of operations.entries()) {
            if ("size" in operation) {
              maxSize = operation.size;
              table.resize(maxSize);
            } else {
              const text = `${String.fromCharCode(97 + (i % 26)).repeat(operation.name)}: ${String(i % 10).repeat(operation.value)}\r\n`;
              const size = text.length - LINE_BYTES + ENTRY_OVERHEAD;
              const offset = table.insert(operation.name, operation.value, i);
              assert.equal(offset < 0, size > maxSize);
              if (offset >= 0) table.buffer.write(text, offset, "latin1");
              model.unshift({ text, size, tag: i });
            }
            while (model.reduce((sum, { size }) => sum + size, 0) > maxSize) model = model.slice(0, -1);
          }
          assert.equal(table.count, model.length);
          assert.equal(
            table.size,
            model.reduce((sum, { size }) => sum + size, 0),
          );
          for (const [age, entry] of model.entries()) {
            const row = table.rowAt(age);
            const size = table.rows[row + ROW_NAME_SIZE]! + table.rows[row + ROW_VALUE_SIZE]! + LINE_BYTES;
            assert.equal(table.buffer.toString("latin1", table.rows[row]!, table.rows[row]! + size), entry.text);
            assert.equal(table.rows[row + ROW_TAG], entry.tag);
          }
          assert.ok(table.buffer.length <= 4 * 20_000);
        },
      ),
      { numRuns: 300 },
    );
  });
});

function huffman(bytes: Buffer): Buffer {
  const out = Buffer.alloc(4 * bytes.length + 8, 0x2e);
  const end = encodeHuffman(bytes, 0, bytes.length, out, 1);
  assert.equal(end - 1, huffmanSize(bytes, 0, bytes.length));
  assert.equal(out[end], 0x2e);
  return out.subarray(1, end);
}

describe("Huffman coding", () => {
  it("the code is complete: no sequence of bits is without a meaning", () => {
    let sum = 0;
    for (const bits of CODE_LENGTHS) sum += 2 ** -bits;
    assert.equal(sum, 1);
  });

  it("codes of Appendix B, one of each kind", () => {
    for (const [symbol, code] of [
      ["0", 0x0],
      ["t", 0x9],
      [" ", 0x14],
      ["z", 0x7b],
      ["X", 0xfc],
      ["!", 0x3f8],
      ["#", 0xffa],
      ["\0", 0x1ff8],
      ["<", 0x7ffc],
      ["\\", 0x7fff0],
      ["\x80", 0xfffe6],
      ["\n", 0x3ffffffc],
      ["\x16", 0x3ffffffe],
      ["\xff", 0x3ffffee],
    ] as const) {
      assert.equal(CODES[symbol.charCodeAt(0)], code, JSON.stringify(symbol));
    }
    assert.equal(CODES[EOS], 0x3fffffff);
  });

  it("any bytes come back, and nothing is written beyond the promised room", () => {
    const text = fc.oneof(
      fc.uint8Array({ maxLength: 200, size: "max" }),
      value.map((one) => Buffer.from(one, "latin1")),
    );
    fc.assert(
      fc.property(text, (one) => {
        const bytes = Buffer.from(one);
        const coded = huffman(bytes);
        const room = decodedRoom(coded.length);
        const out = Buffer.alloc(room + 9, 0x2e);
        const end = decodeHuffman(coded, 0, coded.length, out, 3);
        assert.ok(end >= 0);
        assert.deepEqual(out.subarray(3, end >> FAULT_BITS), bytes);
        assert.equal(out.toString("latin1", 3 + room), "......");
        assert.equal(huffmanDecodedSize(coded, 0, coded.length), bytes.length);
        assert.equal(referenceHuffman(coded), bytes.toString("latin1"));
      }),
      { numRuns: 2000 },
    );
  });

  it("of any bytes, those are refused that the reference refuses", () => {
    // High bits set more often than not: random bytes alone rarely hold a long code or padding.
    const dense = fc.array(fc.oneof(fc.constant(0xff), fc.constant(0xfe), fc.integer({ min: 0, max: 255 })), { maxLength: 12 });
    let refused = 0;
    fc.assert(
      fc.property(dense, (one) => {
        const bytes = Buffer.from(one);
        let text: string | null = null;
        try {
          text = referenceHuffman(bytes);
        } catch {
          refused++;
        }
        const out = Buffer.alloc(decodedRoom(bytes.length) + 4);
        const end = decodeHuffman(bytes, 0, bytes.length, out, 0);
        assert.equal(end < 0 ? null : out.toString("latin1", 0, end >> FAULT_BITS), text);
        assert.equal(huffmanDecodedSize(bytes, 0, bytes.length), text === null ? BAD_HUFFMAN : text.length);
      }),
      { numRuns: 20_000 },
    );
    assert.ok(refused > 1000 && refused < 19_000, String(refused));
  });
});

describe("integers", () => {
  it("come back with any prefix, up to 2^31 - 1", () => {
    const any = fc.oneof(fc.integer({ min: 0, max: 2 ** 31 - 1 }), fc.integer({ min: 0, max: 600 }), fc.constant(2 ** 31 - 1));
    fc.assert(
      fc.property(any, fc.constantFrom(0x0f, 0x1f, 0x3f, 0x7f), (number, prefix) => {
        const out = Buffer.alloc(12);
        const end = writeInteger(out, 2, prefix + 1, prefix, number);
        assert.ok(end - 2 <= INTEGER_BYTES_MAX);
        assert.equal(out[2]! & ~prefix & 0xff, prefix + 1);
        if (number < prefix) assert.equal(out[2]! & prefix, number);
        else {
          assert.equal(readContinuation(out, 3, end, prefix), number);
          for (let cut = 3; cut < end; cut++) assert.equal(readContinuation(out, 3, cut, prefix), -2);
        }
      }),
    );
  });
});
