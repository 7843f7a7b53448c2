// Writes heads, chunk framing and Weft's own answers into a caller's buffer at an offset; returns the offset behind.
//
// A parsed head is copied in runs: lines that stay as they are and stand together are one copy, so a message that needs no
// change is a single one. Left out is what is hop-by-hop (RFC 9110 section 7.6.1) and what only Weft may say (l5d). Both start
// lines leave as HTTP/1.1. What is written parses again to the same message. The caller guarantees the room: `requestHeadRoom`,
// `responseHeadRoom`, `CHUNK_SIZE_ROOM`, `lastChunkRoom`, `ERROR_RESPONSE_ROOM`.

import type { Buffer } from "node:buffer";
import { asciiBytes, copyBytes, copyRange, CR, DIGIT_1, equalsWord, LF, QUESTION, SLASH, STAR, writeDecimal } from "../bytes/ascii.ts";
import type { Trailers } from "../http/exchange.ts";
import { FIELD_STRIDE, FieldId, type MessageHead, Method } from "../http/head.ts";
import { reasonPhrase } from "./reason-phrases.ts";
import { REASON_AT } from "./status-line.ts";

export interface RequestHeadOptions {
  /** Host for an HTTP/1.0 request without one: authority of the service. `null`: an empty Host. */
  readonly hostFallback: Buffer | null;
  /** The request is forwarded as an upgrade: its Upgrade fields stay, with `Connection: Upgrade`. */
  readonly upgrade: boolean;
  /** Address of the client, appended to X-Forwarded-For. */
  readonly forwardedFor: Buffer | null;
  /** Name under which Weft stands in Via (the version is written before it). */
  readonly via: Buffer | null;
  /** Value of l5d-client-id. */
  readonly clientId: Buffer | null;
}

export const ConnectionOption = { none: 0, close: 1, keepAlive: 2 } as const;
export type ConnectionOption = (typeof ConnectionOption)[keyof typeof ConnectionOption];

export interface ResponseHeadOptions {
  /** What the client is told about its connection. */
  readonly connection: ConnectionOption;
  /** For HTTP/1.0 clients, which know no codings. */
  readonly dropTransferEncoding: boolean;
  /** A 101 (or 426): Upgrade fields stay, with `Connection: Upgrade`. */
  readonly upgrade: boolean;
  readonly via: Buffer | null;
}

/** Longest `hostFallback`, `forwardedFor`, `via` and `clientId`: names of services, addresses, our own name, names of workloads. */
const OPTION_BYTES_MAX = 256;

/** Bytes that a writer may add to a head: these four with their names, a Connection and a Transfer-Encoding line. */
const ADDED_BYTES_MAX = 4 * OPTION_BYTES_MAX + 180;

/** Bytes that `writeChunkSize` and `writeChunkEnd` write at most. */
export const CHUNK_SIZE_ROOM = 16;

const COLON_SPACE = asciiBytes(": ");
const LINE_END = asciiBytes("\r\n");
const HOST = asciiBytes("Host: ");
const HTTP_1_1 = asciiBytes(" HTTP/1.1\r\n");
const TRAILERS_WORD = asciiBytes("trailers");
const COMMA_SPACE = asciiBytes(", ");
const FORWARDED_FOR = asciiBytes("X-Forwarded-For: ");
const CLIENT_ID = asciiBytes("l5d-client-id: ");
const VIA_1_0 = asciiBytes("Via: 1.0 ");
const VIA_1_1 = asciiBytes("Via: 1.1 ");
const VIA_2_0 = asciiBytes("Via: 2.0 ");
const CHUNKED_LINE = asciiBytes("Transfer-Encoding: chunked\r\n");
const CONNECTION_LINES: readonly Buffer[] = [asciiBytes(""), asciiBytes("Connection: close\r\n"), asciiBytes("Connection: keep-alive\r\n")];
const CONNECTION_UPGRADE = asciiBytes("Connection: Upgrade\r\n");
const CONNECTION_TE = asciiBytes("Connection: TE\r\n");
const CONNECTION_UPGRADE_TE = asciiBytes("Connection: Upgrade, TE\r\n");

/** The end of a chunked body without trailers. */
export const LAST_CHUNK: Buffer = asciiBytes("0\r\n\r\n");

/** Fields that end here in either direction. Upgrade and TE are decided line by line. */
export const IS_DROPPED: Uint8Array = new Uint8Array(256);
for (const id of [
  FieldId.connection,
  FieldId.keepAlive,
  FieldId.proxyConnection,
  FieldId.http2Settings,
  FieldId.l5dDstOverride,
  FieldId.l5dRequireId,
  FieldId.l5dClientId,
  FieldId.l5dDstCanonical,
  FieldId.l5dOrigProto,
  FieldId.l5dProxyError,
  FieldId.l5dProxyConnection,
]) {
  IS_DROPPED[id] = 1;
}

/** Bytes that `writeRequestHead` writes at most. */
export function requestHeadRoom(head: MessageHead): number {
  return head.size + (head.authorityEnd - head.authorityStart) + ADDED_BYTES_MAX;
}

/** Bytes that `writeResponseHead` writes at most. */
export function responseHeadRoom(head: MessageHead): number {
  return head.size + ADDED_BYTES_MAX;
}

/** Writes a request's head for an HTTP/1.1 upstream. */
export function writeRequestHead(head: MessageHead, out: Buffer, at: number, options: RequestHeadOptions): number {
  const needsHost = !head.hasHost;
  const addsNothing = options.forwardedFor === null && options.via === null && options.clientId === null;
  if (addsNothing && !head.hasEdits && !head.isAbsolute && !needsHost) {
    const end = copyRange(head.buffer, head.start, head.start + head.size, out, at);
    out[at + head.fieldsStart - 3] = DIGIT_1;
    return end;
  }
  const { buffer, start, fieldsStart } = head;
  let run = 0;
  let p = at;
  if (head.isAbsolute) {
    p = writeOriginForm(head, out, p);
    run = fieldsStart;
  }
  if (needsHost) {
    p = copyRange(buffer, start + run, start + fieldsStart, out, p);
    run = fieldsStart;
    p = writeHost(head, out, p, options.hostFallback);
  }
  p = writeRequestFields(head, out, p, run, options);
  if (!head.isAbsolute) out[at + fieldsStart - 3] = DIGIT_1;
  return p;
}

/** The start line of an absolute-form request in origin-form (RFC 9112 section 3.2.1); asterisk-form for OPTIONS of a whole server. */
function writeOriginForm(head: MessageHead, out: Buffer, at: number): number {
  const { buffer, start, pathStart, targetEnd } = head;
  let p = copyRange(buffer, start, start + head.targetStart, out, at);
  if (pathStart === targetEnd) out[p++] = head.method === Method.options ? STAR : SLASH;
  else if (buffer[start + pathStart] === QUESTION) out[p++] = SLASH;
  p = copyRange(buffer, start + pathStart, start + targetEnd, out, p);
  return copyBytes(HTTP_1_1, out, p);
}

/** A Host line for a request without one. */
function writeHost(head: MessageHead, out: Buffer, at: number, fallback: Buffer | null): number {
  let p = copyBytes(HOST, out, at);
  if (head.authorityEnd > head.authorityStart) {
    p = copyRange(head.buffer, head.start + head.authorityStart, head.start + head.authorityEnd, out, p);
  } else if (fallback !== null) p = copyBytes(fallback, out, p);
  return copyBytes(LINE_END, out, p);
}

/** Copies the request from `run` (relative) on, without what is dropped, and ends the head. */
function writeRequestFields(head: MessageHead, out: Buffer, at: number, from: number, options: RequestHeadOptions): number {
  const { buffer, start, fields, ids, named, count } = head;
  const last = head.size - 2;
  const forwardedFor = options.forwardedFor;
  const forwardedIndex = forwardedFor === null ? -1 : lastKept(head, FieldId.xForwardedFor);
  let keepsTe = false;
  let run = from;
  let p = at;
  for (let i = 0; i < count; i++) {
    const id = ids[i]!;
    if (id === FieldId.other && named[i] === 0) continue;
    const row = i * FIELD_STRIDE;
    const line = fields[row]!;
    const next = i + 1 < count ? fields[row + FIELD_STRIDE]! : last;
    const isOdd = head.hasOddSpace && isStrict(id);
    if (id === FieldId.host && head.isAbsolute && !isAuthority(head, row)) {
      p = copyRange(buffer, start + run, start + fields[row + 1]! + 1, out, p);
      out[p++] = 0x20;
      p = copyRange(buffer, start + head.authorityStart, start + head.authorityEnd, out, p);
      p = copyBytes(LINE_END, out, p);
      run = next;
    } else if (i === forwardedIndex && forwardedFor !== null) {
      p = copyRange(buffer, start + run, start + fields[row + 3]!, out, p);
      if (fields[row + 3]! > fields[row + 2]!) p = copyBytes(COMMA_SPACE, out, p);
      p = copyBytes(forwardedFor, out, p);
      p = copyBytes(LINE_END, out, p);
      run = next;
    } else if (isRequestFieldDropped(head, i, id, options.upgrade)) {
      p = copyRange(buffer, start + run, start + line, out, p);
      run = next;
    } else if (isOdd) {
      p = writePlainLine(head, row, run, out, p);
      run = next;
    } else if (id === FieldId.te) keepsTe = true;
  }
  const isAsItWas = options.via === null && options.clientId === null && (forwardedFor === null || forwardedIndex >= 0);
  if (!options.upgrade && !keepsTe && isAsItWas) {
    // Nothing is added: the final empty line belongs to the last run.
    return copyRange(buffer, start + run, start + head.size, out, p);
  }
  p = copyRange(buffer, start + run, start + last, out, p);
  if (options.upgrade) p = copyBytes(keepsTe ? CONNECTION_UPGRADE_TE : CONNECTION_UPGRADE, out, p);
  else if (keepsTe) p = copyBytes(CONNECTION_TE, out, p);
  if (forwardedFor !== null && forwardedIndex < 0) {
    p = copyBytes(FORWARDED_FOR, out, p);
    p = copyBytes(forwardedFor, out, p);
    p = copyBytes(LINE_END, out, p);
  }
  if (options.clientId !== null) p = copyBytes(LINE_END, out, copyBytes(options.clientId, out, copyBytes(CLIENT_ID, out, p)));
  if (options.via !== null) p = writeVia(head, out, p, options.via);
  return copyBytes(LINE_END, out, p);
}

function isRequestFieldDropped(head: MessageHead, index: number, id: number, upgrade: boolean): boolean {
  switch (id) {
    case FieldId.upgrade:
      return !upgrade;
    case FieldId.te:
      // The only value with a meaning for the upstream's own message: it may send trailers. A 1.0 client cannot read them.
      return head.version === 10 || !isTrailersOnly(head, index);
    case FieldId.expect:
      return head.version === 10;
    default:
      return head.named[index] !== 0 || IS_DROPPED[id] !== 0;
  }
}

/** Writes a response's head for an HTTP/1.x client. */
export function writeResponseHead(head: MessageHead, out: Buffer, at: number, options: ResponseHeadOptions): number {
  const { buffer, start, fields, ids, count } = head;
  const last = head.size - 2;
  let run = 0;
  let p = at;
  if (head.fieldsStart === REASON_AT + 2) {
    // The second space is not optional for those who write (RFC 9112 section 4).
    p = copyRange(buffer, start, start + REASON_AT, out, p);
    out[p++] = 0x20;
    run = REASON_AT;
  }
  if (head.hasEdits) {
    for (let i = 0; i < count; i++) {
      const row = i * FIELD_STRIDE;
      if (isResponseFieldDropped(head, i, ids[i]!, options)) p = copyRange(buffer, start + run, start + fields[row]!, out, p);
      else if (head.hasOddSpace && isStrict(ids[i]!)) p = writePlainLine(head, row, run, out, p);
      else continue;
      run = i + 1 < count ? fields[row + FIELD_STRIDE]! : last;
    }
  }
  const addsNothing = options.connection === ConnectionOption.none && !options.upgrade && options.via === null;
  p = copyRange(buffer, start + run, start + (addsNothing ? head.size : last), out, p);
  out[at + 7] = DIGIT_1;
  if (addsNothing) return p;
  if (options.upgrade) p = copyBytes(CONNECTION_UPGRADE, out, p);
  else if (options.connection !== ConnectionOption.none) p = copyBytes(CONNECTION_LINES[options.connection]!, out, p);
  if (options.via !== null) p = writeVia(head, out, p, options.via);
  out[p] = CR;
  out[p + 1] = LF;
  return p + 2;
}

function isResponseFieldDropped(head: MessageHead, index: number, id: number, options: ResponseHeadOptions): boolean {
  switch (id) {
    case FieldId.upgrade:
      return !options.upgrade;
    case FieldId.te:
      return true;
    case FieldId.transferEncoding:
      return options.dropTransferEncoding;
    default:
      return head.named[index] !== 0 || IS_DROPPED[id] !== 0;
  }
}

/** Fields over whose white space no two parsers may differ: they route and frame. */
function isStrict(id: number): boolean {
  return id === FieldId.host || id === FieldId.contentLength || id === FieldId.transferEncoding;
}

/** Copies from `run` up to the name of the field in this row, then `: value CRLF`. */
function writePlainLine(head: MessageHead, row: number, run: number, out: Buffer, at: number): number {
  const { buffer, start, fields } = head;
  let p = copyRange(buffer, start + run, start + fields[row + 1]!, out, at);
  p = copyBytes(COLON_SPACE, out, p);
  p = copyRange(buffer, start + fields[row + 2]!, start + fields[row + 3]!, out, p);
  return copyBytes(LINE_END, out, p);
}

/** Index of the last field with this id that is forwarded, -1 without one. */
function lastKept(head: MessageHead, id: number): number {
  for (let i = head.count - 1; i >= 0; i--) {
    if (head.ids[i] === id && head.named[i] === 0) return i;
  }
  return -1;
}

/** Is the value of the Host field in this row the authority of the target, byte for byte? */
function isAuthority(head: MessageHead, row: number): boolean {
  const { buffer, start, fields } = head;
  const value = start + fields[row + 2]!;
  const authority = start + head.authorityStart;
  const size = head.authorityEnd - head.authorityStart;
  if (fields[row + 3]! - fields[row + 2]! !== size) return false;
  for (let i = 0; i < size; i++) {
    if (buffer[value + i] !== buffer[authority + i]) return false;
  }
  return true;
}

function isTrailersOnly(head: MessageHead, index: number): boolean {
  const row = index * FIELD_STRIDE;
  return equalsWord(head.buffer, head.start + head.fields[row + 2]!, head.start + head.fields[row + 3]!, TRAILERS_WORD);
}

/** Our entry in Via, with the version that the message came in (RFC 9110 section 7.6.3), as a line behind the others. */
function writeVia(head: MessageHead, out: Buffer, at: number, via: Buffer): number {
  let p = copyBytes(head.version === 20 ? VIA_2_0 : head.version === 10 ? VIA_1_0 : VIA_1_1, out, at);
  p = copyBytes(via, out, p);
  return copyBytes(LINE_END, out, p);
}

/** Into the room behind a head that ends at `at`: its body has no coding yet and gets chunked coding. Returns the new end. */
export function addChunkedField(out: Buffer, at: number): number {
  const p = copyBytes(CHUNKED_LINE, out, at - LINE_END.length);
  return copyBytes(LINE_END, out, p);
}

/** Behind the data of a chunk. */
export function writeChunkEnd(out: Buffer, at: number): number {
  return copyBytes(LINE_END, out, at);
}

const HEX_DIGITS = asciiBytes("0123456789abcdef");

/** Writes a chunk's size line. `size`: 1 to 0xffffffff; 0 would be the last chunk. */
export function writeChunkSize(out: Buffer, at: number, size: number): number {
  let digits = 1;
  for (let rest = size; rest >= 16; rest = Math.floor(rest / 16)) digits++;
  let rest = size;
  for (let i = at + digits - 1; i >= at; i--) {
    out[i] = HEX_DIGITS[rest % 16]!;
    rest = Math.floor(rest / 16);
  }
  out[at + digits] = CR;
  out[at + digits + 1] = LF;
  return at + digits + 2;
}

/** Bytes that `writeLastChunk` writes. */
export function lastChunkRoom(trailers: Trailers | null): number {
  return LAST_CHUNK.length + (trailers === null ? 0 : trailers.end - trailers.start);
}

/** Writes the last chunk, trailers and the empty line. */
export function writeLastChunk(out: Buffer, at: number, trailers: Trailers | null): number {
  if (trailers === null) return copyBytes(LAST_CHUNK, out, at);
  out[at] = LAST_CHUNK[0]!;
  let p = copyBytes(LINE_END, out, at + 1);
  p = copyRange(trailers.buffer, trailers.start, trailers.end, out, p);
  return copyBytes(LINE_END, out, p);
}

export interface ErrorAnswer {
  readonly status: number;
  /** Stable code (ErrorCode), shown in brackets. Empty: the client is told neither it nor the detail. */
  readonly code: string;
  /** For people: anything outside of visible ASCII becomes a space; cut at `DETAIL_BYTES_MAX`. */
  readonly detail: string;
  /** The connection ends behind this answer. */
  readonly close: boolean;
  /** Seconds; absent or 0: no Retry-After. */
  readonly retryAfter?: number;
  /** The request was HEAD. The answer has no body in any case. */
  readonly isHead: boolean;
  /** The time as an HTTP date (RFC 9110 section 5.6.7). */
  readonly now: string;
}

const DETAIL_BYTES_MAX = 256;

/** Bytes that `writeErrorResponse` writes at most. */
export const ERROR_RESPONSE_ROOM = 1024;

/** Writes a whole answer of Weft's own, without a body (reference: Linkerd's synthesised answers). */
export function writeErrorResponse(out: Buffer, at: number, answer: ErrorAnswer): number {
  let p = writeText(out, at, "HTTP/1.1 ");
  p = writeDecimal(out, p, answer.status);
  p = writeText(out, p, ` ${reasonPhrase(answer.status)}\r\nContent-Length: 0\r\nDate: `);
  p = writeText(out, p, answer.now);
  const isTold = answer.code !== "";
  if (isTold) {
    p = writeText(out, p, "\r\nl5d-proxy-error: [");
    p = writeText(out, p, answer.code);
    p = writeText(out, p, "] ");
    p = writeVisible(out, p, answer.detail);
  }
  if (answer.retryAfter !== undefined && answer.retryAfter > 0) {
    p = writeText(out, p, "\r\nRetry-After: ");
    p = writeDecimal(out, p, Math.ceil(answer.retryAfter));
  }
  if (answer.close) p = writeText(out, p, isTold ? "\r\nConnection: close\r\nl5d-proxy-connection: close" : "\r\nConnection: close");
  return writeText(out, p, "\r\n\r\n");
}

function writeText(out: Buffer, at: number, text: string): number {
  return at + out.write(text, at, "latin1");
}

/** A detail may quote what a peer sent: nothing of it may end the line. */
function writeVisible(out: Buffer, at: number, text: string): number {
  const size = Math.min(text.length, DETAIL_BYTES_MAX);
  for (let i = 0; i < size; i++) {
    const unit = text.charCodeAt(i);
    out[at + i] = unit > 0x20 && unit < 0x7f ? unit : 0x20;
  }
  return at + size;
}
