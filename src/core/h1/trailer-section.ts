// The trailer section behind the last chunk (RFC 9112 section 7.1.2), resumable, with what may not travel in it left out.
//
// Lines have the syntax of head fields. Fields that frame, route, authenticate or describe the message cannot arrive late (RFC
// 9110 section 6.5.1): they are dropped, never merged and never forwarded. The lines that stay are moved together in memory of
// the section's own, which is there only while a connection has had trailers: nearly no message has any.

import { Buffer } from "node:buffer";
import { asciiBytes, CR, equalsWord, LF } from "../bytes/ascii.ts";
import { ERRORS } from "../errors/error-codes.ts";
import type { Trailers } from "../http/exchange.ts";
import { FIELD_STRIDE, FieldId } from "../http/head.ts";
import { scanFieldLine } from "./field-line.ts";
import { fieldId } from "./field-names.ts";

const BAD_TRAILER = -ERRORS.WEFT_H1_BAD_TRAILER.id;
const TOO_MANY_FIELDS = -ERRORS.WEFT_H1_TOO_MANY_FIELDS.id;
const TRAILERS_TOO_LARGE = -ERRORS.WEFT_H1_TRAILERS_TOO_LARGE.id;

/** First size of the section's memory; it doubles up to the limit. */
const STORE_BYTES_MIN = 512;
/** Memory up to this size is kept for the connection's next trailers. */
const STORE_BYTES_KEPT = 4096;

/** Names that never travel in trailers, beyond those with a FieldId: control, conditions, authentication, format. */
const DROPPED_NAMES: readonly Uint8Array[] = [
  "authorization",
  "www-authenticate",
  "authentication-info",
  "proxy-authentication-info",
  "cookie",
  "set-cookie",
  "content-encoding",
  "content-type",
  "content-range",
  "content-location",
  "content-disposition",
  "cache-control",
  "pragma",
  "age",
  "expires",
  "vary",
  "warning",
  "location",
  "retry-after",
  "max-forwards",
  "range",
  "if-match",
  "if-none-match",
  "if-modified-since",
  "if-unmodified-since",
  "if-range",
  "forwarded",
  "x-forwarded-host",
  "x-forwarded-proto",
].map(asciiBytes);

const L5D = asciiBytes("l5d");
const EMPTY = Buffer.alloc(0);

/** May the trailer field with the name [start, end) be forwarded? */
export function mayBeTrailer(buf: Uint8Array, start: number, end: number): boolean {
  if (fieldId(buf, start, end) !== FieldId.other) return false;
  if (end - start > L5D.length && equalsWord(buf, start, start + L5D.length, L5D)) return false;
  for (let i = 0; i < DROPPED_NAMES.length; i++) {
    if (equalsWord(buf, start, end, DROPPED_NAMES[i]!)) return false;
  }
  return true;
}

/** What is forwarded of one message's trailers. One object, filled again for each message. */
class ForwardedTrailers implements Trailers {
  buffer: Buffer = EMPTY;
  start = 0;
  end = 0;
}

export class TrailerSection {
  readonly #bytesMax: number;
  readonly #countMax: number;
  readonly #row = new Int32Array(FIELD_STRIDE);
  readonly #result = new ForwardedTrailers();
  #store: Buffer = EMPTY;
  /** [0, kept): lines to forward. [line, size): the line in progress. */
  #kept = 0;
  #line = 0;
  #resume = 0;
  #size = 0;
  /** Lines and bytes of the section so far; those that are dropped count too. */
  #count = 0;
  #total = 0;

  constructor(bytesMax: number, countMax: number) {
    this.#bytesMax = bytesMax;
    this.#countMax = countMax;
  }

  /** Forgets the trailers of the message before. */
  reset(): void {
    this.#kept = 0;
    this.#line = 0;
    this.#resume = 0;
    this.#size = 0;
    this.#count = 0;
    this.#total = 0;
    if (this.#store.length > STORE_BYTES_KEPT) this.#store = EMPTY;
  }

  /** What is to be forwarded once the section is complete; valid until `reset`. `null`: nothing. */
  get trailers(): Trailers | null {
    if (this.#kept === 0) return null;
    this.#result.buffer = this.#store;
    this.#result.end = this.#kept;
    return this.#result;
  }

  /**
   * Takes bytes [pos, end). Returns > 0: the section is complete, and so many of them belonged to it; 0: all of them did, more
   * are needed; < 0: minus an error id.
   */
  next(buf: Buffer, pos: number, end: number): number {
    const taken = Math.min(end - pos, this.#bytesMax - this.#total);
    const before = this.#size;
    this.#append(buf, pos, pos + taken);
    const result = this.#lines();
    if (result > 0) return result - before;
    if (result < 0) return result;
    this.#total += taken;
    return pos + taken < end ? TRAILERS_TOO_LARGE : 0;
  }

  /** Reads lines of the store. Returns > 0: the offset behind the section in the store; 0: incomplete; < 0: minus an error id. */
  #lines(): number {
    const store = this.#store;
    const row = this.#row;
    for (;;) {
      const line = this.#line;
      if (line === this.#size) return 0;
      if (this.#resume === line) {
        if (store[line] === CR) {
          if (line + 1 === this.#size) return 0;
          return store[line + 1] === LF ? line + 2 : BAD_TRAILER;
        }
        if (this.#count === this.#countMax) return TOO_MANY_FIELDS;
      }
      const next = scanFieldLine(store, 0, line, this.#resume, this.#size, row, 0);
      if (next < 0) return BAD_TRAILER;
      if (next === 0) {
        this.#resume = row[3]!;
        return 0;
      }
      this.#count++;
      if (mayBeTrailer(store, line, row[1]!)) {
        if (line !== this.#kept) store.copyWithin(this.#kept, line, next);
        this.#kept += next - line;
      }
      this.#line = next;
      this.#resume = next;
    }
  }

  #append(buf: Buffer, from: number, to: number): void {
    const size = this.#size + (to - from);
    if (size > this.#store.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(STORE_BYTES_MIN, 2 * this.#store.length, size));
      this.#store.copy(larger, 0, 0, this.#size);
      this.#store = larger;
    }
    buf.copy(this.#store, this.#size, from, to);
    this.#size = size;
  }
}
