// Whether this machine stood still: lives of seconds end then through nobody's fault, and a test may begin again.

/** A turn that is later by so much is a stall. */
const STALL_MS = 150;
const LOOK_MS = 20;

export class Stalls {
  #lastMs = performance.now();
  #stalledMs = Number.NEGATIVE_INFINITY;
  readonly #timer = setInterval(() => this.#look(), LOOK_MS).unref();

  /** True when there was a stall within the last `ms`. */
  within(ms: number): boolean {
    this.#look();
    return performance.now() - this.#stalledMs < ms;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const nowMs = performance.now();
    if (nowMs - this.#lastMs > LOOK_MS + STALL_MS) this.#stalledMs = nowMs;
    this.#lastMs = nowMs;
  }
}
