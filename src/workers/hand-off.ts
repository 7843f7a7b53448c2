// Descriptors on their way from the acceptor to a worker: a ring in shared memory with one writer and one reader.
//
//   acceptor   writes [fd, listener, version, serial] at WRITTEN, then WRITTEN + 1, then wakes the reader (once per batch)
//   worker     moves CLAIMED from n to n + 1 by compare-and-exchange, adopts entry n, then ADOPTED = n + 1
//   acceptor   when the worker is dying: exchanges CLAIMED for REVOKED; entries [n, WRITTEN) are its own again
//
// A compare-and-exchange decides who owns an entry, so nothing is adopted twice and nothing is forgotten, whatever the
// moment of death. No message per connection: the acknowledgement is the counter. An entry names the version of the
// configuration that it needs (its listener may be new), because the ring and the message port are not ordered.

/** Entries per ring; a worker that is this far behind gets no more, the others do. A power of two. */
export const RING_ENTRIES = 1024;

const STRIDE = 4;
const HEADER = 16;
/** Counters run modulo 2^30, so that REVOKED is never one of their values. */
const COUNT_MASK = 0x3fffffff;
const REVOKED = -1;

/** Slots of the header. Each has one writer, except CLAIMED (above) and NOTIFIED. */
const Slot = { written: 0, claimed: 1, adopted: 2, notified: 3, open: 4, beat: 5 } as const;

/** Bytes of shared memory for one worker's life. */
export function handOffMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer((HEADER + RING_ENTRIES * STRIDE) * Int32Array.BYTES_PER_ELEMENT);
}

/** One connection that nobody has adopted. */
export interface Waiting {
  readonly fd: number;
  readonly listener: number;
  /** Which of the connections that had this descriptor number, since numbers are used again. */
  readonly serial: number;
}

/** The acceptor's end. */
export class HandOffSender {
  readonly #slots: Int32Array;
  #written = 0;

  constructor(memory: SharedArrayBuffer) {
    this.#slots = new Int32Array(memory);
  }

  /** Offers a descriptor; false when the ring is full or revoked, then it stays the caller's. */
  push(fd: number, listener: number, serial: number, version: number): boolean {
    const claimed = Atomics.load(this.#slots, Slot.claimed);
    if (claimed === REVOKED || ((this.#written - claimed) & COUNT_MASK) >= RING_ENTRIES) return false;
    const at = HEADER + (this.#written & (RING_ENTRIES - 1)) * STRIDE;
    this.#slots[at] = fd;
    this.#slots[at + 1] = listener;
    this.#slots[at + 2] = version;
    this.#slots[at + 3] = serial;
    this.#written = (this.#written + 1) & COUNT_MASK;
    Atomics.store(this.#slots, Slot.written, this.#written);
    return true;
  }

  /** True when the reader must be woken: nobody has since it last looked. */
  mustWake(): boolean {
    return Atomics.exchange(this.#slots, Slot.notified, 1) === 0;
  }

  /** Entries that the worker has not adopted yet. */
  get pending(): number {
    return (this.#written - Atomics.load(this.#slots, Slot.adopted)) & COUNT_MASK;
  }

  /** Client connections that the worker says it has. */
  get open(): number {
    return Atomics.load(this.#slots, Slot.open);
  }

  /** Changes as long as the worker's loop turns. */
  get beat(): number {
    return Atomics.load(this.#slots, Slot.beat);
  }

  /**
   * Takes back what the worker has not claimed; from here on it can claim nothing. `limbo` is a descriptor that it
   * claimed and did not confirm: only once its thread has ended is it certain whether anything still owns that.
   */
  revoke(): { readonly waiting: readonly Waiting[]; readonly limbo: Waiting | null } {
    const claimed = Atomics.exchange(this.#slots, Slot.claimed, REVOKED);
    if (claimed === REVOKED) return { waiting: [], limbo: null };
    const waiting: Waiting[] = [];
    for (let entry = claimed; entry !== this.#written; entry = (entry + 1) & COUNT_MASK) waiting.push(this.#entry(entry));
    const isConfirmed = Atomics.load(this.#slots, Slot.adopted) === claimed;
    return { waiting, limbo: isConfirmed ? null : this.#entry((claimed - 1) & COUNT_MASK) };
  }

  #entry(entry: number): Waiting {
    const at = HEADER + (entry & (RING_ENTRIES - 1)) * STRIDE;
    return { fd: this.#slots[at]!, listener: this.#slots[at + 1]!, serial: this.#slots[at + 3]! };
  }
}

/** The worker's end. */
export class HandOffReceiver {
  readonly #slots: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    this.#slots = new Int32Array(memory);
  }

  /**
   * Adopts up to `max` entries that need at most `version`. Returns true when more are waiting that can be adopted.
   * `adopt` must not throw: an entry that it was called for is its own.
   */
  drain(max: number, version: number, adopt: (fd: number, listener: number) => void): boolean {
    const slots = this.#slots;
    // Before looking at `written`: who writes after this look sees 0 and wakes again.
    Atomics.store(slots, Slot.notified, 0);
    for (let count = 0; ; count++) {
      const entry = Atomics.load(slots, Slot.claimed);
      if (entry === REVOKED || entry === Atomics.load(slots, Slot.written)) return false;
      const at = HEADER + (entry & (RING_ENTRIES - 1)) * STRIDE;
      const fd = slots[at]!;
      const listener = slots[at + 1]!;
      if (slots[at + 2]! > version) return false;
      if (count === max) return true;
      const next = (entry + 1) & COUNT_MASK;
      if (Atomics.compareExchange(slots, Slot.claimed, entry, next) !== entry) return false;
      adopt(fd, listener);
      Atomics.store(slots, Slot.adopted, next);
    }
  }

  setOpen(count: number): void {
    Atomics.store(this.#slots, Slot.open, count);
  }

  beat(): void {
    Atomics.add(this.#slots, Slot.beat, 1);
  }
}
