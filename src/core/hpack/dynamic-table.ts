// A dynamic table (RFC 7541 sections 2.3.2 and 4) without an object or a string per entry: lines in one buffer, rows of numbers in a ring.
//
//   bytes:  ......[oldest line][...][newest line]......   both ends move right; at the buffer's end the lines move to its start
//   rows:   ring by insertion number: offset of the line, bytes of name and value, a tag that is the owner's
//
// Invariants: `size` is the sum of the entries' sizes (bytes + 32) and never above `maxSize`; lines lie one behind the other, so each is one
// range. Memory grows with use, to twice `maxSize` at most: moving the lines then costs at most as many bytes as were inserted since.

import { Buffer } from "node:buffer";
import { ENTRY_OVERHEAD } from "./hpack-codes.ts";
import { LINE_BYTES, ROW_NAME_SIZE, ROW_STRIDE, ROW_TAG, ROW_VALUE_SIZE } from "./static-table.ts";

/** First size of the buffer: a gRPC client's ten fields fit. */
const BUFFER_BYTES_MIN = 1024;
/** First number of rows, a power of two. */
const ROWS_MIN = 32;

const EMPTY = Buffer.alloc(0);
const NO_ROWS = new Int32Array(0);

export class DynamicTable {
  /** The lines; rows say where. */
  buffer: Buffer = EMPTY;
  rows: Int32Array = NO_ROWS;
  /** Ring positions minus one; -1 while nothing was ever inserted. */
  mask = -1;
  count = 0;
  /** Sum of the entries' sizes by RFC 7541 section 4.1. */
  size = 0;
  maxSize: number;
  /** Entries inserted so far, modulo 2^30. The newest has the number before it. */
  inserted = 0;
  /** The lines lie in [low, high) of the buffer. */
  #low = 0;
  #high = 0;

  constructor(maxSize: number) {
    this.maxSize = maxSize;
  }

  /** Where the row of the entry that was inserted `age` entries ago (0: the newest) begins in `rows`. */
  rowAt(age: number): number {
    return ((this.inserted - 1 - age) & this.mask) * ROW_STRIDE;
  }

  /** Changes the maximum and evicts what no longer fits (RFC 7541 section 4.3). */
  resize(maxSize: number): void {
    this.maxSize = maxSize;
    this.#evictTo(maxSize);
  }

  clear(): void {
    this.#evictTo(0);
  }

  /**
   * Makes an entry and room for its line. Returns the offset in `buffer` where the caller writes the line (name, colon, space, value,
   * CR, LF) at once; -1 when the entry is larger than the table, which is empty then (RFC 7541 section 4.4).
   */
  insert(nameSize: number, valueSize: number, tag: number): number {
    const entrySize = nameSize + valueSize + ENTRY_OVERHEAD;
    const { maxSize } = this;
    if (this.size + entrySize > maxSize) {
      if (entrySize > maxSize) {
        this.#evictTo(0);
        return -1;
      }
      this.#evictTo(maxSize - entrySize);
    }
    const lineSize = nameSize + valueSize + LINE_BYTES;
    if (this.#high + lineSize > this.buffer.length) this.#makeRoom(lineSize);
    if (this.count > this.mask) this.#makeRows();
    const offset = this.#high;
    const row = (this.inserted & this.mask) * ROW_STRIDE;
    const { rows } = this;
    rows[row] = offset;
    rows[row + ROW_NAME_SIZE] = nameSize;
    rows[row + ROW_VALUE_SIZE] = valueSize;
    rows[row + ROW_TAG] = tag;
    this.#high = offset + lineSize;
    this.size += entrySize;
    this.count++;
    this.inserted = (this.inserted + 1) & 0x3fffffff;
    return offset;
  }

  #evictTo(size: number): void {
    const { rows } = this;
    while (this.size > size) {
      const row = this.rowAt(this.count - 1);
      const bytes = rows[row + ROW_NAME_SIZE]! + rows[row + ROW_VALUE_SIZE]!;
      this.size -= bytes + ENTRY_OVERHEAD;
      this.#low += bytes + LINE_BYTES;
      this.count--;
    }
    if (this.count === 0) {
      this.#low = 0;
      this.#high = 0;
    }
  }

  /** Moves the lines to the start of the buffer, or of a larger one while they fill more than half of it. */
  #makeRoom(lineSize: number): void {
    const low = this.#low;
    const used = this.#high - low;
    const wanted = 2 * (used + lineSize);
    if (wanted <= this.buffer.length) this.buffer.copyWithin(0, low, this.#high);
    else {
      let capacity = BUFFER_BYTES_MIN;
      while (capacity < wanted) capacity *= 2;
      const larger = Buffer.allocUnsafeSlow(capacity);
      this.buffer.copy(larger, 0, low, this.#high);
      this.buffer = larger;
    }
    for (let age = 0; age < this.count; age++) {
      const row = this.rowAt(age);
      this.rows[row] = this.rows[row]! - low;
    }
    this.#low = 0;
    this.#high = used;
  }

  #makeRows(): void {
    const { rows, mask, count, inserted } = this;
    const slots = Math.max(ROWS_MIN, 2 * (mask + 1));
    const larger = new Int32Array(slots * ROW_STRIDE);
    for (let age = 0; age < count; age++) {
      const number = inserted - 1 - age;
      const from = (number & mask) * ROW_STRIDE;
      larger.set(rows.subarray(from, from + ROW_STRIDE), (number & (slots - 1)) * ROW_STRIDE);
    }
    this.rows = larger;
    this.mask = slots - 1;
  }
}
