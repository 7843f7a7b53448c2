// Priority hints of RFC 9218, as PRIORITY_UPDATE carries them: `u=0` to `u=7`, `i`. Parsed and kept, not acted on.
//
// A structured-field dictionary (RFC 8941): what is unknown, out of range or no dictionary at all is ignored, as RFC 9218 section 4 asks.

import type { Buffer } from "node:buffer";
import { COMMA, DIGIT_0, EQUALS, SP } from "../bytes/ascii.ts";

const LETTER_U = 0x75;
const LETTER_I = 0x69;
const QUESTION_MARK = 0x3f;

export const URGENCY_DEFAULT = 3;

/** Reads a field value [start, end): the urgency 0 to 7, plus 8 when it is incremental. */
export function readPriority(buffer: Buffer, start: number, end: number): number {
  let urgency = URGENCY_DEFAULT;
  let isIncremental = false;
  let p = start;
  while (p < end) {
    while (p < end && buffer[p] === SP) p++;
    const key = buffer[p];
    let member = p;
    while (member < end && buffer[member] !== COMMA) member++;
    let size = member - p;
    while (size > 0 && buffer[p + size - 1] === SP) size--;
    if (key === LETTER_U && size === 3 && buffer[p + 1] === EQUALS) {
      const value = buffer[p + 2]! - DIGIT_0;
      if (value >= 0 && value <= 7) urgency = value;
    } else if (key === LETTER_I && size === 1) isIncremental = true;
    else if (key === LETTER_I && size === 4 && buffer[p + 1] === EQUALS && buffer[p + 2] === QUESTION_MARK) {
      if (buffer[p + 3] === DIGIT_0) isIncremental = false;
      else if (buffer[p + 3] === DIGIT_0 + 1) isIncremental = true;
    }
    p = member + 1;
  }
  return urgency + (isIncremental ? 8 : 0);
}
