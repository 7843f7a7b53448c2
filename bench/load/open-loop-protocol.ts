// What the open-loop generator is told, and what it answers.

import type { HdrSnapshot } from "../../src/core/telemetry/hdr.ts";

export interface OpenLoopRun {
  readonly port: number;
  readonly path: string;
  /** Requests per second, all connections together. */
  readonly rate: number;
  readonly seconds: number;
  readonly connections: number;
  /** Seed of the jitter: the same seed gives the same schedule. */
  readonly seed: number;
}

export interface OpenLoopResult {
  readonly sent: number;
  readonly completed: number;
  /** Answers other than 2xx, broken answers, lost connections, and what was still missing at the deadline. */
  readonly errors: number;
  /** Microseconds from the moment at which a request should have been sent to the last byte of its answer. */
  readonly latency: HdrSnapshot;
  /** Microseconds by which the generator itself was late: from the intended moment to the write, without the waiting for a free connection. */
  readonly lateness: HdrSnapshot;
  /** Requests that found every connection busy, so that their latency includes a queue at the client. */
  readonly queued: number;
}

/** Over this the generator disturbs what it measures: its p99 lateness in microseconds. */
export const LATENESS_P99_US_MAX = 100;
