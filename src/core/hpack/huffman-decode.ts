// Decodes Huffman-coded strings (RFC 7541 section 5.2): a window of 12 bits looks up one or two whole symbols at once.
//
// Refuses padding of more than 7 bits, padding with a zero bit, and the EOS symbol. What a symbol may not be part of (a name, a value)
// is or-ed together on the way. A window of 12 bits holds two of nearly all characters that headers are made of (5 to 7 bits each),
// and its table of 16 KB stays in the first-level cache; longer codes are found by their length's first code.

import { BYTE_FAULTS } from "./field-bytes.ts";
import { CODE_BITS_MAX, CODE_LENGTHS, CODES, EOS, FIRST_CODES, FIRST_SYMBOLS, SYMBOLS_BY_CODE } from "./huffman-code.ts";

const WINDOW_BITS = 12;
const WINDOW_MASK = (1 << WINDOW_BITS) - 1;

/** Bits of a result below the offset. */
export const FAULT_BITS = 2;
export const FAULT_MASK = (1 << FAULT_BITS) - 1;

/** The string is malformed. */
export const BAD_HUFFMAN = -1;

/**
 * Per window. Bits 0-7 and 8-15: the symbols; 16-19: bits that they take together; 20-21: how many they are (0: a long code); 22-23:
 * their faults; 24-27: bits of the first one alone.
 */
const WINDOWS = new Int32Array(1 << WINDOW_BITS);
const SIZE_SHIFT = 16;
const COUNT_SHIFT = 20;
const FAULT_SHIFT = 22;
const FIRST_SIZE_SHIFT = 24;

function fillWindows(symbol: number, behind: number, entry: number): void {
  const spare = WINDOW_BITS - behind;
  const first = symbol << spare;
  WINDOWS.fill(entry, first, first + (1 << spare));
}

for (let one = 0; one < EOS; one++) {
  const size = CODE_LENGTHS[one]!;
  if (size > WINDOW_BITS) continue;
  const alone = (size << FIRST_SIZE_SHIFT) | (BYTE_FAULTS[one]! << FAULT_SHIFT) | one;
  fillWindows(CODES[one]!, size, alone | (1 << COUNT_SHIFT) | (size << SIZE_SHIFT));
  for (let two = 0; two < EOS; two++) {
    const both = size + CODE_LENGTHS[two]!;
    if (both > WINDOW_BITS) continue;
    const faults = BYTE_FAULTS[two]! << FAULT_SHIFT;
    fillWindows(
      (CODES[one]! << CODE_LENGTHS[two]!) | CODES[two]!,
      both,
      alone | faults | (two << 8) | (2 << COUNT_SHIFT) | (both << SIZE_SHIFT),
    );
  }
}

/** Bytes that `size` coded bytes may become at most, and what `decodeHuffman` writes beyond the last one. */
export function decodedRoom(size: number): number {
  return Math.floor((size * 8) / 5) + 1;
}

/**
 * Decodes [start, end) to `out` at `at`, which has `decodedRoom` bytes of room. Returns the offset behind the string, shifted by
 * `FAULT_BITS`, with the faults of its bytes below; `BAD_HUFFMAN` (negative) if it is malformed.
 */
export function decodeHuffman(buf: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
  let acc = 0;
  let bits = 0;
  let faults = 0;
  let o = at;
  let p = start;
  for (;;) {
    while (bits <= 24 && p < end) {
      acc = (acc << 8) | buf[p++]!;
      bits += 8;
    }
    if (bits < WINDOW_BITS) break;
    do {
      const entry = WINDOWS[(acc >>> (bits - WINDOW_BITS)) & WINDOW_MASK]!;
      const count = (entry >>> COUNT_SHIFT) & 3;
      if (count === 0) {
        // A long code wants up to 30 bits: fill up first.
        while (bits <= 24 && p < end) {
          acc = (acc << 8) | buf[p++]!;
          bits += 8;
        }
        const long = decodeLong(acc, bits, buf, p, end);
        if (long < 0) return BAD_HUFFMAN;
        out[o++] = long;
        faults |= BYTE_FAULTS[long & 0xff]! << FAULT_SHIFT;
        bits -= long >>> 8;
        if (bits < 0) {
          acc = buf[p++]!;
          bits += 8;
        }
        continue;
      }
      out[o] = entry;
      out[o + 1] = entry >>> 8;
      o += count;
      bits -= (entry >>> SIZE_SHIFT) & 15;
      faults |= entry;
    } while (bits >= WINDOW_BITS);
  }
  // The last bits, symbol by symbol: behind them the window is filled up with ones, as padding would be.
  while (bits > 0) {
    const spare = WINDOW_BITS - bits;
    const entry = WINDOWS[((acc << spare) | ((1 << spare) - 1)) & WINDOW_MASK]!;
    const size = (entry >>> FIRST_SIZE_SHIFT) & 15;
    if (size === 0 || size > bits) break;
    out[o++] = entry;
    faults |= BYTE_FAULTS[entry & 0xff]! << FAULT_SHIFT;
    bits -= size;
  }
  const padding = (1 << bits) - 1;
  if (bits > 7 || (acc & padding) !== padding) return BAD_HUFFMAN;
  return (o << FAULT_BITS) | ((faults >>> FAULT_SHIFT) & FAULT_MASK);
}

/**
 * The symbol of a code longer than a window, which begins at the top of `bits` bits and may go on in the byte at `p`, and the code's size
 * above it. Negative: it is EOS, or not complete. `bits` is above 24 while there are bytes left.
 */
function decodeLong(acc: number, bits: number, buf: Uint8Array, p: number, end: number): number {
  const hasNext = p < end && bits < 32;
  const window = (acc << (32 - bits)) | (hasNext ? buf[p]! >>> (bits - 24) : 0);
  const sizeMax = Math.min(hasNext ? 32 : bits, CODE_BITS_MAX);
  for (let size = WINDOW_BITS + 1; size <= sizeMax; size++) {
    const rank = FIRST_SYMBOLS[size]! + (window >>> (32 - size)) - FIRST_CODES[size]!;
    if (rank < FIRST_SYMBOLS[size + 1]!) {
      const symbol = SYMBOLS_BY_CODE[rank]!;
      return symbol === EOS ? -1 : (size << 8) | symbol;
    }
  }
  return -1;
}

/** Bytes that [start, end) decodes to, `BAD_HUFFMAN` if it is malformed. For what is too long to be stored: slower, writes nothing. */
export function huffmanDecodedSize(buf: Uint8Array, start: number, end: number): number {
  let acc = 0;
  let bits = 0;
  let count = 0;
  let p = start;
  for (;;) {
    while (bits <= 24 && p < end) {
      acc = (acc << 8) | buf[p++]!;
      bits += 8;
    }
    if (bits === 0) return count;
    const spare = WINDOW_BITS - bits;
    const window = spare > 0 ? (acc << spare) | ((1 << spare) - 1) : acc >>> -spare;
    let size = (WINDOWS[window & WINDOW_MASK]! >>> FIRST_SIZE_SHIFT) & 15;
    if (size === 0) {
      const long = decodeLong(acc, bits, buf, p, end);
      if (long < 0) break;
      size = long >>> 8;
      if (size > bits) {
        acc = buf[p++]!;
        bits += 8;
      }
    } else if (size > bits) break;
    bits -= size;
    count++;
  }
  const padding = (1 << bits) - 1;
  return bits > 7 || (acc & padding) !== padding ? BAD_HUFFMAN : count;
}
