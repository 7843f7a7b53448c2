// The seam between the threads around the data path and the data path itself. Types only.
//
// A forwarder owns every client connection that was handed to its thread. The thread around it (a worker, or the main
// thread with `workers: 0`) feeds it descriptors and updates of the configuration, and reads what it counts.

import type { WorkerUpdate } from "../config/snapshot.ts";
import type { Recorder } from "../core/telemetry/recorder.ts";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal";

/** What a line says beside its message: plain data, which may cross threads. `name` is the proxy's, in every line. */
export type LogFields = Readonly<Record<string, unknown>> & { readonly name?: never };

export type Log = (level: LogLevel, message: string, fields?: LogFields) => void;

export interface ForwarderOptions {
  readonly recorder: Recorder;
  readonly log: Log;
  /** A connect to an endpoint failed: the name behind it is resolved again. At most a few calls a second per endpoint. */
  readonly onConnectFailed: (serviceKey: string, endpoint: string) => void;
  /** Redirected connections go to addresses that are nobody's, at these ports: names of services there are asked for, and `namesAsked` is called. */
  readonly onStrangers: (ports: readonly number[]) => void;
  /** The number of open client connections changed. Called often: it only stores a number. */
  readonly onOpenConnections: (count: number) => void;
  /** True only with WEFT_TEST_HOOKS=1: hooks that block or break a worker on purpose exist. */
  readonly testHooks: boolean;
}

export interface ForwarderLike {
  /** Applies what changed. Requests in flight finish under what they began with; no connection is closed. */
  update(update: WorkerUpdate): void;
  /** Takes ownership of a connected TCP descriptor that came in at a listener. Never throws. */
  adopt(fd: number, listenerId: string): void;
  /** What `onStrangers` asked for is answered, or took too long; an `update` with what it changed came before. */
  namesAsked(): void;
  /** No keep-alive from now on: `Connection: close` on every answer, idle connections closed at once. */
  drain(): void;
  /** Destroys what is left and returns how many client connections that were. */
  cut(): number;
  /** Client connections that are open. */
  readonly openConnections: number;
  /** For /stats.json: pools, endpoints with their EWMA, connections. Plain data. */
  stats(): object;
  /** True when no client connection is left. */
  idle(): boolean;
}

export type CreateForwarder = (options: ForwarderOptions) => ForwarderLike;
