// Integers of RFC 7541 section 5.1: a prefix of N bits, then groups of seven bits, the lowest first.
//
// The first byte is the caller's, because its high bits say what the integer is and nearly all of them fit it. Refuses, when reading:
// more than five bytes behind the prefix (leading zeros included) and values above 2^31 - 1.

/** Bytes of the longest integer that is written or read, the prefix included. */
export const INTEGER_BYTES_MAX = 6;

const CONTINUATION_BYTES_MAX = INTEGER_BYTES_MAX - 1;
const VALUE_MAX = 0x7fffffff;

/**
 * Reads what stands behind a full prefix (`prefix`: its value, all ones), from `pos` on. Returns the value, -1 if it is malformed, -2
 * if it goes on behind `end`. `continuationSize` says how many bytes it took.
 */
export function readContinuation(buf: Uint8Array, pos: number, end: number, prefix: number): number {
  let value = prefix;
  let factor = 1;
  for (let i = 0; i < CONTINUATION_BYTES_MAX; i++) {
    if (pos + i >= end) return -2;
    const byte = buf[pos + i]!;
    value += (byte & 0x7f) * factor;
    if (value > VALUE_MAX) return -1;
    if (byte < 0x80) return value;
    factor *= 128;
  }
  return -1;
}

/** Bytes of a continuation that `readContinuation` took. */
export function continuationSize(buf: Uint8Array, pos: number): number {
  let p = pos;
  while (buf[p]! >= 0x80) p++;
  return p + 1 - pos;
}

/** Writes `value` behind the bits of `first`, whose low bits `prefix` (all ones) are free; returns the offset behind it. */
export function writeInteger(out: Uint8Array, at: number, first: number, prefix: number, value: number): number {
  if (value < prefix) {
    out[at] = first | value;
    return at + 1;
  }
  out[at] = first | prefix;
  let rest = value - prefix;
  let p = at + 1;
  while (rest >= 0x80) {
    out[p++] = 0x80 | (rest & 0x7f);
    rest >>>= 7;
  }
  out[p] = rest;
  return p + 1;
}
