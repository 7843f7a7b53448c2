// Reads the literals of header blocks (RFC 7541 sections 5 and 6.2) into lines of an output buffer, and checks their bytes on the way.
//
// Refuses strings and integers that go on behind the block, integers above 2^31 - 1, broken Huffman coding, strings of absurd size. What HTTP/2
// does not allow in a name or a value is a tag's bit, not an error: the message is malformed, the table is not. Results are in fields, because
// a pair of numbers would be an object.

import { Buffer } from "node:buffer";
import { COLON, CR, copyRange, HTAB, LF, SP } from "../bytes/ascii.ts";
import { VALUE_CHARS } from "../h1/tables.ts";
import { skipWords } from "../h1/value-words.ts";
import type { DynamicTable } from "./dynamic-table.ts";
import { BAD_IN_NAME, BAD_IN_VALUE, BYTE_FAULTS } from "./field-bytes.ts";
import { HpackCode } from "./hpack-codes.ts";
import { decodedRoom, decodeHuffman, FAULT_BITS, FAULT_MASK, huffmanDecodedSize } from "./huffman-decode.ts";
import { continuationSize, readContinuation } from "./integer.ts";
import {
  ROW_NAME_SIZE,
  ROW_STRIDE,
  ROW_TAG,
  STATIC_COUNT,
  STATIC_LINES,
  STATIC_ROWS,
  TAG_BAD_NAME,
  TAG_BAD_VALUE,
  TAG_NAME_MASK,
  tagOfName,
} from "./static-table.ts";

/** The line does not fit the output buffer. */
export const NO_ROOM = -100;

/** Behind the last byte that a name or a value may take: line ends, the final empty line, two bytes that the Huffman decoder writes over. */
export const TAIL_BYTES = 8;

/** Values up to this size are copied and checked byte by byte (native-notes/hpack.md). */
const LOOP_BYTES_MAX = 12;

const EMPTY = Buffer.alloc(0);

export class LiteralReader {
  readonly #table: DynamicTable;
  readonly #stringBytesMax: number;
  /** Where lines go; names and values end at `outEnd` or before it. */
  out: Buffer = EMPTY;
  outEnd = 0;
  /** The position behind what was read last. */
  pos = 0;
  /** The line that was read or measured last. The tag is set by `readLine` only. */
  tag = 0;
  nameSize = 0;
  valueSize = 0;

  /** `stringBytesMax`: bytes of a string as it is coded. */
  constructor(table: DynamicTable, stringBytesMax: number) {
    this.#table = table;
    this.#stringBytesMax = stringBytesMax;
  }

  /** Lines go to `out` from here on. */
  writeTo(out: Buffer): void {
    this.out = out;
    this.outEnd = out.length - TAIL_BYTES;
  }

  /** The value of an integer whose prefix is full; the position behind it goes to `pos`. Below 0: a code. */
  readLong(buf: Buffer, pos: number, end: number, prefix: number): number {
    const value = readContinuation(buf, pos, end, prefix);
    if (value < 0) return value === -2 ? HpackCode.truncated : HpackCode.badInteger;
    this.pos = pos + continuationSize(buf, pos);
    return value;
  }

  /** Reads a literal's name (by index unless 0) and value and writes `name: value CRLF` to the output at `line`. Returns 0 or a code. */
  readLine(buf: Buffer, pos: number, end: number, index: number, line: number): number {
    const out = this.out;
    let nameEnd: number;
    let tag: number;
    let p = pos;
    if (index !== 0) {
      const isStatic = index <= STATIC_COUNT;
      const rows = isStatic ? STATIC_ROWS : this.#table.rows;
      const row = isStatic ? index * ROW_STRIDE : this.#table.rowAt(index - STATIC_COUNT - 1);
      const from = rows[row]!;
      nameEnd = line + rows[row + ROW_NAME_SIZE]!;
      if (nameEnd > this.outEnd) return NO_ROOM;
      tag = rows[row + ROW_TAG]! & TAG_NAME_MASK;
      copyRange(isStatic ? STATIC_LINES : this.#table.buffer, from, from + nameEnd - line, out, line);
    } else {
      const name = this.#readString(buf, p, end, line, true);
      if (name < 0) return name;
      nameEnd = name >> FAULT_BITS;
      tag = nameTag(out, line, nameEnd, name & FAULT_MASK);
      p = this.pos;
    }
    out[nameEnd] = COLON;
    out[nameEnd + 1] = SP;
    const valueStart = nameEnd + 2;
    const value = this.#readString(buf, p, end, valueStart, false);
    if (value < 0) return value;
    const valueEnd = value >> FAULT_BITS;
    if ((value & BAD_IN_VALUE) !== 0 || (valueEnd !== valueStart && (isSpace(out[valueStart]!) || isSpace(out[valueEnd - 1]!)))) {
      tag |= TAG_BAD_VALUE;
    }
    out[valueEnd] = CR;
    out[valueEnd + 1] = LF;
    this.tag = tag;
    this.nameSize = nameEnd - line;
    this.valueSize = valueEnd - valueStart;
    return 0;
  }

  /** Reads a string to the output at `at`. Returns the offset behind it with the faults of its bytes below, or a code below 0. */
  #readString(buf: Buffer, pos: number, end: number, at: number, isName: boolean): number {
    const start = this.#openString(buf, pos, end);
    if (start < 0) return start;
    const behind = this.pos;
    const size = behind - start;
    if (buf[pos]! >= 0x80) {
      if (at + decodedRoom(size) > this.outEnd) {
        const exact = huffmanDecodedSize(buf, start, behind);
        if (exact < 0) return HpackCode.badHuffman;
        if (at + exact > this.outEnd) return NO_ROOM;
      }
      const decoded = decodeHuffman(buf, start, behind, this.out, at);
      return decoded < 0 ? HpackCode.badHuffman : decoded;
    }
    if (at + size > this.outEnd) return NO_ROOM;
    if (isName || size <= LOOP_BYTES_MAX) return copyChecked(buf, start, behind, this.out, at);
    buf.copy(this.out, at, start, behind);
    let p = skipWords(buf, start, behind);
    while (p < behind && VALUE_CHARS[buf[p]!] !== 0) p++;
    return ((at + size) << FAULT_BITS) | (p === behind ? 0 : BAD_IN_VALUE);
  }

  /** Reads a string's size. Returns where its bytes begin, with the position behind them in `pos`, or a code below 0. */
  #openString(buf: Buffer, pos: number, end: number): number {
    if (pos >= end) return HpackCode.truncated;
    let size = buf[pos]! & 0x7f;
    let p = pos + 1;
    if (size === 0x7f) {
      size = this.readLong(buf, p, end, 0x7f);
      if (size < 0) return size;
      p = this.pos;
    }
    if (size > end - p) return HpackCode.truncated;
    if (size > this.#stringBytesMax) return HpackCode.tooMuchWork;
    this.pos = p + size;
    return p;
  }

  /** Finds out the sizes of a literal's name and value without writing anything. Returns 0, or a code below 0. */
  measureLine(buf: Buffer, pos: number, end: number, index: number): number {
    let p = pos;
    if (index > STATIC_COUNT) this.nameSize = this.#table.rows[this.#table.rowAt(index - STATIC_COUNT - 1) + ROW_NAME_SIZE]!;
    else if (index > 0) this.nameSize = STATIC_ROWS[index * ROW_STRIDE + ROW_NAME_SIZE]!;
    else {
      const size = this.#measureString(buf, p, end);
      if (size < 0) return size;
      this.nameSize = size;
      p = this.pos;
    }
    const size = this.#measureString(buf, p, end);
    if (size < 0) return size;
    this.valueSize = size;
    return 0;
  }

  /** Bytes of a string, decoded; or a code below 0. */
  #measureString(buf: Buffer, pos: number, end: number): number {
    const start = this.#openString(buf, pos, end);
    if (start < 0 || buf[pos]! < 0x80) return start < 0 ? start : this.pos - start;
    const size = huffmanDecodedSize(buf, start, this.pos);
    return size < 0 ? HpackCode.badHuffman : size;
  }
}

/** Copies [start, end) and gathers the faults of its bytes: the offset behind the copy, and the faults below it. */
function copyChecked(buf: Buffer, start: number, end: number, out: Buffer, at: number): number {
  let faults = 0;
  let o = at;
  for (let p = start; p < end; p++) {
    const byte = buf[p]!;
    faults |= BYTE_FAULTS[byte]!;
    out[o++] = byte;
  }
  return (o << FAULT_BITS) | faults;
}

/** The tag of a name that came as a literal. */
function nameTag(buf: Buffer, start: number, end: number, faults: number): number {
  if (start === end) return TAG_BAD_NAME;
  if (buf[start] === COLON) return tagOfName(buf, start, end);
  return (faults & BAD_IN_NAME) === 0 ? tagOfName(buf, start, end) : TAG_BAD_NAME;
}

function isSpace(byte: number): boolean {
  return byte === SP || byte === HTAB;
}
