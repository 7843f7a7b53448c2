// Is anybody still there? Asked of a quiet connection between two proxies by HTTP/2's PING, on either side (RFC 9113 section 6.7; Linkerd's 10 s and 3 s).
//
//   hearing --(nothing came for meshPingIntervalMs: PING)--> asked --(anything comes)--> hearing
//                                                              +--(meshPingTimeoutMs, seen twice)--> dead
//
// Whatever comes is an answer. A proxy that stood still itself looks at its timers before it reads what came meanwhile: so the end of the
// time is believed when it is seen again, a turn of the loop later.

import type { Limits } from "../config/limits.ts";
import type { H2Session } from "../core/h2/contract.ts";

export class MeshPing {
  readonly #h2: H2Session;
  #heardAt: number;
  /** When PING was sent; 0: it was not. */
  #askedAt = 0;
  #isLate = false;

  /** `now`: milliseconds of the loop's clock, here and below. */
  constructor(h2: H2Session, now: number) {
    this.#h2 = h2;
    this.#heardAt = now;
  }

  /** Bytes came. */
  heard(now: number): void {
    this.#heardAt = now;
    this.#askedAt = 0;
  }

  /** Asks when it is time to; the caller flushes. True: nobody is there any more. */
  isDead(now: number, limits: Limits): boolean {
    if (this.#askedAt === 0) {
      if (now - this.#heardAt < limits.meshPingIntervalMs) return false;
      this.#h2.ping();
      this.#askedAt = now;
      this.#isLate = false;
      return false;
    }
    if (now - this.#askedAt < limits.meshPingTimeoutMs) return false;
    if (this.#isLate) return true;
    this.#isLate = true;
    return false;
  }
}
