// Decodes header blocks (RFC 7541 section 3) into lines of the caller's buffer and ranges of a FieldBlock. No string, no object per field.
//
//   size updates (0 to 2) --> indexed field | literal field, any number --> end of the block
//
// Refuses what breaks the table's step with the sender (HpackCode below 0: the connection is lost), and says of a message that it is
// malformed or too large (above 0: the table stays in step). A list above its limit is read on without being stored; how far is
// bounded (LIST_FACTOR_MAX), because one byte can name 4 KB. Each byte of a literal is copied and checked in one pass.

import { Buffer } from "node:buffer";
import { CR, copyRange, LF } from "../bytes/ascii.ts";
import { FIELD_STRIDE, FIELDS_MAX } from "../http/head.ts";
import { DynamicTable } from "./dynamic-table.ts";
import type { FieldBlock } from "./field-block.ts";
import { ENTRY_OVERHEAD, FieldFlag, HpackCode, LIST_FACTOR_MAX, TABLE_SIZE_DEFAULT, TABLE_SIZE_MAX } from "./hpack-codes.ts";
import { LiteralReader, NO_ROOM } from "./literal-reader.ts";
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
  TAG_PSEUDO_MASK,
  TAG_PSEUDO_SHIFT,
  TAG_UNKNOWN_PSEUDO,
} from "./static-table.ts";

export interface DecoderLimits {
  /** SETTINGS_MAX_HEADER_LIST_SIZE as it is enforced: names, values, and 32 bytes per field, pseudo-header fields included. */
  readonly listBytesMax: number;
  /** Regular fields per block; FIELDS_MAX at most counts. */
  readonly fieldsMax: number;
}

/** Bytes that the output buffer needs beyond `listBytesMax`, so that nothing within the limits fails for want of room. */
export const DECODER_SLACK = 16;

const EMPTY = Buffer.alloc(0);

/** Where an entry for the table is put together when its list is no longer stored. Shared: a call leaves nothing in it. */
let scratch: Buffer = EMPTY;

export class HpackDecoder {
  readonly #table = new DynamicTable(TABLE_SIZE_DEFAULT);
  readonly #reader: LiteralReader;
  readonly #listBytesMax: number;
  readonly #workMax: number;
  readonly #fieldsMax: number;
  /** What the sender may set the table's size to. */
  #limit = TABLE_SIZE_DEFAULT;
  /** The next block must begin with an update to this size or less; -1: it need not. */
  #requiredSize = -1;

  // The block in progress.
  #at = 0;
  #listBytes = 0;
  #isOver = false;
  #sawField = false;
  /** First fault of the message, a code above 0. */
  #fault: HpackCode = HpackCode.ok;

  constructor(limits: DecoderLimits) {
    this.#listBytesMax = limits.listBytesMax;
    this.#workMax = limits.listBytesMax * LIST_FACTOR_MAX;
    this.#fieldsMax = Math.min(limits.fieldsMax, FIELDS_MAX);
    this.#reader = new LiteralReader(this.#table, this.#workMax);
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
    this.#reader.writeTo(out);
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
          index = this.#reader.readLong(buf, p, end, 0x7f);
          if (index < 0) return index as HpackCode;
          p = this.#reader.pos;
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
    if (at + 2 <= this.#reader.out.length) {
      this.#reader.out[at] = CR;
      this.#reader.out[at + 1] = LF;
    } else this.#isOver = true;
    block.fieldsEnd = at - block.start;
    if (block.count === 0) block.fieldsStart = block.fieldsEnd;
    block.listBytes = this.#listBytes;
    this.#reader.out = EMPTY;
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
        size = this.#reader.readLong(buf, p, end, 0x1f);
        if (size < 0) return size;
        p = this.#reader.pos;
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
    if (this.#listBytes > this.#listBytesMax || at + lineSize > this.#reader.outEnd || this.#isOver) return this.#exceed();
    if ((tag & ~TAG_ID_MASK) === 0) {
      copyRange(source, from, from + lineSize, this.#reader.out, at);
      this.#at = at + lineSize;
      return this.#record(block, at, nameSize, valueSize, tag, 0);
    }
    const valueAt = from + nameSize + 2;
    copyRange(source, valueAt, valueAt + valueSize, this.#reader.out, at);
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
      index = this.#reader.readLong(buf, p, end, prefix);
      if (index < 0) return index;
      p = this.#reader.pos;
    }
    if (index > STATIC_COUNT + this.#table.count) return HpackCode.badIndex;
    if (this.#isOver) return this.#skipLiteral(buf, p, end, index, isIndexed);
    const line = this.#at;
    const code = this.#reader.readLine(buf, p, end, index, line);
    if (code < 0) {
      if (code !== NO_ROOM) return code;
      this.#isOver = true;
      return this.#skipLiteral(buf, p, end, index, isIndexed);
    }
    const nameSize = this.#reader.nameSize;
    const valueSize = this.#reader.valueSize;
    const tag = this.#reader.tag;
    if (isIndexed) this.#insertLine(line);
    this.#listBytes += nameSize + valueSize + ENTRY_OVERHEAD;
    if (this.#listBytes > this.#listBytesMax) {
      const exceeded = this.#exceed();
      return exceeded < 0 ? exceeded : this.#reader.pos;
    }
    this.#at = line + nameSize + valueSize + LINE_BYTES;
    if ((tag & ~TAG_ID_MASK) === 0) this.#record(block, line, nameSize, valueSize, tag, flags);
    else this.#recordSpecial(block, line + nameSize + 2, valueSize, tag, flags);
    return this.#reader.pos;
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

  /** Puts the line that was read last into the table. */
  #insertLine(line: number): void {
    const offset = this.#table.insert(this.#reader.nameSize, this.#reader.valueSize, this.#reader.tag);
    if (offset >= 0)
      copyRange(this.#reader.out, line, line + this.#reader.nameSize + this.#reader.valueSize + LINE_BYTES, this.#table.buffer, offset);
  }

  /** A literal of a list that is no longer stored: checked, counted, and put into the table if it belongs there. */
  #skipLiteral(buf: Buffer, pos: number, end: number, index: number, isIndexed: boolean): number {
    const reader = this.#reader;
    const code = reader.measureLine(buf, pos, end, index);
    if (code < 0) return code;
    const behind = reader.pos;
    const entrySize = reader.nameSize + reader.valueSize + ENTRY_OVERHEAD;
    this.#listBytes += entrySize;
    if (this.#listBytes > this.#workMax) return HpackCode.tooMuchWork;
    if (!isIndexed) return behind;
    if (entrySize > this.#table.maxSize) {
      this.#table.clear();
      return behind;
    }
    if (scratch.length < entrySize + DECODER_SLACK) scratch = Buffer.allocUnsafeSlow(this.#table.maxSize + DECODER_SLACK);
    const { out } = reader;
    reader.writeTo(scratch);
    const failed = reader.readLine(buf, pos, end, index, 0);
    if (failed === 0) this.#insertLine(0);
    reader.writeTo(out);
    return failed === 0 ? behind : failed;
  }
}
