// The minimum rate of a client's body (slow POST): bytes per window, and only time in which Weft wanted bytes counts.

import type { ForwarderContext } from "./forwarder-context.ts";
import type { Transport } from "./transport.ts";

export class BodyRate {
  readonly #context: ForwarderContext;
  readonly #transport: Transport;
  #bytesAtStart = 0;
  /** Weft itself held the client back in this window: it proves nothing. */
  #wasHeldBack = false;

  constructor(context: ForwarderContext, transport: Transport) {
    this.#context = context;
    this.#transport = transport;
  }

  /** Begins a window; the transport's deadline is its end. */
  begin(): void {
    const { limits } = this.#context.shared;
    if (limits.bodyMinBytesPerSecond === 0) return;
    this.#bytesAtStart = this.#transport.bytesRead;
    this.#wasHeldBack = false;
    this.#transport.deadlineAt = this.#context.loop.now + limits.bodyRateWindowMs;
  }

  holdBack(): void {
    this.#wasHeldBack = true;
  }

  /** At the end of a window: was the client too slow? `isWaiting`: it could not have sent more. If not, the next window begins. */
  isTooSlow(isWaiting: boolean): boolean {
    const { limits } = this.#context.shared;
    const bytes = this.#transport.bytesRead - this.#bytesAtStart;
    const isSlow = bytes < (limits.bodyMinBytesPerSecond * limits.bodyRateWindowMs) / 1000;
    if (isSlow && !isWaiting && !this.#wasHeldBack && this.#transport.isReading) return true;
    this.begin();
    return false;
  }
}
