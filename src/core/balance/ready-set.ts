// The members of a picker, and the ready ones among them in a dense array.
//
// Each endpoint knows its own position (`readyIndex`), so that it enters and leaves in constant time: the last one takes the
// place of the one that leaves. Order therefore means nothing.
//
// Invariant: ready[i].readyIndex === i, and ready[i].isReady, for every i < ready.length.

import { NOT_MEMBER, NOT_READY, type PickableEndpoint } from "./picker.ts";

export class ReadySet<E extends PickableEndpoint> {
  /** For pickers to read; only this file writes it. */
  readonly ready: E[] = [];
  #members: readonly E[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  setReady(endpoint: E, isReady: boolean): void {
    endpoint.isReady = isReady;
    const index = endpoint.readyIndex;
    if (index === NOT_MEMBER || index >= 0 === isReady) return;
    if (isReady) {
      endpoint.readyIndex = this.ready.length;
      this.ready.push(endpoint);
      return;
    }
    const last = this.ready.pop()!;
    if (last !== endpoint) {
      this.ready[index] = last;
      last.readyIndex = index;
    }
    endpoint.readyIndex = NOT_READY;
  }

  update(endpoints: readonly E[]): void {
    for (const endpoint of this.#members) endpoint.readyIndex = NOT_MEMBER;
    this.ready.length = 0;
    this.#count = 0;
    for (const endpoint of endpoints) {
      if (endpoint.readyIndex !== NOT_MEMBER) continue;
      this.#count++;
      if (endpoint.isReady) {
        endpoint.readyIndex = this.ready.length;
        this.ready.push(endpoint);
      } else {
        endpoint.readyIndex = NOT_READY;
      }
    }
    // A copy: the caller may change its array, and the next update must find the same members again.
    this.#members = endpoints.slice();
  }
}
