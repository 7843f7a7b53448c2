// What forwards, as the supervisor sees it: a pool of worker threads, or this thread (`workers: 0`). Types only.

import type { WorkerUpdate } from "../config/snapshot.ts";
import type { SeriesDescriptor } from "../core/telemetry/recorder.ts";
import type { Placement } from "./acceptor.ts";
import type { Log } from "./forwarder-types.ts";
import type { TestAction } from "./worker-messages.ts";

/** Receives what one worker's life counts. */
export interface CounterSink {
  add(descriptor: SeriesDescriptor): void;
  /** The worker is gone: its counters stay, its gauges count as 0. */
  retire(): void;
}

export interface WorkerSetOptions {
  readonly log: Log;
  /** Module with `createForwarder`. */
  readonly forwarderModule: string;
  readonly testHooks: boolean;
  readonly seriesMax: number;
  /** Everything that a worker which begins now must know. */
  readonly fullUpdate: () => WorkerUpdate;
  readonly listenerIds: readonly string[];
  /** Is this the local port of clients' connections? */
  readonly isListenerPort: (port: number) => boolean;
  /** A life begins to count in `slots`. */
  readonly onLife: (name: string, slots: SharedArrayBuffer) => CounterSink;
  /** The number of workers that serve changed. */
  readonly onServing: (serving: number) => void;
  readonly onRestart: (reason: string) => void;
  readonly onConnectFailed: (service: string, endpoint: string) => void;
  /** Asks for the names of services at these ports; resolves, also when that took too long, once workers were told what changed. */
  readonly askNames: (ports: readonly number[]) => Promise<void>;
}

/** One worker in /stats.json. */
export interface WorkerStatus {
  readonly name: string;
  readonly state: "serving" | "starting" | "backing off";
  readonly openConnections: number;
  readonly pendingConnections: number;
  readonly restarts: number;
  /** What the forwarder says, null when it did not answer in time. */
  readonly forwarder: object | null;
}

export interface WorkerSet extends Placement {
  /** Resolves when one worker serves. */
  start(): Promise<void>;
  /** Passes an update of the configuration on. */
  update(update: WorkerUpdate): void;
  /** Workers that serve. */
  readonly serving: number;
  status(): Promise<readonly WorkerStatus[]>;
  /** Lets what is in flight finish, cuts the rest after `graceMs` or when `cut` resolves; returns how many connections were cut. */
  drain(graceMs: number, cut: Promise<void>): Promise<number>;
  /** Breaks a worker on purpose. */
  test(worker: number, action: TestAction): void;
}
