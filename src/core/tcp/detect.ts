// Which protocol a connection speaks, from its first bytes. Stateless: hand in everything read so far, again after each read.
//
//   0x16 0x03 0x01..0x04, then a length up to 2^14 + 256   TLS (RFC 8446 section 5.1; the first 5 bytes decide, however
//                                                           many segments the ClientHello comes in)
//   the whole HTTP/2 preface (RFC 9113 section 3.4)        HTTP/2; what diverges from it is judged as any other line
//   a known method and a space                             HTTP/1 for good: every later mistake is a 400, never opaque
//   a first line that ends in ` HTTP/x.y`                  HTTP/1 for good, whatever its method and version
//   anything else                                          opaque, as soon as that is certain
//
// A decision never changes when more bytes come, so it does not matter how they are split. Opaque is certain at a control byte (binary
// protocols have a NUL within their first bytes), at a first byte that no method begins with (`{`, `<`, bytes above ASCII), at a line end
// without ` HTTP/x.y` (SSH, SMTP, memcached, PROXY), or after DETECT_BYTES_MAX bytes without a line end.
// Empty lines before a request are skipped (RFC 9112 section 2.2), up to LEADING_LINES_MAX.

import type { Buffer } from "node:buffer";

export const Detected = { undecided: 0, tls: 1, http2: 2, http1: 3, opaque: 4 } as const;
export type Detected = (typeof Detected)[keyof typeof Detected];

/** Bytes after which a first line without an end is no request line: 4 times what common servers take as a target. */
export const DETECT_BYTES_MAX = 8192;

/** Empty lines skipped before a request; one is what broken clients send after a body, the rest is patience. */
const LEADING_LINES_MAX = 4;

/** TLS records are 2^14 bytes of plaintext at most; encrypted ones may be 256 longer (RFC 8446 section 5.2). */
const TLS_RECORD_BYTES_MAX = 16_384 + 256;
const TLS_HANDSHAKE = 0x16;
const TLS_DECIDING_BYTES = 5;

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SP = 0x20;
const DEL = 0x7f;

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));

const PREFACE = ascii("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const VERSION_START = ascii(" HTTP/");
const CONNECT = ascii("CONNECT");
const HTTP_SCHEME = ascii("http://");
/** ` HTTP/x.y` */
const VERSION_SIZE = 9;

/** Methods that are known without seeing the line's end: HTTP's own, WebDAV's and its relatives', caches', UPnP's. Case counts. */
const METHODS = [
  ...["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "QUERY"],
  ...["PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "ACL", "REPORT", "SEARCH", "BIND", "REBIND", "UNBIND"],
  ...["CHECKOUT", "CHECKIN", "UNCHECKOUT", "MERGE", "MKACTIVITY", "MKWORKSPACE", "VERSION-CONTROL", "BASELINE-CONTROL", "LABEL"],
  ...["MKCALENDAR", "ORDERPATCH", "UPDATE", "LINK", "UNLINK", "PURGE", "BAN", "M-SEARCH", "NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE"],
].map(ascii);
const METHOD_SIZE_MAX = Math.max(...METHODS.map((method) => method.length));

/** Bytes that a method token may begin with (RFC 9110 section 5.6.2), and the space that only a malformed line begins with. */
const BEGINS_LINE = new Uint8Array(256);
for (const byte of ascii(" !#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")) BEGINS_LINE[byte] = 1;

/** Judges the bytes [start, end) that the client has sent since it connected. */
export function detectProtocol(buffer: Buffer, start: number, end: number): Detected {
  if (start >= end) return Detected.undecided;
  if (buffer[start] === TLS_HANDSHAKE) return detectTls(buffer, start, end);

  const matched = matchLength(buffer, start, end, PREFACE);
  if (matched === PREFACE.length) return Detected.http2;
  if (start + matched === end) return Detected.undecided;

  let lineStart = start;
  for (let lines = 0; lines < LEADING_LINES_MAX && buffer[lineStart] === CR; lines++) {
    if (lineStart + 1 === end) return Detected.undecided;
    if (buffer[lineStart + 1] !== LF) return Detected.opaque;
    lineStart += 2;
    if (lineStart === end) return Detected.undecided;
  }
  return detectLine(buffer, lineStart, end);
}

/**
 * Is the request of a connection that speaks HTTP/1 one for a forward proxy, `CONNECT host:port` or `GET http://host/`? Undefined
 * while that is not certain. (Servers have to take the latter too, but only clients of proxies send it: RFC 9112 section 3.2.)
 */
export function isForForwardProxy(buffer: Buffer, start: number, end: number): boolean | undefined {
  let at = start;
  while (at < end && (buffer[at] === CR || buffer[at] === LF)) at++;
  const methodStart = at;
  while (at < end && buffer[at] !== SP) at++;
  if (at === end) return undefined;
  if (at - methodStart === CONNECT.length && matchLength(buffer, methodStart, at, CONNECT) === CONNECT.length) return true;
  const matched = matchLength(buffer, at + 1, end, HTTP_SCHEME);
  if (matched === HTTP_SCHEME.length) return true;
  return at + 1 + matched === end ? undefined : false;
}

function detectTls(buffer: Buffer, start: number, end: number): Detected {
  const size = end - start;
  if (size >= 2 && buffer[start + 1] !== 3) return Detected.opaque;
  if (size >= 3 && (buffer[start + 2]! < 1 || buffer[start + 2]! > 4)) return Detected.opaque;
  if (size < TLS_DECIDING_BYTES) return Detected.undecided;
  const recordSize = buffer[start + 3]! * 256 + buffer[start + 4]!;
  return recordSize > 0 && recordSize <= TLS_RECORD_BYTES_MAX ? Detected.tls : Detected.opaque;
}

/** Is the line that begins at `lineStart` a request line? There is at least one byte of it. */
function detectLine(buffer: Buffer, lineStart: number, end: number): Detected {
  if (BEGINS_LINE[buffer[lineStart]!] === 0) return Detected.opaque;
  const limit = Math.min(end, lineStart + DETECT_BYTES_MAX);
  let firstSpace = -1;
  for (let i = lineStart; i < limit; i++) {
    const byte = buffer[i]!;
    if (byte === SP) {
      if (firstSpace < 0) {
        firstSpace = i;
        if (isKnownMethod(buffer, lineStart, i)) return Detected.http1;
      }
      continue;
    }
    // A bare CR or LF ends the line too: it is for the HTTP/1 parser to refuse it.
    if (byte === CR || byte === LF) return endsInVersion(buffer, lineStart, i) ? Detected.http1 : Detected.opaque;
    if ((byte < SP && byte !== TAB) || byte === DEL) return Detected.opaque;
    // Bytes above ASCII do occur in targets; in a first word they are binary.
    if (byte > DEL && firstSpace < 0) return Detected.opaque;
  }
  return limit - lineStart === DETECT_BYTES_MAX ? Detected.opaque : Detected.undecided;
}

function isKnownMethod(buffer: Buffer, start: number, end: number): boolean {
  const size = end - start;
  if (size > METHOD_SIZE_MAX) return false;
  for (const method of METHODS) {
    if (method.length === size && matchLength(buffer, start, end, method) === size) return true;
  }
  return false;
}

function endsInVersion(buffer: Buffer, lineStart: number, lineEnd: number): boolean {
  const at = lineEnd - VERSION_SIZE;
  return (
    at >= lineStart &&
    matchLength(buffer, at, lineEnd, VERSION_START) === VERSION_START.length &&
    isDigit(buffer[lineEnd - 3]!) &&
    buffer[lineEnd - 2] === 0x2e &&
    isDigit(buffer[lineEnd - 1]!)
  );
}

/** How many bytes of `expected` the range begins with. */
function matchLength(buffer: Buffer, start: number, end: number, expected: Uint8Array): number {
  const size = Math.min(end - start, expected.length);
  let count = 0;
  while (count < size && buffer[start + count] === expected[count]) count++;
  return count;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
