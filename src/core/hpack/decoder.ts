// Decodes header blocks (RFC 7541 section 3) into lines of the caller's buffer and ranges of a FieldBlock. No string, no object per field.
//
//   size updates (0 to 2) --> indexed field | literal field, any number --> end of the block
//
// Refuses what breaks the table's step with the sender (HpackCode below 0: the connection is lost), and says of a message that it is
// malformed or too large (above 0: the table stays in step). A list above its limit is read on without being stored; how far is
// bounded (LIST_FACTOR_MAX), because one byte can name 4 KB. Each byte of a literal is copied and checked in one pass.

import { Buffer } from "node:buffer";
import { copyRange, CR, HTAB, LF, SP, COLON } from "../bytes/ascii.ts";
import { VALUE_CHARS } from "../h1/tables.ts";
import { skipWords } from "../h1/value-words.ts";
import { FIELD_STRIDE, FIELDS_MAX } from "../http/head.ts";
import { DynamicTable } from "./dynamic-table.ts";
import type { FieldBlock } from "./field-block.ts";
import { BAD_IN_NAME, BAD_IN_VALUE, BYTE_FAULTS } from "./field-bytes.ts";
import { ENTRY_OVERHEAD, FieldFlag, HpackCode, LIST_FACTOR_MAX, TABLE_SIZE_DEFAULT, TABLE_SIZE_MAX } from "./hpack-codes.ts";
import { decodedRoom, decodeHuffman, FAULT_BITS, FAULT_MASK, huffmanDecodedSize } from "./huffman-decode.ts";
import { continuationSize, readContinuation } from "./integer.ts";
import {
  LINE_BYTES,
  ROW_NAME_SIZE,
  ROW_STRIDE,
  ROW_TAG,
  ROW_VALUE_SIZE,
  STATIC_COUNT,
  STATIC_LINES,
  STATIC_ROWS,
  TAG_BAD_NAME,
  TAG_BAD_VALUE,
  TAG_ID_MASK,
  TAG_NAME_MASK,
  TAG_PSEUDO_MASK,
  TAG_PSEUDO_SHIFT,
  TAG_UNKNOWN_PSEUDO,
  tagOfName,
} from "./static-table.ts";

export interface DecoderLimits {
  /** SETTINGS_MAX_HEADER_LIST_SIZE as it is enforced: names, values, and 32 bytes per field, pseudo-header fields included. */
  readonly listBytesMax: number;
  /** Regular fields per block; FIELDS_MAX at most counts. */
  readonly fieldsMax: number;
}

/** Bytes that the output buffer needs beyond `listBytesMax`, so that nothing within the limits fails for want of room. */
export const DECODER_SLACK = 16;

/** Behind the last byte that a name or a value may take: line ends, the final empty line, one byte that the Huffman decoder overruns. */
const TAIL_BYTES = 8;

/** The line does not fit the output buffer. */
const NO_ROOM = -100;

/** Values up to this size are copied and checked byte by byte (native-notes/hpack.md). */
const LOOP_BYTES_MAX = 12;

const EMPTY = Buffer.alloc(0);

/** Where an entry for the table is put together when its list is no longer stored. Shared: a call leaves nothing in it. */
let scratch: Buffer = EMPTY;

export class HpackDecoder {
  readonly #table = new DynamicTable(TABLE_SIZE_DEFAULT);
  readonly #listBytesMax: number;
  readonly #workMax: number;
  readonly #fieldsMax: number;
  /** What the sender may set the table's size to. */
  #limit = TABLE_SIZE_DEFAULT;
  /** The next block must begin with an update to this size or less; -1: it need not. */
  #requiredSize = -1;

  // The block in progress.
  #out: Buffer = EMPTY;
  #outEnd = 0;
  #at = 0;
  #pos = 0;
  #listBytes = 0;
  #isOver = false;
  #sawField = false;
  /** First fault of the message, a code above 0. */
  #fault: HpackCode = HpackCode.ok;
  // The line that was read last.
  #tag = 0;
  #nameSize = 0;
  #valueSize = 0;

  constructor(limits: DecoderLimits) {
    this.#listBytesMax = limits.listBytesMax;
    this.#workMax = limits.listBytesMax * LIST_FACTOR_MAX;
    this.#fieldsMax = Math.min(limits.fieldsMax, FIELDS_MAX);
  }

  /** Bytes that the dynamic table counts now (RFC 7541 section 4.1). */
  get tableSize(): number {
    return this.#table.size;
  }

  /** Entries of the dynamic table. */
  get tableCount(): number {
    return this.#table.count;
  }

  /** For tests and people: an entry of the dynamic table (0: the newest) as text. */
  entryText(age: number): string {
    const { rows, buffer } = this.#table;
    const row = this.#table.rowAt(age);
    return buffer.toString("latin1", rows[row]!, rows[row]! + rows[row + ROW_NAME_SIZE]! + rows[row + ROW_VALUE_SIZE]! + 2);
  }

  /**
   * The peer has acknowledged our SETTINGS_HEADER_TABLE_SIZE (call it then, not when it is sent). 0 to TABLE_SIZE_MAX bytes; 4096 before
   * the first call. After a lower value the next block has to begin with a size update (RFC 7541 section 4.2).
   */
  setTableLimit(size: number): void {
    const limit = Math.min(size, TABLE_SIZE_MAX);
    this.#limit = limit;
    if (limit < this.#table.maxSize && (this.#requiredSize < 0 || limit < this.#requiredSize)) this.#requiredSize = limit;
  }

  /**
   * Decodes the complete block [start, end) of `buf`. Lines are written to `out` from `at` on, and `block` is filled; give it
   * `listBytesMax + DECODER_SLACK` bytes of room, with less more blocks are `tooLarge`. `buf` and `out` must not overlap. Returns 0,
   * or a code above 0 (this message only; what fits is in `block`), or below 0 (the connection is lost, the decoder is not to be used again).
   */
  decode(buf: Buffer, start: number, end: number, block: FieldBlock, out: Buffer, at: number): HpackCode {
    block.reset(out, at);
    this.#out = out;
    this.#outEnd = out.length - TAIL_BYTES;
    this.#at = at;
    this.#listBytes = 0;
    this.#isOver = false;
    this.#sawField = false;
    this.#fault = HpackCode.ok;
    let p = start;
    if (this.#requiredSize >= 0 || (p < end && (buf[p]! & 0xe0) === 0x20)) {
      p = this.#readSizeUpdates(buf, p, end);
      if (p < 0) return p as HpackCode;
    }
    while (p < end) {
      const first = buf[p]!;
      if (first >= 0x80) {
        p++;
        let index = first & 0x7f;
        if (index === 0x7f) {
          index = this.#readLong(buf, p, end, 0x7f);
          if (index < 0) return index as HpackCode;
          p = this.#pos;
        }
        const code = this.#readIndexed(index, block);
        if (code < 0) return code;
      } else {
        p = this.#readLiteral(buf, p, end, block);
        if (p < 0) return p as HpackCode;
      }
    }
    return this.#finish(block);
  }

  #finish(block: FieldBlock): HpackCode {
    const at = this.#at;
    // Without room for the empty line there was none for a field either.
    if (at + 2 <= this.#out.length) {
      this.#out[at] = CR;
      this.#out[at + 1] = LF;
    } else this.#isOver = true;
    block.fieldsEnd = at - block.start;
    if (block.count === 0) block.fieldsStart = block.fieldsEnd;
    block.listBytes = this.#listBytes;
    this.#out = EMPTY;
    if (this.#fault !== HpackCode.ok) return this.#fault;
    return this.#isOver ? HpackCode.tooLarge : HpackCode.ok;
  }

  /** Size updates at the block's beginning (RFC 7541 sections 4.2 and 6.3). Returns the position behind them, or a code below 0. */
  #readSizeUpdates(buf: Buffer, start: number, end: number): number {
    let p = start;
    let updates = 0;
    while (p < end && (buf[p]! & 0xe0) === 0x20) {
      let size = buf[p++]! & 0x1f;
      if (size === 0x1f) {
        size = this.#readLong(buf, p, end, 0x1f);
        if (size < 0) return size;
        p = this.#pos;
      }
      if (++updates > 2) return HpackCode.sizeUpdateMisplaced;
      if (size > this.#limit) return HpackCode.sizeUpdateTooLarge;
      // Of several changes between two blocks the smallest comes first, so that both sides evict the same.
      if (this.#requiredSize >= 0 && size > this.#requiredSize) return HpackCode.sizeUpdateMissing;
      this.#requiredSize = -1;
      this.#table.resize(size);
    }
    return this.#requiredSize >= 0 ? HpackCode.sizeUpdateMissing : p;
  }

  /** The value of an integer whose prefix is full; the position behind it goes to `#pos`. Below 0: a code. */
  #readLong(buf: Buffer, pos: number, end: number, prefix: number): number {
    const value = readContinuation(buf, pos, end, prefix);
    if (value < 0) return value === -2 ? HpackCode.truncated : HpackCode.badInteger;
    this.#pos = pos + continuationSize(buf, pos);
    return value;
  }

  /** A whole field by its index. */
  #readIndexed(index: number, block: FieldBlock): HpackCode {
    let source = STATIC_LINES;
    let rows = STATIC_ROWS;
    let row = index * ROW_STRIDE;
    if (index > STATIC_COUNT) {
      const table = this.#table;
      const age = index - STATIC_COUNT - 1;
      if (age >= table.count) return HpackCode.badIndex;
      source = table.buffer;
      rows = table.rows;
      row = table.rowAt(age);
    } else if (index === 0) return HpackCode.badIndex;
    const nameSize = rows[row + ROW_NAME_SIZE]!;
    const valueSize = rows[row + ROW_VALUE_SIZE]!;
    const tag = rows[row + ROW_TAG]!;
    const from = rows[row]!;
    this.#listBytes += nameSize + valueSize + ENTRY_OVERHEAD;
    const at = this.#at;
    const lineSize = nameSize + valueSize + LINE_BYTES;
    if (this.#listBytes > this.#listBytesMax || at + lineSize > this.#outEnd || this.#isOver) return this.#exceed();
    if ((tag & ~TAG_ID_MASK) === 0) {
      copyRange(source, from, from + lineSize, this.#out, at);
      this.#at = at + lineSize;
      return this.#record(block, at, nameSize, valueSize, tag, 0);
    }
    const valueAt = from + nameSize + 2;
    copyRange(source, valueAt, valueAt + valueSize, this.#out, at);
    this.#at = at + valueSize;
    this.#recordSpecial(block, at, valueSize, tag, 0);
    return HpackCode.ok;
  }

  /** A literal of any of the three kinds, or a size update out of its place. Returns the position behind it, or a code below 0. */
  #readLiteral(buf: Buffer, pos: number, end: number, block: FieldBlock): number {
    const first = buf[pos]!;
    const isIndexed = first >= 0x40;
    if (!isIndexed && first >= 0x20) return HpackCode.sizeUpdateMisplaced;
    const flags = first >= 0x10 && !isIndexed ? FieldFlag.neverIndexed : 0;
    const prefix = isIndexed ? 0x3f : 0x0f;
    let index = first & prefix;
    let p = pos + 1;
    if (index === prefix) {
      index = this.#readLong(buf, p, end, prefix);
      if (index < 0) return index;
      p = this.#pos;
    }
    if (index > STATIC_COUNT + this.#table.count) return HpackCode.badIndex;
    if (this.#isOver) return this.#skipLiteral(buf, p, end, index, isIndexed);
    const line = this.#at;
    const code = this.#readLine(buf, p, end, index, line);
    if (code < 0) {
      if (code !== NO_ROOM) return code;
      this.#isOver = true;
      return this.#skipLiteral(buf, p, end, index, isIndexed);
    }
    const nameSize = this.#nameSize;
    const valueSize = this.#valueSize;
    const tag = this.#tag;
    if (isIndexed) this.#insertLine(line);
    this.#listBytes += nameSize + valueSize + ENTRY_OVERHEAD;
    if (this.#listBytes > this.#listBytesMax) {
      const exceeded = this.#exceed();
      return exceeded < 0 ? exceeded : this.#pos;
    }
    this.#at = line + nameSize + valueSize + LINE_BYTES;
    if ((tag & ~TAG_ID_MASK) === 0) this.#record(block, line, nameSize, valueSize, tag, flags);
    else this.#recordSpecial(block, line + nameSize + 2, valueSize, tag, flags);
    return this.#pos;
  }

  /** A regular field whose line is in the output at `line`. */
  #record(block: FieldBlock, line: number, nameSize: number, valueSize: number, id: number, flags: number): HpackCode {
    const { count } = block;
    this.#sawField = true;
    if (count === this.#fieldsMax) {
      this.#at = line;
      return this.#exceed();
    }
    const name = line - block.start;
    if (count === 0) block.fieldsStart = name;
    const { fields } = block;
    const row = count * FIELD_STRIDE;
    fields[row] = name;
    fields[row + 1] = name + nameSize;
    fields[row + 2] = name + nameSize + 2;
    fields[row + 3] = name + nameSize + 2 + valueSize;
    block.ids[count] = id;
    block.flags[count] = flags;
    if (flags !== 0) block.hasNeverIndexed = true;
    block.count = count + 1;
    return HpackCode.ok;
  }

  /** A pseudo-header field whose value is in the output at `at`, or a field with a fault. */
  #recordSpecial(block: FieldBlock, at: number, valueSize: number, tag: number, flags: number): void {
    if ((tag & TAG_BAD_NAME) !== 0) this.#blame(HpackCode.badName);
    if ((tag & TAG_UNKNOWN_PSEUDO) !== 0) this.#blame(HpackCode.unknownPseudo);
    if ((tag & TAG_BAD_VALUE) !== 0) this.#blame(HpackCode.badValue);
    const pseudo = ((tag & TAG_PSEUDO_MASK) >> TAG_PSEUDO_SHIFT) - 1;
    if (pseudo < 0) {
      if ((tag & TAG_UNKNOWN_PSEUDO) === 0) this.#sawField = true;
      return;
    }
    if (this.#sawField) this.#blame(HpackCode.latePseudo);
    if ((block.pseudoSeen & (1 << pseudo)) !== 0) this.#blame(HpackCode.repeatedPseudo);
    block.pseudoSeen |= 1 << pseudo;
    block.pseudo[2 * pseudo] = at - block.start;
    block.pseudo[2 * pseudo + 1] = at - block.start + valueSize;
    block.pseudoFlags[pseudo] = flags;
    if (flags !== 0) block.hasNeverIndexed = true;
  }

  #blame(fault: HpackCode): void {
    if (this.#fault === HpackCode.ok) this.#fault = fault;
  }

  /** From here on nothing is stored. */
  #exceed(): HpackCode {
    this.#isOver = true;
    return this.#listBytes > this.#workMax ? HpackCode.tooMuchWork : HpackCode.ok;
  }

  /** Reads a literal's name (by index unless 0) and value and writes `name: value CRLF` to the output at `line`. Returns 0 or a code. */
  #readLine(buf: Buffer, pos: number, end: number, index: number, line: number): number {
    const out = this.#out;
    let nameEnd: number;
    let tag: number;
    let p = pos;
    if (index !== 0) {
      const isStatic = index <= STATIC_COUNT;
      const rows = isStatic ? STATIC_ROWS : this.#table.rows;
      const row = isStatic ? index * ROW_STRIDE : this.#table.rowAt(index - STATIC_COUNT - 1);
      const from = rows[row]!;
      nameEnd = line + rows[row + ROW_NAME_SIZE]!;
      if (nameEnd > this.#outEnd) return NO_ROOM;
      tag = rows[row + ROW_TAG]! & TAG_NAME_MASK;
      copyRange(isStatic ? STATIC_LINES : this.#table.buffer, from, from + nameEnd - line, out, line);
    } else {
      const name = this.#readString(buf, p, end, line, true);
      if (name < 0) return name;
      nameEnd = name >> FAULT_BITS;
      tag = nameTag(out, line, nameEnd, name & FAULT_MASK);
      p = this.#pos;
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
    this.#tag = tag;
    this.#nameSize = nameEnd - line;
    this.#valueSize = valueEnd - valueStart;
    return 0;
  }

  /** Reads a string to the output at `at`. Returns the offset behind it with the faults of its bytes below, or a code below 0. */
  #readString(buf: Buffer, pos: number, end: number, at: number, isName: boolean): number {
    const start = this.#openString(buf, pos, end);
    if (start < 0) return start;
    const behind = this.#pos;
    const size = behind - start;
    if (buf[pos]! >= 0x80) {
      if (at + decodedRoom(size) > this.#outEnd) {
        const exact = huffmanDecodedSize(buf, start, behind);
        if (exact < 0) return HpackCode.badHuffman;
        if (at + exact > this.#outEnd) return NO_ROOM;
      }
      const decoded = decodeHuffman(buf, start, behind, this.#out, at);
      return decoded < 0 ? HpackCode.badHuffman : decoded;
    }
    if (at + size > this.#outEnd) return NO_ROOM;
    if (isName || size <= LOOP_BYTES_MAX) return copyChecked(buf, start, behind, this.#out, at);
    buf.copy(this.#out, at, start, behind);
    let p = skipWords(buf, start, behind);
    while (p < behind && VALUE_CHARS[buf[p]!] !== 0) p++;
    return ((at + size) << FAULT_BITS) | (p === behind ? 0 : BAD_IN_VALUE);
  }

  /** Reads a string's size. Returns where its bytes begin, with the position behind them in `#pos`, or a code below 0. */
  #openString(buf: Buffer, pos: number, end: number): number {
    if (pos >= end) return HpackCode.truncated;
    let size = buf[pos]! & 0x7f;
    let p = pos + 1;
    if (size === 0x7f) {
      size = this.#readLong(buf, p, end, 0x7f);
      if (size < 0) return size;
      p = this.#pos;
    }
    if (size > end - p) return HpackCode.truncated;
    if (size > this.#workMax) return HpackCode.tooMuchWork;
    this.#pos = p + size;
    return p;
  }

  /** Puts the line that was read last into the table. */
  #insertLine(line: number): void {
    const offset = this.#table.insert(this.#nameSize, this.#valueSize, this.#tag);
    if (offset >= 0) copyRange(this.#out, line, line + this.#nameSize + this.#valueSize + LINE_BYTES, this.#table.buffer, offset);
  }

  /** A literal of a list that is no longer stored: checked, counted, and put into the table if it belongs there. */
  #skipLiteral(buf: Buffer, pos: number, end: number, index: number, isIndexed: boolean): number {
    let nameSize = 0;
    let p = pos;
    if (index > STATIC_COUNT) nameSize = this.#table.rows[this.#table.rowAt(index - STATIC_COUNT - 1) + ROW_NAME_SIZE]!;
    else if (index > 0) nameSize = STATIC_ROWS[index * ROW_STRIDE + ROW_NAME_SIZE]!;
    else {
      nameSize = this.#measureString(buf, p, end);
      if (nameSize < 0) return nameSize;
      p = this.#pos;
    }
    const valueSize = this.#measureString(buf, p, end);
    if (valueSize < 0) return valueSize;
    const behind = this.#pos;
    const entrySize = nameSize + valueSize + ENTRY_OVERHEAD;
    this.#listBytes += entrySize;
    if (this.#listBytes > this.#workMax) return HpackCode.tooMuchWork;
    if (!isIndexed) return behind;
    if (entrySize > this.#table.maxSize) {
      this.#table.clear();
      return behind;
    }
    if (scratch.length < entrySize + DECODER_SLACK) scratch = Buffer.allocUnsafeSlow(this.#table.maxSize + DECODER_SLACK);
    const out = this.#out;
    const outEnd = this.#outEnd;
    this.#out = scratch;
    this.#outEnd = scratch.length - TAIL_BYTES;
    const code = this.#readLine(buf, pos, end, index, 0);
    if (code === 0) this.#insertLine(0);
    this.#out = out;
    this.#outEnd = outEnd;
    return code === 0 ? behind : code;
  }

  /** Bytes of a string, decoded; or a code below 0. */
  #measureString(buf: Buffer, pos: number, end: number): number {
    const start = this.#openString(buf, pos, end);
    if (start < 0 || buf[pos]! < 0x80) return start < 0 ? start : this.#pos - start;
    const size = huffmanDecodedSize(buf, start, this.#pos);
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
