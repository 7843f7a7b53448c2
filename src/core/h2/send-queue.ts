// Body bytes of one stream that wait for a window: copied into blocks that are filled up and used again. A lease in their place would hold
// the whole buffer that a few of its bytes were read into; so a thousand streams that stall hold what they hold, and leave nothing to collect.
//
// How much may wait is bounded by whoever sends: `isCongested` is true as long as anything waits.

import { Buffer } from "node:buffer";
import type { Lease } from "../http/exchange.ts";

const EMPTY = Buffer.alloc(0);

/** A usual frame's payload. */
const BLOCK_BYTES = 16 * 1024;
/** Free blocks kept for all queues of the thread: 2 MiB. */
const FREE_BLOCKS_MAX = 128;

/** Memory of the queues' own. The queue holds one reference, every write under way one more. */
class Block implements Lease {
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  #references = 0;

  retain(): void {
    this.#references++;
  }

  release(): void {
    if (--this.#references === 0 && freeBlocks.length < FREE_BLOCKS_MAX) freeBlocks.push(this);
  }
}

const freeBlocks: Block[] = [];

/** Holds nothing. */
const NOTHING: Lease = { retain() {}, release() {} };

class QueuedBytes {
  buffer: Buffer = EMPTY;
  start = 0;
  end = 0;
  lease: Lease = NOTHING;
  next: QueuedBytes | null = null;
}

/** Unused links, for all queues of the thread; as many are kept as a few hundred streams have at once. */
const FREE_MAX = 512;
let free: QueuedBytes | null = null;
let freeCount = 0;

export class SendQueue {
  #first: QueuedBytes | null = null;
  #last: QueuedBytes | null = null;
  /** Bytes in it. */
  size = 0;

  push(buffer: Buffer, start: number, end: number): void {
    this.size += end - start;
    let at = start;
    while (at < end) {
      let link = this.#last;
      if (link === null || link.end === BLOCK_BYTES) link = this.#append(freeBlocks.pop() ?? new Block());
      const count = Math.min(end - at, BLOCK_BYTES - link.end);
      buffer.copy(link.buffer, link.end, at, at + count);
      link.end += count;
      at += count;
    }
  }

  #append(block: Block): QueuedBytes {
    const link = free ?? new QueuedBytes();
    if (free !== null) {
      free = free.next;
      freeCount--;
    }
    block.retain();
    link.buffer = block.bytes;
    link.start = 0;
    link.end = 0;
    link.lease = block;
    link.next = null;
    if (this.#last === null) this.#first = link;
    else this.#last.next = link;
    this.#last = link;
    return link;
  }

  /** The first range, for the writer: buffer, start, end, lease. Null: empty. */
  get first(): Readonly<Pick<QueuedBytes, "buffer" | "start" | "end" | "lease">> | null {
    return this.#first;
  }

  /** `count` bytes of the first range were written. */
  advance(count: number): void {
    const link = this.#first;
    if (link === null) return;
    link.start += count;
    this.size -= count;
    if (link.start < link.end) return;
    this.#first = link.next;
    if (this.#first === null) this.#last = null;
    giveBack(link);
  }

  /** Drops all. */
  clear(): void {
    for (let link = this.#first; link !== null; ) {
      const { next } = link;
      giveBack(link);
      link = next;
    }
    this.#first = null;
    this.#last = null;
    this.size = 0;
  }
}

function giveBack(link: QueuedBytes): void {
  link.lease.release();
  link.buffer = EMPTY;
  link.lease = NOTHING;
  link.next = null;
  if (freeCount >= FREE_MAX) return;
  link.next = free;
  free = link;
  freeCount++;
}
