// How long to wait before a worker that died is replaced. Pure: the clock is an argument.
//
// Single accidents are repaired at once; a worker that dies again and again is reported and slowed down, so that a
// machine is not kept busy by starting threads.

/** Crashes in this window count. */
const WINDOW_MS = 60_000;

/** So many are replaced at once. */
const IMMEDIATE_MAX = 5;

const DELAY_MIN_MS = 500;
const DELAY_MAX_MS = 30_000;

export class RestartPolicy {
  #crashes: number[] = [];

  /** Notes a crash at `now` (milliseconds, monotonic): the delay until the replacement, and the crashes in the window. */
  crashed(now: number): { readonly delayMs: number; readonly crashes: number } {
    this.#crashes = this.#crashes.filter((at) => now - at < WINDOW_MS);
    this.#crashes.push(now);
    const crashes = this.#crashes.length;
    const excess = crashes - IMMEDIATE_MAX - 1;
    return { crashes, delayMs: excess < 0 ? 0 : Math.min(DELAY_MAX_MS, DELAY_MIN_MS * 2 ** Math.min(excess, 16)) };
  }
}
