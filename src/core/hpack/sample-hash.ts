// A hash of a few bytes of a field, in lower case where it is the name: what an encoder finds table entries by.
//
// Looking at every byte would cost as much as the comparison that follows anyway. A few bytes tell apart nearly all fields of one connection
// (sizes, beginnings, ends); two that look alike cost a comparison or a missed entry, never a wrong one.

const CASE_BIT = 0x20;

/** Of a name, [start, end) of any case. */
export function hashName(buf: Uint8Array, start: number, end: number): number {
  const size = end - start;
  if (size < 1) return 0;
  const middle = start + (size >> 1);
  const h = (size << 24) ^ ((buf[start]! | CASE_BIT) << 16) ^ ((buf[middle]! | CASE_BIT) << 8) ^ (buf[end - 1]! | CASE_BIT);
  return Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
}

/** Of a value, [start, end), on top of its name's: its size, eight bytes spread over it, and its last four. */
export function hashValue(name: number, buf: Uint8Array, start: number, end: number): number {
  const size = end - start;
  let h = name ^ Math.imul(size, 0x297a2d39);
  if (size < 12) return hashBytes(h, buf, start, end);
  const step = (size - 4) >> 3;
  let p = start + ((size - 4) & 7);
  for (let word = 0; word < 2; word++, p += 4 * step) {
    h = Math.imul(h ^ ((buf[p]! << 24) | (buf[p + step]! << 16) | (buf[p + 2 * step]! << 8) | buf[p + 3 * step]!), 0x2c1b3c6d);
    h ^= h >>> 13;
  }
  h = Math.imul(h ^ ((buf[end - 4]! << 24) | (buf[end - 3]! << 16) | (buf[end - 2]! << 8) | buf[end - 1]!), 0x297a2d39);
  return h ^ (h >>> 15);
}

/** Of every byte, on top of `seed`. For fields that may enter the table: one that only looks like another must not. */
export function hashBytes(seed: number, buf: Uint8Array, start: number, end: number): number {
  let h = seed;
  for (let p = start; p < end; p++) h = Math.imul(h ^ buf[p]!, 0x01000193);
  return h ^ (h >>> 15);
}
