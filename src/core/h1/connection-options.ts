// The Connection field: options about this connection, and names of fields that end with it (RFC 9110 section 7.6.1).
//
// Refuses options that are no tokens, options that name framing or routing (a proxy that believed `Connection:
// content-length` would drop the very field that tells where the message ends), and more options than any client has.
// Options are read twice: when their line is complete (flags, refusals), and once more at the end of the head, to mark
// the fields that they name, which may stand before or behind.

import { asciiBytes, COMMA, equalsRange, equalsWord, HTAB, SP } from "../bytes/ascii.ts";
import { ERRORS } from "../errors/error-codes.ts";
import { FIELD_STRIDE, FieldId, type MessageHead } from "../http/head.ts";
import { fieldId } from "./field-names.ts";
import { TOKEN_CHARS } from "./tables.ts";

/** Options per head: bounds the comparisons (16 options x 100 fields cost at most 35 us). Clients send one to three. */
export const CONNECTION_OPTIONS_MAX = 16;

const BAD_CONNECTION = -ERRORS.WEFT_H1_BAD_CONNECTION.id;
const CLOSE = asciiBytes("close");
const KEEP_ALIVE = asciiBytes("keep-alive");
const UPGRADE = asciiBytes("upgrade");

/** Fields that end-to-end framing and routing rest on. */
function isForbidden(id: FieldId): boolean {
  return id === FieldId.contentLength || id === FieldId.transferEncoding || id === FieldId.host || id === FieldId.expect;
}

/**
 * Reads one Connection value [start, end) of `buf` and sets the head's flags. Returns how many of its options might name
 * a field (0 for the plain `close` and `keep-alive`, which name none that is not dropped anyway), < 0: minus an error id.
 */
export function readConnectionOptions(buf: Uint8Array, start: number, end: number, head: MessageHead): number {
  // Nearly every Connection field is one of these two.
  if (equalsWord(buf, start, end, KEEP_ALIVE)) {
    head.saysKeepAlive = true;
    return 0;
  }
  if (equalsWord(buf, start, end, CLOSE)) {
    head.saysClose = true;
    return 0;
  }
  let count = 0;
  let p = start;
  while (p < end) {
    const byte = buf[p]!;
    if (byte === COMMA || byte === SP || byte === HTAB) {
      p++;
      continue;
    }
    const option = p;
    while (p < end && TOKEN_CHARS[buf[p]!] !== 0) p++;
    if (p === option || ++count > CONNECTION_OPTIONS_MAX) return BAD_CONNECTION;
    if (equalsWord(buf, option, p, CLOSE)) head.saysClose = true;
    else if (equalsWord(buf, option, p, KEEP_ALIVE)) head.saysKeepAlive = true;
    else if (equalsWord(buf, option, p, UPGRADE)) head.saysUpgrade = true;
    else if (isForbidden(fieldId(buf, option, p))) return BAD_CONNECTION;
    // Behind an option only white space and then a comma or the end.
    while (p < end && (buf[p] === SP || buf[p] === HTAB)) p++;
    if (p < end && buf[p] !== COMMA) return BAD_CONNECTION;
  }
  return count;
}

/** Marks the fields of a complete head that its Connection options name. `base`: where the head begins in `buf`. */
export function markNamedFields(buf: Uint8Array, base: number, head: MessageHead): void {
  for (let i = 0; i < head.count; i++) {
    if (head.ids[i] !== FieldId.connection) continue;
    const end = base + head.fields[i * FIELD_STRIDE + 3]!;
    let p = base + head.fields[i * FIELD_STRIDE + 2]!;
    while (p < end) {
      const option = p;
      while (p < end && TOKEN_CHARS[buf[p]!] !== 0) p++;
      if (p > option) markNamed(buf, base, option, p, head);
      else p++;
    }
  }
}

function markNamed(buf: Uint8Array, base: number, option: number, optionEnd: number, head: MessageHead): void {
  const { fields, named, count } = head;
  for (let i = 0; i < count; i++) {
    const at = i * FIELD_STRIDE;
    if (equalsRange(buf, option, optionEnd, base + fields[at]!, base + fields[at + 1]!)) {
      named[i] = 1;
      head.hasEdits = true;
    }
  }
}
