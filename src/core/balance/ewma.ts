// Peak EWMA: how slow an endpoint is, as one number that jumps up at once and comes down slowly.
//
// A sample above the estimate replaces it (the peak). Any other is averaged in by its age, w = exp(-elapsed / decay):
// estimate = estimate * w + sample * (1 - w). Without samples the estimate decays towards 0 with the same w, so an endpoint that
// was slow once is tried again. Reads project that decay to `now` and change nothing: asking twice, or asking early,
// never moves the estimate. Times are milliseconds of one monotonic clock, handed in.
//
// Refused (dropped): samples that are older than the newest one, negative, or not finite. Of two samples of one instant (a worker
// reads its clock once per turn) the second counts only if it is a peak: at elapsed = 0 an average has weight 0 anyway.

/** Shortest decay, ms: a decay of 0 would divide by 0 and forget everything at once. */
const DECAY_MS_MIN = 1;

/** Shortest assumed round trip, ms. */
const DEFAULT_RTT_MS_MIN = 1;

/**
 * Least latency that counts in a load, ms. After hours without samples an estimate is 0 to the last digit, and
 * 0 x (in flight + 1) stays 0: an endpoint that has stopped answering would look free for ever. With a floor, requests in flight decide.
 */
const LOAD_RTT_MS_MIN = 0.001;

/** Linkerd's constants: 10 s of decay, 30 ms assumed before the first sample. */
export const EWMA_DECAY_MS = 10_000;
export const EWMA_DEFAULT_RTT_MS = 30;

export class PeakEwma {
  readonly #decayMs: number;
  #rttMs: number;
  #updatedAtMs: number;

  /**
   * @param decayMs time after which a sample's weight has fallen to 1/e; below 1 it is 1
   * @param defaultRttMs assumed before the first sample; below 1, or not finite, it is 1
   * @param nowMs when the endpoint came into being: the assumption decays from here, so that a new endpoint beside fast
   *   ones is tried within seconds and not only when they are busy
   */
  constructor(decayMs: number, defaultRttMs: number, nowMs: number) {
    this.#decayMs = decayMs >= DECAY_MS_MIN ? decayMs : DECAY_MS_MIN;
    this.#rttMs = defaultRttMs >= DEFAULT_RTT_MS_MIN && defaultRttMs < Infinity ? defaultRttMs : DEFAULT_RTT_MS_MIN;
    this.#updatedAtMs = nowMs;
  }

  /** Takes in one latency of `rttMs`, seen at `nowMs`. */
  observe(rttMs: number, nowMs: number): void {
    const elapsedMs = nowMs - this.#updatedAtMs;
    // Written so that NaN fails too.
    if (!(elapsedMs >= 0 && elapsedMs < Infinity && rttMs >= 0 && rttMs < Infinity)) return;
    const weight = elapsedMs === 0 ? 1 : Math.exp(-elapsedMs / this.#decayMs);
    const decayedMs = this.#rttMs * weight;
    this.#rttMs = rttMs > decayedMs ? rttMs : decayedMs + rttMs * (1 - weight);
    this.#updatedAtMs = nowMs;
  }

  /** The estimate in ms as it is at `nowMs`: at most the last stored one, towards 0 as time passes. Changes nothing. */
  estimate(nowMs: number): number {
    const elapsedMs = nowMs - this.#updatedAtMs;
    // Earlier than the newest sample (or not a time): the newest sample's estimate.
    if (!(elapsedMs > 0)) return this.#rttMs;
    return this.#rttMs * Math.exp(-elapsedMs / this.#decayMs);
  }

  /**
   * What a picker compares: estimate x (in flight + 1). `inFlight` counts the requests that were sent to the endpoint and whose
   * response has not delivered its first body byte (or its end, without a body) yet: the end of the sample as well.
   */
  load(nowMs: number, inFlight: number): number {
    const estimateMs = this.estimate(nowMs);
    return (estimateMs > LOAD_RTT_MS_MIN ? estimateMs : LOAD_RTT_MS_MIN) * (inFlight + 1);
  }
}
