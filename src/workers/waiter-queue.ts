// Requests that wait: for an endpoint, or for a connection to one. Bounded, first in, first out, each with a deadline.
//
// A waiter whose client left is only marked (`isWaiting` false); it is dropped when its turn comes, by the next sweep, or when its room
// is needed: who gave up never keeps others out.

import type { Limits } from "../config/limits.ts";
import type { ExchangeResponseSide, UpstreamStream } from "../core/http/exchange.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Sweepable, WorkerLoop } from "./worker-loop.ts";

/** Someone who needs an endpoint, then a connection: an exchange. */
export interface Waiter extends ExchangeResponseSide {
  isWaiting: boolean;
  /** Number of its wait: who gave up and waits for something else is not found by those whom it left. */
  waitTicket: number;
  /** Only a new connection will do. */
  needsFresh: boolean;
  /** HTTP/2 is what the upstream should be spoken to in. */
  readonly wantsHttp2: boolean;
  /** A bare connection for a tunnel. */
  readonly wantsRaw: boolean;
  /** HTTP/1 will do where the upstream turns out not to speak HTTP/2: nobody declared that it does. */
  readonly takesHttp1: boolean;
  waitDeadline: number;
  /** The service's picker chose. */
  onEndpoint(endpoint: Endpoint): void;
  onUpstream(upstream: UpstreamStream): void;
  onUnavailable(errorId: number, detail: string): void;
}

/** One wait of a waiter, which may have given up since, and even wait elsewhere. */
interface Wait {
  readonly waiter: Waiter;
  readonly ticket: number;
}

const isOn = ({ waiter, ticket }: Wait): boolean => waiter.isWaiting && waiter.waitTicket === ticket;

export class WaiterQueue implements Sweepable {
  readonly #loop: WorkerLoop;
  readonly #onLate: (late: readonly Waiter[]) => void;
  #waits: Wait[] = [];

  /** `onLate` gets those who waited failFastTimeoutMs in vain; they have left the queue. */
  constructor(loop: WorkerLoop, onLate: (late: readonly Waiter[]) => void) {
    this.#loop = loop;
    this.#onLate = onLate;
  }

  /** Those who still wait. */
  get count(): number {
    let count = 0;
    for (const wait of this.#waits) if (isOn(wait)) count++;
    return count;
  }

  get isEmpty(): boolean {
    return this.#waits.length === 0;
  }

  /** False when the queue is full (pendingRequestsMax): the waiter was not taken. */
  add(waiter: Waiter, limits: Limits): boolean {
    if (this.#waits.length >= limits.pendingRequestsMax && !this.#dropGone()) return false;
    waiter.isWaiting = true;
    waiter.waitDeadline = this.#loop.now + limits.failFastTimeoutMs;
    this.#waits.push({ waiter, ticket: ++waiter.waitTicket });
    this.#loop.sweepables.add(this);
    return true;
  }

  /** True when there were any. */
  #dropGone(): boolean {
    if (this.#waits.every(isOn)) return false;
    this.#waits = this.#waits.filter(isOn);
    return true;
  }

  /** The first who can use what there is: a fresh connection serves everybody, another one those who do not insist. */
  take(isFresh: boolean): Waiter | null {
    const waits = this.#waits;
    for (let i = 0; i < waits.length; i++) {
      const wait = waits[i]!;
      const { waiter } = wait;
      if (!isOn(wait)) {
        waits.splice(i--, 1);
      } else if (isFresh || !waiter.needsFresh) {
        waits.splice(i, 1);
        waiter.isWaiting = false;
        return waiter;
      }
    }
    return null;
  }

  /** The first `max` of those who wait, everybody without it. They wait no more. */
  takeAll(max: number = this.#waits.length): readonly Waiter[] {
    const taken: Waiter[] = [];
    while (taken.length < max) {
      const waiter = this.take(true);
      if (waiter === null) break;
      taken.push(waiter);
    }
    return taken;
  }

  sweep(now: number): void {
    if (this.#waits.length === 0) {
      this.#loop.sweepables.delete(this);
      return;
    }
    const late = this.#waits.filter((wait) => isOn(wait) && wait.waiter.waitDeadline <= now).map(({ waiter }) => waiter);
    for (const waiter of late) waiter.isWaiting = false;
    this.#dropGone();
    if (late.length > 0) this.#onLate(late);
  }
}
