// The open streams of a connection by number: open addressing in one array, because a Map costs three times as much per look-up.
//
// Numbers of one side differ by two, so half of a number is its slot, and neighbours never collide: probing is for streams that last
// long. The table doubles when it is half full; its size is bounded by the streams that a connection may have.

import type { Stream } from "./stream.ts";

const SIZE_MIN = 16;

export class StreamTable {
  #slots: (Stream | null)[] = new Array<Stream | null>(SIZE_MIN).fill(null);
  #mask = SIZE_MIN - 1;
  count = 0;

  /** The open stream with this number, or null. */
  get(id: number): Stream | null {
    const slots = this.#slots;
    const mask = this.#mask;
    for (let at = (id >> 1) & mask; ; at = (at + 1) & mask) {
      const stream = slots[at]!;
      if (stream === null || stream.id === id) return stream;
    }
  }

  /** Adds a stream whose number is not in the table. */
  add(stream: Stream): void {
    if (++this.count * 2 > this.#slots.length) this.#grow();
    this.#place(stream);
  }

  #place(stream: Stream): void {
    let at = (stream.id >> 1) & this.#mask;
    while (this.#slots[at] !== null) at = (at + 1) & this.#mask;
    this.#slots[at] = stream;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Array<Stream | null>(old.length * 2).fill(null);
    this.#mask = this.#slots.length - 1;
    for (const stream of old) {
      if (stream !== null) this.#place(stream);
    }
  }

  /** Removes a stream; one that is not there is left alone. Those probed past it move up, so that no look-up ends too early. */
  delete(id: number): void {
    const slots = this.#slots;
    const mask = this.#mask;
    let hole = (id >> 1) & mask;
    for (; ; hole = (hole + 1) & mask) {
      const stream = slots[hole]!;
      if (stream === null) return;
      if (stream.id === id) break;
    }
    this.count--;
    for (let at = (hole + 1) & mask; ; at = (at + 1) & mask) {
      const stream = slots[at]!;
      if (stream === null) break;
      const home = (stream.id >> 1) & mask;
      // It may move to the hole only if its home is not between the hole and where it stands.
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      slots[hole] = stream;
      hole = at;
    }
    slots[hole] = null;
  }

  /** All open streams, for what happens rarely: changed settings, the end of the connection. */
  list(): Stream[] {
    return this.#slots.filter((stream) => stream !== null);
  }
}
