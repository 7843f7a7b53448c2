// `l5d-orig-proto`: how HTTP/1 messages cross the HTTP/2 connection between two proxies of a mesh (docs/adr/0008-pair-protocol.md).
//
//   request   HTTP/1.1 | HTTP/1.0, then perhaps `; absolute-form`
//   response  HTTP/1.1 | HTTP/1.0: what the application answered in; `HTTP/1.1; upgrade=PROTOCOL` where that answer was 101
//
// Written by whoever stands between HTTP/1 and the mesh, read only on connections of the mesh: from anybody else the field is dropped, as all
// of l5d. Every other value is refused.

import type { Buffer } from "node:buffer";
import { asciiBytes, COMMA, copyBytes, copyRange, HTAB, SLASH, SP } from "../bytes/ascii.ts";
import { TOKEN_CHARS } from "../h1/tables.ts";
import { FieldId, type MessageHead } from "../http/head.ts";
import type { HpackEncoder } from "../hpack/encoder.ts";

const NAME = "l5d-orig-proto";
const NAME_BYTES = NAME.length;
/** Name and value in one piece, as the encoder takes them. */
const HTTP_1_0 = asciiBytes(`${NAME}HTTP/1.0`);
const HTTP_1_1 = asciiBytes(`${NAME}HTTP/1.1`);
const ABSOLUTE_1_0 = asciiBytes(`${NAME}HTTP/1.0; absolute-form`);
const ABSOLUTE_1_1 = asciiBytes(`${NAME}HTTP/1.1; absolute-form`);
const SWITCHED = asciiBytes(`${NAME}HTTP/1.1; upgrade=`);

/** Bytes that the field takes beyond what it copies from the message. */
export const ORIG_PROTO_ROOM = 64;

/** Bytes of a value of 101 before the protocol. */
export const SWITCHED_BYTES: number = SWITCHED.length - NAME_BYTES;

const NOT_ONE = 0;

/** Writes what a request or response says that was got in `version` (10 or 11). Returns the offset behind it. */
export function encodeOrigProto(encoder: HpackEncoder, version: number, isAbsolute: boolean, out: Buffer, at: number): number {
  const is10 = version === 10;
  const line = isAbsolute ? (is10 ? ABSOLUTE_1_0 : ABSOLUTE_1_1) : is10 ? HTTP_1_0 : HTTP_1_1;
  return encoder.field(out, at, line, 0, NAME_BYTES, NAME_BYTES, line.length, FieldId.l5dOrigProto, 0);
}

/** The same for a 101; [start, end) of `head` is the value of its Upgrade. `composed` has room for that and `ORIG_PROTO_ROOM`. */
export function encodeSwitched(
  encoder: HpackEncoder,
  head: MessageHead,
  start: number,
  end: number,
  composed: Buffer,
  out: Buffer,
  at: number,
): number {
  const p = copyRange(head.buffer, head.start + start, head.start + end, composed, copyBytes(SWITCHED, composed, 0));
  return encoder.field(out, at, composed, 0, NAME_BYTES, NAME_BYTES, p, FieldId.l5dOrigProto, 0);
}

/** 10 or 11: the version that a request's or an ordinary response's value names; 0: it is no such value. */
export function readOrigProto(buffer: Buffer, start: number, end: number): number {
  if (isValue(buffer, start, end, HTTP_1_1) || isValue(buffer, start, end, ABSOLUTE_1_1)) return 11;
  if (isValue(buffer, start, end, HTTP_1_0) || isValue(buffer, start, end, ABSOLUTE_1_0)) return 10;
  return NOT_ONE;
}

/** Does the value say that the application has switched protocols? The protocol's name is behind `SWITCHED_BYTES`. */
export function isSwitched(buffer: Buffer, start: number, end: number): boolean {
  if (end - start <= SWITCHED_BYTES) return false;
  return equalsAt(buffer, start, SWITCHED) && isUpgradeValue(buffer, start + SWITCHED_BYTES, end);
}

/** What may stand in Upgrade: tokens, versions behind `/`, commas and white space between them (RFC 9110 section 7.8). */
export function isUpgradeValue(buffer: Buffer, start: number, end: number): boolean {
  for (let p = start; p < end; p++) {
    const byte = buffer[p]!;
    if (TOKEN_CHARS[byte] === 0 && byte !== SLASH && byte !== COMMA && byte !== SP && byte !== HTAB) return false;
  }
  return start !== end;
}

function isValue(buffer: Buffer, start: number, end: number, line: Buffer): boolean {
  return end - start === line.length - NAME_BYTES && equalsAt(buffer, start, line);
}

function equalsAt(buffer: Buffer, start: number, line: Buffer): boolean {
  for (let i = NAME_BYTES; i < line.length; i++) if (buffer[start + i - NAME_BYTES] !== line[i]) return false;
  return true;
}
