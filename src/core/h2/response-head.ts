// A decoded response becomes a MessageHead in the shape of an HTTP/1.1 head (RFC 9113 section 8.3.2): `HTTP/1.1 200 OK CRLF` and the lines.
//
// Malformed (stream error): no :status, or one that is not three digits from 100 on, any other pseudo-header field, 101 (RFC 9113
// section 8.6), a 1xx that ends the stream, a 1xx or 204 that announces content, and what the rules of fields refuse (field-rules.ts).

import type { Buffer } from "node:buffer";
import { asciiBytes, copyBytes, DIGIT_0, DIGIT_9 } from "../bytes/ascii.ts";
import { reasonPhrase } from "../h1/reason-phrases.ts";
import { FIELD_STRIDE, FieldId, Framing } from "../http/head.ts";
import { Pseudo } from "../hpack/hpack-codes.ts";
import { concludeField, MALFORMED, placeFields, WELL_FORMED } from "./field-rules.ts";
import type { H2Scratch } from "./scratch.ts";

const STATUS_ONLY = 1 << Pseudo.status;

const STATUS_MIN = 100;
const STATUS_MAX = 999;

/** Start lines by status, made when first needed: at most 900, all of them less than 64 bytes. */
const LINES: (Buffer | undefined)[] = new Array<Buffer | undefined>(STATUS_MAX + 1).fill(undefined);

/**
 * Makes `scratch.head` of the block that was decoded into `scratch.lines`, whose code was 0. `hasNoBody`: the request was HEAD. Returns
 * `WELL_FORMED` or `MALFORMED`.
 */
export function readResponseHead(scratch: H2Scratch, isEnd: boolean, hasNoBody: boolean): number {
  const { block, head } = scratch;
  head.reset();
  if (block.pseudoSeen !== STATUS_ONLY) return MALFORMED;
  const status = readStatus(block.buffer, block.start + block.pseudoStart(Pseudo.status), block.start + block.pseudoEnd(Pseudo.status));
  if (status < STATUS_MIN || status === 101 || (status < 200 && isEnd)) return MALFORMED;
  const { buffer, start, fields, ids, count } = block;
  for (let i = 0; i < count; i++) {
    const id = ids[i]!;
    if (id === FieldId.other || id === FieldId.date || id === FieldId.host) continue;
    const row = i * FIELD_STRIDE;
    const fault = concludeField(buffer, id, start + fields[row + 2]!, start + fields[row + 3]!, head, false);
    if (fault !== WELL_FORMED) return fault;
  }
  const hasNone = hasNoBody || status === 304;
  if (head.contentLength > 0 && (status < 200 || status === 204 || (isEnd && !hasNone))) return MALFORMED;
  const line = startLine(status);
  const first = start + block.fieldsStart - line.length;
  copyBytes(line, buffer, first);
  placeFields(block, head, 0, line.length - block.fieldsStart);
  head.buffer = buffer;
  head.start = first;
  head.size = line.length + block.fieldsEnd - block.fieldsStart + 2;
  head.fieldsStart = line.length;
  head.status = status;
  head.version = 20;
  if (!isEnd && status >= 200 && status !== 204 && !hasNone) head.framing = head.contentLength >= 0 ? Framing.length : Framing.chunked;
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
