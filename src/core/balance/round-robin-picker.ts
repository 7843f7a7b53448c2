// Round robin: the ready endpoints in turn.
//
// While the set does not change, any `readyCount` picks in a row take each endpoint once. When one leaves, the last takes its place, so
// around a change one endpoint may get its turn early or late by one round. Each worker's first turn is drawn, or all workers would
// send their first request to the same endpoint.

import { type Random, randomIndex } from "../util/random.ts";
import type { PickableEndpoint, Picker } from "./picker.ts";
import { ReadySet } from "./ready-set.ts";

export class RoundRobinPicker<E extends PickableEndpoint> implements Picker<E> {
  readonly #set = new ReadySet<E>();
  #next = -1;

  pick(_nowMs: number, random: Random): E | null {
    const ready = this.#set.ready;
    const count = ready.length;
    if (count === 0) return null;
    if (this.#next < 0) this.#next = randomIndex(random, count);
    const index = this.#next < count ? this.#next : 0;
    this.#next = index + 1;
    return ready[index]!;
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
