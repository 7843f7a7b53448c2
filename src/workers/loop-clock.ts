// How late this worker comes to its events, and how long it spends in them (design section 4).
//
// Clocks inside callbacks alone are blind: an event that waited 8 ms in the kernel while the loop was busy looks
// punctual. So each turn of the loop asks libuv two things when its first event is handled: how long the loop was busy
// since the previous turn ended, and whether events were already waiting when it polled. If they were, each event of
// the turn waited some part of that busy time; which part is unknown, so it is drawn evenly (a golden-ratio sequence:
// over many events the distribution is that of arrivals spread over the busy time).
//
//   turn n                     busy (timers, GC, ...)   poll    turn n+1
//   [event][event][immediate]--------------------------->|------[event +wait][event +wait+elapsed] ...

import { performance } from "node:perf_hooks";

interface UvMetrics {
  readonly eventsWaiting: number;
}
const timing = performance.nodeTiming as unknown as { readonly idleTime: number; readonly uvMetricsInfo?: UvMetrics };

/** Busy time below which nobody asks further: the cost of asking would exceed what is learned. */
const BUSY_MIN_MS = 0.05;
const GOLDEN = 0.6180339887498949;

export class LoopClock {
  /** Milliseconds, monotonic: start of the event being handled. Everything in that event uses this one. */
  now = performance.now();
  /** How long the current event had waited before it was handled, in milliseconds. */
  delayMs = 0;

  #isTurnOpen = false;
  #turnStart = 0;
  #lastTurnEnd = performance.now();
  #lastIdle = timing.idleTime;
  #lastWaiting = timing.uvMetricsInfo?.eventsWaiting ?? 0;
  #busyMs = 0;
  #fraction = 0;
  readonly #endTurn: () => void;
  readonly #recordDelay: (us: number) => void;

  /**
   * @param recordDelay gets each turn's lateness in microseconds (proxy_loop_delay_us).
   * @param onTurnEnd is called when all events of a turn have been handled, as the turn's last work.
   */
  constructor(recordDelay: (us: number) => void, onTurnEnd: () => void) {
    this.#recordDelay = recordDelay;
    this.#endTurn = () => {
      onTurnEnd();
      this.#isTurnOpen = false;
      // The last event of the turn came latest: behind what kept the loop busy before, and behind all others of the turn.
      this.#recordDelay((this.#busyMs + this.now - this.#turnStart) * 1000);
      this.#lastTurnEnd = performance.now();
      this.#lastIdle = timing.idleTime;
    };
  }

  /** How long the turn has lasted when the current event began, in milliseconds. */
  get turnMs(): number {
    return this.now - this.#turnStart;
  }

  /** Called first in each event from the kernel. */
  beginEvent(): void {
    const now = performance.now();
    this.now = now;
    if (!this.#isTurnOpen) this.#openTurn(now);
    if (this.#busyMs === 0) {
      this.delayMs = now - this.#turnStart;
    } else {
      this.#fraction += GOLDEN;
      if (this.#fraction >= 1) this.#fraction -= 1;
      this.delayMs = this.#fraction * this.#busyMs + (now - this.#turnStart);
    }
  }

  #openTurn(now: number): void {
    this.#isTurnOpen = true;
    this.#turnStart = now;
    this.#busyMs = 0;
    setImmediate(this.#endTurn);
    const busy = now - this.#lastTurnEnd - (timing.idleTime - this.#lastIdle);
    // Asked every turn, also when the answer is not needed: it is a running count, and its last value is the baseline.
    const waiting = timing.uvMetricsInfo?.eventsWaiting;
    if (busy > BUSY_MIN_MS && (waiting === undefined || waiting !== this.#lastWaiting)) this.#busyMs = busy;
    this.#lastWaiting = waiting ?? 0;
  }
}
