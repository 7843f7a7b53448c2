// Reads chunked coding (RFC 9112 section 7.1): pull style, resumable at any byte, touching framing bytes only.
//
//   size line --> data --> CRLF --> size line ... --> last chunk (size 0) --> trailer section --> end
//
// Refuses sizes that are not 1 to 8 hexadecimal digits, white space, LF without CR, malformed or endless extensions. In wire
// mode the framing itself may be forwarded as it is; a size line is written anew where it had an extension (which ends here:
// it is hop-by-hop) or where it was split over two reads.

import type { Buffer } from "node:buffer";
import { CR, LF, SEMICOLON } from "../bytes/ascii.ts";
import { ERRORS } from "../errors/error-codes.ts";
import type { Trailers } from "../http/exchange.ts";
import { FIELDS_MAX } from "../http/head.ts";
import { ExtensionState, nextExtensionState } from "./chunk-extension.ts";
import type { HeadLimits } from "./head-parser.ts";
import { HEX_VALUES } from "./tables.ts";
import { TrailerSection } from "./trailer-section.ts";

export const ChunkEvent = {
  /** All bytes are consumed; give more. */
  more: 0,
  /** Wire mode: [from, to) may be forwarded verbatim. */
  wire: 1,
  /** Payload mode: [from, to) is payload. */
  data: 2,
  /** Wire mode: write a size line for a chunk of `size` bytes; its data follows as wire. */
  sizeLine: 3,
  /** The message is complete: `pos` is the first byte behind it, `trailers` what to forward. */
  end: 4,
  /** `error` says why (id of an ErrorRow). Nothing may follow. */
  error: 5,
} as const;
export type ChunkEvent = (typeof ChunkEvent)[keyof typeof ChunkEvent];

const BAD_CHUNK_END = ERRORS.WEFT_H1_BAD_CHUNK_END.id;
const BAD_CHUNK_SIZE = ERRORS.WEFT_H1_BAD_CHUNK_SIZE.id;
const BARE_CR = ERRORS.WEFT_H1_BARE_CR.id;
const BARE_LF = ERRORS.WEFT_H1_BARE_LF.id;
const EXTENSION_TOO_LONG = ERRORS.WEFT_H1_EXTENSION_TOO_LONG.id;

/** Hexadecimal digits of a size, leading zeros included: up to 4 GiB per chunk, exact in every peer's arithmetic. */
const SIZE_DIGITS_MAX = 8;
/** Bytes of extensions in one size line, and in one message: they are read and thrown away, so somebody else's work is bounded. */
const LINE_EXTENSION_BYTES_MAX = 1024;
const MESSAGE_EXTENSION_BYTES_MAX = 16 * 1024;

const State = {
  /** In the digits of a size line. */
  size: 0,
  extension: 1,
  /** The LF of a size line comes next. */
  sizeLf: 2,
  /** Wire mode: the line is complete and must be written anew. */
  sizeReady: 3,
  data: 4,
  /** CR, then LF, behind the data. */
  dataCr: 5,
  dataLf: 6,
  /** First byte behind the last-chunk line. */
  trailerStart: 7,
  /** A CR was the first: the end, if LF follows. */
  trailerLf: 8,
  trailers: 9,
  ended: 10,
} as const;
type State = (typeof State)[keyof typeof State];

export class ChunkScanner {
  /** Range of a `wire` or `data` event. */
  from = 0;
  to = 0;
  /** How far the last call consumed. */
  pos = 0;
  /** Size of the chunk in a `sizeLine` event. */
  size = 0;
  /** Id of the ErrorRow after an `error` event. */
  error = 0;
  /** After `end`: validated lines to forward, valid until `reset`; `null` without any. */
  trailers: Trailers | null = null;

  readonly #section: TrailerSection;
  #state: State = State.size;
  #isWire = false;
  #digits = 0;
  /** Bytes of the chunk's data still to come. */
  #rest = 0;
  /** The size line may not be forwarded as it is. */
  #isDirty = false;
  #extension: ExtensionState = ExtensionState.start;
  #lineExtensionBytes = 0;
  #messageExtensionBytes = 0;

  constructor(limits: HeadLimits) {
    this.#section = new TrailerSection(limits.headerBytesMax, Math.min(limits.headerCountMax, FIELDS_MAX));
  }

  /** Begins a body. `wantsWire`: framing is forwarded too. */
  reset(wantsWire: boolean): void {
    this.from = 0;
    this.to = 0;
    this.pos = 0;
    this.size = 0;
    this.error = 0;
    this.trailers = null;
    this.#state = State.size;
    this.#isWire = wantsWire;
    this.#digits = 0;
    this.#rest = 0;
    this.#isDirty = false;
    this.#lineExtensionBytes = 0;
    this.#messageExtensionBytes = 0;
    this.#section.reset();
  }

  /** The other form, as long as nothing was delivered. */
  deliverAs(wantsWire: boolean): void {
    this.#isWire = wantsWire;
  }

  /**
   * Reads on at `pos` of [pos, end). Call again with `this.pos` until `more`, `end` or `error`. A range that is
   * delivered is as large as the bytes at hand allow; bytes of it that stand before an error are not delivered.
   */
  next(buf: Buffer, pos: number, end: number): ChunkEvent {
    let p = pos;
    /** Where the size line in progress began, if in this call. */
    let line = pos;
    const isWire = this.#isWire;
    if (this.#state === State.size && this.#digits > 0) this.#isDirty = true;
    while (p < end || this.#state === State.sizeReady) {
      switch (this.#state) {
        case State.size:
          if (this.#digits === 0) line = p;
          p = this.#readSize(buf, p, end);
          if (p < 0) return ChunkEvent.error;
          break;
        case State.extension:
          p = this.#readExtension(buf, p, end);
          if (p < 0) return ChunkEvent.error;
          break;
        case State.sizeLf:
          if (buf[p] !== LF) return this.#fail(BARE_CR);
          if (p === pos) this.#isDirty = true;
          p++;
          if (this.size === 0) this.#state = State.trailerStart;
          else if (isWire && this.#isDirty) this.#state = State.sizeReady;
          else this.#state = State.data;
          this.#rest = this.size;
          this.#digits = 0;
          // Everything before the line may go out as it is; the line itself may not.
          if (isWire && this.#state !== State.data && line > pos) return this.#deliver(ChunkEvent.wire, pos, line, p);
          break;
        case State.sizeReady:
          this.#state = State.data;
          this.#isDirty = false;
          this.pos = p;
          return ChunkEvent.sizeLine;
        case State.data: {
          const taken = Math.min(this.#rest, end - p);
          this.#rest -= taken;
          if (this.#rest === 0) this.#state = State.dataCr;
          if (!isWire) return this.#deliver(ChunkEvent.data, p, p + taken, p + taken);
          p += taken;
          break;
        }
        case State.dataCr:
          if (buf[p++] !== CR) return this.#fail(BAD_CHUNK_END);
          this.#state = State.dataLf;
          break;
        case State.dataLf:
          if (buf[p++] !== LF) return this.#fail(BAD_CHUNK_END);
          this.#state = State.size;
          this.size = 0;
          this.#isDirty = false;
          this.#lineExtensionBytes = 0;
          line = p;
          break;
        default:
          return this.#readTrailers(buf, p, end);
      }
    }
    if (isWire) {
      // A size line in progress, or the last chunk's, is held back.
      const to = this.#state >= State.data && this.#state <= State.dataLf ? p : line;
      if (to > pos) return this.#deliver(ChunkEvent.wire, pos, to, p);
    }
    this.pos = p;
    return ChunkEvent.more;
  }

  /** Reads digits and what ends them; returns the new position, -1 after an error. */
  #readSize(buf: Buffer, pos: number, end: number): number {
    let p = pos;
    let { size } = this;
    let digits = this.#digits;
    while (p < end) {
      const digit = HEX_VALUES[buf[p]!]!;
      if (digit > 15) break;
      if (++digits > SIZE_DIGITS_MAX) return this.#failed(BAD_CHUNK_SIZE);
      size = size * 16 + digit;
      p++;
    }
    this.size = size;
    this.#digits = digits;
    if (p === end) return p;
    const byte = buf[p]!;
    if (byte === LF) return this.#failed(BARE_LF);
    if (digits === 0) return this.#failed(BAD_CHUNK_SIZE);
    if (byte === CR) this.#state = State.sizeLf;
    else if (byte === SEMICOLON) {
      this.#state = State.extension;
      this.#extension = ExtensionState.start;
      this.#isDirty = true;
      return this.#countExtension(1) ? p + 1 : -1;
    } else return this.#failed(BAD_CHUNK_SIZE);
    return p + 1;
  }

  #readExtension(buf: Buffer, pos: number, end: number): number {
    for (let p = pos; p < end; p++) {
      const byte = buf[p]!;
      const state = nextExtensionState(this.#extension, byte);
      if (state === ExtensionState.done) {
        this.#state = State.sizeLf;
        return p + 1;
      }
      if (state === ExtensionState.bad) return this.#failed(byte === LF ? BARE_LF : BAD_CHUNK_SIZE);
      this.#extension = state;
      if (!this.#countExtension(1)) return -1;
    }
    return end;
  }

  #countExtension(bytes: number): boolean {
    this.#lineExtensionBytes += bytes;
    this.#messageExtensionBytes += bytes;
    if (this.#lineExtensionBytes <= LINE_EXTENSION_BYTES_MAX && this.#messageExtensionBytes <= MESSAGE_EXTENSION_BYTES_MAX) return true;
    this.error = EXTENSION_TOO_LONG;
    return false;
  }

  /** The states behind the last-chunk line. */
  #readTrailers(buf: Buffer, pos: number, end: number): ChunkEvent {
    let p = pos;
    if (this.#state === State.trailerStart) {
      // Nearly always the empty line: no trailers, no copy.
      if (buf[p] === CR) {
        this.#state = State.trailerLf;
        p++;
      } else this.#state = State.trailers;
    }
    if (this.#state === State.trailerLf) {
      if (p === end) {
        this.pos = p;
        return ChunkEvent.more;
      }
      if (buf[p] !== LF) return this.#fail(ERRORS.WEFT_H1_BAD_TRAILER.id);
      return this.#finish(p + 1);
    }
    if (this.#state === State.ended) return this.#finish(p);
    const taken = this.#section.next(buf, p, end);
    if (taken < 0) return this.#fail(-taken);
    if (taken > 0) {
      this.trailers = this.#section.trailers;
      return this.#finish(p + taken);
    }
    this.pos = end;
    return ChunkEvent.more;
  }

  #finish(pos: number): ChunkEvent {
    this.#state = State.ended;
    this.pos = pos;
    return ChunkEvent.end;
  }

  #deliver(event: ChunkEvent, from: number, to: number, pos: number): ChunkEvent {
    this.from = from;
    this.to = to;
    this.pos = pos;
    return event;
  }

  #fail(error: number): ChunkEvent {
    this.error = error;
    return ChunkEvent.error;
  }

  #failed(error: number): number {
    this.error = error;
    return -1;
  }
}
