// Reads frames (RFC 9113 sections 4 and 6), resumable at any byte, and calls a fixed sink. No object per frame.
//
//   preface (server) --> header --+--> DATA: pad length, pieces as ranges of the buffer that was read, padding --+
//                          ^      +--> HEADERS, CONTINUATION: a range, or gathered --> block when complete ------+
//                          |      +--> others: a range, or gathered (their first bytes) --> one call ------------+
//                          +------+--> unknown types, what is left of a frame: skipped --------------------------+
//
// What is refused here: a wrong preface, a frame above our SETTINGS_MAX_FRAME_SIZE (before anything of it is kept), lengths that do not
// fit the type, padding that is longer than its frame, stream 0 where there must be one and the reverse, anything between the parts
// of a header block (4.3, 6.10), and blocks that are too large or in too many parts. All are connection errors.
// Long because header, pieces and gathering share their position in the stream of bytes.

import { Buffer } from "node:buffer";
import type { Lease } from "../http/exchange.ts";
import { FRAME_HEADER_BYTES, FrameType, Flag, H2Error } from "./frame-types.ts";

/** Who gets the frames. A call that finds an error calls `stop`. Ranges are valid during the call. */
export interface FrameSink {
  /** A DATA frame begins. `size`: payload with padding, for flow control. `dataSize`: without padding and its length. */
  onDataFrame(streamId: number, flags: number, size: number, dataSize: number): void;
  /** Bytes of its data; never empty. */
  onDataPiece(buffer: Buffer, start: number, end: number, lease: Lease | null): void;
  /** All of it came, padding too. */
  onDataFrameEnd(flags: number): void;
  /** A header block, complete. `dependency`: the stream that HEADERS with priority names, -1 without. */
  onHeaderBlock(streamId: number, flags: number, dependency: number, buffer: Buffer, start: number, end: number): void;
  /**
   * Any other frame of a known type; `length`: of its payload, [start, end) are the first `GATHER_BYTES_MAX` bytes of it at least.
   * Lengths that the type allows were checked.
   */
  onControlFrame(type: number, flags: number, streamId: number, length: number, buffer: Buffer, start: number, end: number): void;
  /** A frame of a type that nobody knows; it is skipped. */
  onUnknownFrame(): void;
  /** A connection error: nothing more is read. */
  onFrameError(h2code: number, why: string): void;
}

/** Bytes of a control frame that are kept at most: 64 settings. GOAWAY's debug data and long priorities are cut. */
export const GATHER_BYTES_MAX = 384;

/** CONTINUATION frames per block beyond those that full frames need: a few small ones are odd, hundreds are a flood (CVE-2024-27316). */
const CONTINUATIONS_EXTRA = 8;

/** First size of the memory for a block in parts; it doubles up to the limit and is given back with the block. */
const BLOCK_BYTES_MIN = 1024;

/** What a client sends first (RFC 9113 section 3.4). */
export const PREFACE: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
/** Bytes of the preface. */
export const PREFACE_BYTES: number = PREFACE.length;

const Stage = { preface: 0, header: 1, padLength: 2, data: 3, padding: 4, block: 5, control: 6, skip: 7, stopped: 8 } as const;
type Stage = (typeof Stage)[keyof typeof Stage];

const EMPTY = Buffer.alloc(0);

export interface FrameReaderLimits {
  readonly maxFrameSizeBytes: number;
  /** Compressed bytes of one header block. */
  readonly blockBytesMax: number;
}

export class FrameReader {
  readonly #sink: FrameSink;
  readonly #maxFrameSize: number;
  readonly #blockBytesMax: number;
  readonly #continuationsMax: number;
  #stage: Stage;
  /** The first frame has to be SETTINGS (3.4). */
  #isFirst = true;
  /** Bytes of the preface or the header so far. */
  #got = 0;
  /** The frame in progress. */
  #length = 0;
  #type = 0;
  #flags = 0;
  #streamId = 0;
  /** Payload bytes still to come in this stage. */
  #left = 0;
  #padding = 0;
  /** The header in parts, and the beginning of a control frame's payload; made with the first part. */
  #small: Buffer = EMPTY;
  #smallSize = 0;
  /** Stream of the header block in progress, 0: none. */
  #blockStream = 0;
  #blockFlags = 0;
  #dependency = -1;
  #block: Buffer = EMPTY;
  #blockSize = 0;
  #continuations = 0;
  /** Where the fragment of a HEADERS frame in parts begins in the gathered bytes, until it is complete. */
  #fragment = 0;

  constructor(sink: FrameSink, limits: FrameReaderLimits, expectsPreface: boolean) {
    this.#sink = sink;
    this.#maxFrameSize = limits.maxFrameSizeBytes;
    this.#blockBytesMax = limits.blockBytesMax;
    this.#continuationsMax = Math.ceil(limits.blockBytesMax / limits.maxFrameSizeBytes) + CONTINUATIONS_EXTRA;
    this.#stage = expectsPreface ? Stage.preface : Stage.header;
  }

  /** Nothing more is read; what was gathered is given back. */
  stop(): void {
    this.#stage = Stage.stopped;
    this.#block = EMPTY;
  }

  /** A header block has begun and is not complete: for the deadline of heads. */
  get isInBlock(): boolean {
    return this.#blockStream !== 0;
  }

  /** Reads [start, end) of `buffer`. */
  read(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    let p = start;
    while (p < end) {
      switch (this.#stage) {
        case Stage.header:
          p = this.#readHeader(buffer, p, end);
          break;
        case Stage.data: {
          const next = Math.min(end, p + this.#left);
          this.#left -= next - p;
          this.#sink.onDataPiece(buffer, p, next, lease);
          p = next;
          if (this.#left === 0) this.#endData();
          break;
        }
        case Stage.padLength:
          this.#readPadLength(buffer[p]!);
          p++;
          break;
        case Stage.block:
          p = this.#readBlock(buffer, p, end);
          break;
        case Stage.control:
          p = this.#readControl(buffer, p, end);
          break;
        case Stage.padding:
        case Stage.skip: {
          const next = Math.min(end, p + this.#left);
          this.#left -= next - p;
          p = next;
          if (this.#left === 0) this.#endSkip();
          break;
        }
        case Stage.preface:
          p = this.#readPreface(buffer, p, end);
          break;
        default:
          return;
      }
    }
  }

  #fail(h2code: number, why: string): void {
    this.stop();
    this.#sink.onFrameError(h2code, why);
  }

  #readPreface(buffer: Buffer, start: number, end: number): number {
    let p = start;
    while (p < end && this.#got < PREFACE_BYTES) {
      if (buffer[p] !== PREFACE[this.#got]) {
        this.#fail(H2Error.protocolError, "the client preface is wrong");
        return end;
      }
      this.#got++;
      p++;
    }
    if (this.#got === PREFACE_BYTES) {
      this.#got = 0;
      this.#stage = Stage.header;
    }
    return p;
  }

  #readHeader(buffer: Buffer, start: number, end: number): number {
    let source = buffer;
    let p = start;
    let next = start + FRAME_HEADER_BYTES;
    if (this.#got > 0 || next > end) {
      if (this.#small === EMPTY) this.#small = Buffer.allocUnsafeSlow(GATHER_BYTES_MAX);
      source = this.#small;
      next = Math.min(end, start + FRAME_HEADER_BYTES - this.#got);
      for (p = start; p < next; p++) source[this.#got++] = buffer[p]!;
      if (this.#got < FRAME_HEADER_BYTES) return next;
      this.#got = 0;
      p = 0;
    }
    const length = (source[p]! << 16) | (source[p + 1]! << 8) | source[p + 2]!;
    const type = source[p + 3]!;
    this.#length = length;
    this.#left = length;
    this.#type = type;
    this.#flags = source[p + 4]!;
    // The reserved bit is ignored (RFC 9113 section 4.1).
    this.#streamId = ((source[p + 5]! & 0x7f) << 24) | (source[p + 6]! << 16) | (source[p + 7]! << 8) | source[p + 8]!;
    if (length > this.#maxFrameSize) {
      this.#fail(H2Error.frameSizeError, "a frame is larger than SETTINGS_MAX_FRAME_SIZE");
      return end;
    }
    if (this.#blockStream !== 0 && (type !== FrameType.continuation || this.#streamId !== this.#blockStream)) {
      this.#fail(H2Error.protocolError, "a header block is interrupted");
      return end;
    }
    if (this.#isFirst) {
      this.#isFirst = false;
      if (type !== FrameType.settings || (this.#flags & Flag.ack) !== 0) {
        this.#fail(H2Error.protocolError, "the first frame is not SETTINGS");
        return end;
      }
    }
    switch (type) {
      case FrameType.data:
        return this.#beginData(next, end);
      case FrameType.headers:
        return this.#beginHeaders(buffer, next, end);
      case FrameType.continuation:
        return this.#beginContinuation(buffer, next, end);
      default:
        return this.#beginOther(buffer, next, end);
    }
  }

  // DATA

  #beginData(next: number, end: number): number {
    if (this.#streamId === 0) {
      this.#fail(H2Error.protocolError, "DATA on stream 0");
      return end;
    }
    const length = this.#length;
    if ((this.#flags & Flag.padded) !== 0) {
      if (length === 0) {
        this.#fail(H2Error.frameSizeError, "padded DATA without a pad length");
        return end;
      }
      this.#stage = Stage.padLength;
      return next;
    }
    this.#padding = 0;
    // Set before the call, which may stop the reader.
    if (length > 0) this.#stage = Stage.data;
    this.#sink.onDataFrame(this.#streamId, this.#flags, length, length);
    if (length === 0 && this.#stage === Stage.header) this.#sink.onDataFrameEnd(this.#flags);
    return next;
  }

  #readPadLength(padding: number): void {
    const dataSize = this.#length - 1 - padding;
    if (dataSize < 0) {
      this.#fail(H2Error.protocolError, "padding is longer than its frame");
      return;
    }
    this.#padding = padding;
    this.#left = dataSize;
    this.#stage = Stage.data;
    this.#sink.onDataFrame(this.#streamId, this.#flags, this.#length, dataSize);
    if (dataSize === 0) this.#endData();
  }

  #endData(): void {
    if (this.#stage === Stage.stopped) return;
    if (this.#padding > 0) {
      this.#stage = Stage.padding;
      this.#left = this.#padding;
      this.#padding = 0;
      return;
    }
    this.#stage = Stage.header;
    this.#sink.onDataFrameEnd(this.#flags);
  }

  #endSkip(): void {
    const isPadding = this.#stage === Stage.padding;
    this.#stage = Stage.header;
    if (isPadding) this.#sink.onDataFrameEnd(this.#flags);
  }

  // Header blocks

  #beginHeaders(buffer: Buffer, next: number, end: number): number {
    if (this.#streamId === 0) {
      this.#fail(H2Error.protocolError, "HEADERS on stream 0");
      return end;
    }
    this.#blockSize = 0;
    if (!this.#hasBlockRoom()) return end;
    const frameEnd = next + this.#length;
    const flags = this.#flags;
    this.#blockFlags = flags;
    if (frameEnd <= end && (flags & (Flag.endHeaders | Flag.padded | Flag.priority)) === Flag.endHeaders) {
      this.#sink.onHeaderBlock(this.#streamId, flags, -1, buffer, next, frameEnd);
      return frameEnd;
    }
    this.#dependency = -1;
    if (frameEnd <= end) {
      const start = this.#openFragment(buffer, next, frameEnd);
      if (start < 0) return end;
      const fragmentEnd = frameEnd - this.#padding;
      if ((flags & Flag.endHeaders) !== 0) {
        this.#sink.onHeaderBlock(this.#streamId, flags, this.#dependency, buffer, start, fragmentEnd);
        return frameEnd;
      }
      this.#beginGathering();
      this.#append(buffer, start, fragmentEnd);
      return frameEnd;
    }
    this.#beginGathering();
    this.#fragment = 0;
    this.#stage = Stage.block;
    return next;
  }

  #beginGathering(): void {
    this.#blockStream = this.#streamId;
    this.#blockSize = 0;
    this.#continuations = 0;
    this.#fragment = -1;
  }

  /**
   * Reads what stands before the fragment of a complete HEADERS frame (6.2). Returns where the fragment begins, -1 after an error;
   * `#padding` is behind it.
   */
  #openFragment(buffer: Buffer, start: number, end: number): number {
    let p = start;
    this.#padding = 0;
    const hasPriority = (this.#flags & Flag.priority) !== 0;
    const isPadded = (this.#flags & Flag.padded) !== 0;
    if (end - start < (isPadded ? 1 : 0) + (hasPriority ? 5 : 0)) {
      this.#fail(H2Error.frameSizeError, "HEADERS is too short for its flags");
      return -1;
    }
    if (isPadded) this.#padding = buffer[p++]!;
    if (hasPriority) {
      this.#dependency = ((buffer[p]! & 0x7f) << 24) | (buffer[p + 1]! << 16) | (buffer[p + 2]! << 8) | buffer[p + 3]!;
      p += 5;
    }
    if (p + this.#padding > end) {
      this.#fail(H2Error.protocolError, "padding is longer than its frame");
      return -1;
    }
    return p;
  }

  #beginContinuation(buffer: Buffer, next: number, end: number): number {
    if (this.#blockStream === 0) {
      this.#fail(H2Error.protocolError, "CONTINUATION without HEADERS");
      return end;
    }
    if (++this.#continuations > this.#continuationsMax) {
      this.#fail(H2Error.enhanceYourCalm, "too many CONTINUATION frames");
      return end;
    }
    if (!this.#hasBlockRoom()) return end;
    this.#stage = Stage.block;
    // An empty one has no byte to wait for.
    return this.#length === 0 ? this.#readBlock(buffer, next, next) : next;
  }

  /** Bytes of a HEADERS frame in parts, or of CONTINUATION. */
  #readBlock(buffer: Buffer, start: number, end: number): number {
    const next = Math.min(end, start + this.#left);
    this.#left -= next - start;
    this.#append(buffer, start, next);
    if (this.#left > 0) return next;
    this.#stage = Stage.header;
    if (this.#fragment === 0) {
      // All of the HEADERS frame is there: without what stands before and behind its fragment.
      const from = this.#openFragment(this.#block, 0, this.#blockSize);
      if (from < 0) return end;
      this.#block.copyWithin(0, from, this.#blockSize - this.#padding);
      this.#blockSize -= from + this.#padding;
      this.#fragment = -1;
    }
    if ((this.#flags & Flag.endHeaders) !== 0) this.#endBlock();
    return next;
  }

  #endBlock(): void {
    const block = this.#block;
    const streamId = this.#blockStream;
    this.#block = EMPTY;
    this.#blockStream = 0;
    this.#sink.onHeaderBlock(streamId, this.#blockFlags, this.#dependency, block, 0, this.#blockSize);
  }

  /** Is the block with this frame's payload small enough? Asked before any of it is read, so that the split does not matter. */
  #hasBlockRoom(): boolean {
    if (this.#blockSize + this.#length <= this.#blockBytesMax) return true;
    this.#fail(H2Error.enhanceYourCalm, "a header block is too large");
    return false;
  }

  #append(buffer: Buffer, from: number, to: number): void {
    const size = this.#blockSize + (to - from);
    if (size > this.#block.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES_MIN, 2 * this.#block.length, size));
      this.#block.copy(larger, 0, 0, this.#blockSize);
      this.#block = larger;
    }
    buffer.copy(this.#block, this.#blockSize, from, to);
    this.#blockSize = size;
  }

  // Everything else

  #beginOther(buffer: Buffer, next: number, end: number): number {
    const problem = this.#checkControl();
    if (problem !== "") {
      this.#fail(problem === UNFIT_STREAM ? H2Error.protocolError : H2Error.frameSizeError, problem);
      return end;
    }
    const type = this.#type;
    if (type > FrameType.continuation && type !== FrameType.priorityUpdate) {
      this.#stage = this.#length > 0 ? Stage.skip : Stage.header;
      this.#sink.onUnknownFrame();
      return next;
    }
    const frameEnd = next + this.#length;
    if (frameEnd <= end) {
      this.#sink.onControlFrame(type, this.#flags, this.#streamId, this.#length, buffer, next, frameEnd);
      return frameEnd;
    }
    if (this.#small === EMPTY) this.#small = Buffer.allocUnsafeSlow(GATHER_BYTES_MAX);
    this.#smallSize = 0;
    this.#stage = Stage.control;
    return next;
  }

  #readControl(buffer: Buffer, start: number, end: number): number {
    const wanted = Math.min(this.#length, GATHER_BYTES_MAX);
    const next = Math.min(end, start + wanted - this.#smallSize);
    for (let p = start; p < next; p++) this.#small[this.#smallSize++] = buffer[p]!;
    if (this.#smallSize < wanted) return next;
    this.#left = this.#length - wanted;
    this.#stage = this.#left > 0 ? Stage.skip : Stage.header;
    this.#sink.onControlFrame(this.#type, this.#flags, this.#streamId, this.#length, this.#small, 0, wanted);
    return next;
  }

  /** Does the length fit the type, and the stream? '' or what is wrong. */
  #checkControl(): string {
    const length = this.#length;
    const hasStream = this.#streamId !== 0;
    switch (this.#type) {
      case FrameType.priority:
        // Its length is the stream's error (6.3): the sink decides.
        return hasStream ? "" : UNFIT_STREAM;
      case FrameType.rstStream:
        if (!hasStream) return UNFIT_STREAM;
        return length === 4 ? "" : "RST_STREAM is not 4 bytes long";
      case FrameType.settings:
        if (hasStream) return UNFIT_STREAM;
        if ((this.#flags & Flag.ack) !== 0) return length === 0 ? "" : "an acknowledgement of SETTINGS has a payload";
        return length % 6 === 0 ? "" : "SETTINGS is not a multiple of 6 bytes";
      case FrameType.ping:
        if (hasStream) return UNFIT_STREAM;
        return length === 8 ? "" : "PING is not 8 bytes long";
      case FrameType.goaway:
        if (hasStream) return UNFIT_STREAM;
        return length >= 8 ? "" : "GOAWAY is shorter than 8 bytes";
      case FrameType.windowUpdate:
        return length === 4 ? "" : "WINDOW_UPDATE is not 4 bytes long";
      case FrameType.priorityUpdate:
        if (hasStream) return UNFIT_STREAM;
        return length >= 4 ? "" : "PRIORITY_UPDATE is shorter than 4 bytes";
      default:
        return "";
    }
  }
}

const UNFIT_STREAM = "a frame is on stream 0 that may not be, or the reverse";
