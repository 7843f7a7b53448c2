// Power of two choices on open requests: of two different ready endpoints, drawn uniformly, the one with fewer in flight.
//
// It knows nothing of latency, except that slow endpoints have more in flight.

import { type Random, randomIndex } from "../util/random.ts";
import type { PickableEndpoint, Picker } from "./picker.ts";
import { ReadySet } from "./ready-set.ts";

export class P2cPicker<E extends PickableEndpoint> implements Picker<E> {
  readonly #set = new ReadySet<E>();

  pick(_nowMs: number, random: Random): E | null {
    const ready = this.#set.ready;
    const count = ready.length;
    if (count < 2) return count === 0 ? null : ready[0]!;
    const first = randomIndex(random, count);
    let second = randomIndex(random, count - 1);
    if (second >= first) second++;
    const a = ready[first]!;
    const b = ready[second]!;
    return a.inFlight <= b.inFlight ? a : b;
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
