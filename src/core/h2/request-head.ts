// A decoded request becomes a MessageHead in the shape of an HTTP/1.1 head, strictly by RFC 9113 section 8.3.1 and RFC 8441.
//
//   METHOD SP :path SP HTTP/1.1 CRLF  Host: :authority CRLF  [Upgrade: :protocol CRLF]  name: value CRLF ... CRLF
//   `------------------- written in front of the lines that the decoder left -------'
//
// Malformed (stream error): a pseudo-header field missing, repeated or of a response; an empty :path, one that neither begins with `/` nor is
// `*` for OPTIONS, bytes that no target has; a :scheme that is none; an :authority that is none, or differs from Host; two Hosts; CONNECT
// with :scheme or :path; :protocol that was not announced, or without CONNECT. Answered with 400: no authority at all, schemes but http(s).
// An extended CONNECT becomes GET with Upgrade, which is what it means to HTTP/1. On connections of the mesh `l5d-orig-proto` is read (400 where it
// is none), and with it any :protocol is taken that an Upgrade may name.

import type { Buffer } from "node:buffer";
import { asciiBytes, COLON, copyBytes, copyRange, equalsRange, equalsWord, lowerByte, SLASH, SP, STAR } from "../bytes/ascii.ts";
import { ERRORS } from "../errors/error-codes.ts";
import { BAD_AUTHORITY, scanAuthority } from "../h1/authority.ts";
import { offersH2c } from "../h1/field-section.ts";
import { methodOf } from "../h1/request-line.ts";
import { TARGET_CHARS, TOKEN_CHARS } from "../h1/tables.ts";
import { FIELD_STRIDE, FieldId, Framing, type MessageHead, Method } from "../http/head.ts";
import type { FieldBlock } from "../hpack/field-block.ts";
import { Pseudo } from "../hpack/hpack-codes.ts";
import { joinCookies } from "./cookie-crumbs.ts";
import { concludeField, isCookie, MALFORMED, placeFields, WELL_FORMED } from "./field-rules.ts";
import { isUpgradeValue, readOrigProto } from "./orig-proto.ts";
import type { H2Scratch } from "./scratch.ts";

const BAD_HOST = -ERRORS.WEFT_H1_BAD_HOST.id;
const BAD_TARGET = -ERRORS.WEFT_H1_BAD_TARGET.id;
const TOO_MANY_FIELDS = -ERRORS.WEFT_H1_TOO_MANY_FIELDS.id;

const BAD_PROTOCOL = -ERRORS.WEFT_H2_BAD_PROTOCOL.id;
const BAD_ORIG_PROTO = -ERRORS.WEFT_BAD_ORIG_PROTO.id;

const GET = asciiBytes("GET");
const WEBSOCKET = asciiBytes("websocket");
const HTTP_LINE = asciiBytes(" HTTP/1.1\r\n");
const HOST = asciiBytes("Host: ");
const UPGRADE = asciiBytes("Upgrade: ");
const LINE_END = asciiBytes("\r\n");
const HTTP = asciiBytes("http");
const HTTPS = asciiBytes("https");

const METHOD_BIT = 1 << Pseudo.method;
const SCHEME_BIT = 1 << Pseudo.scheme;
const AUTHORITY_BIT = 1 << Pseudo.authority;
const PATH_BIT = 1 << Pseudo.path;
const STATUS_BIT = 1 << Pseudo.status;
const PROTOCOL_BIT = 1 << Pseudo.protocol;

/** What a request has to have, by its kind. */
const PLAIN_BITS = METHOD_BIT | SCHEME_BIT | PATH_BIT;
const TUNNEL_BITS = METHOD_BIT | AUTHORITY_BIT;
const EXTENDED_BITS = METHOD_BIT | SCHEME_BIT | PATH_BIT | AUTHORITY_BIT | PROTOCOL_BIT;

/**
 * Makes `scratch.head` of the block that was decoded into `scratch.lines` at FRONT_ROOM, whose code was 0. `isEnd`: END_STREAM came
 * with it. `isMesh`: from another proxy. Returns `WELL_FORMED`, `MALFORMED` or minus an error id.
 */
export function readRequestHead(scratch: H2Scratch, isEnd: boolean, takesExtendedConnect: boolean, isMesh: boolean): number {
  const { block, head } = scratch;
  head.reset();
  const { buffer, start, pseudo, pseudoSeen } = block;
  if ((pseudoSeen & (METHOD_BIT | STATUS_BIT)) !== METHOD_BIT) return MALFORMED;
  const methodStart = start + pseudo[2 * Pseudo.method]!;
  const methodEnd = start + pseudo[2 * Pseudo.method + 1]!;
  if (!isToken(buffer, methodStart, methodEnd)) return MALFORMED;
  head.method = methodOf(buffer, methodStart, methodEnd);
  const isExtended = (pseudoSeen & PROTOCOL_BIT) !== 0;
  const wrong =
    head.method === Method.connect ? checkConnect(block, takesExtendedConnect) : isExtended ? MALFORMED : checkTarget(block, head.method);
  if (wrong !== WELL_FORMED) return wrong;
  const bad = readFields(scratch, isMesh);
  if (bad !== WELL_FORMED) return bad;
  if (isExtended ? !isProtocolTaken(block, head) : head.method === Method.connect && head.originalVersion !== 0) {
    return isExtended ? BAD_PROTOCOL : BAD_ORIG_PROTO;
  }
  const hasAuthority = (pseudoSeen & AUTHORITY_BIT) !== 0;
  if (!hasAuthority && !head.hasHost) return BAD_HOST;
  const fault = writeFront(scratch, isExtended, !head.hasHost);
  if (fault !== WELL_FORMED) return fault;
  head.version = 20;
  if (head.method === Method.connect) {
    // What follows is a tunnel's: no content, no length (RFC 9110 section 9.3.6).
    if (head.contentLength >= 0) return MALFORMED;
    if (isExtended) head.method = Method.get;
  } else if (isEnd) {
    if (head.contentLength > 0) return MALFORMED;
  } else head.framing = head.contentLength >= 0 ? Framing.length : Framing.chunked;
  return WELL_FORMED;
}

/** The pseudo-header fields of CONNECT, plain or extended. */
function checkConnect(block: FieldBlock, takesExtendedConnect: boolean): number {
  const { buffer, start, pseudo, pseudoSeen } = block;
  const authority = start + pseudo[2 * Pseudo.authority]!;
  const authorityEnd = start + pseudo[2 * Pseudo.authority + 1]!;
  if (pseudoSeen === TUNNEL_BITS) return scanAuthority(buffer, authority, authorityEnd) > 0 ? WELL_FORMED : MALFORMED;
  if (pseudoSeen !== EXTENDED_BITS || !takesExtendedConnect) return MALFORMED;
  if (!isUpgradeValue(buffer, start + pseudo[2 * Pseudo.protocol]!, start + pseudo[2 * Pseudo.protocol + 1]!)) return MALFORMED;
  return checkTarget(block, Method.get);
}

/**
 * May the :protocol become an HTTP/1 Upgrade? A client's only as `websocket`: any other may be a way around Weft (`h2c` would be requests that
 * nobody routes or checks). Another proxy of the mesh has checked its client's.
 */
function isProtocolTaken(block: FieldBlock, head: MessageHead): boolean {
  const { buffer, start, pseudo } = block;
  const protocol = start + pseudo[2 * Pseudo.protocol]!;
  const protocolEnd = start + pseudo[2 * Pseudo.protocol + 1]!;
  if (equalsWord(buffer, protocol, protocolEnd, WEBSOCKET)) return head.originalVersion !== 10;
  return head.originalVersion === 11 && !offersH2c(buffer, protocol, protocolEnd);
}

/** :scheme, :path and :authority of everything else. */
function checkTarget(block: FieldBlock, method: number): number {
  const { buffer, start, pseudo, pseudoSeen } = block;
  if ((pseudoSeen & PLAIN_BITS) !== PLAIN_BITS) return MALFORMED;
  const scheme = start + pseudo[2 * Pseudo.scheme]!;
  const schemeEnd = start + pseudo[2 * Pseudo.scheme + 1]!;
  const path = start + pseudo[2 * Pseudo.path]!;
  const pathEnd = start + pseudo[2 * Pseudo.path + 1]!;
  if (path === pathEnd) return MALFORMED;
  if (buffer[path] !== SLASH && !(buffer[path] === STAR && pathEnd - path === 1 && method === Method.options)) return MALFORMED;
  for (let p = path + 1; p < pathEnd; p++) {
    if (TARGET_CHARS[buffer[p]!] === 0) return MALFORMED;
  }
  if ((pseudoSeen & AUTHORITY_BIT) !== 0) {
    const authority = start + pseudo[2 * Pseudo.authority]!;
    const authorityEnd = start + pseudo[2 * Pseudo.authority + 1]!;
    if (buffer[authority] === COLON || scanAuthority(buffer, authority, authorityEnd) === BAD_AUTHORITY) return MALFORMED;
  }
  if (equalsWord(buffer, scheme, schemeEnd, HTTP) || equalsWord(buffer, scheme, schemeEnd, HTTPS)) return WELL_FORMED;
  return isScheme(buffer, scheme, schemeEnd) ? BAD_TARGET : MALFORMED;
}

/** What the fields say; Host is compared with :authority. Ranges are still the block's. */
function readFields(scratch: H2Scratch, isMesh: boolean): number {
  const { block, head } = scratch;
  const { start, fields, ids, count } = block;
  const { buffer } = block;
  let cookies = 0;
  for (let i = 0; i < count; i++) {
    const id = ids[i]!;
    const row = i * FIELD_STRIDE;
    if (id === FieldId.other) {
      if (isCookie(buffer, start + fields[row]!, start + fields[row + 1]!)) cookies++;
      continue;
    }
    if (id === FieldId.date) continue;
    const value = start + fields[row + 2]!;
    const valueEnd = start + fields[row + 3]!;
    if (id === FieldId.l5dOrigProto && isMesh) {
      head.hasEdits = true;
      if (head.originalVersion !== 0) return BAD_ORIG_PROTO;
      head.originalVersion = readOrigProto(buffer, value, valueEnd);
      if (head.originalVersion === 0) return BAD_ORIG_PROTO;
      continue;
    }
    const fault = id === FieldId.host ? concludeHost(block, value, valueEnd, head) : concludeField(buffer, id, value, valueEnd, head, true);
    if (fault !== WELL_FORMED) return fault;
  }
  if (cookies > 1) joinCookies(block, scratch.rebuilt);
  return WELL_FORMED;
}

function concludeHost(block: FieldBlock, start: number, end: number, head: MessageHead): number {
  const { buffer } = block;
  if (head.hasHost || scanAuthority(buffer, start, end) === BAD_AUTHORITY || buffer[start] === COLON) return MALFORMED;
  head.hasHost = true;
  if (!block.hasPseudo(Pseudo.authority)) return WELL_FORMED;
  const authority = block.start + block.pseudoStart(Pseudo.authority);
  const authorityEnd = block.start + block.pseudoEnd(Pseudo.authority);
  return equalsRange(buffer, start, end, authority, authorityEnd) ? WELL_FORMED : MALFORMED;
}

/** Puts start line, Host and Upgrade in front of the decoder's lines and sets the head's ranges. Returns 0 or minus an error id. */
function writeFront(scratch: H2Scratch, isExtended: boolean, writesHost: boolean): number {
  const { block, head, front } = scratch;
  const { buffer, start, pseudo, pseudoFlags } = block;
  const target = head.method === Method.connect && !isExtended ? Pseudo.authority : Pseudo.path;
  const method = start + pseudo[2 * Pseudo.method]!;
  let p = isExtended ? copyBytes(GET, front, 0) : copyRange(buffer, method, start + pseudo[2 * Pseudo.method + 1]!, front, 0);
  head.methodEnd = p;
  front[p++] = SP;
  head.targetStart = p;
  p = copyRange(buffer, start + pseudo[2 * target]!, start + pseudo[2 * target + 1]!, front, p);
  head.targetEnd = p;
  p = copyBytes(HTTP_LINE, front, p);
  head.fieldsStart = p;
  const hostLine = p;
  if (writesHost) p = writeLine(block, front, p, HOST, Pseudo.authority);
  const upgradeLine = p;
  if (isExtended) p = writeLine(block, front, p, UPGRADE, Pseudo.protocol);
  const inserted = (writesHost ? 1 : 0) + (isExtended ? 1 : 0);
  if (!placeFields(block, head, inserted, p - block.fieldsStart)) return TOO_MANY_FIELDS;
  if (writesHost) setRow(head, 0, FieldId.host, hostLine, HOST.length, upgradeLine, pseudoFlags[Pseudo.authority]!);
  if (isExtended) {
    setRow(head, inserted - 1, FieldId.upgrade, upgradeLine, UPGRADE.length, p, 0);
    head.hasUpgrade = true;
    head.saysUpgrade = true;
    head.hasEdits = true;
  }
  if (block.hasNeverIndexed) head.targetFlags = pseudoFlags[target]!;
  const first = start + block.fieldsStart - p;
  front.copy(buffer, first, 0, p);
  head.buffer = buffer;
  head.start = first;
  head.size = p + block.fieldsEnd - block.fieldsStart + 2;
  setAuthority(head);
  return WELL_FORMED;
}

/** `name: value CRLF` of a pseudo-header field. */
function writeLine(block: FieldBlock, out: Buffer, at: number, name: Buffer, pseudo: Pseudo): number {
  const p = copyBytes(name, out, at);
  return copyBytes(
    LINE_END,
    out,
    copyRange(block.buffer, block.start + block.pseudoStart(pseudo), block.start + block.pseudoEnd(pseudo), out, p),
  );
}

/** The row of a line [line, next) that was written in front. */
function setRow(head: MessageHead, index: number, id: number, line: number, prefix: number, next: number, flags: number): void {
  const { fields } = head;
  const row = index * FIELD_STRIDE;
  fields[row] = line;
  fields[row + 1] = line + prefix - 2;
  fields[row + 2] = line + prefix;
  fields[row + 3] = next - 2;
  head.ids[index] = id;
  if (head.hasNeverIndexed) head.fieldFlags[index] = flags;
}

/** The authority is Host's value, wherever Host stands. */
function setAuthority(head: MessageHead): void {
  let index = 0;
  while (head.ids[index] !== FieldId.host) index++;
  head.hasHost = true;
  head.hostIndex = index;
  head.authorityStart = head.fields[index * FIELD_STRIDE + 2]!;
  head.authorityEnd = head.fields[index * FIELD_STRIDE + 3]!;
}

function isToken(buffer: Buffer, start: number, end: number): boolean {
  let p = start;
  while (p < end && TOKEN_CHARS[buffer[p]!] !== 0) p++;
  return p === end && start !== end;
}

/** ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ) (RFC 3986 section 3.1). */
function isScheme(buffer: Buffer, start: number, end: number): boolean {
  for (let p = start; p < end; p++) {
    const byte = lowerByte(buffer[p]!);
    const isLetter = byte >= 0x61 && byte <= 0x7a;
    const isOther = (byte >= 0x30 && byte <= 0x39) || byte === 0x2b || byte === 0x2d || byte === 0x2e;
    if (!isLetter && (p === start || !isOther)) return false;
  }
  return start !== end;
}
