// Skips field value bytes four at a time: values are most of a head (cookies, tokens), and this is 2 times the speed of a table
// read per byte in a 2 KB cookie, 1.1 times in a usual head (native-notes/h1-parser.md).
//
// It only ever stops too early (at a tab, at the last three bytes, when the buffer is not the one that is viewed): the
// caller's loop by table decides about every byte that is left. Four bytes are read at once through a DataView, which costs 100 ns to
// make. Nearly every head is parsed in the worker's one receive buffer, so one view is kept, for the buffer seen last.

/** Other buffers' lines that are read by table before the view moves to one of them. */
const MISSES_MAX = 16;

/** A rest of a head this large is worth a new view at once. */
const WORTH_BYTES = 512;

let viewed: Uint8Array = new Uint8Array(4);
let view = new DataView(viewed.buffer);
let misses = 0;

/** Returns a position in [pos, end]: all bytes before it may stand in a field value. */
export function skipWords(buf: Uint8Array, pos: number, end: number): number {
  if (buf !== viewed && !moveView(buf, end - pos)) return pos;
  const words = view;
  const last = end - 4;
  let p = pos;
  while (p <= last) {
    const word = words.getInt32(p, true);
    const flipped = word ^ 0x7f7f7f7f;
    // A byte below 0x20 borrows from its high bit in the first term, 0x7f in the second; bytes from 0x80 on are exempt by `~`.
    if (((((word - 0x20202020) & ~word) | ((flipped - 0x01010101) & ~flipped)) & 0x80808080) !== 0) break;
    p += 4;
  }
  return p;
}

function moveView(buf: Uint8Array, size: number): boolean {
  if (size < WORTH_BYTES && ++misses < MISSES_MAX) return false;
  misses = 0;
  viewed = buf;
  view = new DataView(buf.buffer, buf.byteOffset, buf.byteLength);
  return true;
}
