// Recognises the field names that Weft looks at, from length, last byte and then every byte: no string, about 1 ns.
//
// Names are compared without case. The l5d names are also recognised with `_` in place of `-`: frameworks that turn names
// into variables cannot tell the two, so a spelling that is not scrubbed would be a way around the scrubbing.

import { asciiBytes } from "../bytes/ascii.ts";
import { FieldId } from "../http/head.ts";

const NAMES: readonly (readonly [FieldId, string])[] = [
  [FieldId.host, "host"],
  [FieldId.connection, "connection"],
  [FieldId.keepAlive, "keep-alive"],
  [FieldId.proxyConnection, "proxy-connection"],
  [FieldId.transferEncoding, "transfer-encoding"],
  [FieldId.contentLength, "content-length"],
  [FieldId.upgrade, "upgrade"],
  [FieldId.te, "te"],
  [FieldId.trailer, "trailer"],
  [FieldId.expect, "expect"],
  [FieldId.via, "via"],
  [FieldId.xForwardedFor, "x-forwarded-for"],
  [FieldId.http2Settings, "http2-settings"],
  [FieldId.date, "date"],
  [FieldId.proxyAuthenticate, "proxy-authenticate"],
  [FieldId.proxyAuthorization, "proxy-authorization"],
  [FieldId.l5dDstOverride, "l5d-dst-override"],
  [FieldId.l5dRequireId, "l5d-require-id"],
  [FieldId.l5dClientId, "l5d-client-id"],
  [FieldId.l5dDstCanonical, "l5d-dst-canonical"],
  [FieldId.l5dOrigProto, "l5d-orig-proto"],
  [FieldId.l5dProxyError, "l5d-proxy-error"],
  [FieldId.l5dProxyConnection, "l5d-proxy-connection"],
];

/** Bytes of the longest known name; also the stride of the table of names. */
const NAME_BYTES_MAX = 32;

/** First id whose `-` may be written `_`. */
const FIRST_L5D = FieldId.l5dDstOverride;

const HYPHEN = 0x2d;
const UNDERSCORE = 0x5f;
const LETTER_X = 0x78;

/** Candidate by length (below 32) and the low five bits of the last byte; 0: no known name looks like that. */
const CANDIDATES = new Uint8Array(NAME_BYTES_MAX * 32);
const NAME_BYTES = new Uint8Array((FieldId.l5dProxyConnection + 1) * NAME_BYTES_MAX);

for (const [id, name] of NAMES) {
  const bytes = asciiBytes(name);
  NAME_BYTES.set(bytes, id * NAME_BYTES_MAX);
  const slot = bytes.length * 32 + (bytes[bytes.length - 1]! & 31);
  // Two names share a slot (15 bytes, `r`): x-forwarded-for and l5d-proxy-error. The first byte tells them apart.
  if (id !== FieldId.xForwardedFor) CANDIDATES[slot] = id;
}

/** The id of the field name in [start, end), `FieldId.other` if Weft has no interest in it. The range holds token bytes. */
export function fieldId(buf: Uint8Array, start: number, end: number): FieldId {
  const size = end - start;
  if (size >= NAME_BYTES_MAX || size === 0) return FieldId.other;
  let id = CANDIDATES[size * 32 + (buf[end - 1]! & 31)]!;
  if (id === 0) return FieldId.other;
  if (id === FieldId.l5dProxyError && (buf[start]! | 0x20) === LETTER_X) id = FieldId.xForwardedFor;
  const name = id * NAME_BYTES_MAX;
  for (let i = 0; i < size; i++) {
    const expected = NAME_BYTES[name + i]!;
    const byte = buf[start + i]!;
    // Token bytes only: setting the case bit makes no other byte one of a name's.
    if ((byte | 0x20) === expected) continue;
    if (byte === UNDERSCORE && expected === HYPHEN && id >= FIRST_L5D) continue;
    return FieldId.other;
  }
  return id as FieldId;
}
