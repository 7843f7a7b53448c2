// Flow-control windows (RFC 9113 sections 5.2 and 6.9), integers of up to 2^31 - 1, one type per direction.
//
// Sending: what the peer allows. It may go negative: the peer lowers SETTINGS_INITIAL_WINDOW_SIZE by 1000 while 200 are left, and the
// window is -800 until updates have made up for it. An update that takes it above 2^31 - 1 is an error of the peer's.
//
// Receiving: what we allowed (`available`) and what we hold (`undrained`). Together they never exceed the limit, so memory is bounded;
// credit is announced only when half of the window is due: one update per half window, not per frame.

import { MAX_31_BITS } from "./frame-types.ts";

export class SendWindow {
  /** Bytes that may be sent; may be negative. */
  available: number;

  constructor(size: number) {
    this.available = size;
  }

  /** A WINDOW_UPDATE, or a changed initial size (`delta` may be negative). False: the window would be above 2^31 - 1. */
  add(delta: number): boolean {
    const next = this.available + delta;
    if (next > MAX_31_BITS) return false;
    this.available = next;
    return true;
  }
}

/** Credit below this is not worth a frame while the connection's memory is nearly full. */
const UPDATE_BYTES_MIN = 1024;

export class ReceiveWindow {
  /** Bytes that the peer may still send. */
  available: number;
  /** Bytes that came and have not left. */
  undrained = 0;
  /** What the two may be together. */
  size: number;
  /** Bytes that have left since the window grew last. */
  #drained = 0;

  constructor(size: number) {
    this.available = size;
    this.size = size;
  }

  /** Begins anew. */
  reset(size: number): void {
    this.available = size;
    this.undrained = 0;
    this.size = size;
    this.#drained = 0;
  }

  /**
   * Doubles the window, up to `max` and by `budget` bytes at most, once a whole one has left and nothing is held: who is read fast gets
   * more in flight, who is stalled holds no more than the window that it began with. Returns by how much it grew.
   */
  grow(max: number, budget: number): number {
    if (this.undrained > 0 || this.#drained < this.size || this.size >= max) return 0;
    this.#drained = 0;
    const growth = Math.min(this.size, max - this.size);
    if (growth > budget) return 0;
    this.size += growth;
    return growth;
  }

  /** A DATA frame of `bytes` (padding included) arrives. False: the peer did not have the window for it. */
  receive(bytes: number): boolean {
    if (bytes > this.available) return false;
    this.available -= bytes;
    this.undrained += bytes;
    return true;
  }

  /** Bytes left. More than there are is a bug of the caller's and counts as all. Returns how many were there. */
  drain(bytes: number): number {
    const drained = Math.min(bytes, this.undrained);
    this.undrained -= drained;
    this.#drained += drained;
    return drained;
  }

  /** Credit to announce; 0: less than half of the window is due. */
  takeCredit(): number {
    const { size } = this;
    const credit = size - this.undrained - this.available;
    if (credit <= 0 || credit < size >> 1) return 0;
    this.available += credit;
    return credit;
  }

  /**
   * The same for a window that many share: up to `size` in flight, while not more than `undrainedMax` is held for all. Some who hold theirs
   * for ever must not shut it for the others: near the limit it shrinks, and half of what is left is announced.
   */
  takeSharedCredit(size: number, undrainedMax: number): number {
    const ceiling = Math.min(size, undrainedMax - this.undrained);
    const credit = ceiling - this.available;
    if (credit < UPDATE_BYTES_MIN || this.available > ceiling >> 1) return 0;
    this.available = ceiling;
    return credit;
  }
}
