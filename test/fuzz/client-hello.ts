// Target client-hello: what a TLS client says first, whole, cut, spread over records and damaged, through the reader and through a reference that is
// written the simple way.
//
// Both must find the same hello in the same bytes, and at every beginning of them; a verdict once given stays; nothing around the bytes
// matters; and what is still incomplete is never longer than a hello may be.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type ClientHello,
  HELLO_BYTES_MAX,
  HELLO_RECORDS_MAX,
  type HelloVerdict,
  readClientHello,
} from "../../src/core/tcp/client-hello.ts";
import { beginnings, damaged, type Read, readGuarded } from "./binary.ts";
import type { Random } from "./random.ts";
import type { FuzzTarget, TargetOptions } from "./target.ts";

const FIXTURES = fileURLToPath(new URL("../fixtures/tls/", import.meta.url));
const RECORD_HEADER = 5;

const uint16 = (value: number): Buffer => Buffer.from([(value >> 8) & 0xff, value & 0xff]);
const vector8 = (body: Buffer): Buffer => Buffer.concat([Buffer.from([body.length & 0xff]), body]);
const vector16 = (body: Buffer): Buffer => Buffer.concat([uint16(body.length), body]);

const NAMES = ["web", "web.shop.serviceaccount.identity.weft.cluster.local", "a", "", "\0", "WEB.", "x".repeat(300)];
const PROTOCOLS = ["h2", "http/1.1", "transport.l5d.io/v1", "", "x".repeat(255)];

function extension(random: Random): Buffer {
  const entry = (): Buffer =>
    Buffer.concat([Buffer.from([random.chance(10) ? 1 : 0]), vector16(Buffer.from(random.pick(NAMES), "latin1"))]);
  const list = (one: () => Buffer, times: number): Buffer => vector16(Buffer.concat(Array.from({ length: times }, one)));
  switch (random.int(4)) {
    case 0:
      return Buffer.concat([uint16(0), vector16(list(entry, random.chance(8) ? random.int(3) : 1))]);
    case 1:
      return Buffer.concat([uint16(16), vector16(list(() => vector8(Buffer.from(random.pick(PROTOCOLS))), random.int(4)))]);
    default:
      return Buffer.concat([uint16(random.pick([10, 13, 43, 51, 0x1a1a, 0xfe0d])), vector16(random.bytes(random.int(40)))]);
  }
}

/** A handshake message that is a hello, mostly a good one. */
function message(random: Random): Buffer {
  const extensions = Buffer.concat(Array.from({ length: random.int(6) }, () => extension(random)));
  const body = Buffer.concat([
    Buffer.from([3, random.pick([1, 3, 3, 4])]),
    random.bytes(32),
    vector8(random.bytes(random.pick([0, 32, 32, 33]))),
    vector16(random.bytes(random.pick([2, 6, 30, 31, 0]))),
    vector8(random.bytes(random.pick([1, 1, 1, 2, 0]))),
    ...(random.chance(10) ? [] : [vector16(extensions)]),
  ]);
  const length = random.chance(10) ? random.pick([0, 1, body.length - 1, body.length + 1]) : body.length;
  return Buffer.concat([Buffer.from([random.chance(40) ? 2 : 1, 0]), uint16(length), body]);
}

/** The message in records of whatever sizes. */
function inRecords(random: Random, bytes: Buffer): Buffer {
  const cuts = random.chance(2) ? [] : random.cuts(bytes.length, random.chance(10) ? 40 : 3);
  const edges = [0, ...cuts, bytes.length];
  return Buffer.concat(
    edges.slice(1).flatMap((to, i) => [Buffer.from([0x16, 3, random.pick([1, 3])]), vector16(bytes.subarray(edges[i], to))]),
  );
}

/** The message in a real client's records. */
function messageOf(records: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at + RECORD_HEADER <= records.length; ) {
    const size = records.readUInt16BE(at + 3);
    parts.push(records.subarray(at + RECORD_HEADER, at + RECORD_HEADER + size));
    at += RECORD_HEADER + size;
  }
  return Buffer.concat(parts);
}

// --- the reference ----------------------------------------------------------------------------------------------------

class NoHello extends Error {}

/** Takes from the front of some bytes; what does not fit is no hello. */
class Bytes {
  rest: Buffer;

  constructor(rest: Buffer) {
    this.rest = rest;
  }

  take(size: number): Buffer {
    if (size > this.rest.length) throw new NoHello("too short");
    const taken = this.rest.subarray(0, size);
    this.rest = this.rest.subarray(size);
    return taken;
  }

  number(size: number): number {
    return this.take(size).readUIntBE(0, size);
  }

  vector(lengthBytes: number): Bytes {
    return new Bytes(this.take(this.number(lengthBytes)));
  }

  get isEmpty(): boolean {
    return this.rest.length === 0;
  }
}

function must(condition: boolean, what: string): void {
  if (!condition) throw new NoHello(what);
}

function referenceMessage(all: Buffer): Buffer {
  const bytes = new Bytes(all);
  let gathered = Buffer.alloc(0);
  for (let records = 0; ; records++) {
    if (gathered.length >= 4) {
      const wanted = 4 + gathered.readUIntBE(1, 3);
      must(gathered.length <= wanted, "a record goes on behind the message");
      if (gathered.length === wanted) return gathered;
    }
    must(records < HELLO_RECORDS_MAX, "too many records");
    must(bytes.number(1) === 0x16 && bytes.number(1) === 3, "no handshake");
    const minor = bytes.number(1);
    must(minor >= 1 && minor <= 4, "no version");
    const { rest } = bytes.vector(2);
    must(rest.length > 0 && rest.length <= 16_384, "the record's length");
    must(all.length - bytes.rest.length <= HELLO_BYTES_MAX, "too long");
    gathered = Buffer.concat([gathered, rest]);
  }
}

function referenceHello(all: Buffer): ClientHello | null {
  try {
    const hello = new Bytes(referenceMessage(all));
    must(hello.number(1) === 1, "another message");
    hello.take(3);
    must(hello.number(1) === 3, "no version");
    hello.take(1 + 32);
    must(hello.vector(1).rest.length <= 32, "the session id");
    const ciphers = hello.vector(2).rest.length;
    must(ciphers >= 2 && ciphers % 2 === 0, "the ciphers");
    must(hello.vector(1).rest.length >= 1, "the compression");
    if (hello.isEmpty) return { serverName: null, protocols: [] };
    const extensions = hello.vector(2);
    must(hello.isEmpty, "something behind");
    return referenceExtensions(extensions);
  } catch (error) {
    if (error instanceof NoHello) return null;
    throw error;
  }
}

function referenceExtensions(extensions: Bytes): ClientHello {
  const found = new Map<number, Bytes>();
  while (!extensions.isEmpty) {
    const type = extensions.number(2);
    must(!found.has(type), "an extension twice");
    found.set(type, extensions.vector(2));
  }
  let serverName: string | null = null;
  const names = found.get(0);
  if (names !== undefined) {
    const list = names.vector(2);
    must(names.isEmpty && list.number(1) === 0, "the server name");
    serverName = list.vector(2).rest.toString("latin1");
    must(serverName !== "" && list.isEmpty, "the server name");
  }
  const protocols: string[] = [];
  const offered = found.get(16);
  if (offered !== undefined) {
    const list = offered.vector(2);
    must(offered.isEmpty && !list.isEmpty, "the protocols");
    while (!list.isEmpty) protocols.push(list.vector(1).rest.toString("latin1"));
    must(!protocols.includes(""), "a protocol without a name");
  }
  return { serverName, protocols };
}

// --- the target -------------------------------------------------------------------------------------------------------

/** The canary: a reader that looks one byte further than it may. */
const greedy: Read<HelloVerdict> = (buffer, start, end) => readClientHello(buffer, start, Math.min(end + 1, buffer.length));

export function clientHelloTarget(options: TargetOptions): FuzzTarget {
  const real = readdirSync(FIXTURES)
    .filter((file) => /^hello-.+\.bin$/.test(file))
    .sort()
    .map((file) => readFileSync(join(FIXTURES, file)));
  assert.ok(real.length > 0, "no hello of a real client");
  const read: Read<HelloVerdict> = options.canary ? greedy : readClientHello;
  return {
    generate(random) {
      if (random.chance(50)) return random.bytes(random.int(200));
      const hello = random.chance(2) ? inRecords(random, message(random)) : random.pick(real);
      const split = random.chance(4) ? inRecords(random, messageOf(hello)) : hello;
      return damaged(random, split);
    },
    check(input, random, tally) {
      const whole = readGuarded(read, input);
      assert.deepEqual(typeof whole === "string" ? null : whole, referenceHello(input), "the whole");
      if (whole === "incomplete") assert.ok(input.length < HELLO_BYTES_MAX + RECORD_HEADER, "incomplete, and too long for a hello");
      let before: HelloVerdict = "incomplete";
      for (const size of beginnings(random, input.length)) {
        const verdict = readGuarded(read, input.subarray(0, size));
        if (before !== "incomplete") assert.deepEqual(verdict, before, `another verdict at ${size} bytes`);
        assert.deepEqual(typeof verdict === "string" ? null : verdict, referenceHello(input.subarray(0, size)), `the first ${size} bytes`);
        before = verdict;
      }
      if (before !== "incomplete") assert.deepEqual(whole, before, "another verdict at the end");
      tally.add(typeof whole === "string" ? whole : "accepted");
    },
  };
}
