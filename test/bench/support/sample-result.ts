// A result document as the engine writes it, made up from a seed: for the tests of reports and comparisons.

import type {
  BenchResult,
  CpuPerRequest,
  Latency,
  LoadDescription,
  Memory,
  Round,
  ScenarioResult,
  Slice,
  SubjectResult,
} from "../../../bench/result.ts";
import { RESULT_FORMAT } from "../../../bench/result.ts";
import { createRandom, type Random } from "../../../src/core/util/random.ts";
import { encodedHistogram } from "./distributions.ts";

export interface SampleSubject {
  readonly name: string;
  /** Typical latency, microseconds. */
  readonly latencyUs: number;
  /** CPU per request, microseconds; null for direct. */
  readonly cpuUs: number | null;
}

export interface SampleOptions {
  readonly seed?: number;
  readonly subjects?: readonly SampleSubject[];
  readonly rounds?: number;
  /** Per round of the open loop. */
  readonly requests?: number;
  readonly scenarios?: readonly string[];
  readonly cpuModel?: string;
  readonly quick?: boolean;
}

export const SAMPLE_SUBJECTS: readonly SampleSubject[] = [
  { name: "direct", latencyUs: 60, cpuUs: null },
  { name: "weft", latencyUs: 150, cpuUs: 38 },
  { name: "nginx", latencyUs: 130, cpuUs: 30 },
  { name: "haproxy", latencyUs: 125, cpuUs: 27 },
];

const CLOSED: LoadDescription = {
  id: "wrk",
  tool: "wrk",
  loop: "closed",
  what: "64 keep-alive connections for 3 s",
  connections: 64,
  offeredRps: null,
  requestBytes: 0,
  responseBytes: 248,
};

function openLoad(requests: number): LoadDescription {
  return {
    id: "open-loop",
    tool: "open-loop",
    loop: "open",
    what: `${requests} requests/s over 16 connections for 1 s`,
    connections: 16,
    offeredRps: requests,
    requestBytes: 0,
    responseBytes: 248,
  };
}

function latencies(random: Random, us: number, count: number): number[] {
  return Array.from({ length: count }, () =>
    Math.max(1, Math.round(us * (0.7 + 0.6 * random()) * (random() < 0.015 ? 2 + 12 * random() : 1))),
  );
}

function latencyOf(samples: readonly number[]): Latency {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return {
    count: samples.length,
    meanUs: samples.reduce((sum, one) => sum + one, 0) / Math.max(1, samples.length),
    p50Us: at(0.5),
    p90Us: at(0.9),
    p99Us: at(0.99),
    p999Us: at(0.999),
    p9999Us: at(0.9999),
    maxUs: sorted.at(-1) ?? 0,
    histogram: encodedHistogram(samples),
  };
}

function slicesOf(samples: readonly number[]): Slice[] {
  const size = Math.ceil(samples.length / 10);
  return Array.from({ length: 10 }, (_, i) => {
    const part = [...samples.slice(i * size, (i + 1) * size)].sort((a, b) => a - b);
    return {
      atMs: i * 100,
      count: part.length,
      p50Us: part[part.length >> 1] ?? 0,
      p99Us: part[Math.floor(part.length * 0.99)] ?? 0,
      maxUs: part.at(-1) ?? 0,
    };
  });
}

const MEMORY: Memory = { rssKb: 82_000, pssKb: 61_000, privateKb: 38_400 };

function round(
  load: LoadDescription,
  index: number,
  position: number,
  samples: readonly number[] | null,
  cpu: CpuPerRequest | null,
): Round {
  const requests = samples?.length ?? 60_000;
  return {
    load: load.id,
    index,
    position,
    startedAtMs: index * 4000 + position * 1000,
    durationMs: samples === null ? 3000 : 1000,
    commandLine: `${load.tool} http://127.0.0.1:PORT/`,
    requests,
    errors: 0,
    errorDetail: null,
    offeredRps: load.offeredRps,
    achievedRps: samples === null ? 20_000 : requests,
    toolReport: null,
    latency: samples === null ? null : latencyOf(samples),
    generatorLateness: null,
    queuedAtGenerator: samples === null ? null : 0,
    slices: samples === null ? [] : slicesOf(samples),
    cpu,
    originCpuShare: 0.3,
    generatorCpuShare: 0.5,
    subjectCpuShare: cpu === null ? null : 0.6,
    othersCpuShare: 0.02,
    connections: {
      downstreamOpened: load.connections,
      upstreamOpened: 8,
      requestsPerUpstream: requests / 8,
      upstreamReuse: 1 - 8 / requests,
    },
    memory: cpu === null ? null : MEMORY,
  };
}

function subjectOf(of: SampleSubject, options: Required<SampleOptions>, random: Random): SubjectResult {
  const role = of.name === "direct" ? "direct" : of.name === "weft" ? "weft" : "peer";
  const open = openLoad(options.requests);
  const position = options.subjects.indexOf(of);
  const rounds = Array.from({ length: options.rounds }, (_, i) => {
    const total = of.cpuUs === null ? null : of.cpuUs * (0.95 + 0.1 * random());
    const cpu = total === null ? null : { totalUs: total, userUs: total * 0.4, systemUs: total * 0.6 };
    return [
      round(CLOSED, i + 1, position, null, cpu),
      round(
        open,
        i + 1,
        position,
        latencies(random, of.latencyUs, options.requests),
        cpu === null ? null : { ...cpu, totalUs: total! * 2 },
      ),
    ];
  });
  return {
    name: of.name,
    role,
    version: role === "direct" ? null : `${of.name} 1.0`,
    commandLine: role === "direct" ? [] : [of.name, "--config", "FOLDER/a.conf"],
    note: null,
    state: "measured",
    failure: null,
    warmUp: { requests: 30_000, errors: 0, durationMs: 2000 },
    rounds: rounds.flat().sort((a, b) => a.load.localeCompare(b.load)),
    memoryAtStart: role === "direct" ? null : MEMORY,
    memoryAtEnd: role === "direct" ? null : MEMORY,
    weft: role === "weft" ? WEFT : null,
  };
}

const WEFT: SubjectResult["weft"] = {
  overheadP50Us: 31,
  overheadP99Us: 96,
  loopDelayP99Us: 210,
  copiedShare: null,
  threads: [
    {
      thread: "worker 1",
      durationMs: 3000,
      eventLoopUtilization: 0.61,
      gc: { count: 42, totalMs: 31.5, maxMs: 2.25, minor: 40, major: 1, incremental: 1 },
    },
  ],
};

function scenarioOf(name: string, options: Required<SampleOptions>, random: Random): ScenarioResult {
  const has = (subject: string): boolean => options.subjects.some((one) => one.name === subject);
  return {
    name,
    what: "keep-alive HTTP/1.1, answers of 248 bytes",
    origin: "uws",
    reference: has("nginx") ? "nginx" : null,
    startedAtMs: 0,
    durationMs: 60_000,
    loads: [CLOSED, openLoad(options.requests)],
    subjects: options.subjects.map((subject) => subjectOf(subject, options, random)),
    skipped: [{ name: "envoy", reason: "not installed", install: "see bench/README.md" }],
    selfChecks: [
      {
        name: "generator-late",
        load: "open-loop",
        subject: null,
        state: "warn",
        value: 240,
        limit: 100,
        unit: "us",
        message: "the generator was late by 240 us at p99 (100 us may be): the tails are partly its own",
      },
    ],
    crossChecks: [
      {
        subject: "weft",
        what: "requests/s",
        unit: "1/s",
        ours: 20_100,
        oursFrom: "requests counted / wall clock",
        theirs: 20_050,
        theirsFrom: "wrk",
        tolerance: 0.05,
        agrees: true,
      },
    ],
  };
}

export function sampleResult(some: SampleOptions = {}): BenchResult {
  const options: Required<SampleOptions> = {
    seed: 1,
    subjects: SAMPLE_SUBJECTS,
    rounds: 6,
    requests: 1000,
    scenarios: ["plain"],
    cpuModel: "Example CPU",
    quick: false,
    ...some,
  };
  const random = createRandom(options.seed);
  return {
    format: RESULT_FORMAT,
    title: "HTTP/1.1 beside nginx and HAProxy",
    commandLine: "npm run bench -- latency",
    startedAt: "2026-11-22T08:30:00.000Z",
    durationMs: 754_000,
    options: { preset: "default", quick: options.quick, pairs: options.rounds, workers: 1, rateRps: options.requests, connections: 16 },
    machine: { cores: 2, cpuModel: options.cpuModel, memoryKb: 24e6, kernel: "Linux 6.1.0", arch: "x64", busyShareBefore: 0.03 },
    versions: Object.fromEntries(options.subjects.filter((one) => one.name !== "direct").map(({ name }) => [name, `${name} 1.0`])),
    scenarios: options.scenarios.map((name) => scenarioOf(name, options, random)),
    skipped: [{ name: "caddy", reason: "not installed", install: "apt-get install caddy" }],
    verdicts: [
      {
        id: "plain/cpu",
        scenario: "plain",
        what: "plain: CPU per request",
        value: 1.27,
        unit: "x nginx",
        bar: 1.5,
        goal: 1,
        state: "met",
        reason: null,
      },
      {
        id: "plain/p99",
        scenario: "plain",
        what: "plain: added latency p99",
        value: null,
        unit: "ms",
        bar: 0.5,
        goal: 0.3,
        state: "unknown",
        reason: "the generator was late",
      },
    ],
    beforeAfter: null,
    footprint: null,
    notes: ["Absolute figures depend on the machine; compare only what was measured in one run."],
  };
}
