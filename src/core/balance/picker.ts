// The contract of all load balancers: which endpoint of a service gets the next request.
//
// A picker belongs to one service in one worker. It picks only among endpoints that are members (`update`) and ready (`setReady`),
// which it keeps in a dense array: a pick costs the same with 3 endpoints and with 5000, looks at two at most, and allocates nothing.
// Counting is the caller's job: `inFlight` goes up when a request is assigned to an endpoint and down when its response delivers
// the first body byte (or ends without one, or fails): a response that streams for an hour is no load of this kind. That instant is
// also when `ewma.observe` gets the latency since the request was sent. For opaque TCP the "request" is the connect.

import type { Random } from "../util/random.ts";
import type { PeakEwma } from "./ewma.ts";

/** Values of `PickableEndpoint.readyIndex` that are no index. */
export const NOT_MEMBER = -2;
export const NOT_READY = -1;

/** What a picker needs of an endpoint. An endpoint is a member of one picker at most. */
export interface PickableEndpoint {
  /** Can take a request now. Set before `update` adds the endpoint; afterwards written by `Picker.setReady` only. */
  isReady: boolean;
  /** Requests assigned and not answered yet, as told above. */
  inFlight: number;
  readonly ewma: PeakEwma;
  /** The picker's own: position among its ready members. Starts as NOT_MEMBER. */
  readyIndex: number;
}

export interface Picker<E extends PickableEndpoint> {
  /** The endpoint for the next request, or null while none is ready. `nowMs` is the time of the turn. */
  pick(nowMs: number, random: Random): E | null;
  /** Tells that an endpoint became ready or stopped being so. Of an endpoint that is no member, only the flag is written. */
  setReady(endpoint: E, isReady: boolean): void;
  /** Replaces the members. Endpoints in both the old and the new list keep everything; doubles count once. */
  update(endpoints: readonly E[]): void;
  /** Members that are ready. */
  readonly readyCount: number;
  /** Members. */
  readonly count: number;
}
