// When the requests of an open-loop run are due. Pure: the same seed gives the same moments.
//
// Fixed rate with jitter: request i is due at a random moment of its own slot, so that the rate is exact over any span of slots and
// arrivals are not in step with anybody's timers. Synchronised arrivals queue in a proxy and are blamed on it.

/** xorshift32: quick, seeded, good enough for jitter. */
export class Schedule {
  #state: number;
  readonly #slotUs: number;
  #index = 0;

  /** `rate` in requests per second. */
  constructor(rate: number, seed: number) {
    this.#slotUs = 1_000_000 / rate;
    this.#state = (seed | 0) === 0 ? 0x9e3779b9 : seed | 0;
  }

  /** Microseconds after the start at which the next request is due; never less than the one before. */
  next(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    const due = (this.#index + (state >>> 0) / 0x1_0000_0000) * this.#slotUs;
    this.#index += 1;
    return due;
  }
}
