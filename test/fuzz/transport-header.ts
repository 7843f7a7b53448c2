// Target transport-header: Linkerd's header, whole, cut and damaged, through the decoder and through a reference that is written the simple way.
//
// Both must say the same of the same bytes and of every beginning of them; a verdict once given stays; nothing around the bytes matters; and
// what is accepted is the same again when it is written anew.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  type DecodedHeader,
  decodeTransportHeader,
  encodeTransportHeader,
  MESSAGE_BYTES_MAX,
  type SessionProtocol,
} from "../../src/core/tcp/transport-header.ts";
import { beginnings, damaged, type Read, readGuarded } from "./binary.ts";
import type { Random } from "./random.ts";
import type { FuzzTarget, TargetOptions } from "./target.ts";

type Verdict = DecodedHeader | "incomplete" | "malformed";

const PREFACE = Buffer.from("transport.l5d.io/v1\r\n\r\n", "latin1");
const NAMES = ["web", "web.shop", "a-b_c.", "web:80", "web:123456", "-a", "a b", "a\0", "\xff", "x".repeat(255), "x".repeat(256)];
const PORTS = [1, 80, 127, 128, 8080, 65_535, 65_535, 0, 65_536, 0x7fff_ffff, 0x8000_0000];

/** `padding`: groups of zeros behind it, which make it longer and not larger. */
function varint(value: number | bigint, padding = 0): Buffer {
  const bytes: number[] = [];
  let rest = BigInt(value);
  do {
    bytes.push(Number(rest & 0x7fn));
    rest >>= 7n;
  } while (rest > 0n);
  for (let i = 0; i < padding; i++) bytes.push(0);
  return Buffer.from(bytes.map((byte, i) => (i < bytes.length - 1 ? byte | 0x80 : byte)));
}

const key = (field: number, wire: number): Buffer => varint(field * 8 + wire);
const bytesField = (field: number, body: Buffer): Buffer => Buffer.concat([key(field, 2), varint(body.length), body]);

function field(random: Random): Buffer {
  const padding = random.chance(12) ? random.int(6) : 0;
  switch (random.int(8)) {
    case 0:
    case 1:
      return Buffer.concat([key(1, 0), varint(random.pick(PORTS), padding)]);
    case 2:
      return bytesField(2, Buffer.from(random.pick(NAMES), "latin1"));
    case 3:
      return bytesField(3, bytesField(1 + random.int(random.chance(8) ? 4 : 2), random.chance(8) ? random.bytes(3) : Buffer.alloc(0)));
    case 4:
      return bytesField(3, random.chance(4) ? random.bytes(random.int(5)) : Buffer.alloc(0));
    case 5:
      return Buffer.concat([key(4 + random.int(1000), 0), varint(BigInt(random.next()) << BigInt(random.int(33)), padding)]);
    case 6:
      return Buffer.concat([key(4 + random.int(20), random.pick([1, 5])), random.bytes(random.pick([4, 8]))]);
    default:
      return bytesField(4 + random.int(20), random.bytes(random.int(30)));
  }
}

function generate(random: Random): Buffer {
  if (random.chance(50)) return random.bytes(random.int(100));
  const first = Buffer.concat([key(1, 0), varint(1 + random.int(65_535))]);
  const rest = Array.from({ length: random.int(random.chance(20) ? 60 : 4) }, () => field(random));
  const message = Buffer.concat(random.chance(8) ? rest : [first, ...rest]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(random.chance(20) ? random.pick([0, MESSAGE_BYTES_MAX + 1, 0xffff_ffff]) : message.length);
  return damaged(random, Buffer.concat([PREFACE, length, message, random.bytes(random.int(4))]));
}

// --- the reference ----------------------------------------------------------------------------------------------------

interface Field {
  readonly number: number;
  readonly wire: number;
  /** Of a varint. */
  readonly value: bigint;
  readonly size: number;
  readonly body: Buffer;
}

/** A varint of up to `bytesMax` bytes; null: none. */
function takeVarint(bytes: Buffer, bytesMax: number): { value: bigint; rest: Buffer; size: number } | null {
  const size = bytes.findIndex((byte) => byte < 0x80) + 1;
  if (size === 0 || size > bytesMax) return null;
  const value = bytes.subarray(0, size).reduceRight((sum, byte) => sum * 128n + BigInt(byte & 0x7f), 0n);
  return { value, rest: bytes.subarray(size), size };
}

/** What lengths, keys and the port may be. */
function takeInteger(bytes: Buffer): { value: bigint; rest: Buffer; size: number } | null {
  const taken = takeVarint(bytes, 5);
  return taken === null || taken.value > 0x7fff_ffffn ? null : taken;
}

/** All fields of a message; null: it is none. */
function fieldsOf(message: Buffer): Field[] | null {
  const fields: Field[] = [];
  for (let rest = message; rest.length > 0; ) {
    const start = takeInteger(rest);
    if (start === null || start.value < 8n) return null;
    const number = Number(start.value >> 3n);
    const wire = Number(start.value & 7n);
    rest = start.rest;
    if (wire === 0) {
      const taken = takeVarint(rest, 10);
      if (taken === null) return null;
      fields.push({ number, wire, value: taken.value, size: taken.size, body: Buffer.alloc(0) });
      rest = taken.rest;
      continue;
    }
    const length = wire === 2 ? takeInteger(rest) : null;
    if (wire === 2 && length === null) return null;
    const size = wire === 1 ? 8 : wire === 5 ? 4 : wire === 2 ? Number(length!.value) : -1;
    const from = length?.rest ?? rest;
    if (size < 0 || size > from.length) return null;
    fields.push({ number, wire, value: 0n, size: 0, body: from.subarray(0, size) });
    rest = from.subarray(size);
  }
  return fields;
}

function isHostName(name: string): boolean {
  if (name.length > 255) return false;
  const [host = "", port, more] = name.split(":");
  if (more !== undefined || (port !== undefined && !/^\d{1,5}$/.test(port))) return false;
  const bare = host.endsWith(".") ? host.slice(0, -1) : host;
  const isPlain = (character: string): boolean => /[A-Za-z0-9]/.test(character);
  return bare !== "" && [...bare].every((c) => isPlain(c) || "._-".includes(c)) && isPlain(bare[0]!) && isPlain(bare.at(-1)!);
}

function sessionOf(body: Buffer): SessionProtocol | null {
  const kinds = fieldsOf(body);
  if (kinds === null || kinds.some(({ number, wire }) => number <= 2 && wire !== 2)) return null;
  const last = kinds.filter(({ number }) => number <= 2).at(-1);
  return last === undefined ? "opaque" : last.number === 1 ? "http1" : "http2";
}

function referenceHeader(bytes: Buffer): Verdict {
  const shared = Math.min(bytes.length, PREFACE.length);
  if (!bytes.subarray(0, shared).equals(PREFACE.subarray(0, shared))) return "malformed";
  if (bytes.length < PREFACE.length + 4) return "incomplete";
  const size = bytes.readUInt32BE(PREFACE.length);
  if (size === 0 || size > MESSAGE_BYTES_MAX) return "malformed";
  const end = PREFACE.length + 4 + size;
  if (bytes.length < end) return "incomplete";
  const fields = fieldsOf(bytes.subarray(PREFACE.length + 4, end));
  if (fields === null) return "malformed";
  let port = 0n;
  let name = "";
  let sessionProtocol: SessionProtocol = "opaque";
  for (const { number, wire, value, size: valueBytes, body } of fields) {
    if (number === 1) {
      if (wire !== 0 || valueBytes > 5 || value > 0x7fff_ffffn) return "malformed";
      port = value;
    } else if (number === 2) {
      if (wire !== 2) return "malformed";
      name = body.toString("latin1");
    } else if (number === 3) {
      const session = wire === 2 ? sessionOf(body) : null;
      if (session === null) return "malformed";
      sessionProtocol = session;
    }
  }
  if (port < 1n || port > 65_535n || (name !== "" && !isHostName(name))) return "malformed";
  return { header: { port: Number(port), name, sessionProtocol }, end };
}

// --- the target -------------------------------------------------------------------------------------------------------

/** The canary: a decoder that looks one byte further than it may. */
const greedy: Read<Verdict> = (buffer, start, end) => decodeTransportHeader(buffer, start, Math.min(end + 1, buffer.length));

export function transportHeaderTarget(options: TargetOptions): FuzzTarget {
  const decode: Read<Verdict> = options.canary ? greedy : decodeTransportHeader;
  /** `end` counts from the beginning of the memory. */
  const read: Read<Verdict> = (buffer, start, end) => {
    const verdict = decode(buffer, start, end);
    return typeof verdict === "string" ? verdict : { ...verdict, end: verdict.end - start };
  };
  return {
    generate,
    check(input, random, tally) {
      let before: Verdict = "incomplete";
      for (const size of [...beginnings(random, input.length), input.length]) {
        const bytes = input.subarray(0, size);
        const verdict = readGuarded(read, bytes);
        if (before !== "incomplete") assert.deepEqual(verdict, before, `another verdict at ${size} bytes`);
        assert.deepEqual(verdict, referenceHeader(bytes), `the first ${size} bytes`);
        before = verdict;
      }
      tally.add(typeof before === "string" ? before : "accepted");
      if (typeof before === "string") return;
      const again = encodeTransportHeader(before.header);
      assert.deepEqual(decodeTransportHeader(again, 0, again.length), { header: before.header, end: again.length }, "written anew");
    },
  };
}
