// Client connections that have not said anything, in the order of their arrival. All wait equally long (detectTimeoutMs), so
// one timer for the first of them is enough, precise to the millisecond where the sweep of deadlines is not.

import type { WorkerLoop } from "./worker-loop.ts";

/** A connection that may turn out to wait for its server. */
export interface Silent {
  /** False as soon as it has spoken or gone: then it is skipped. */
  readonly isSilent: boolean;
  onSilence(): void;
}

interface Entry {
  readonly silent: Silent;
  readonly dueAt: number;
}

export class SilenceQueue {
  readonly #loop: WorkerLoop;
  #entries: Entry[] = [];
  #timer: NodeJS.Timeout | null = null;

  constructor(loop: WorkerLoop) {
    this.#loop = loop;
  }

  add(silent: Silent): void {
    const waitMs = this.#loop.limits.detectTimeoutMs;
    this.#entries.push({ silent, dueAt: this.#loop.now + waitMs });
    if (this.#timer === null) this.#timer = setTimeout(() => this.#tick(), waitMs);
  }

  #tick(): void {
    this.#timer = null;
    this.#loop.run(() => {
      const { now } = this.#loop;
      let done = 0;
      while (done < this.#entries.length) {
        const { silent, dueAt } = this.#entries[done]!;
        if (silent.isSilent && dueAt > now + 0.5) break;
        done++;
        if (silent.isSilent) silent.onSilence();
      }
      this.#entries = this.#entries.slice(done);
    });
    const next = this.#entries[0];
    if (next !== undefined) this.#timer = setTimeout(() => this.#tick(), Math.max(1, next.dueAt - this.#loop.now));
  }
}
