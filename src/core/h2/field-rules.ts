// What requests and responses have in common: which fields an HTTP/2 message may not have, and what the others say (RFC 9113 section 8.2).
//
// Names and values are already checked byte by byte, pseudo-header fields told apart from the others (core/hpack). Malformed here:
// Connection, Keep-Alive, Proxy-Connection, Transfer-Encoding, Upgrade; TE other than `trailers`; Content-Length that is not one plain
// decimal number, once.

import type { Buffer } from "node:buffer";
import { asciiBytes, DIGIT_0, DIGIT_9, equalsWord } from "../bytes/ascii.ts";
import { ERRORS } from "../errors/error-codes.ts";
import { FIELD_STRIDE, FieldId, FIELDS_MAX, type MessageHead } from "../http/head.ts";
import type { FieldBlock } from "../hpack/field-block.ts";
import { HpackCode } from "../hpack/hpack-codes.ts";

/** A message that is as it has to be. */
export const WELL_FORMED = 0;
/** A stream error PROTOCOL_ERROR (RFC 9113 section 8.1.1). Results below 0 are minus an error id: the message can be answered. */
export const MALFORMED = 1;

const HEAD_TOO_LARGE = -ERRORS.WEFT_H1_HEAD_TOO_LARGE.id;
const BAD_EXPECT = -ERRORS.WEFT_H1_BAD_EXPECT.id;

const TRAILERS_WORD = asciiBytes("trailers");
const CONTINUE = asciiBytes("100-continue");
const COOKIE = asciiBytes("cookie");

/** What a decoder's code above or at 0 means for the message. */
export function messageCode(code: HpackCode): number {
  if (code === HpackCode.ok) return WELL_FORMED;
  return code === HpackCode.tooLarge ? HEAD_TOO_LARGE : MALFORMED;
}

/**
 * Moves the rows of the block's table by `inserted` rows and their ranges by `delta`, so that they are relative to the head's start and
 * leave room for lines in front. False: the table is full. The table is the head's own.
 */
export function placeFields(block: FieldBlock, head: MessageHead, inserted: number, delta: number): boolean {
  const { count } = block;
  if (count + inserted > FIELDS_MAX) return false;
  const { fields, ids, fieldFlags } = head;
  const shift = inserted * FIELD_STRIDE;
  for (let i = count * FIELD_STRIDE - 1; i >= 0; i--) fields[i + shift] = fields[i]! + delta;
  if (inserted > 0) for (let i = count - 1; i >= 0; i--) ids[i + inserted] = ids[i]!;
  head.hasNeverIndexed = block.hasNeverIndexed;
  if (block.hasNeverIndexed) {
    for (let i = count - 1; i >= 0; i--) fieldFlags[i + inserted] = block.flags[i]!;
    for (let i = 0; i < inserted; i++) fieldFlags[i] = 0;
  }
  head.count = count + inserted;
  return true;
}

/**
 * Draws what follows from one field of a message, known by `id` (not `other`, `host` or `date`). Its value is [start, end). Returns
 * `WELL_FORMED`, `MALFORMED` or minus an error id.
 */
export function concludeField(buffer: Buffer, id: number, start: number, end: number, head: MessageHead, isRequest: boolean): number {
  switch (id) {
    case FieldId.contentLength:
      return concludeContentLength(buffer, start, end, head);
    case FieldId.connection:
    case FieldId.keepAlive:
    case FieldId.proxyConnection:
    case FieldId.transferEncoding:
    case FieldId.upgrade:
      return MALFORMED;
    case FieldId.te:
      head.hasEdits = true;
      return isRequest && equalsWord(buffer, start, end, TRAILERS_WORD) ? WELL_FORMED : MALFORMED;
    case FieldId.expect:
      head.hasEdits = true;
      if (!isRequest) return WELL_FORMED;
      if (head.expectsContinue || !equalsWord(buffer, start, end, CONTINUE)) return BAD_EXPECT;
      head.expectsContinue = true;
      return WELL_FORMED;
    default:
      head.hasEdits = true;
      return WELL_FORMED;
  }
}

function concludeContentLength(buffer: Buffer, start: number, end: number, head: MessageHead): number {
  if (head.contentLength >= 0 || start === end) return MALFORMED;
  let length = 0;
  for (let p = start; p < end; p++) {
    const byte = buffer[p]!;
    if (byte < DIGIT_0 || byte > DIGIT_9) return MALFORMED;
    length = length * 10 + (byte - DIGIT_0);
    if (length > Number.MAX_SAFE_INTEGER) return MALFORMED;
  }
  head.contentLength = length;
  return WELL_FORMED;
}

/** Is the name in [start, end) `cookie`? Names are in lower case. */
export function isCookie(buffer: Buffer, start: number, end: number): boolean {
  return end - start === COOKIE.length && buffer[start] === COOKIE[0] && equalsWord(buffer, start, end, COOKIE);
}
