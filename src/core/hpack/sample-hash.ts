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

/** Of a value, [start, end), on top of its name's. */
export function hashValue(name: number, buf: Uint8Array, start: number, end: number): number {
  const size = end - start;
  let h = name ^ Math.imul(size, 0x297a2d39);
  if (size >= 8) {
    const quarter = size >> 2;
    h = Math.imul(
      h ^ ((buf[start]! << 24) | (buf[start + quarter]! << 16) | (buf[start + 2 * quarter]! << 8) | buf[end - quarter]!),
      0x2c1b3c6d,
    );
    h ^= h >>> 13;
    h = Math.imul(h ^ ((buf[end - 4]! << 24) | (buf[end - 3]! << 16) | (buf[end - 2]! << 8) | buf[end - 1]!), 0x297a2d39);
  } else {
    for (let p = start; p < end; p++) h = Math.imul(h ^ buf[p]!, 0x2c1b3c6d);
  }
  return h ^ (h >>> 15);
}
