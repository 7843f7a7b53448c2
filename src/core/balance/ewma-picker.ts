// Peak EWMA with power of two choices: of two different ready endpoints, drawn uniformly, the one with the lower load.
//
// Load = latency estimate x (requests in flight + 1). Two choices instead of the best of all: a pick costs the same whatever the
// count, and many workers with the same view do not all run to the same endpoint (linkerd.md 4.1 and 4.2).

import { type Random, randomIndex } from "../util/random.ts";
import type { PickableEndpoint, Picker } from "./picker.ts";
import { ReadySet } from "./ready-set.ts";

export class EwmaPicker<E extends PickableEndpoint> implements Picker<E> {
  readonly #set = new ReadySet<E>();

  pick(nowMs: number, random: Random): E | null {
    const ready = this.#set.ready;
    const count = ready.length;
    if (count < 2) return count === 0 ? null : ready[0]!;
    const first = randomIndex(random, count);
    // Of the others: drawing among one less and stepping over the first keeps every pair equally likely.
    let second = randomIndex(random, count - 1);
    if (second >= first) second++;
    const a = ready[first]!;
    const b = ready[second]!;
    return a.ewma.load(nowMs, a.inFlight) <= b.ewma.load(nowMs, b.inFlight) ? a : b;
  }

  setReady(endpoint: E, isReady: boolean): void {
    this.#set.setReady(endpoint, isReady);
  }

  update(endpoints: readonly E[]): void {
    this.#set.update(endpoints);
  }

  get readyCount(): number {
    return this.#set.ready.length;
  }

  get count(): number {
    return this.#set.count;
  }
}
