// A decoded response becomes a MessageHead in the shape of an HTTP/1.1 head (RFC 9113 section 8.3.2): `HTTP/1.1 200 OK CRLF` and the lines.
//
// Malformed (stream error): no :status, or one that is not three digits from 100 on, any other pseudo-header field, 101 (RFC 9113
// section 8.6), a 1xx that ends the stream, a 1xx or 204 that announces content, and what the rules of fields refuse (field-rules.ts).
// On connections of the mesh `l5d-orig-proto` is read; an answer to an extended CONNECT that says so with it becomes the 101 that it was.

import type { Buffer } from "node:buffer";
import { asciiBytes, copyBytes, DIGIT_0, DIGIT_9 } from "../bytes/ascii.ts";
import { reasonPhrase } from "../h1/reason-phrases.ts";
import { FIELD_STRIDE, FieldId, Framing, type MessageHead } from "../http/head.ts";
import type { FieldBlock } from "../hpack/field-block.ts";
import { Pseudo } from "../hpack/hpack-codes.ts";
import { concludeField, MALFORMED, placeFields, WELL_FORMED } from "./field-rules.ts";
import { isSwitched, readOrigProto, SWITCHED_BYTES } from "./orig-proto.ts";
import type { H2Scratch } from "./scratch.ts";

const STATUS_ONLY = 1 << Pseudo.status;

const STATUS_MIN = 100;
const STATUS_MAX = 999;

const UPGRADE_LINE = asciiBytes("Upgrade: ");

/** Start lines by status, made when first needed: at most 900, all of them less than 64 bytes. */
const LINES: (Buffer | undefined)[] = new Array<Buffer | undefined>(STATUS_MAX + 1).fill(undefined);

/**
 * Makes `scratch.head` of the block that was decoded into `scratch.lines`, whose code was 0. `hasNoBody`: the request was HEAD. `isMesh`:
 * from another proxy; `isUpgrade`: and it answers an extended CONNECT. Returns `WELL_FORMED` or `MALFORMED`.
 */
export function readResponseHead(scratch: H2Scratch, isEnd: boolean, hasNoBody: boolean, isMesh: boolean, isUpgrade: boolean): number {
  const { block, head } = scratch;
  head.reset();
  if (block.pseudoSeen !== STATUS_ONLY) return MALFORMED;
  const status = readStatus(block.buffer, block.start + block.pseudoStart(Pseudo.status), block.start + block.pseudoEnd(Pseudo.status));
  if (status < STATUS_MIN || status === 101 || (status < 200 && isEnd)) return MALFORMED;
  const { buffer, start, fields, ids, count } = block;
  let switched = -1;
  for (let i = 0; i < count; i++) {
    const id = ids[i]!;
    if (id === FieldId.other || id === FieldId.date || id === FieldId.host) continue;
    const row = i * FIELD_STRIDE;
    if (id === FieldId.l5dOrigProto && isMesh) {
      head.hasEdits = true;
      if (head.originalVersion !== 0) return MALFORMED;
      const value = start + fields[row + 2]!;
      const valueEnd = start + fields[row + 3]!;
      head.originalVersion = readOrigProto(buffer, value, valueEnd);
      if (head.originalVersion !== 0) continue;
      if (!isUpgrade || status !== 200 || !isSwitched(buffer, value, valueEnd)) return MALFORMED;
      head.originalVersion = 11;
      switched = i;
      continue;
    }
    const fault = concludeField(buffer, id, start + fields[row + 2]!, start + fields[row + 3]!, head, false);
    if (fault !== WELL_FORMED) return fault;
  }
  const hasNone = hasNoBody || status === 304;
  if (head.contentLength > 0 && (status < 200 || status === 204 || (isEnd && !hasNone))) return MALFORMED;
  if (switched >= 0) writeUpgrade(block, switched);
  const line = startLine(switched >= 0 ? 101 : status);
  const first = start + block.fieldsStart - line.length;
  copyBytes(line, buffer, first);
  placeFields(block, head, 0, line.length - block.fieldsStart);
  head.buffer = buffer;
  head.start = first;
  head.size = line.length + block.fieldsEnd - block.fieldsStart + 2;
  head.fieldsStart = line.length;
  head.status = switched >= 0 ? 101 : status;
  head.version = 20;
  if (switched >= 0) return becomeSwitch(head);
  if (!isEnd && status >= 200 && status !== 204 && !hasNone) head.framing = head.contentLength >= 0 ? Framing.length : Framing.chunked;
  return WELL_FORMED;
}

/**
 * Turns the l5d-orig-proto in this row into the Upgrade that it stands for. The line becomes shorter: those before it move up to it, so that the
 * lines are without a gap.
 */
function writeUpgrade(block: FieldBlock, index: number): void {
  const { buffer, start, fields, ids } = block;
  const row = index * FIELD_STRIDE;
  const line = fields[row]!;
  const next = fields[row + 3]! + 2;
  const value = fields[row + 2]! + SWITCHED_BYTES;
  const upgrade = value - UPGRADE_LINE.length;
  const moved = upgrade - line;
  buffer.copyWithin(start + block.fieldsStart + moved, start + block.fieldsStart, start + line);
  for (let i = 0; i < row; i++) fields[i] = fields[i]! + moved;
  block.fieldsStart += moved;
  copyBytes(UPGRADE_LINE, buffer, start + upgrade);
  fields[row] = upgrade;
  fields[row + 1] = value - 2;
  fields[row + 2] = value;
  fields[row + 3] = next - 2;
  ids[index] = FieldId.upgrade;
}

/** What follows is the tunnel's, whatever the head announces. */
function becomeSwitch(head: MessageHead): number {
  head.hasUpgrade = true;
  head.saysUpgrade = true;
  head.contentLength = -1;
  return WELL_FORMED;
}

/** Three digits, or 0. */
function readStatus(buffer: Buffer, start: number, end: number): number {
  if (end - start !== 3) return 0;
  let status = 0;
  for (let p = start; p < end; p++) {
    const byte = buffer[p]!;
    if (byte < DIGIT_0 || byte > DIGIT_9) return 0;
    status = status * 10 + byte - DIGIT_0;
  }
  return status;
}

function startLine(status: number): Buffer {
  LINES[status] ??= asciiBytes(`HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n`);
  return LINES[status];
}
