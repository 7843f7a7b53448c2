// Encodes fields into header blocks (RFC 7541 section 6), range by range, straight into the caller's output.
//
//   begin (size updates that are due) --> status | pseudo | field, any number --> the offset is the block's end
//
// The caller has checked the fields (RFC 9113 section 8.2) and leaves out what is hop-by-hop; names of any case leave in lower case. Never
// emits an index that the peer does not have, nor a table above the peer's limit or our own cap. A field that is in the table costs a hash
// of a few bytes and one comparison; entries are found through insertion numbers, which simply stop being valid when an entry is evicted.

import { Buffer } from "node:buffer";
import { copyRange, CR, COLON, DIGIT_0, LF, lowerByte, SP } from "../bytes/ascii.ts";
import { FieldId } from "../http/head.ts";
import { DynamicTable } from "./dynamic-table.ts";
import { FieldFlag, Pseudo, TABLE_SIZE_DEFAULT, TABLE_SIZE_MAX } from "./hpack-codes.ts";
import { encodeHuffman, huffmanSize } from "./huffman-encode.ts";
import { COOKIE_BYTES_MIN, Indexing, INDEXING } from "./indexing.ts";
import { INTEGER_BYTES_MAX, writeInteger } from "./integer.ts";
import { hashBytes, hashName, hashValue } from "./sample-hash.ts";
import { staticField, staticName } from "./static-names.ts";
import { PSEUDO_NAME_AT, PSEUDO_NAME_SIZE, ROW_NAME_SIZE, ROW_TAG, ROW_VALUE_SIZE, STATIC_COUNT, STATIC_LINES } from "./static-table.ts";

export interface EncoderOptions {
  /** Bytes. Own cap on the dynamic table; the peer's limit counts where it is lower. 4096 if absent. */
  readonly tableSizeMax?: number;
  /** Literals are Huffman-coded where that is shorter. Off if absent: it costs more CPU than it saves (native-notes/hpack.md). */
  readonly huffman?: boolean;
}

/** Bytes that `begin` writes at most. */
export const BLOCK_ROOM = 2 * INTEGER_BYTES_MAX;

/** Bytes that a field takes at most beyond its name and value. */
export const FIELD_ROOM = 1 + 2 * INTEGER_BYTES_MAX;

/** Slots of each of the three tables below, a power of two: four times the entries of a full table of usual fields (100 bytes each). */
const SLOTS = 256;
const SLOT_MASK = SLOTS - 1;

/** A field larger than this part of the table would push out too much: it stays a literal. */
const ENTRY_SHARE_MAX = 4;

/** Bytes. Longer values are compared by the native call, which costs what a loop over 60 bytes does (native-notes/hpack.md). */
const LOOP_BYTES_MAX = 64;

/** Static index of `:status: 200`, and of the names of pseudo-header fields. */
const STATUS_NAME = 8;
const PSEUDO_STATIC = new Uint8Array(6);
PSEUDO_STATIC[Pseudo.authority] = 1;
PSEUDO_STATIC[Pseudo.method] = 2;
PSEUDO_STATIC[Pseudo.path] = 4;
PSEUDO_STATIC[Pseudo.scheme] = 6;
PSEUDO_STATIC[Pseudo.status] = STATUS_NAME;

const COOKIE_NAME = 32;

/** No entry has this number. */
const NO_ENTRY = -1;

/** Three digits of a status that is not in the static table. */
const digits = new Uint8Array(3) as Buffer;

export class HpackEncoder {
  readonly #table: DynamicTable;
  readonly #cap: number;
  readonly #huffman: boolean;
  /** Insertion number of the entry that was last put into the table with this hash: of the whole field, of the name. */
  readonly #byField = new Int32Array(SLOTS).fill(NO_ENTRY);
  readonly #byName = new Int32Array(SLOTS).fill(NO_ENTRY);
  /** Hashes of fields that were sent as literals: the second time they enter the table. */
  readonly #seen = new Int32Array(SLOTS);
  /** Size updates that the next block begins with: the smallest size since the last block, -1 if none is due. */
  #smallest = -1;
  #wanted: number;

  constructor(options: EncoderOptions = {}) {
    this.#cap = Math.min(options.tableSizeMax ?? TABLE_SIZE_DEFAULT, TABLE_SIZE_MAX);
    this.#huffman = options.huffman ?? false;
    this.#table = new DynamicTable(TABLE_SIZE_DEFAULT);
    this.#wanted = TABLE_SIZE_DEFAULT;
    if (this.#cap < TABLE_SIZE_DEFAULT) this.setPeerTableSize(TABLE_SIZE_DEFAULT);
  }

  /** Bytes that the dynamic table counts now, and its entries. */
  get tableSize(): number {
    return this.#table.size;
  }

  get tableCount(): number {
    return this.#table.count;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE (any uint32): call it when the SETTINGS frame is acknowledged. 4096 before the first call. */
  setPeerTableSize(size: number): void {
    const wanted = Math.min(size, this.#cap);
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    if (this.#smallest < 0 || wanted < this.#smallest) this.#smallest = wanted;
  }

  /**
   * Begins a block at `at`: `BLOCK_ROOM` bytes of room. Every block begins here, and a block that has begun is sent, in this order, even if its
   * stream has ended meanwhile: the peer's table follows what is written. Returns the offset behind it.
   */
  begin(out: Buffer, at: number): number {
    if (this.#smallest < 0) return at;
    const smallest = this.#smallest;
    const wanted = this.#wanted;
    this.#smallest = -1;
    if (wanted === this.#table.maxSize && smallest >= wanted) return at;
    this.#table.resize(smallest);
    let p = writeInteger(out, at, 0x20, 0x1f, smallest);
    if (wanted !== smallest) {
      this.#table.resize(wanted);
      p = writeInteger(out, p, 0x20, 0x1f, wanted);
    }
    return p;
  }

  /** `:status`, 100 to 999. `FIELD_ROOM` + 10 bytes of room. Returns the offset behind it, as all of these. */
  status(out: Buffer, at: number, status: number): number {
    const index = staticStatus(status);
    if (index !== 0) {
      out[at] = 0x80 | index;
      return at + 1;
    }
    digits[0] = DIGIT_0 + Math.floor(status / 100);
    digits[1] = DIGIT_0 + (Math.floor(status / 10) % 10);
    digits[2] = DIGIT_0 + (status % 10);
    return this.pseudo(out, at, Pseudo.status, digits, 0, 3, 0);
  }

  /** A pseudo-header field with the value [start, end) of `src`. `FIELD_ROOM` + 10 + its size bytes of room. */
  pseudo(out: Buffer, at: number, pseudo: Pseudo, src: Buffer, start: number, end: number, flags: number): number {
    const first = PSEUDO_STATIC[pseudo]!;
    if (first > 1) {
      const index = staticField(first, src, start, end);
      if (index !== 0) {
        out[at] = 0x80 | index;
        return at + 1;
      }
    }
    const name = PSEUDO_NAME_AT[pseudo]!;
    return this.#write(out, at, STATIC_LINES, name, name + PSEUDO_NAME_SIZE[pseudo]!, src, start, end, FieldId.other, flags);
  }

  /**
   * A regular field: name and value are ranges of `src`. `id`: its FieldId (`other` if unknown); `flags`: FieldFlag bits. `FIELD_ROOM` + the
   * sizes of both bytes of room.
   */
  field(
    out: Buffer,
    at: number,
    src: Buffer,
    nameStart: number,
    nameEnd: number,
    valueStart: number,
    valueEnd: number,
    id: number,
    flags: number,
  ): number {
    return this.#write(out, at, src, nameStart, nameEnd, src, valueStart, valueEnd, id, flags);
  }

  #write(
    out: Buffer,
    at: number,
    names: Buffer,
    nameStart: number,
    nameEnd: number,
    src: Buffer,
    start: number,
    end: number,
    id: number,
    flags: number,
  ): number {
    const nameHash = hashName(names, nameStart, nameEnd);
    const hash = hashValue(nameHash, src, start, end);
    const table = this.#table;
    const age = (table.inserted - 1 - this.#byField[hash & SLOT_MASK]!) & 0x3fffffff;
    if (age < table.count && flags === 0) {
      const { rows, buffer } = table;
      const row = table.rowAt(age);
      const line = rows[row]!;
      if (
        rows[row + ROW_TAG] === hash &&
        rows[row + ROW_VALUE_SIZE] === end - start &&
        rows[row + ROW_NAME_SIZE] === nameEnd - nameStart &&
        isSameName(names, nameStart, nameEnd, buffer, line) &&
        isSame(src, start, end, buffer, line + nameEnd - nameStart + 2)
      ) {
        if (age < 0x7f - STATIC_COUNT - 1) {
          out[at] = 0x80 | (age + STATIC_COUNT + 1);
          return at + 1;
        }
        return writeInteger(out, at, 0x80, 0x7f, age + STATIC_COUNT + 1);
      }
    }
    const first = staticName(names, nameStart, nameEnd, nameHash, id);
    if (first !== 0 && flags === 0) {
      const index = staticField(first, src, start, end);
      if (index !== 0) {
        out[at] = 0x80 | index;
        return at + 1;
      }
    }
    const indexing =
      (flags & FieldFlag.neverIndexed) !== 0 ? Indexing.never : this.#indexingOf(first, nameHash, nameEnd - nameStart, src, start, end);
    const nameIndex = first !== 0 ? first : this.#dynamicName(names, nameStart, nameEnd, nameHash);
    let p: number;
    if (indexing === Indexing.now) p = writeInteger(out, at, 0x40, 0x3f, nameIndex);
    else p = writeInteger(out, at, indexing === Indexing.never ? 0x10 : 0, 0x0f, nameIndex);
    if (nameIndex === 0) p = this.#writeName(out, p, names, nameStart, nameEnd);
    p = this.#writeValue(out, p, src, start, end);
    if (indexing === Indexing.now) this.#insert(names, nameStart, nameEnd, src, start, end, nameHash, hash);
    return p;
  }

  /** What becomes of a field that is in neither table. `first`: the index of its name in the static one. */
  #indexingOf(first: number, nameHash: number, nameSize: number, src: Buffer, start: number, end: number): Indexing {
    const indexing = INDEXING[first] as Indexing;
    if (indexing !== Indexing.second) return indexing;
    if (first === COOKIE_NAME && end - start < COOKIE_BYTES_MIN) return Indexing.never;
    if ((nameSize + end - start) * ENTRY_SHARE_MAX > this.#table.maxSize) return Indexing.none;
    const hash = hashBytes(nameHash, src, start, end);
    const slot = hash & SLOT_MASK;
    if (this.#seen[slot] === hash) return Indexing.now;
    this.#seen[slot] = hash;
    return Indexing.none;
  }

  /** The index of an entry with this name, 0 without one. */
  #dynamicName(buf: Buffer, start: number, end: number, hash: number): number {
    const table = this.#table;
    const age = (table.inserted - 1 - this.#byName[hash & SLOT_MASK]!) & 0x3fffffff;
    if (age >= table.count) return 0;
    const row = table.rowAt(age);
    if (table.rows[row + ROW_NAME_SIZE] !== end - start || !isSameName(buf, start, end, table.buffer, table.rows[row]!)) return 0;
    return age + STATIC_COUNT + 1;
  }

  #insert(
    names: Buffer,
    nameStart: number,
    nameEnd: number,
    src: Buffer,
    start: number,
    end: number,
    nameHash: number,
    hash: number,
  ): void {
    const table = this.#table;
    const number = table.inserted;
    const line = table.insert(nameEnd - nameStart, end - start, hash);
    if (line < 0) return;
    const { buffer } = table;
    let p = line;
    for (let i = nameStart; i < nameEnd; i++) buffer[p++] = lowerByte(names[i]!);
    buffer[p] = COLON;
    buffer[p + 1] = SP;
    p = copyRange(src, start, end, buffer, p + 2);
    buffer[p] = CR;
    buffer[p + 1] = LF;
    this.#byField[hash & SLOT_MASK] = number;
    this.#byName[nameHash & SLOT_MASK] = number;
  }

  #writeName(out: Buffer, at: number, names: Buffer, start: number, end: number): number {
    const size = end - start;
    let p = writeInteger(out, at, 0, 0x7f, size);
    const text = p;
    for (let i = start; i < end; i++) out[p++] = lowerByte(names[i]!);
    if (!this.#huffman) return p;
    return this.#writeHuffman(out, at, Buffer.from(out.subarray(text, p)), 0, size);
  }

  #writeValue(out: Buffer, at: number, src: Buffer, start: number, end: number): number {
    if (this.#huffman) return this.#writeHuffman(out, at, src, start, end);
    return copyRange(src, start, end, out, writeInteger(out, at, 0, 0x7f, end - start));
  }

  #writeHuffman(out: Buffer, at: number, src: Buffer, start: number, end: number): number {
    const size = huffmanSize(src, start, end);
    if (size >= end - start) return copyRange(src, start, end, out, writeInteger(out, at, 0, 0x7f, end - start));
    return encodeHuffman(src, start, end, out, writeInteger(out, at, 0x80, 0x7f, size));
  }
}

/** The static index of `:status` with this value, 0 without one. */
function staticStatus(status: number): number {
  switch (status) {
    case 200:
      return STATUS_NAME;
    case 204:
      return STATUS_NAME + 1;
    case 206:
      return STATUS_NAME + 2;
    case 304:
      return STATUS_NAME + 3;
    case 400:
      return STATUS_NAME + 4;
    case 404:
      return STATUS_NAME + 5;
    case 500:
      return STATUS_NAME + 6;
    default:
      return 0;
  }
}

/** Are the bytes [start, end) in lower case those at `at`? */
function isSameName(buf: Buffer, start: number, end: number, stored: Buffer, at: number): boolean {
  const shift = at - start;
  for (let p = start; p < end; p++) {
    const byte = buf[p]!;
    if (byte !== stored[p + shift] && lowerByte(byte) !== stored[p + shift]) return false;
  }
  return true;
}

function isSame(buf: Buffer, start: number, end: number, stored: Buffer, at: number): boolean {
  if (end - start > LOOP_BYTES_MAX) return buf.compare(stored, at, at + end - start, start, end) === 0;
  const shift = at - start;
  for (let p = start; p < end; p++) {
    if (buf[p] !== stored[p + shift]) return false;
  }
  return true;
}
