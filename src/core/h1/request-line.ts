// The request line: method SP request-target SP HTTP-version CRLF (RFC 9112 section 3), resumable.
//
// Refuses: methods that are no token, targets with anything but visible ASCII or with a fragment, versions other than
// HTTP/1.0 and HTTP/1.1, more or other white space than the two spaces, and targets whose form does not fit the method:
// origin-form, absolute-form of http (https is not ours to answer for), authority-form for CONNECT only, `*` for OPTIONS only.

import { asciiBytes, COLON, CR, DIGIT_0, DIGIT_1, DOT, equalsWord, LF, QUESTION, SLASH, SP, STAR } from "../bytes/ascii.ts";
import { ERRORS } from "../errors/error-codes.ts";
import { type MessageHead, Method } from "../http/head.ts";
import { BAD_AUTHORITY, scanAuthority } from "./authority.ts";
import { TARGET_CHARS, TOKEN_CHARS } from "./tables.ts";

const BAD_METHOD = -ERRORS.WEFT_H1_BAD_METHOD.id;
const BAD_TARGET = -ERRORS.WEFT_H1_BAD_TARGET.id;
const BAD_VERSION = -ERRORS.WEFT_H1_BAD_VERSION.id;
const BARE_CR = -ERRORS.WEFT_H1_BARE_CR.id;
const BARE_LF = -ERRORS.WEFT_H1_BARE_LF.id;

const HTTP_SCHEME = asciiBytes("http://");
/** The version without its last digit. */
const HTTP_1 = asciiBytes("HTTP/1.");

/** `HTTP/1.x CRLF`. */
const VERSION_LINE_BYTES = 10;

const METHODS: readonly (readonly [Method, Uint8Array])[] = [
  [Method.get, asciiBytes("GET")],
  [Method.head, asciiBytes("HEAD")],
  [Method.post, asciiBytes("POST")],
  [Method.put, asciiBytes("PUT")],
  [Method.delete, asciiBytes("DELETE")],
  [Method.connect, asciiBytes("CONNECT")],
  [Method.options, asciiBytes("OPTIONS")],
  [Method.trace, asciiBytes("TRACE")],
  [Method.patch, asciiBytes("PATCH")],
];

/**
 * Scans the line at `base`, going on at `resume`; what was found before is in `head`. Returns > 0: the position of the first field
 * line; 0: incomplete up to `end`, go on at `end` - 1 or before; < 0: minus an error id.
 */
export function scanRequestLine(buf: Uint8Array, base: number, resume: number, end: number, head: MessageHead): number {
  let p = resume;
  if (head.methodEnd === 0) {
    while (p < end && TOKEN_CHARS[buf[p]!] !== 0) p++;
    if (p === end) return 0;
    if (buf[p] !== SP || p === base) return stopError(buf, p, end, BAD_METHOD);
    head.methodEnd = p - base;
    head.method = methodOf(buf, base, p);
    p++;
    head.targetStart = p - base;
  }
  if (head.targetEnd === 0) {
    if (p < base + head.targetStart) p = base + head.targetStart;
    while (p < end && TARGET_CHARS[buf[p]!] !== 0) p++;
    if (p === end) return 0;
    if (buf[p] !== SP || p === base + head.targetStart) return stopError(buf, p, end, buf[p] === CR ? BAD_VERSION : BAD_TARGET);
    head.targetEnd = p - base;
  }
  const next = scanVersion(buf, base + head.targetEnd + 1, end, head);
  if (next <= 0) return next;
  const error = readTarget(buf, base, head);
  return error === 0 ? next : error;
}

/** `HTTP/1.x CRLF`. Byte by byte comparisons with constants: a loop over them cost 10 ns more. */
function scanVersion(buf: Uint8Array, start: number, end: number, head: MessageHead): number {
  if (
    start + VERSION_LINE_BYTES <= end &&
    buf[start] === 0x48 &&
    buf[start + 1] === 0x54 &&
    buf[start + 2] === 0x54 &&
    buf[start + 3] === 0x50 &&
    buf[start + 4] === SLASH &&
    buf[start + 5] === DIGIT_1 &&
    buf[start + 6] === DOT &&
    (buf[start + 7] === DIGIT_1 || buf[start + 7] === DIGIT_0) &&
    buf[start + 8] === CR &&
    buf[start + 9] === LF
  ) {
    head.version = 10 + (buf[start + 7]! - DIGIT_0);
    return start + VERSION_LINE_BYTES;
  }
  return versionError(buf, start, end);
}

/** The version line is not complete (0), or something is wrong with it. Looked at again from its start when it comes in pieces. */
function versionError(buf: Uint8Array, start: number, end: number): number {
  const digit = start + HTTP_1.length;
  for (let p = start; p < digit; p++) {
    if (p >= end) return 0;
    if (buf[p] !== HTTP_1[p - start]) return stopError(buf, p, end, BAD_VERSION);
  }
  if (digit >= end) return 0;
  if (buf[digit] !== DIGIT_1 && buf[digit] !== DIGIT_0) return stopError(buf, digit, end, BAD_VERSION);
  if (digit + 1 >= end) return 0;
  if (buf[digit + 1] !== CR) return buf[digit + 1] === LF ? BARE_LF : BAD_VERSION;
  return digit + 2 >= end ? 0 : BARE_CR;
}

/** The error for the byte at `p`, which ended a part too early: a line end of its own kind, or `otherwise`. 0: a CR whose next byte is not there yet. */
function stopError(buf: Uint8Array, p: number, end: number, otherwise: number): number {
  if (buf[p] === LF) return BARE_LF;
  if (buf[p] !== CR) return otherwise;
  if (p + 1 === end) return 0;
  return buf[p + 1] === LF ? otherwise : BARE_CR;
}

export function methodOf(buf: Uint8Array, start: number, end: number): Method {
  for (let i = 0; i < METHODS.length; i++) {
    const known = METHODS[i]!;
    if (equalsExact(buf, start, end, known[1])) return known[0];
  }
  return Method.other;
}

/** Methods are case-sensitive (RFC 9110 section 9.1). */
function equalsExact(buf: Uint8Array, start: number, end: number, name: Uint8Array): boolean {
  if (end - start !== name.length) return false;
  for (let i = 0; i < name.length; i++) {
    if (buf[start + i] !== name[i]) return false;
  }
  return true;
}

/** Finds the target's form and checks it against the method. Returns 0 or minus an error id. */
function readTarget(buf: Uint8Array, base: number, head: MessageHead): number {
  const start = base + head.targetStart;
  const end = base + head.targetEnd;
  if (head.method === Method.connect) {
    // A port must be there, and 0 is none (RFC 9110 section 9.3.6).
    if (scanAuthority(buf, start, end) <= 0) return BAD_TARGET;
    head.authorityStart = head.targetStart;
    head.authorityEnd = head.targetEnd;
    return 0;
  }
  if (buf[start] === SLASH) return 0;
  if (buf[start] === STAR) return end - start === 1 && head.method === Method.options ? 0 : BAD_TARGET;
  const authority = start + HTTP_SCHEME.length;
  if (authority >= end || !equalsWord(buf, start, authority, HTTP_SCHEME)) return BAD_TARGET;
  let p = authority;
  while (p < end && buf[p] !== SLASH && buf[p] !== QUESTION) p++;
  if (scanAuthority(buf, authority, p) === BAD_AUTHORITY || buf[authority] === COLON) return BAD_TARGET;
  head.isAbsolute = true;
  head.authorityStart = authority - base;
  head.authorityEnd = p - base;
  head.pathStart = p - base;
  return 0;
}
