// The two clocks of this machine, and a watch that notices when the wall clock jumps.
//
// A certificate's times are wall-clock times, so a jump moves every plan that was made by them. The monotonic clock
// tells it: between two looks both should have gone on equally. A machine that was suspended looks like a jump forward, and is one.

/** Milliseconds. */
export interface Clock {
  /** Since 1970. Jumps. */
  now(): number;
  /** Since some moment. Never goes back. */
  monotonic(): number;
  /** What `now` differs by from the system's: 0, but in tests. */
  readonly offsetMs: number;
  /** Calls back after so long; returns what cancels it. */
  schedule(callback: () => void, ms: number): () => void;
}

/** How often the clocks are compared: well below any lifetime outside of tests. */
const LOOK_MS = 5_000;

/** Less is a clock that is being steered (NTP slews, and steps by up to half a second). */
const JUMP_MS = 10_000;

/** The system's clocks, and an offset that only tests set. */
export class SystemClock implements Clock {
  offsetMs = 0;

  now(): number {
    return Date.now() + this.offsetMs;
  }

  monotonic(): number {
    return performance.now();
  }

  schedule(callback: () => void, ms: number): () => void {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  }
}

export class ClockWatch {
  readonly #clock: Clock;
  readonly #onJump: (byMs: number) => void;
  readonly #timer: NodeJS.Timeout;
  #difference: number;

  /** @param onJump gets how far the wall clock jumped, negative for backwards; called once for each jump. Keeps no process alive. */
  constructor(clock: Clock, onJump: (byMs: number) => void, lookMs = LOOK_MS) {
    this.#clock = clock;
    this.#onJump = onJump;
    this.#difference = clock.now() - clock.monotonic();
    this.#timer = setInterval(() => this.look(), lookMs).unref();
  }

  /** Compares the clocks now. */
  look(): void {
    const difference = this.#clock.now() - this.#clock.monotonic();
    const byMs = difference - this.#difference;
    // Always: a slow drift never adds up to a jump.
    this.#difference = difference;
    if (Math.abs(byMs) >= JUMP_MS) this.#onJump(Math.round(byMs));
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
