// The bytes of HTTP's grammar by name, and the comparisons and copies that parsers and writers share.
//
// Nothing here makes a string, a view or an object. Ranges are [start, end) of a buffer and are the caller's to check:
// a range outside of the buffer is a bug of the caller, not a message's fault.

import { Buffer } from "node:buffer";

export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const DQUOTE = 0x22;
export const PERCENT = 0x25;
export const STAR = 0x2a;
export const COMMA = 0x2c;
export const DOT = 0x2e;
export const SLASH = 0x2f;
export const DIGIT_0 = 0x30;
export const DIGIT_1 = 0x31;
export const DIGIT_9 = 0x39;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;
export const EQUALS = 0x3d;
export const QUESTION = 0x3f;
export const LEFT_BRACKET = 0x5b;
export const BACKSLASH = 0x5c;
export const RIGHT_BRACKET = 0x5d;

/** Up to so many bytes a loop (1 ns a byte) beats the native copy (12 to 20 ns): native-notes/h1-parser.md. */
const LOOP_BYTES_MAX = 12;

/** The bit in which lower and upper case differ. */
const CASE_BIT = 0x20;

/** Bytes of an ASCII literal, for constants at module level. A Buffer like all the others, so that hot code sees one shape. */
export function asciiBytes(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

/** A letter in lower case; every other byte as it is. */
export function lowerByte(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + CASE_BIT : byte;
}

/**
 * Is [start, end) the word, in any case? The word is of lower case letters, digits, `-`, `.`, `/` and `:`; the range was checked to be
 * without control characters. So setting the case bit maps no other byte to one of the word's.
 */
export function equalsWord(buf: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  const size = word.length;
  if (end - start !== size) return false;
  for (let i = 0; i < size; i++) {
    if ((buf[start + i]! | CASE_BIT) !== word[i]) return false;
  }
  return true;
}

/** Are two ranges of one buffer the same bytes, letters compared without case? */
export function equalsRange(buf: Uint8Array, aStart: number, aEnd: number, bStart: number, bEnd: number): boolean {
  const size = aEnd - aStart;
  if (bEnd - bStart !== size) return false;
  for (let i = 0; i < size; i++) {
    if (lowerByte(buf[aStart + i]!) !== lowerByte(buf[bStart + i]!)) return false;
  }
  return true;
}

/** Copies [start, end) of `source` to `out` at `at`; returns the offset behind it. The caller guarantees the room. */
export function copyRange(source: Buffer, start: number, end: number, out: Buffer, at: number): number {
  const size = end - start;
  if (size > LOOP_BYTES_MAX) {
    source.copy(out, at, start, end);
    return at + size;
  }
  for (let i = 0; i < size; i++) out[at + i] = source[start + i]!;
  return at + size;
}

/** Copies all of `bytes` to `out` at `at`; returns the offset behind it. */
export function copyBytes(bytes: Buffer, out: Buffer, at: number): number {
  return copyRange(bytes, 0, bytes.length, out, at);
}

/** Writes a number as decimal digits; returns the offset behind it. 0 to Number.MAX_SAFE_INTEGER, at most 16 digits. */
export function writeDecimal(out: Buffer, at: number, value: number): number {
  let digits = 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
  let rest = value;
  for (let i = at + digits - 1; i >= at; i--) {
    out[i] = DIGIT_0 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  return at + digits;
}
