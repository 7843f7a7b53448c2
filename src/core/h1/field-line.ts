// One field line: `name ":" OWS value OWS CRLF` (RFC 9112 section 5), for heads and trailers alike, resumable at any byte.
//
// Refuses: empty names, anything but token bytes before the colon (so also white space there), control characters in
// values, LF without CR, CR without LF, lines that begin with white space (obs-fold). Each byte is looked at once, also
// when the line comes in pieces: what was found out so far waits in the line's own row of the field table.

import { COLON, CR, HTAB, LF, SP } from "../bytes/ascii.ts";
import { ERRORS } from "../errors/error-codes.ts";
import { TOKEN_CHARS, VALUE_CHARS } from "./tables.ts";
import { skipWords } from "./value-words.ts";

const BAD_FIELD_NAME = -ERRORS.WEFT_H1_BAD_FIELD_NAME.id;
const BAD_FIELD_VALUE = -ERRORS.WEFT_H1_BAD_FIELD_VALUE.id;
const BARE_CR = -ERRORS.WEFT_H1_BARE_CR.id;
const BARE_LF = -ERRORS.WEFT_H1_BARE_LF.id;
const MISSING_COLON = -ERRORS.WEFT_H1_MISSING_COLON.id;
const OBS_FOLD = -ERRORS.WEFT_H1_OBS_FOLD.id;

/**
 * Scans the line that begins at `line` and is not empty. Positions are absolute; what goes into `fields[at .. at+3]`
 * (name start and end, value start and end without white space) is relative to `base`, which lies before the line.
 *
 * Returns > 0: the position behind the CRLF. 0: the line goes on behind `end`; call again with `resume` = base +
 * fields[at + 3] when more bytes are there (a fresh line has `resume` = `line`). < 0: minus an error id.
 */
export function scanFieldLine(
  buf: Uint8Array,
  base: number,
  line: number,
  resume: number,
  end: number,
  fields: Int32Array,
  at: number,
): number {
  let p = resume;
  let nameEnd = 0;
  let valueStart = 0;
  if (resume !== line) {
    nameEnd = fields[at + 1]!;
    valueStart = fields[at + 2]!;
  }
  if (nameEnd === 0) {
    while (p < end && TOKEN_CHARS[buf[p]!] !== 0) p++;
    if (p === end) return suspend(base, line, 0, 0, p, fields, at);
    if (buf[p] !== COLON || p === line) {
      if (buf[p] === CR && p + 1 === end) return suspend(base, line, 0, 0, p, fields, at);
      return nameError(buf, line, p);
    }
    nameEnd = p - base;
    p++;
  }
  if (valueStart === 0) {
    while (p < end && (buf[p] === SP || buf[p] === HTAB)) p++;
    if (p === end) return suspend(base, line, nameEnd, 0, p, fields, at);
    valueStart = p - base;
  }
  p = skipWords(buf, p, end);
  while (p < end && VALUE_CHARS[buf[p]!] !== 0) p++;
  if (p + 1 >= end && (p === end || buf[p] === CR)) return suspend(base, line, nameEnd, valueStart, p, fields, at);
  if (buf[p] !== CR) return buf[p] === LF ? BARE_LF : BAD_FIELD_VALUE;
  if (buf[p + 1] !== LF) return BARE_CR;
  const next = p + 2;
  const first = base + valueStart;
  while (p > first && (buf[p - 1] === SP || buf[p - 1] === HTAB)) p--;
  fields[at] = line - base;
  fields[at + 1] = nameEnd;
  fields[at + 2] = valueStart;
  fields[at + 3] = p - base;
  return next;
}

function suspend(base: number, line: number, nameEnd: number, valueStart: number, p: number, fields: Int32Array, at: number): number {
  fields[at] = line - base;
  fields[at + 1] = nameEnd;
  fields[at + 2] = valueStart;
  fields[at + 3] = p - base;
  return 0;
}

/** What stopped a name at `p`. A CR has a byte behind it here. */
function nameError(buf: Uint8Array, line: number, p: number): number {
  switch (buf[p]) {
    case LF:
      return BARE_LF;
    case CR:
      return buf[p + 1] === LF ? MISSING_COLON : BARE_CR;
    case SP:
    case HTAB:
      return p === line ? OBS_FOLD : BAD_FIELD_NAME;
    default:
      return BAD_FIELD_NAME;
  }
}
