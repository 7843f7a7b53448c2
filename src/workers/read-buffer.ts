// Memory for reads. Two kinds (design: ownership rule):
//   - one shared buffer per worker, for heads and small messages: its bytes are copied before they are written anywhere;
//   - pooled stream buffers, for bodies: they are leased to writes, and refilled only when nobody holds them.
// Reference counts: the reading transport holds one, every unfinished write one more.

import { Buffer } from "node:buffer";
import type { Lease } from "../core/http/exchange.ts";

/** Small: a first read may carry body bytes, and those are copied. 16 KiB of 1 MB are 1.6 %. */
export const SHARED_READ_BYTES = 16 * 1024;

/** One read of a streaming body. Larger ones save system calls until the socket buffers are the limit (native-notes/buffers.md). */
export const STREAM_READ_BYTES = 128 * 1024;

/** Free stream buffers kept per worker: 2 MiB; more are left to the garbage collector. */
const FREE_MAX = 16;

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
  readonly #free: ReadBuffer[] = [];
  /** Stream buffers in use, for /stats.json and leak checks. */
  inUse = 0;

  constructor() {
    this.shared = new ReadBuffer(this, SHARED_READ_BYTES, true);
    this.shared.retain();
  }

  /** A stream buffer with one reference, the caller's. */
  take(): ReadBuffer {
    const buffer = this.#free.pop() ?? new ReadBuffer(this, STREAM_READ_BYTES, false);
    buffer.retain();
    this.inUse++;
    return buffer;
  }

  /** Called by the last `release`. */
  give(buffer: ReadBuffer): void {
    this.inUse--;
    if (this.#free.length < FREE_MAX) this.#free.push(buffer);
  }
}
