// The paths on which CPU per request is compared: which load, against whom, and what the ratio has to be.
//
// Bars are what the project promises, goals where it wants to be (design: what the numbers must become). Each is a ratio of
// CPU time per request, Weft's over the reference's, the median over interleaved pairs.

import { type LoadResult, ab, wrk } from "./load/tools.ts";
import type { Generator } from "./load/generator.ts";
import type { BenchOptions } from "./options.ts";
import type { Peer } from "./peers/peer.ts";

const MIB = 1024 * 1024;

export interface CpuScenario {
  readonly name: string;
  readonly what: string;
  /** The origin that it needs; null: as chosen on the command line. */
  readonly origin: "uws" | null;
  readonly reference: "nginx" | "haproxy";
  readonly bar: number;
  readonly goal: number;
  /** Bodies are big: also report which share of their bytes Weft copied. */
  readonly bodies: boolean;
  /** Brings a proxy to its steady state: compiled code, full pools. */
  warmUp(context: RunContext): Promise<LoadResult>;
  /** One measured run. */
  run(context: RunContext): Promise<LoadResult>;
}

export interface RunContext {
  readonly peer: Peer;
  readonly options: BenchOptions;
  readonly generator: Generator;
  /** Of the round, so that all proxies of a round get the same schedule. */
  readonly seed: number;
}

/** What the project asks for before a figure counts. Bodies of 1 MB: fewer, 30,000 of them are 30 GB. */
const WARM_REQUESTS = 30_000;
const SMALL_CONNECTIONS = 64;
const BODY_CONNECTIONS = 16;
const CLOSE_CONCURRENCY = 100;

function url(context: RunContext, path: string): string {
  return `http://127.0.0.1:${context.peer.port}${path}`;
}

/** Seconds of a measured run. */
function length(context: RunContext, seconds: number): number {
  return context.options.quick ? 1 : seconds;
}

async function manySmall(context: RunContext): Promise<LoadResult> {
  const requests = context.options.quick ? WARM_REQUESTS / 10 : WARM_REQUESTS;
  return ab({ url: url(context, "/"), requests, concurrency: SMALL_CONNECTIONS, keepAlive: true });
}

async function openLoop(context: RunContext, seconds: number): Promise<LoadResult> {
  const { rate, connections } = context.options;
  const run = { port: context.peer.port, path: "/", rate, seconds, connections, seed: context.seed };
  const result = await context.generator.run(run);
  return { requests: result.completed, errors: result.errors, output: "" };
}

const small: CpuScenario = {
  name: "small",
  what: "248-byte bodies, 64 keep-alive connections (wrk)",
  origin: null,
  reference: "nginx",
  bar: 1.25,
  goal: 1,
  bodies: false,
  warmUp: manySmall,
  run: (context) => wrk({ url: url(context, "/"), connections: SMALL_CONNECTIONS, seconds: length(context, 3) }),
};

const close: CpuScenario = {
  name: "close",
  what: "a new connection per request (ab -c 100)",
  origin: null,
  reference: "nginx",
  bar: 2.2,
  goal: 1.5,
  bodies: false,
  warmUp: (context) =>
    ab({
      url: url(context, "/"),
      requests: context.options.quick ? WARM_REQUESTS / 10 : WARM_REQUESTS,
      concurrency: CLOSE_CONCURRENCY,
      keepAlive: false,
    }),
  run: (context) =>
    ab({
      url: url(context, "/"),
      requests: context.options.quick ? 5_000 : 20_000,
      concurrency: CLOSE_CONCURRENCY,
      keepAlive: false,
    }),
};

const download: CpuScenario = {
  name: "download",
  what: "1 MB responses, 16 connections (wrk)",
  origin: null,
  reference: "haproxy",
  bar: 0.9,
  goal: 0.75,
  bodies: true,
  warmUp: (context) => wrk({ url: url(context, "/1m"), connections: BODY_CONNECTIONS, seconds: length(context, 3) }),
  run: (context) => wrk({ url: url(context, "/1m"), connections: BODY_CONNECTIONS, seconds: length(context, 3) }),
};

const uploadRun = (context: RunContext): Promise<LoadResult> =>
  wrk({ url: url(context, "/upload"), connections: BODY_CONNECTIONS, seconds: length(context, 3), uploadBytes: MIB });

const upload: CpuScenario = {
  name: "upload",
  what: "1 MB requests, 16 connections (wrk)",
  origin: "uws",
  reference: "haproxy",
  bar: 0.9,
  goal: 0.75,
  bodies: true,
  warmUp: uploadRun,
  run: uploadRun,
};

const rate: CpuScenario = {
  name: "rate",
  what: "a fixed rate, open loop with jitter, so that nothing batches",
  origin: null,
  reference: "nginx",
  bar: 1.6,
  goal: 1.3,
  bodies: false,
  warmUp: manySmall,
  run: (context) => openLoop(context, context.options.quick ? 2 : 6),
};

export const CPU_SCENARIOS: readonly CpuScenario[] = [small, close, download, upload, rate];
