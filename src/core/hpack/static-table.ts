// The static table of RFC 7541 Appendix A, laid out like a dynamic one: lines `name: value CRLF` in one buffer, and rows of numbers.
//
// So a decoder copies an entry of either table in the same way, and an encoder compares names with bytes that are already there.

import { Buffer } from "node:buffer";
import { FieldId } from "../http/head.ts";
import { fieldId } from "../h1/field-names.ts";
import { Pseudo } from "./hpack-codes.ts";

/** Numbers per row: offset of the line, bytes of the name, bytes of the value, tag. */
export const ROW_STRIDE = 4;
export const ROW_NAME_SIZE = 1;
export const ROW_VALUE_SIZE = 2;
export const ROW_TAG = 3;

/** A line's bytes beyond its name and its value: colon, space, CR, LF. */
export const LINE_BYTES = 4;

/** A decoder's tag: the FieldId; which pseudo-header field it is, plus one; what is wrong with name and value. */
export const TAG_ID_MASK = 0xff;
export const TAG_PSEUDO_SHIFT = 8;
export const TAG_PSEUDO_MASK = 0xf << TAG_PSEUDO_SHIFT;
export const TAG_BAD_NAME = 1 << 12;
export const TAG_UNKNOWN_PSEUDO = 1 << 13;
export const TAG_BAD_VALUE = 1 << 14;
/** What of a tag belongs to the name alone. */
export const TAG_NAME_MASK = TAG_ID_MASK | TAG_PSEUDO_MASK | TAG_BAD_NAME | TAG_UNKNOWN_PSEUDO;

/** Entries of the static table; index 62 is the newest of the dynamic one. */
export const STATIC_COUNT = 61;

const ENTRIES: readonly (readonly [name: string, value: string])[] = [
  [":authority", ""],
  [":method", "GET"],
  [":method", "POST"],
  [":path", "/"],
  [":path", "/index.html"],
  [":scheme", "http"],
  [":scheme", "https"],
  [":status", "200"],
  [":status", "204"],
  [":status", "206"],
  [":status", "304"],
  [":status", "400"],
  [":status", "404"],
  [":status", "500"],
  ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"],
  ["accept-language", ""],
  ["accept-ranges", ""],
  ["accept", ""],
  ["access-control-allow-origin", ""],
  ["age", ""],
  ["allow", ""],
  ["authorization", ""],
  ["cache-control", ""],
  ["content-disposition", ""],
  ["content-encoding", ""],
  ["content-language", ""],
  ["content-length", ""],
  ["content-location", ""],
  ["content-range", ""],
  ["content-type", ""],
  ["cookie", ""],
  ["date", ""],
  ["etag", ""],
  ["expect", ""],
  ["expires", ""],
  ["from", ""],
  ["host", ""],
  ["if-match", ""],
  ["if-modified-since", ""],
  ["if-none-match", ""],
  ["if-range", ""],
  ["if-unmodified-since", ""],
  ["last-modified", ""],
  ["link", ""],
  ["location", ""],
  ["max-forwards", ""],
  ["proxy-authenticate", ""],
  ["proxy-authorization", ""],
  ["range", ""],
  ["referer", ""],
  ["refresh", ""],
  ["retry-after", ""],
  ["server", ""],
  ["set-cookie", ""],
  ["strict-transport-security", ""],
  ["transfer-encoding", ""],
  ["user-agent", ""],
  ["vary", ""],
  ["via", ""],
  ["www-authenticate", ""],
];

const PSEUDO_NAMES: readonly (readonly [Pseudo, string])[] = [
  [Pseudo.method, ":method"],
  [Pseudo.scheme, ":scheme"],
  [Pseudo.authority, ":authority"],
  [Pseudo.path, ":path"],
  [Pseudo.status, ":status"],
  [Pseudo.protocol, ":protocol"],
];

const PSEUDO_BYTES = PSEUDO_NAMES.map(([, name]) => Buffer.from(name, "latin1"));

/** All lines, one behind the other. `:protocol: ` stands last: it has no entry, but encoders need its name. */
export const STATIC_LINES: Buffer = Buffer.from(`${ENTRIES.map(([name, value]) => `${name}: ${value}\r\n`).join("")}:protocol: `, "latin1");

/** Rows by index, 1 to 61. */
export const STATIC_ROWS: Int32Array = new Int32Array((STATIC_COUNT + 1) * ROW_STRIDE);

/** Where a pseudo-header field's name stands in `STATIC_LINES`, by Pseudo. */
export const PSEUDO_NAME_AT: Int32Array = new Int32Array(PSEUDO_NAMES.length);
export const PSEUDO_NAME_SIZE: Int32Array = new Int32Array(PSEUDO_NAMES.length);

/** The tag of a name, which is in [start, end): an id or a pseudo-header field; `faults` of its bytes are not looked at. */
export function tagOfName(buf: Uint8Array, start: number, end: number): number {
  if (buf[start] !== 0x3a) return fieldId(buf, start, end);
  for (let i = 0; i < PSEUDO_BYTES.length; i++) {
    const name = PSEUDO_BYTES[i]!;
    if (end - start !== name.length) continue;
    let same = 0;
    while (same < name.length && buf[start + same] === name[same]) same++;
    if (same === name.length) return (i + 1) << TAG_PSEUDO_SHIFT;
  }
  return FieldId.other | TAG_UNKNOWN_PSEUDO;
}

{
  let offset = 0;
  for (let i = 0; i < STATIC_COUNT; i++) {
    const [name, value] = ENTRIES[i]!;
    STATIC_ROWS.set([offset, name.length, value.length, tagOfName(STATIC_LINES, offset, offset + name.length)], (i + 1) * ROW_STRIDE);
    offset += name.length + value.length + LINE_BYTES;
  }
  for (const [pseudo, name] of PSEUDO_NAMES) {
    PSEUDO_NAME_AT[pseudo] = STATIC_LINES.indexOf(`${name}: `, 0, "latin1");
    PSEUDO_NAME_SIZE[pseudo] = name.length;
  }
}
