// Rounds and subjects of a result document, made up: a test says what matters to it and leaves the rest ordinary.

import { HdrLatency } from "../../../src/core/telemetry/hdr.ts";
import { latencyOf } from "../../../bench/engine/latency.ts";
import type { Latency, LoadDescription, Round, SubjectResult } from "../../../bench/result.ts";

export function latency(...us: readonly number[]): Latency {
  const histogram = new HdrLatency(3);
  for (const one of us) histogram.record(one);
  return latencyOf(histogram.snapshot());
}

export const CLOSED: LoadDescription = {
  id: "closed",
  tool: "wrk",
  loop: "closed",
  what: "",
  connections: 64,
  offeredRps: null,
  requestBytes: 0,
  responseBytes: 248,
};

export const OPEN: LoadDescription = { ...CLOSED, id: "open", tool: "open-loop", loop: "open", connections: 16, offeredRps: 1000 };

export function round(load: LoadDescription, index: number, more: Partial<Round> = {}): Round {
  return {
    load: load.id,
    index,
    position: 0,
    startedAtMs: index * 1000,
    durationMs: 1000,
    commandLine: "",
    requests: 1000,
    errors: 0,
    errorDetail: null,
    offeredRps: load.offeredRps,
    achievedRps: 1000,
    toolReport: null,
    latency: null,
    generatorLateness: null,
    queuedAtGenerator: null,
    slices: [],
    cpu: { userUs: 10, systemUs: 10, totalUs: 20 },
    originCpuShare: 0.2,
    generatorCpuShare: 0.2,
    subjectCpuShare: 0.95,
    othersCpuShare: 0,
    connections: { downstreamOpened: 64, upstreamOpened: 64, requestsPerUpstream: 16, upstreamReuse: 0.94 },
    memory: null,
    ...more,
  };
}

export function subject(name: string, rounds: readonly Round[], more: Partial<SubjectResult> = {}): SubjectResult {
  return {
    name,
    role: name === "direct" ? "direct" : name === "weft" ? "weft" : "peer",
    version: null,
    commandLine: [],
    note: null,
    state: "measured",
    failure: null,
    warmUp: { requests: 0, errors: 0, durationMs: 0 },
    rounds,
    memoryAtStart: null,
    memoryAtEnd: null,
    weft: null,
    ...more,
  };
}
