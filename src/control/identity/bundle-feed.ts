// The trust bundle for everybody who watches. A watcher that reads slowly skips to the newest: it never owes more than one bundle.

import type { Bundle } from "./authority.ts";
import { Refusal } from "./refusal.ts";

/** Watches at one time: one per proxy, and some that have not noticed yet that theirs is gone. */
const WATCHERS_MAX = 16_384;

export class BundleFeed {
  #bundle: Bundle | null = null;
  readonly #waiting = new Set<() => void>();
  #watchers = 0;

  get watchers(): number {
    return this.#watchers;
  }

  /** True when it is a new one; a bundle of the version that is there already changes nothing. */
  publish(bundle: Bundle): boolean {
    if (bundle.version === this.#bundle?.version) return false;
    this.#bundle = bundle;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
    return true;
  }

  /** The bundle now, and each that comes, until the signal. */
  async *watch(signal: AbortSignal): AsyncGenerator<Bundle> {
    if (this.#watchers >= WATCHERS_MAX) throw new Refusal("WEFT_IDENTITY_BUSY", "too many watches");
    this.#watchers++;
    let seen = -1;
    try {
      while (!signal.aborted) {
        if (this.#bundle !== null && this.#bundle.version !== seen) {
          seen = this.#bundle.version;
          yield this.#bundle;
        } else {
          await this.#change(signal);
        }
      }
    } finally {
      this.#watchers--;
    }
  }

  async #change(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener("abort", wake, { once: true });
    });
  }
}
