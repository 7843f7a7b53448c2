// Decodes Huffman-coded strings (RFC 7541 section 5.2) by a state machine that takes a byte at a time and gives up to two symbols.
//
// Refuses padding of more than 7 bits, padding with a zero bit, and the EOS symbol. What a symbol may not be part of (a name, a value) is
// or-ed together on the way. A state is the inner node of the code's tree that a byte left off at: 256 of them, so the table has 64 Ki
// numbers. It is half the time of a table over nibbles (native-notes/hpack.md) and is put together from one: two steps each.

import { BYTE_FAULTS } from "./field-bytes.ts";
import { CODE_LENGTHS, CODES, EOS } from "./huffman-code.ts";

/** Bits of a result below the offset. */
export const FAULT_BITS = 2;
export const FAULT_MASK = (1 << FAULT_BITS) - 1;

/** The string is malformed. */
export const BAD_HUFFMAN = -1;

/** A node's child that is the symbol s is written LEAF + s. */
const LEAF = 1024;

/** The code's tree: children of the inner nodes, for a 0 and a 1. A code of 257 symbols has 256 inner nodes. */
const CHILDREN = new Int32Array(2 * EOS);

/**
 * Per state and byte. Bits 0-7: the next state; 8-15 and 16-23: symbols; 24-25: how many; 26-27: their faults. Negative: EOS.
 */
const STEPS = new Int32Array(EOS * 256);
const FIRST_SHIFT = 8;
const SECOND_SHIFT = 16;
const COUNT_SHIFT = 24;
const FAULT_SHIFT = 26;
const NO_STEP = -1;

/** 1 for the states that a string may end in: nothing or up to 7 ones behind the last symbol. */
const IS_END = new Uint8Array(EOS);

function buildTree(): void {
  let nodes = 1;
  for (let symbol = 0; symbol <= EOS; symbol++) {
    let node = 0;
    for (let bit = CODE_LENGTHS[symbol]! - 1; bit >= 0; bit--) {
      const child = 2 * node + ((CODES[symbol]! >>> bit) & 1);
      if (bit === 0) CHILDREN[child] = LEAF + symbol;
      else {
        if (CHILDREN[child] === 0) CHILDREN[child] = nodes++;
        node = CHILDREN[child]!;
      }
    }
  }
  let node = 0;
  for (let ones = 0; ones <= 7; ones++) {
    IS_END[node] = 1;
    node = CHILDREN[2 * node + 1]!;
  }
}

/** The step from a node by the lowest `bits` bits of `input`. */
function walk(from: number, input: number, bits: number): number {
  let node = from;
  let step = 0;
  for (let bit = bits - 1; bit >= 0; bit--) {
    const child = CHILDREN[2 * node + ((input >>> bit) & 1)]!;
    node = child;
    if (child < LEAF) continue;
    const symbol = child - LEAF;
    if (symbol === EOS) return NO_STEP;
    step = (symbol << FIRST_SHIFT) | (1 << COUNT_SHIFT) | (BYTE_FAULTS[symbol]! << FAULT_SHIFT);
    node = 0;
  }
  return step | node;
}

/** What two steps do, one behind the other. Each gives one symbol at most: the shortest code has 5 bits, a nibble 4. */
function join(first: number, second: number): number {
  if (second < 0 || first >>> COUNT_SHIFT === 0) return second;
  const symbols = first & ~0xff;
  if (((second >>> COUNT_SHIFT) & 3) === 0) return symbols | (second & 0xff);
  const faults = (second >>> FAULT_SHIFT) << FAULT_SHIFT;
  return (symbols + (1 << COUNT_SHIFT)) | faults | (((second >>> FIRST_SHIFT) & 0xff) << SECOND_SHIFT) | (second & 0xff);
}

function buildSteps(): void {
  const nibbles = new Int32Array(EOS * 16);
  for (let at = 0; at < nibbles.length; at++) nibbles[at] = walk(at >>> 4, at & 15, 4);
  for (let at = 0; at < STEPS.length; at++) {
    const first = nibbles[at >>> 4]!;
    STEPS[at] = first < 0 ? NO_STEP : join(first, nibbles[((first & 0xff) << 4) | (at & 15)]!);
  }
}

buildTree();
buildSteps();

/** Bytes that `size` coded bytes may become at most, and what `decodeHuffman` writes beyond the last one. */
export function decodedRoom(size: number): number {
  return Math.floor((size * 8) / 5) + 1;
}

/**
 * Decodes [start, end) to `out` at `at`, which has `decodedRoom` bytes of room. Returns the offset behind the string, shifted by
 * `FAULT_BITS`, with the faults of its bytes below; `BAD_HUFFMAN` (negative) if it is malformed. Up to two bytes behind the string are
 * written over.
 */
export function decodeHuffman(buf: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
  let state = 0;
  let faults = 0;
  let o = at;
  for (let p = start; p < end; p++) {
    const step = STEPS[(state << 8) | buf[p]!]!;
    if (step < 0) return BAD_HUFFMAN;
    out[o] = step >>> FIRST_SHIFT;
    out[o + 1] = step >>> SECOND_SHIFT;
    o += (step >>> COUNT_SHIFT) & 3;
    faults |= step;
    state = step & 0xff;
  }
  return IS_END[state] === 0 ? BAD_HUFFMAN : (o << FAULT_BITS) | ((faults >>> FAULT_SHIFT) & FAULT_MASK);
}

/** Bytes that [start, end) decodes to, `BAD_HUFFMAN` if it is malformed. For what may be too long to be stored: writes nothing. */
export function huffmanDecodedSize(buf: Uint8Array, start: number, end: number): number {
  let state = 0;
  let size = 0;
  for (let p = start; p < end; p++) {
    const step = STEPS[(state << 8) | buf[p]!]!;
    if (step < 0) return BAD_HUFFMAN;
    size += (step >>> COUNT_SHIFT) & 3;
    state = step & 0xff;
  }
  return IS_END[state] === 0 ? BAD_HUFFMAN : size;
}
