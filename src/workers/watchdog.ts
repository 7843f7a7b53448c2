// Decides from a worker's heartbeat whether its loop still turns. Pure: who looks, and when, is the pool's.
//
// It counts looks, not time: when the whole process was stopped (a debugger, a suspended laptop), no look happened either,
// and a healthy worker is not blamed for it.

/** Looks come this often; the heartbeat is as frequent. */
export const WATCH_PERIOD_MS = 1_000;

/** Looks in a row without a new beat after which a worker is lost: 5 s. */
const SILENT_MAX = 5;

/** The same for one that has not begun to serve: loading takes a slow machine seconds. */
const SILENT_AT_START_MAX = 20;

export class Watchdog {
  #beat = 0;
  #silent = 0;

  /** True when the worker must be replaced. */
  isLost(beat: number): boolean {
    if (beat !== this.#beat) {
      this.#beat = beat;
      this.#silent = 0;
      return false;
    }
    this.#silent++;
    return this.#silent >= (beat === 0 ? SILENT_AT_START_MAX : SILENT_MAX);
  }
}
