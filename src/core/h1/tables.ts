// Which bytes may stand where in an HTTP/1 head, one table per place: 1 allowed, 0 refused.
//
// A table read per byte is what the parser's inner loops cost; everything that is refused stops the loop, and the rare
// code behind it finds out what it was. Bytes of 0x80 and above are allowed in field values only (obs-text).
// RFC 9110 sections 5.5 and 5.6.2, RFC 9112 section 3, RFC 3986 section 3.2.2.

const DIGITS = "0123456789";
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

function tableOf(characters: string): Uint8Array {
  const table = new Uint8Array(256);
  for (let i = 0; i < characters.length; i++) table[characters.charCodeAt(i)] = 1;
  return table;
}

function tableOfRange(first: number, last: number): Uint8Array {
  const table = new Uint8Array(256);
  table.fill(1, first, last + 1);
  return table;
}

/** token: method and field names (RFC 9110 section 5.6.2). */
export const TOKEN_CHARS = tableOf(`!#$%&'*+-.^_\`|~${DIGITS}${LETTERS}`);

/** Field values and reason phrases: VCHAR, obs-text, SP, HTAB (RFC 9110 section 5.5). No control, no DEL. */
export const VALUE_CHARS = tableOfRange(0x20, 0xff);
VALUE_CHARS[0x7f] = 0;
VALUE_CHARS[0x09] = 1;

/** Request targets: visible ASCII without `#`, which would begin a fragment (RFC 9112 section 3.2). */
export const TARGET_CHARS = tableOfRange(0x21, 0x7e);
TARGET_CHARS[0x23] = 0;

/** A registered name or IPv4 address (RFC 3986 reg-name) without `,` (a list of hosts) and without `%`, which needs two hex digits. */
export const HOST_CHARS = tableOf(`-._~!$&'()*+;=${DIGITS}${LETTERS}`);

/** Value of a hexadecimal digit, 255 for any other byte. */
export const HEX_VALUES = new Uint8Array(256).fill(255);
for (let i = 0; i < 16; i++) {
  HEX_VALUES["0123456789abcdef".charCodeAt(i)] = i;
  HEX_VALUES["0123456789ABCDEF".charCodeAt(i)] = i;
}
