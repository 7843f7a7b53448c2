// What the load generator is told, and what it answers.

import type { HdrSnapshot, LatencySummary } from "../../src/core/telemetry/hdr.ts";

export interface OpenLoopRun {
  /** 127.0.0.1 when nothing is said; WebSockets go nowhere else. */
  readonly host?: string;
  readonly port: number;
  readonly path: string;
  /** Requests per second, all connections together. Null: a closed loop, each connection sends again as soon as it has its answer. */
  readonly rate: number | null;
  readonly seconds: number;
  readonly connections: number;
  /** Seed of the jitter: the same seed gives the same schedule. */
  readonly seed: number;
  /** What a connection speaks; `http` when nothing is said. */
  readonly protocol?: "http" | "websocket";
  /** Body of every request, bytes: 0 or absent is a GET, otherwise a POST. */
  readonly requestBytes?: number;
  /** A closed loop ends after so many answers. */
  readonly requestsMax?: number;
}

/** Answers of one stretch of time. */
export interface TimeSlice extends LatencySummary {
  /** From the start of the run. */
  readonly atMs: number;
}

export interface OpenLoopResult {
  readonly sent: number;
  readonly completed: number;
  /** Answers other than 2xx, broken answers, lost connections, and what was still missing at the deadline. */
  readonly errors: number;
  /** From the first due moment to the last answer, or the deadline. */
  readonly durationMs: number;
  /** Microseconds from the moment at which a request should have been sent to the last byte of its answer. */
  readonly latency: HdrSnapshot;
  /** Microseconds by which the generator itself was late: from the intended moment to the write, without the waiting for a free connection. */
  readonly lateness: HdrSnapshot;
  /** Requests that found every connection busy, so that their latency includes a queue at the client. */
  readonly queued: number;
  /** Connections opened, the ones that replaced a lost one included. */
  readonly opened: number;
  readonly slices: readonly TimeSlice[];
}

/** Over this the generator disturbs what it measures: its p99 lateness in microseconds. */
export const LATENESS_P99_US_MAX = 100;
/** Length of a slice: short enough to show a stall, long enough that 1000 requests/s give its p99 a meaning. */
export const SLICE_MS = 250;
