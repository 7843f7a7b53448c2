// A queue of streams linked through the streams themselves: each is in it at most once, and leaves it from any place.

import type { Stream } from "./stream.ts";

export class StreamList {
  #first: Stream | null = null;
  #last: Stream | null = null;
  count = 0;

  /** Puts a stream at the end, unless it is in the list. */
  push(stream: Stream): void {
    if (stream.isListed) return;
    stream.isListed = true;
    stream.previous = this.#last;
    stream.next = null;
    if (this.#last === null) this.#first = stream;
    else this.#last.next = stream;
    this.#last = stream;
    this.count++;
  }

  /** Takes the first, null: it is empty. */
  shift(): Stream | null {
    const stream = this.#first;
    if (stream !== null) this.remove(stream);
    return stream;
  }

  /** Takes a stream out, if it is in the list. */
  remove(stream: Stream): void {
    if (!stream.isListed) return;
    stream.isListed = false;
    if (stream.previous === null) this.#first = stream.next;
    else stream.previous.next = stream.next;
    if (stream.next === null) this.#last = stream.previous;
    else stream.next.previous = stream.previous;
    stream.previous = null;
    stream.next = null;
    this.count--;
  }
}
