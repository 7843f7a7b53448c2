// Body bytes of one stream that wait for a window. Leased bytes are retained; others are copied, because they are lent for a call only.
//
// How much may wait is bounded by whoever sends: `isCongested` is true as long as anything waits.

import { Buffer } from "node:buffer";
import type { Lease } from "../http/exchange.ts";

/** Memory of the queue's own: nobody uses it again, so nobody has to be told. */
const OWN: Lease = { retain() {}, release() {} };

const EMPTY = Buffer.alloc(0);

class QueuedBytes {
  buffer: Buffer = EMPTY;
  start = 0;
  end = 0;
  lease: Lease = OWN;
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

  push(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    const link = free ?? new QueuedBytes();
    if (free !== null) {
      free = free.next;
      freeCount--;
    }
    link.next = null;
    if (lease === null) {
      link.buffer = Buffer.allocUnsafeSlow(end - start);
      buffer.copy(link.buffer, 0, start, end);
      link.start = 0;
      link.end = end - start;
      link.lease = OWN;
    } else {
      lease.retain();
      link.buffer = buffer;
      link.start = start;
      link.end = end;
      link.lease = lease;
    }
    if (this.#last === null) this.#first = link;
    else this.#last.next = link;
    this.#last = link;
    this.size += end - start;
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
  link.lease = OWN;
  link.next = null;
  if (freeCount >= FREE_MAX) return;
  link.next = free;
  free = link;
  freeCount++;
}
