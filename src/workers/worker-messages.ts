// What the supervisor and a worker say to each other over their message port.
//
// Nothing here is sent per request or per connection: descriptors travel in the ring (hand-off.ts), counters in shared memory.

import type { MessagePort } from "node:worker_threads";
import type { WorkerUpdate } from "../config/snapshot.ts";
import type { SeriesDescriptor } from "../core/telemetry/recorder.ts";
import type { LogFields, LogLevel } from "./forwarder-types.ts";

/** The task that a Piscina thread gets: it runs as long as the worker lives. */
export interface ServeTask {
  /** `worker/0`, `worker/1`: the seat, for logs. A replacement has the same. */
  readonly name: string;
  readonly port: MessagePort;
  readonly handOff: SharedArrayBuffer;
  readonly slots: SharedArrayBuffer;
  readonly seriesMax: number;
  /** Module with `createForwarder`. Always src/workers/forwarder.ts, except in tests of the threads themselves. */
  readonly forwarderModule: string;
  readonly testHooks: boolean;
}

/** What `serve` resolves with. */
export interface ServeResult {
  /** Client connections that the end of the grace period cut. */
  readonly cut: number;
}

/** Ways to break a worker, for tests. */
export type TestAction = "throw" | "exhaust-heap" | "exit" | "block" | "stutter";

/** Look into the ring. A number, because it is the one message that is sent often. */
export const WAKE = 0;

export type ToWorker =
  | typeof WAKE
  | { readonly kind: "update"; readonly update: WorkerUpdate; readonly listenerIds: readonly string[] }
  | { readonly kind: "drain" }
  | { readonly kind: "cut" }
  | { readonly kind: "names-asked" }
  | { readonly kind: "ask"; readonly id: number }
  | { readonly kind: "test"; readonly action: TestAction };

export type FromWorker =
  | { readonly kind: "serving"; readonly threadId: number }
  | { readonly kind: "log"; readonly level: LogLevel; readonly message: string; readonly fields?: LogFields }
  | { readonly kind: "series"; readonly descriptor: SeriesDescriptor }
  | { readonly kind: "connect-failed"; readonly service: string; readonly endpoint: string }
  | { readonly kind: "ask-names"; readonly ports: readonly number[] }
  | { readonly kind: "stats"; readonly id: number; readonly stats: object };
