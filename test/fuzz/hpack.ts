// Target hpack: blocks of a connection through the decoder and through the reference, with limits that change and lists above the limit.
//
// An input is a sequence of header blocks, each behind two bytes of size; a size with the highest bit set is a new table limit instead. Both
// decoders must say the same of every block: the same fields and the same table, or malformed, or a connection that is lost.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { DECODER_SLACK, HpackDecoder } from "../../src/core/hpack/decoder.ts";
import { HpackEncoder } from "../../src/core/hpack/encoder.ts";
import { FieldBlock } from "../../src/core/hpack/field-block.ts";
import { HpackCode, LIST_FACTOR_MAX } from "../../src/core/hpack/hpack-codes.ts";
import { encodeHuffman, huffmanSize } from "../../src/core/hpack/huffman-encode.ts";
import { writeInteger } from "../../src/core/hpack/integer.ts";
import { encode, type Field, fieldsOf, PSEUDO_NAMES, tableOf } from "../core/hpack/codec.ts";
import { CompressionError, isMalformed, ReferenceDecoder, type ReferenceField } from "../support/hpack-reference.ts";
import type { Random } from "./random.ts";
import type { FuzzTarget, TargetOptions } from "./target.ts";

/** Small, so that lists above it are common. */
const LIMITS = { listBytesMax: 1500, fieldsMax: 20 };
const LIMIT_MARK = 0x8000;

const NAMES = [
  ":method",
  ":path",
  ":status",
  ":authority",
  ":x",
  "user-agent",
  "x-a",
  "x-b",
  "cookie",
  "Upper",
  "",
  "content-length",
  "te",
];
const VALUES = ["", "GET", "200", "/", "a", "gzip, deflate", " a", "b\t", "c\0", "text with spaces", "\xff\xfe", "x".repeat(100)];

/** A string literal; now and then broken. */
function stringBytes(random: Random, text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  const out = Buffer.alloc(8 + 4 * bytes.length + 4);
  let end: number;
  if (random.chance(2)) {
    const at = writeInteger(out, 0, 0x80, 0x7f, huffmanSize(bytes, 0, bytes.length));
    end = encodeHuffman(bytes, 0, bytes.length, out, at);
    if (random.chance(60)) out[end - 1]! ^= 1 << random.int(8);
  } else {
    const at = writeInteger(out, 0, 0, 0x7f, bytes.length);
    end = at + bytes.copy(out, at);
  }
  return out.subarray(0, end);
}

function integerBytes(random: Random, first: number, prefix: number, value: number): Buffer {
  const out = Buffer.alloc(12);
  const end = writeInteger(out, 0, first, prefix, value);
  if (!random.chance(40) || (out[0]! & prefix) !== prefix) return out.subarray(0, end);
  // The same number, longer: a leading zero group.
  out[end - 1]! |= 0x80;
  out[end] = 0;
  return out.subarray(0, end + 1);
}

/** One representation, of any kind and mostly valid. */
function representation(random: Random): Buffer {
  const index = random.chance(3) ? 62 + random.int(random.chance(50) ? 200 : 3) : 1 + random.int(61);
  if (random.chance(3)) return integerBytes(random, 0x80, 0x7f, random.chance(100) ? 0 : index);
  const [first, prefix] = random.pick([
    [0x40, 0x3f],
    [0x40, 0x3f],
    [0x00, 0x0f],
    [0x10, 0x0f],
  ] as const);
  const hasName = random.chance(2);
  const parts = [integerBytes(random, first, prefix, hasName ? 0 : index)];
  if (hasName) parts.push(stringBytes(random, random.pick(NAMES)));
  const value = random.chance(30) ? "v".repeat(random.int(5000)) : random.pick(VALUES);
  return Buffer.concat([...parts, stringBytes(random, value)]);
}

function block(random: Random): Buffer {
  const parts: Buffer[] = [];
  while (random.chance(12)) parts.push(integerBytes(random, 0x20, 0x1f, random.chance(10) ? 4097 : random.pick([0, 100, 1000, 4096])));
  // Something to refer to, now and then.
  for (let n = random.int(3); n > 0; n--) parts.push(Buffer.from([0x40]), stringBytes(random, `x-${n}`), stringBytes(random, "entry"));
  for (let n = random.int(random.chance(10) ? 60 : 6); n > 0; n--) parts.push(representation(random));
  if (random.chance(80)) parts.push(Buffer.from([0x20]));
  const bytes = Buffer.concat(parts);
  if (random.chance(30) && bytes.length > 0) return bytes.subarray(0, random.int(bytes.length));
  if (random.chance(30) && bytes.length > 0) bytes[random.int(bytes.length)] = random.int(256);
  return bytes;
}

/** What our own encoder makes of random fields: blocks that are right, over a connection. */
function encoded(random: Random, encoder: HpackEncoder): Buffer {
  const fields: Field[] = PSEUDO_NAMES.filter(() => random.chance(3)).map(([name]) => ({ name, value: random.pick(VALUES.slice(0, 5)) }));
  for (let n = random.int(10); n > 0; n--) {
    fields.push({ name: `x-${random.int(12)}`, value: random.pick(VALUES.slice(0, 6)), never: random.chance(10) });
  }
  return encode(encoder, fields);
}

function generate(random: Random): Buffer {
  const encoder = new HpackEncoder({ huffman: random.chance(2) });
  const isOwn = random.chance(2);
  const parts: Buffer[] = [];
  for (let n = 1 + random.int(8); n > 0; n--) {
    if (random.chance(8)) {
      const limit = random.pick([0, 31, 200, 1000, 4096, 10_000]);
      encoder.setPeerTableSize(limit);
      parts.push(Buffer.from([(LIMIT_MARK | limit) >> 8, limit & 0xff]));
    }
    const bytes = (isOwn ? encoded(random, encoder) : block(random)).subarray(0, LIMIT_MARK - 1);
    parts.push(Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes);
  }
  return Buffer.concat(parts);
}

/** The canary: a decoder that lets bad values through. */
class LenientDecoder extends HpackDecoder {
  override decode(...args: Parameters<HpackDecoder["decode"]>): HpackCode {
    const code = super.decode(...args);
    return code === HpackCode.badValue ? HpackCode.ok : code;
  }
}

type Shown = readonly [name: string, value: string, never: boolean];

const sorted = (fields: readonly Shown[]): Shown[] => {
  const order = (name: string): number => {
    const at = PSEUDO_NAMES.findIndex(([text]) => text === name);
    return at < 0 ? PSEUDO_NAMES.length : at;
  };
  return [...fields].sort((a, b) => order(a[0]) - order(b[0]));
};

function sizeOf(fields: readonly ReferenceField[]): number {
  return fields.reduce((sum, { name, value }) => sum + name.length + value.length + 32, 0);
}

/** Is the verdict right? Returns false when the connection is over. */
function judge(decoder: HpackDecoder, reference: ReferenceDecoder, bytes: Buffer, tally: { add(what: string): void }): boolean {
  const out = Buffer.alloc(LIMITS.listBytesMax + DECODER_SLACK, 0x2e);
  const fieldBlock = new FieldBlock();
  const memory = Buffer.concat([Buffer.from([0xff]), bytes, Buffer.from([0x82])]);
  const code = decoder.decode(memory, 1, 1 + bytes.length, fieldBlock, out, 0);
  let expected: ReferenceField[];
  try {
    expected = reference.decode(bytes);
  } catch (error) {
    assert.ok(error instanceof CompressionError, String(error));
    assert.ok(code < 0, `accepted with ${code}: ${error.message}`);
    tally.add("compression error");
    return false;
  }
  const size = sizeOf(expected);
  if (code === HpackCode.tooMuchWork) {
    assert.ok(size > LIMITS.listBytesMax * LIST_FACTOR_MAX, "too much work");
    tally.add("too much work");
    return false;
  }
  assert.ok(code >= 0, `refused with ${code}`);
  assert.ok(size <= LIMITS.listBytesMax * LIST_FACTOR_MAX);
  assert.equal(fieldBlock.listBytes, size);
  assert.deepEqual(
    tableOf(decoder),
    reference.table.map(({ name, value }) => `${name}: ${value}`),
  );
  assert.equal(decoder.tableSize, reference.tableSize);
  const regular = expected.filter(({ name }) => !name.startsWith(":")).length;
  if (size > LIMITS.listBytesMax || regular > LIMITS.fieldsMax) {
    // What comes behind the limit is not looked at, so a fault in it may go unsaid.
    assert.ok(code === HpackCode.tooLarge || isMalformed(expected));
    assert.notEqual(code, HpackCode.ok);
    tally.add("too large");
    return true;
  }
  assert.equal(code > HpackCode.tooLarge, isMalformed(expected), `malformed: ${code}`);
  tally.add(code === HpackCode.ok ? "accepted" : "malformed");
  if (code !== HpackCode.ok) return true;
  const got = fieldsOf(fieldBlock).map(({ name, value, never }): Shown => [name, value, never === true]);
  assert.deepEqual(got, sorted(expected.map(({ name, value, never }): Shown => [name, value, never])));
  const lines = expected.filter(({ name }) => !name.startsWith(":")).map(({ name, value }) => `${name}: ${value}\r\n`);
  assert.equal(out.toString("latin1", fieldBlock.fieldsStart, fieldBlock.fieldsEnd + 2), `${lines.join("")}\r\n`);
  return true;
}

export function hpackTarget(options: TargetOptions): FuzzTarget {
  return {
    generate,
    check(input, _random, tally) {
      const decoder = options.canary ? new LenientDecoder(LIMITS) : new HpackDecoder(LIMITS);
      const reference = new ReferenceDecoder();
      let outcome = "nothing refused";
      const counts = { add: (what: string): void => void (outcome = what === "accepted" ? outcome : what) };
      for (let at = 0; at + 2 <= input.length; ) {
        const head = input.readUInt16BE(at);
        at += 2;
        if ((head & LIMIT_MARK) !== 0) {
          decoder.setTableLimit(head & ~LIMIT_MARK);
          reference.setTableLimit(head & ~LIMIT_MARK);
          continue;
        }
        const bytes = input.subarray(at, at + head);
        at += bytes.length;
        if (!judge(decoder, reference, bytes, counts)) break;
      }
      tally.add(outcome === "nothing refused" ? "accepted" : outcome);
    },
  };
}
