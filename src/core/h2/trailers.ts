// Trailers (RFC 9113 section 8.1): a decoded block becomes lines for the exchange, lines of the exchange become fields.
//
// Malformed (stream error): any pseudo-header field, and fields of the connection. Fields that cannot arrive late are dropped, as in
// HTTP/1 (core/h1/trailer-section.ts): never merged, never forwarded.

import { Buffer } from "node:buffer";
import { asciiBytes, COLON, CR, HTAB, SP } from "../bytes/ascii.ts";
import { mayBeTrailer } from "../h1/trailer-section.ts";
import type { Trailers } from "../http/exchange.ts";
import { FIELD_STRIDE, FieldId } from "../http/head.ts";
import { FIELD_ROOM, type HpackEncoder } from "../hpack/encoder.ts";
import { MALFORMED, WELL_FORMED } from "./field-rules.ts";
import type { H2Scratch } from "./scratch.ts";

const GRPC = asciiBytes("grpc-");
const LF = 0x0a;
const EMPTY = Buffer.alloc(0);

/** One object, filled again for each message. */
export class TrailerLines implements Trailers {
  buffer: Buffer = EMPTY;
  start = 0;
  end = 0;
}

/** Reads the block that was decoded, whose code was 0, into `scratch.trailers`, which may become empty. `WELL_FORMED` or `MALFORMED`. */
export function readTrailers(scratch: H2Scratch): number {
  const { block, trailers } = scratch;
  if (block.pseudoSeen !== 0) return MALFORMED;
  const { buffer, start, fields, ids, count } = block;
  let kept = start + block.fieldsStart;
  trailers.buffer = buffer;
  trailers.start = kept;
  for (let i = 0; i < count; i++) {
    const row = i * FIELD_STRIDE;
    const line = start + fields[row]!;
    const next = start + fields[row + 3]! + 2;
    if (isConnectionField(ids[i]!)) return MALFORMED;
    if (!isGrpc(buffer, line) && !mayBeTrailer(buffer, line, start + fields[row + 1]!)) continue;
    if (line !== kept) buffer.copyWithin(kept, line, next);
    kept += next - line;
  }
  trailers.end = kept;
  return WELL_FORMED;
}

function isConnectionField(id: number): boolean {
  switch (id) {
    case FieldId.connection:
    case FieldId.keepAlive:
    case FieldId.proxyConnection:
    case FieldId.transferEncoding:
    case FieldId.upgrade:
    case FieldId.te:
      return true;
    default:
      return false;
  }
}

/** gRPC's own trailers need no look at the list of names that may not be one. */
function isGrpc(buffer: Buffer, name: number): boolean {
  return (
    buffer[name] === GRPC[0] &&
    buffer[name + 1] === GRPC[1] &&
    buffer[name + 2] === GRPC[2] &&
    buffer[name + 3] === GRPC[3] &&
    buffer[name + 4] === GRPC[4]
  );
}

/** Bytes that `writeLines` writes at most. */
export function linesRoom(lines: Trailers): number {
  const { buffer, start, end } = lines;
  let count = 0;
  for (let p = buffer.indexOf(LF, start); p >= 0 && p < end; p = buffer.indexOf(LF, p + 1)) count++;
  return end - start + count * FIELD_ROOM;
}

/** Encodes `Name: value CRLF` lines as fields. Returns the offset behind them. */
export function writeLines(encoder: HpackEncoder, lines: Trailers, out: Buffer, at: number): number {
  const { buffer, end } = lines;
  let p = at;
  let line = lines.start;
  while (line < end) {
    let colon = line;
    while (buffer[colon] !== COLON) colon++;
    let lineEnd = colon;
    while (buffer[lineEnd] !== CR) lineEnd++;
    let from = colon + 1;
    let to = lineEnd;
    while (from < to && isSpace(buffer[from]!)) from++;
    while (to > from && isSpace(buffer[to - 1]!)) to--;
    p = encoder.field(out, p, buffer, line, colon, from, to, FieldId.other, 0);
    line = lineEnd + 2;
  }
  return p;
}

function isSpace(byte: number): boolean {
  return byte === SP || byte === HTAB;
}
