// Memory for reads. Two kinds (design: ownership rule):
//   - one shared buffer per worker, for heads and small messages: its bytes are copied before they are written anywhere;
//   - pooled stream buffers, for bodies: they are leased to writes, and refilled only when nobody holds them.
// Reference counts: the reading transport holds one, every unfinished write one more.

import { Buffer } from "node:buffer";
import type { Lease } from "../core/http/exchange.ts";
import { COPY_MAX } from "./out-chunk.ts";

/** Small: a first read may carry body bytes, and those are copied. 16 KiB of 1 MB are 1.6 %. */
export const SHARED_READ_BYTES = 16 * 1024;

/** One read of a streaming body. Larger ones save system calls until the socket buffers are the limit (native-notes/buffers.md). */
export const STREAM_READ_BYTES = 128 * 1024;

/** Large stream buffers in use at one time: 16 MiB. With more bodies under way (a thousand slow readers) the next ones get small ones. */
const LARGE_IN_USE_MAX = 128;
const SMALL_READ_BYTES = 16 * 1024;

/** Free stream buffers kept per worker: 2 MiB and 1 MiB; more are left to the garbage collector. */
const FREE_LARGE_MAX = 16;
const FREE_SMALL_MAX = 64;

/** Which memory the next read goes into. */
export const ReadMode = {
  /** Heads and small bodies: the shared buffer. */
  head: 0,
  /** A tunnel or a body of unknown length: the shared buffer while it is quiet, a stream buffer while it fills. */
  adaptive: 1,
  /** A large body: a stream buffer. */
  body: 2,
} as const;
export type ReadMode = (typeof ReadMode)[keyof typeof ReadMode];

export class ReadBuffer implements Lease {
  readonly bytes: Buffer;
  readonly isShared: boolean;
  #references = 0;
  readonly #pool: ReadBufferPool;

  constructor(pool: ReadBufferPool, size: number, isShared: boolean) {
    this.#pool = pool;
    this.bytes = Buffer.allocUnsafeSlow(size);
    this.isShared = isShared;
  }

  /** More than the reading transport holds it: it must not be refilled. */
  get isLent(): boolean {
    return this.#references > 1;
  }

  retain(): void {
    this.#references++;
  }

  release(): void {
    if (--this.#references === 0) this.#pool.give(this);
  }
}

export class ReadBufferPool {
  readonly shared: ReadBuffer;
  readonly #large: ReadBuffer[] = [];
  readonly #small: ReadBuffer[] = [];
  #largeInUse = 0;
  #smallInUse = 0;

  constructor() {
    this.shared = new ReadBuffer(this, SHARED_READ_BYTES, true);
    this.shared.retain();
  }

  /** Stream buffers in use, for /stats.json and leak checks. */
  get inUse(): number {
    return this.#largeInUse + this.#smallInUse;
  }

  /** A stream buffer with one reference, the caller's. `isSmall`: for a source that fills no large one, such as a TLS record. */
  take(isSmall = false): ReadBuffer {
    let buffer: ReadBuffer;
    if (!isSmall && this.#largeInUse < LARGE_IN_USE_MAX) {
      this.#largeInUse++;
      buffer = this.#large.pop() ?? new ReadBuffer(this, STREAM_READ_BYTES, false);
    } else {
      this.#smallInUse++;
      buffer = this.#small.pop() ?? new ReadBuffer(this, SMALL_READ_BYTES, false);
    }
    buffer.retain();
    return buffer;
  }

  /**
   * What the read behind one of `count` bytes into `current` goes into; where it is another one, `current` is released. A paused source gets
   * no memory of its own: a thousand slow readers would hold a thousand empty buffers.
   */
  next(current: ReadBuffer, count: number, mode: ReadMode, isReading: boolean, isTls: boolean): ReadBuffer {
    const fills = mode === ReadMode.adaptive && count > (current.isShared ? current.bytes.length - 1 : COPY_MAX);
    const wantsOwn = isReading && (mode === ReadMode.body || fills);
    if (wantsOwn ? !current.isShared && !current.isLent : current.isShared) return current;
    const next = wantsOwn ? this.take(isTls) : this.shared;
    if (!current.isShared) current.release();
    return next;
  }

  /** Called by the last `release`. */
  give(buffer: ReadBuffer): void {
    if (buffer.bytes.length === STREAM_READ_BYTES) {
      this.#largeInUse--;
      if (this.#large.length < FREE_LARGE_MAX) this.#large.push(buffer);
    } else {
      this.#smallInUse--;
      if (this.#small.length < FREE_SMALL_MAX) this.#small.push(buffer);
    }
  }
}
