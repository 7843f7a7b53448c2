// Encodes a MessageHead, whatever codec made it, as a header block of HTTP/2 (RFC 9113 sections 8.2 and 8.3).
//
// Left out is what ends at this hop (RFC 9110 section 7.6.1): the fields that HTTP/1 leaves out, by the same table, what Connection names,
// Transfer-Encoding, Upgrade, TE other than `trailers`. Names become lower case, Host becomes :authority, edits are applied. What is
// written decodes to the same message. The caller guarantees the room: `requestBlockRoom`, `responseBlockRoom`.

import { Buffer } from "node:buffer";
import { asciiBytes, copyBytes, copyRange, equalsWord, QUESTION, SLASH } from "../bytes/ascii.ts";
import { IS_DROPPED } from "../h1/serialize.ts";
import type { RequestEdits } from "../http/exchange.ts";
import { FIELD_STRIDE, FieldId, type MessageHead, Method } from "../http/head.ts";
import { BLOCK_ROOM, FIELD_ROOM, type HpackEncoder } from "../hpack/encoder.ts";
import { Pseudo } from "../hpack/hpack-codes.ts";
import { encodeOrigProto, encodeSwitched, ORIG_PROTO_ROOM } from "./orig-proto.ts";

/** Longest `hostFallback`, `forwardedFor`, `via` and `clientId`, as for HTTP/1. */
const OPTION_BYTES_MAX = 256;

/** Bytes that an encoder may add: the options with their names, five pseudo-header fields and their longest names, l5d-orig-proto. */
const ADDED_BYTES_MAX = 4 * OPTION_BYTES_MAX + 10 * FIELD_ROOM + 128 + ORIG_PROTO_ROOM;

const CONNECT = asciiBytes("CONNECT");
const ROOT = asciiBytes("/");
const STAR = asciiBytes("*");
const HTTP = asciiBytes("http");
const HTTPS = asciiBytes("https");
const TRAILERS_WORD = asciiBytes("trailers");
const FORWARDED_FOR = asciiBytes("x-forwarded-for");
const CLIENT_ID = asciiBytes("l5d-client-id");
const VIA = asciiBytes("via");
const VIA_1_0 = asciiBytes("via1.0 ");
const VIA_1_1 = asciiBytes("via1.1 ");
const VIA_2_0 = asciiBytes("via2.0 ");
const COMMA_SPACE = asciiBytes(", ");
const WEBSOCKET_KEY = asciiBytes("sec-websocket-key");
const WEBSOCKET_ACCEPT = asciiBytes("sec-websocket-accept");

/** Where a name and a value are put together that no message has. Shared: a call leaves nothing in it. Grows to the longest field. */
let composed: Buffer = Buffer.allocUnsafeSlow(1024);

/** Bytes that `encodeRequestHead` writes at most. */
export function requestBlockRoom(head: MessageHead): number {
  return BLOCK_ROOM + head.size + head.count * FIELD_ROOM + (head.authorityEnd - head.authorityStart) + ADDED_BYTES_MAX;
}

/** Bytes that `encodeResponseHead` writes at most. */
export function responseBlockRoom(head: MessageHead): number {
  return BLOCK_ROOM + head.size + head.count * FIELD_ROOM + ADDED_BYTES_MAX;
}

/**
 * Encodes a request's head into `out` at `at`; `isUpgrade`: as an extended CONNECT; `isMesh`: for another proxy, which is told of HTTP/1.
 * Returns the offset behind the block.
 */
export function encodeRequestHead(
  encoder: HpackEncoder,
  head: MessageHead,
  edits: RequestEdits,
  isHttps: boolean,
  isUpgrade: boolean,
  isMesh: boolean,
  out: Buffer,
  at: number,
): number {
  const { buffer, start } = head;
  const isTunnel = head.method === Method.connect;
  let p = encoder.begin(out, at);
  if (isUpgrade) p = encoder.pseudo(out, p, Pseudo.method, CONNECT, 0, CONNECT.length, 0);
  else p = encoder.pseudo(out, p, Pseudo.method, buffer, start, start + head.methodEnd, 0);
  if (isUpgrade) p = encodeProtocol(encoder, head, out, p);
  if (!isTunnel) {
    const scheme = isHttps ? HTTPS : HTTP;
    p = encoder.pseudo(out, p, Pseudo.scheme, scheme, 0, scheme.length, 0);
    p = encodePath(encoder, head, out, p);
  }
  if (head.authorityEnd > head.authorityStart) {
    const flags = head.hasNeverIndexed && head.hostIndex >= 0 ? head.fieldFlags[head.hostIndex]! : 0;
    p = encoder.pseudo(out, p, Pseudo.authority, buffer, start + head.authorityStart, start + head.authorityEnd, flags);
  } else p = encoder.pseudo(out, p, Pseudo.authority, edits.hostFallback, 0, edits.hostFallback.length, 0);
  p = encodeRequestFields(encoder, head, edits, isUpgrade && !isMesh, out, p);
  if (!isMesh || isTunnel) return p;
  // An Upgrade is HTTP/1.1's own, whoever asks for it.
  const version = isUpgrade ? 11 : head.sentVersion;
  return version === 20 ? p : encodeOrigProto(encoder, version, head.isAbsolute, out, p);
}

/** :path: the target, or what stands behind the authority of an absolute one (RFC 9112 section 3.2). */
function encodePath(encoder: HpackEncoder, head: MessageHead, out: Buffer, at: number): number {
  const { buffer, start } = head;
  const flags = head.hasNeverIndexed ? head.targetFlags : 0;
  const from = head.isAbsolute ? head.pathStart : head.targetStart;
  if (head.isAbsolute && from === head.targetEnd) {
    const whole = head.method === Method.options ? STAR : ROOT;
    return encoder.pseudo(out, at, Pseudo.path, whole, 0, 1, flags);
  }
  if (!head.isAbsolute || buffer[start + from] !== QUESTION) {
    return encoder.pseudo(out, at, Pseudo.path, buffer, start + from, start + head.targetEnd, flags);
  }
  reserveComposed(head.targetEnd - from + 1);
  composed[0] = SLASH;
  const end = copyRange(buffer, start + from, start + head.targetEnd, composed, 1);
  return encoder.pseudo(out, at, Pseudo.path, composed, 0, end, flags);
}

/** :protocol: what Upgrade asks for. */
function encodeProtocol(encoder: HpackEncoder, head: MessageHead, out: Buffer, at: number): number {
  for (let i = 0; i < head.count; i++) {
    if (head.ids[i] !== FieldId.upgrade) continue;
    const row = i * FIELD_STRIDE;
    return encoder.pseudo(out, at, Pseudo.protocol, head.buffer, head.start + head.fields[row + 2]!, head.start + head.fields[row + 3]!, 0);
  }
  return at;
}

function encodeRequestFields(
  encoder: HpackEncoder,
  head: MessageHead,
  edits: RequestEdits,
  dropsKey: boolean,
  out: Buffer,
  at: number,
): number {
  const { buffer, start, fields, ids, named, fieldFlags, count, hasNeverIndexed } = head;
  const { forwardedFor, via, clientId } = edits;
  const forwardedIndex = forwardedFor === null ? -1 : lastKept(head, FieldId.xForwardedFor);
  let p = at;
  for (let i = 0; i < count; i++) {
    const id = ids[i]!;
    const row = i * FIELD_STRIDE;
    const name = start + fields[row]!;
    const nameEnd = start + fields[row + 1]!;
    if (id === FieldId.other) {
      if (named[i] !== 0 || (dropsKey && equalsWord(buffer, name, nameEnd, WEBSOCKET_KEY))) continue;
    } else if (i === forwardedIndex && forwardedFor !== null) {
      p = encodeForwarded(encoder, head, row, forwardedFor, out, p);
      continue;
    } else if (isRequestFieldDropped(head, i, id)) continue;
    const flags = hasNeverIndexed ? fieldFlags[i]! : 0;
    p = encoder.field(out, p, buffer, name, nameEnd, start + fields[row + 2]!, start + fields[row + 3]!, id, flags);
  }
  if (forwardedFor !== null && forwardedIndex < 0) p = encodeForwarded(encoder, head, -1, forwardedFor, out, p);
  if (clientId !== null) p = encodeClientId(encoder, clientId, out, p);
  return via === null ? p : encodeVia(encoder, head, via, out, p);
}

function isRequestFieldDropped(head: MessageHead, index: number, id: number): boolean {
  switch (id) {
    case FieldId.host:
    case FieldId.upgrade:
    case FieldId.transferEncoding:
      return true;
    case FieldId.te:
      // It means this hop, so Connection names it; what it says of the client's own message is still true here (RFC 9113 8.2.2).
      return head.version === 10 || !isTrailersOnly(head, index);
    case FieldId.expect:
      return head.version === 10;
    default:
      return head.named[index] !== 0 || IS_DROPPED[id] !== 0;
  }
}

/** X-Forwarded-For with our client's address behind what the field in `row` says (-1: there is none). */
function encodeForwarded(encoder: HpackEncoder, head: MessageHead, row: number, forwardedFor: Buffer, out: Buffer, at: number): number {
  const nameEnd = FORWARDED_FOR.length;
  let p = nameEnd;
  if (row >= 0) {
    const { buffer, start, fields } = head;
    const size = fields[row + 3]! - fields[row + 2]!;
    reserveComposed(size + OPTION_BYTES_MAX);
    if (size > 0) p = copyBytes(COMMA_SPACE, composed, copyRange(buffer, start + fields[row + 2]!, start + fields[row + 3]!, composed, p));
  }
  copyBytes(FORWARDED_FOR, composed, 0);
  p = copyBytes(forwardedFor, composed, p);
  return encoder.field(out, at, composed, 0, nameEnd, nameEnd, p, FieldId.xForwardedFor, 0);
}

function encodeClientId(encoder: HpackEncoder, clientId: Buffer, out: Buffer, at: number): number {
  const nameEnd = CLIENT_ID.length;
  const end = copyBytes(clientId, composed, copyBytes(CLIENT_ID, composed, 0));
  return encoder.field(out, at, composed, 0, nameEnd, nameEnd, end, FieldId.l5dClientId, 0);
}

/** Our entry in Via, with the version that the message came in (RFC 9110 section 7.6.3). */
function encodeVia(encoder: HpackEncoder, head: MessageHead, via: Buffer, out: Buffer, at: number): number {
  const received = head.version === 20 ? VIA_2_0 : head.version === 10 ? VIA_1_0 : VIA_1_1;
  const end = copyBytes(via, composed, copyBytes(received, composed, 0));
  return encoder.field(out, at, composed, 0, VIA.length, VIA.length, end, FieldId.via, 0);
}

/**
 * Encodes a response's head. `isUpgrade`: it answers an extended CONNECT, for which 200 is what 101 is in HTTP/1 (RFC 8441 section 5).
 * `isOriginal`: it answers a request that another proxy got in HTTP/1, and is told what came in HTTP/1. Returns the offset behind the block.
 */
export function encodeResponseHead(
  encoder: HpackEncoder,
  head: MessageHead,
  via: Buffer | null,
  isUpgrade: boolean,
  isOriginal: boolean,
  out: Buffer,
  at: number,
): number {
  const { buffer, start, fields, ids, named, fieldFlags, count, hasNeverIndexed } = head;
  let p = encoder.status(out, encoder.begin(out, at), isUpgrade && head.status === 101 ? 200 : head.status);
  for (let i = 0; i < count; i++) {
    const id = ids[i]!;
    const row = i * FIELD_STRIDE;
    const name = start + fields[row]!;
    const nameEnd = start + fields[row + 1]!;
    if (named[i] !== 0 || (id !== FieldId.other && isResponseFieldDropped(id))) continue;
    if (isUpgrade && !isOriginal && id === FieldId.other && equalsWord(buffer, name, nameEnd, WEBSOCKET_ACCEPT)) continue;
    const flags = hasNeverIndexed ? fieldFlags[i]! : 0;
    p = encoder.field(out, p, buffer, name, nameEnd, start + fields[row + 2]!, start + fields[row + 3]!, id, flags);
  }
  if (isOriginal) p = encodeOriginal(encoder, head, isUpgrade, out, p);
  return via === null ? p : encodeVia(encoder, head, via, out, p);
}

function encodeOriginal(encoder: HpackEncoder, head: MessageHead, isUpgrade: boolean, out: Buffer, at: number): number {
  const row = isUpgrade && head.status === 101 ? head.ids.indexOf(FieldId.upgrade) * FIELD_STRIDE : -1;
  if (row >= 0 && row < head.count * FIELD_STRIDE) {
    const { fields } = head;
    reserveComposed(fields[row + 3]! - fields[row + 2]!);
    return encodeSwitched(encoder, head, fields[row + 2]!, fields[row + 3]!, composed, out, at);
  }
  return head.sentVersion === 20 || head.status < 200 ? at : encodeOrigProto(encoder, head.sentVersion, false, out, at);
}

function isResponseFieldDropped(id: number): boolean {
  return id === FieldId.upgrade || id === FieldId.te || id === FieldId.transferEncoding || IS_DROPPED[id] !== 0;
}

/** Index of the last field with this id that is forwarded, -1 without one. */
function lastKept(head: MessageHead, id: number): number {
  for (let i = head.count - 1; i >= 0; i--) {
    if (head.ids[i] === id && head.named[i] === 0) return i;
  }
  return -1;
}

function isTrailersOnly(head: MessageHead, index: number): boolean {
  const row = index * FIELD_STRIDE;
  return equalsWord(head.buffer, head.start + head.fields[row + 2]!, head.start + head.fields[row + 3]!, TRAILERS_WORD);
}

/** Room for `size` bytes and the longest name. */
function reserveComposed(size: number): void {
  const needed = size + 64;
  if (composed.length < needed) composed = Buffer.allocUnsafeSlow(needed);
}
