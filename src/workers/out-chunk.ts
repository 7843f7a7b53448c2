// Memory in which the writes of one turn gather. Taken at the first byte of a turn, given back when the kernel took it.

import { Buffer } from "node:buffer";

/** Holds a usual head and a small body; a larger head (headerBytesMax) gets a chunk of its own size. */
const CHUNK_BYTES = 16 * 1024;
/** Bytes that are copied into a chunk rather than written on their own: below it a copy is cheaper than a system call. */
export const COPY_MAX = 4 * 1024;
/** Free chunks kept per worker: 1 MiB. */
const FREE_MAX = 64;

export class OutChunk {
  readonly bytes: Buffer;
  length = 0;

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafeSlow(size);
  }
}

export class OutChunkPool {
  readonly #free: OutChunk[] = [];
  inUse = 0;

  /** An empty chunk with room for at least `size` bytes. */
  take(size: number): OutChunk {
    this.inUse++;
    if (size > CHUNK_BYTES) return new OutChunk(size);
    return this.#free.pop() ?? new OutChunk(CHUNK_BYTES);
  }

  give(chunk: OutChunk): void {
    this.inUse--;
    if (chunk.bytes.length !== CHUNK_BYTES || this.#free.length >= FREE_MAX) return;
    chunk.length = 0;
    this.#free.push(chunk);
  }
}
