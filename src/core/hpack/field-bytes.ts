// Which bytes may stand in an HTTP/2 field (RFC 9113 section 8.2.1), one table per place: 0 allowed, else the bit of the fault.
//
// Faults are or-ed together while bytes are copied or decoded, so that checking them costs no second pass and no branch.

import { TOKEN_CHARS, VALUE_CHARS } from "../h1/tables.ts";

/** A byte that no name may have: none of a token's, or an upper-case letter. The colon before a pseudo-header field is one too. */
export const BAD_IN_NAME = 1;
/** A control character. */
export const BAD_IN_VALUE = 2;

/** Bits of a byte in either place. */
export const BYTE_FAULTS: Uint8Array = new Uint8Array(256);

for (let byte = 0; byte < 256; byte++) {
  const isUpper = byte >= 0x41 && byte <= 0x5a;
  BYTE_FAULTS[byte] = (TOKEN_CHARS[byte] === 0 || isUpper ? BAD_IN_NAME : 0) | (VALUE_CHARS[byte] === 0 ? BAD_IN_VALUE : 0);
}
