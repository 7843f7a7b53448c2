// Bytes that a connection received and cannot use yet: the beginning of a head, a pipelined request, a body without an upstream.
// Owned memory, grown as needed; the caller keeps to its limit by not reading on.

import { Buffer } from "node:buffer";

const FIRST_BYTES = 1024;

export class Stash {
  bytes: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  start = 0;
  end = 0;

  get size(): number {
    return this.end - this.start;
  }

  append(buffer: Buffer, start: number, end: number): void {
    const more = end - start;
    if (this.end + more > this.bytes.length) this.#makeRoom(more);
    buffer.copy(this.bytes, this.end, start, end);
    this.end += more;
  }

  #makeRoom(more: number): void {
    const size = this.size;
    let capacity = this.bytes.length;
    while (capacity < size + more) capacity *= 2;
    const target = capacity === this.bytes.length ? this.bytes : Buffer.allocUnsafeSlow(capacity);
    this.bytes.copy(target, 0, this.start, this.end);
    this.bytes = target;
    this.start = 0;
    this.end = size;
  }
}
