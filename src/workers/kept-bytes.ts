// What a client has sent and nobody can use yet: the beginning of a head, later requests, a body without an upstream.
//
// Using them up may keep a rest again. Then the rest stays where it lies; nothing is copied for each request of a long pipeline.

import type { Buffer } from "node:buffer";
import { Stash } from "./stash.ts";

export class KeptBytes {
  #stash: Stash | null = null;
  /** Being used up right now. */
  #inUse: Stash | null = null;

  get isEmpty(): boolean {
    return this.#stash === null;
  }

  get size(): number {
    return this.#stash === null ? 0 : this.#stash.size;
  }

  /** Keeps [start, end) behind what is kept already. */
  keep(buffer: Buffer, start: number, end: number): void {
    const inUse = this.#inUse;
    if (inUse !== null && inUse.bytes === buffer) {
      inUse.start = start;
      this.#stash = inUse;
    } else {
      this.#stash ??= new Stash();
      this.#stash.append(buffer, start, end);
    }
  }

  /** Gives everything to `process`, which keeps what it cannot use. */
  use(process: (buffer: Buffer, start: number, end: number) => void): void {
    const stash = this.#stash;
    if (stash === null) return;
    this.#stash = null;
    this.#inUse = stash;
    process(stash.bytes, stash.start, stash.end);
    this.#inUse = null;
  }

  clear(): void {
    this.#stash = null;
  }
}
