// Makes what a client sends over HTTP/2: valid conversations of frames, and damage to them at the level of frames, fields and bytes.

import { Buffer } from "node:buffer";
import {
  continuation,
  data,
  frame,
  goaway,
  headers,
  type HeadersOptions,
  ping,
  PREFACE,
  priority,
  rstStream,
  Setting,
  settings,
  settingsAck,
  windowUpdate,
} from "../support/h2-frames.ts";
import { block, type Fields, indexed, literal, type LiteralKind, tableSizeUpdate } from "../support/h2-hpack.ts";
import type { Random } from "./random.ts";

const KINDS: readonly LiteralKind[] = ["with incremental indexing", "without indexing", "never indexed"];

const FIELDS: Fields = [
  ["accept", "*/*"],
  ["content-type", "application/grpc"],
  ["te", "trailers"],
  ["cookie", "a=1"],
  ["cookie", "b=2"],
  ["host", "web"],
  ["user-agent", "fuzz/1.0"],
  ["grpc-timeout", "1S"],
  ["x-empty", ""],
  ["x-long", "v".repeat(200)],
  ["l5d-dst-override", "web"],
];

const BAD_FIELDS: Fields = [
  ["connection", "close"],
  ["transfer-encoding", "chunked"],
  ["te", "gzip"],
  ["host", "other"],
  ["content-length", "3"],
  ["content-length", "x"],
  ["X-Upper", "y"],
  ["x-bad", "a\r\nb: c"],
  [":path", "/again"],
  [":status", "200"],
  [":protocol", "websocket"],
  ["expect", "100-continue"],
  ["expect", "y"],
  ["x-huge", "v".repeat(3000)],
];

/** Fields as a block in every representation. */
function encode(random: Random, fields: Fields): Buffer {
  return Buffer.concat(fields.map(([name, value]) => literal(random.pick(KINDS), name, value, random.chance(3))));
}

function requestFields(random: Random): Fields {
  const method = random.pick(["GET", "POST", "HEAD", "OPTIONS", "PROPFIND"]);
  const fields: (readonly [string, string])[] = [
    [":method", method],
    [":scheme", random.pick(["http", "https"])],
    [":path", random.pick(["/", "/a/b?c=d", "/long/".padEnd(60, "p"), method === "OPTIONS" ? "*" : "/x"])],
    [":authority", "web"],
  ];
  for (let count = random.int(5); count > 0; count--) fields.push(random.pick(FIELDS));
  if (random.chance(12)) fields.splice(random.int(fields.length), random.int(2), random.pick(BAD_FIELDS));
  return fields;
}

/** HEADERS, sometimes with padding and priority, sometimes in parts. */
function headersOf(random: Random, id: number, bytes: Buffer, endStream: boolean): Buffer[] {
  const options: HeadersOptions = {
    endStream,
    ...(random.chance(5) ? { padding: random.int(20) } : {}),
    ...(random.chance(5) ? { priority: { dependsOn: random.int(9) * 2 } } : {}),
  };
  if (!random.chance(4) || bytes.length < 3) return [headers(id, bytes, options)];
  const cuts = [0, ...random.cuts(bytes.length, 1 + random.int(3)), bytes.length];
  return cuts.slice(1).map((to, i) => {
    const part = bytes.subarray(cuts[i], to);
    const endHeaders = to === bytes.length;
    return i === 0 ? headers(id, part, { ...options, endHeaders }) : continuation(id, part, { endHeaders });
  });
}

/** One request with its body; frames in order. */
function request(random: Random, id: number): Buffer[] {
  const fields = requestFields(random);
  const pieces = random.int(4);
  const hasTrailers = random.chance(5);
  const frames = headersOf(random, id, encode(random, fields), pieces === 0 && !hasTrailers);
  for (let piece = 0; piece < pieces; piece++) {
    const endStream = piece === pieces - 1 && !hasTrailers;
    const padding = random.chance(4) ? { padding: random.int(30) } : {};
    frames.push(data(id, "d".repeat(random.int(random.chance(4) ? 3000 : 40)), { endStream, ...padding }));
  }
  if (hasTrailers)
    frames.push(
      ...headersOf(
        random,
        id,
        encode(random, [
          ["x-sum", "1"],
          ["grpc-status", "0"],
        ]),
        true,
      ),
    );
  return frames;
}

/** One answer, perhaps behind interim ones; the second, fifth, ... stream asked by HEAD. */
function response(random: Random, id: number): Buffer[] {
  const frames: Buffer[] = [];
  for (let count = random.chance(4) ? random.int(3) : 0; count > 0; count--) {
    frames.push(...headersOf(random, id, encode(random, [[":status", random.pick(["100", "103"])]]), false));
  }
  const fields: (readonly [string, string])[] = [[":status", random.pick(["200", "204", "304", "404", "503"])]];
  for (let count = random.int(4); count > 0; count--) fields.push(random.pick(FIELDS.filter(([name]) => name !== "te")));
  if (random.chance(12)) fields.splice(random.int(fields.length), random.int(2), random.pick(BAD_FIELDS));
  const isBare = id % 6 === 3 || ["204", "304"].includes(fields[0]?.[1] ?? "");
  const pieces = isBare ? 0 : random.int(4);
  const hasTrailers = !isBare && random.chance(3);
  frames.push(...headersOf(random, id, encode(random, fields), pieces === 0 && !hasTrailers));
  for (let piece = 0; piece < pieces; piece++) {
    const endStream = piece === pieces - 1 && !hasTrailers;
    frames.push(data(id, "r".repeat(random.int(random.chance(4) ? 3000 : 40)), { endStream, ...(random.chance(4) ? { padding: 3 } : {}) }));
  }
  if (hasTrailers)
    frames.push(
      ...headersOf(
        random,
        id,
        encode(random, [
          ["grpc-status", "0"],
          ["x-sum", "1"],
        ]),
        true,
      ),
    );
  return frames;
}

function between(random: Random, id: number): Buffer {
  const some = 1 + 2 * random.int(id);
  switch (random.int(10)) {
    case 0:
      return ping("12345678");
    case 1:
      return settings([Setting.INITIAL_WINDOW_SIZE, random.pick([0, 10, 65_535, 1 << 20])]);
    case 2:
      return settings([Setting.HEADER_TABLE_SIZE, random.pick([0, 100, 4096, 65_536])]);
    case 3:
      return windowUpdate(0, 1 + random.int(1000));
    case 4:
      return windowUpdate(some, 1 + random.int(1000));
    case 5:
      return priority(some, { dependsOn: 0 });
    case 6:
      return rstStream(some);
    case 7:
      return frame(0x10, 0, 0, Buffer.concat([Buffer.from([0, 0, 0, some & 0xff]), Buffer.from("u=2, i")]));
    case 8:
      return frame(0x40 + random.int(10), random.int(256), random.int(10), random.bytes(random.int(30)));
    default:
      return random.chance(6) ? goaway(0) : ping("abcdefgh");
  }
}

/** A frame that has no business where it comes. */
function wild(random: Random): Buffer {
  switch (random.int(5)) {
    case 0:
      return frame(random.int(12), random.int(256), random.int(12), random.bytes(random.int(40)));
    case 1:
      return windowUpdate(random.int(6), 0x7fffffff);
    case 2:
      return headers(1 + 2 * random.int(6), Buffer.concat([tableSizeUpdate(random.int(5000)), indexed(random.int(80))]), {
        endStream: true,
      });
    case 3:
      return frame(random.int(12), random.int(256), random.int(4), "", random.int(20_000));
    default:
      return headers(1 + 2 * random.int(6), block([["x", "y"]]), { endStream: random.chance(2) });
  }
}

/** Interleaves the frames of messages, blocks in parts kept together, with what may stand between them. */
function interleave(random: Random, out: Buffer[], total: number, message: (random: Random, id: number) => Buffer[]): void {
  const queues: Buffer[][] = [];
  let opened = 0;
  while (opened < total || queues.some((queue) => queue.length > 0)) {
    const busy = queues.filter((queue) => queue.length > 0);
    if (busy.length === 0 || (opened < total && random.chance(2))) {
      const frames = message(random, 1 + 2 * opened++);
      // A block in parts stays together: the first frames of a request go out at once, so that numbers go up.
      let first = 1;
      while (frames[first]?.[3] === 9) first++;
      out.push(...frames.splice(0, first));
      queues.push(frames);
      continue;
    }
    const queue = random.pick(busy);
    do out.push(queue.shift()!);
    while (queue[0]?.[3] === 9);
    if (random.chance(8)) out.push(between(random, opened));
  }
}

/** The frames after the preface as bytes; damaged in every other run. */
function damaged(random: Random, preface: Buffer, out: Buffer[]): Buffer {
  const isDamaged = random.chance(2);
  if (isDamaged && random.chance(2)) out.splice(random.int(out.length), random.int(2), wild(random));
  const bytes = Buffer.concat([preface, ...out]);
  if (isDamaged) for (let count = random.int(3); count > 0; count--) bytes[random.int(bytes.length)] = random.int(256);
  return bytes;
}

/** What a client sends: the preface, SETTINGS, requests in any interleaving that is valid; damaged in every other run. */
export function clientBytes(random: Random): Buffer {
  const out: Buffer[] = [settings(), ...(random.chance(3) ? [] : [settingsAck()])];
  interleave(random, out, 1 + random.int(6), request);
  return damaged(random, PREFACE, out);
}

/** Streams that the client under test has opened. */
export const STREAMS = 6;

/** What a server sends to a client with `STREAMS` open streams: SETTINGS, answers in any interleaving; damaged likewise. */
export function serverBytes(random: Random): Buffer {
  const out: Buffer[] = [settings(), ...(random.chance(3) ? [] : [settingsAck()])];
  interleave(random, out, 1 + random.int(STREAMS), response);
  return damaged(random, Buffer.alloc(0), out);
}
