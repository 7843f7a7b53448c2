// The status line: HTTP-version SP status-code SP [reason-phrase] CRLF (RFC 9112 section 4), resumable.
//
// Accepts, beyond the grammar, a missing second space before CRLF: common servers send `HTTP/1.1 200`. Refuses everything
// else: other versions, codes that are not three digits from 100 on, control characters in the reason, bare CR or LF.

import { asciiBytes, CR, DIGIT_0, DIGIT_1, DIGIT_9, DOT, LF, SLASH, SP } from "../bytes/ascii.ts";
import { ERRORS } from "../errors/error-codes.ts";
import type { MessageHead } from "../http/head.ts";
import { VALUE_CHARS } from "./tables.ts";

const BAD_STATUS_LINE = -ERRORS.WEFT_H1_BAD_STATUS_LINE.id;
const BAD_VERSION = -ERRORS.WEFT_H1_BAD_VERSION.id;
const BARE_CR = -ERRORS.WEFT_H1_BARE_CR.id;
const BARE_LF = -ERRORS.WEFT_H1_BARE_LF.id;

const HTTP_SLASH = asciiBytes("HTTP/");
/** `HTTP/1.x NNN`. */
const PREFIX_BYTES = 12;

/** Offset of the first byte behind `HTTP/1.x NNN`: a line that ends there lacks its second space. */
export const REASON_AT = PREFIX_BYTES;

/** As `scanRequestLine`: > 0 the position of the first field line, 0 incomplete, < 0 minus an error id. */
export function scanStatusLine(buf: Uint8Array, base: number, resume: number, end: number, head: MessageHead): number {
  if (head.status === 0) {
    if (!isPrefix(buf, base, end)) return prefixError(buf, base, end);
    head.version = 10 + (buf[base + 7]! - DIGIT_0);
    head.status = (buf[base + 9]! - DIGIT_0) * 100 + (buf[base + 10]! - DIGIT_0) * 10 + (buf[base + 11]! - DIGIT_0);
  }
  let p = base + PREFIX_BYTES;
  if (p >= end) return 0;
  if (buf[p] !== SP && buf[p] !== CR) return buf[p] === LF ? BARE_LF : BAD_STATUS_LINE;
  if (resume > p) p = resume;
  while (p < end && VALUE_CHARS[buf[p]!] !== 0) p++;
  if (p === end) return 0;
  if (buf[p] !== CR) return buf[p] === LF ? BARE_LF : BAD_STATUS_LINE;
  if (p + 1 === end) return 0;
  return buf[p + 1] === LF ? p + 2 : BARE_CR;
}

/** Is `HTTP/1.x NNN` there, whole and right? */
function isPrefix(buf: Uint8Array, base: number, end: number): boolean {
  return (
    base + PREFIX_BYTES <= end &&
    buf[base] === 0x48 &&
    buf[base + 1] === 0x54 &&
    buf[base + 2] === 0x54 &&
    buf[base + 3] === 0x50 &&
    buf[base + 4] === SLASH &&
    buf[base + 5] === DIGIT_1 &&
    buf[base + 6] === DOT &&
    (buf[base + 7] === DIGIT_1 || buf[base + 7] === DIGIT_0) &&
    buf[base + 8] === SP &&
    buf[base + 9] !== DIGIT_0 &&
    isDigit(buf[base + 9]!) &&
    isDigit(buf[base + 10]!) &&
    isDigit(buf[base + 11]!)
  );
}

function isDigit(byte: number): boolean {
  return byte >= DIGIT_0 && byte <= DIGIT_9;
}

/** The prefix is not complete (0), or something is wrong with it. Looked at again from its start when it comes in pieces. */
function prefixError(buf: Uint8Array, base: number, end: number): number {
  const shown = Math.min(end, base + PREFIX_BYTES);
  let p = base;
  while (p < shown && fitsPrefix(p - base, buf[p]!)) p++;
  if (p === shown) return 0;
  if (buf[p] === LF) return BARE_LF;
  if (buf[p] === CR) {
    if (p + 1 === end) return 0;
    if (buf[p + 1] !== LF) return BARE_CR;
  }
  return p - base >= HTTP_SLASH.length && p - base <= 8 ? BAD_VERSION : BAD_STATUS_LINE;
}

/** May this byte stand at index `i` of `HTTP/1.x NNN`? */
function fitsPrefix(i: number, byte: number): boolean {
  switch (i) {
    case 5:
      return byte === DIGIT_1;
    case 6:
      return byte === DOT;
    case 7:
      return byte === DIGIT_0 || byte === DIGIT_1;
    case 8:
      return byte === SP;
    case 9:
      return byte !== DIGIT_0 && isDigit(byte);
    case 10:
    case 11:
      return isDigit(byte);
    default:
      return byte === HTTP_SLASH[i];
  }
}
