// What a scenario is: which proxies can do it, how they are loaded, and what is asked of Weft. One file each beside this one.
//
// A scenario says what, never how: the engine (engine/run.ts) starts origins and proxies, warms, interleaves, measures and judges for
// all of them. Another protocol is one more file here, plus an ability of those peers that have it.

import { type Ability, PLAIN_HTTP1, type Protocols } from "../peers/peer.ts";
import type { OriginName } from "../peers/start.ts";
import type { Tool } from "./tools.ts";

/** Our own generator needs no installation and knows open and closed loops; the others are closed. */
export type LoadTool = Tool | "open-loop";

export interface Load {
  /** Unique in its scenario. */
  readonly id: string;
  readonly loop: "closed" | "open";
  /** In order of preference; the first that is installed runs. */
  readonly tools: readonly LoadTool[];
  /** What is done, for people, without how many and how long. */
  readonly what: string;
  readonly path: string;
  /** `option`: as the command line says. */
  readonly connections: number | "option";
  /** Requests under way on each connection at once; more than 1 needs HTTP/2 and h2load. */
  readonly streams: number;
  /** Requests per second of an open loop. */
  readonly rate: number | "option" | null;
  readonly protocol: "http" | "websocket";
  /** Bytes of the body of every request; 0: a GET. */
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly keepAlive: boolean;
  /** TLS sessions are resumed: for openssl, which makes a new connection per request. */
  readonly resumes: boolean;
  /** Length of a round; with `requests`, ab and h2load make so many instead. */
  readonly seconds: number;
  readonly requests: number;
}

interface CpuBar {
  readonly measure: "cpu";
  /** CPU per request, as a multiple of this subject's, at most. */
  readonly against: string;
}

interface LatencyBar {
  readonly measure: "added-latency";
  /** Milliseconds over direct at this percentile, at most. */
  readonly percentile: number;
}

interface CopiedBar {
  readonly measure: "copied";
}

export type Bar = (CpuBar | LatencyBar | CopiedBar) & {
  /** Of which load; CPU and latency need it, for `copied` it is all rounds. */
  readonly load: string;
  /** What the project promises; null: nothing yet. */
  readonly bar: number | null;
  /** Where it wants to be (design: what the numbers must become). */
  readonly goal: number;
};

export interface Scenario {
  readonly name: string;
  readonly what: string;
  readonly needs: readonly Ability[];
  /** `tcp`: proxies forward bytes and do not look at them. */
  readonly mode: "http" | "tcp";
  readonly protocols: Protocols;
  /** Null: nginx where it is installed (it is the cheapest), else ours; or as the command line says. */
  readonly origin: OriginName | null;
  /** Milliseconds that each endpoint waits; `[0]` is one that does not. Delays need the uws origin. `direct` is the first. */
  readonly endpointDelaysMs: readonly number[];
  /** Proxies in a row, of the same kind. */
  readonly hops: number;
  /** Weft is a pair of proxies with mutual TLS between them, the others are one. */
  readonly isMeshPair: boolean;
  /** Connections that are open and idle while the load runs. */
  readonly idleConnections: number;
  /** Requests of the warm-up, for each load; bodies: fewer, 30,000 of 1 MB are 30 GB. */
  readonly warmRequests: number;
  readonly reference: string | null;
  readonly bars: readonly Bar[];
  readonly loads: readonly Load[];
}

/** What the project asks for before a figure counts. */
export const WARM_REQUESTS = 30_000;
/** 2 GB of 1 MB bodies: code is compiled and pools are full long before. */
export const WARM_BODIES = 2_000;

/** The ordinary case; a scenario names what is different. */
export const ORDINARY: Omit<Scenario, "name" | "what" | "loads"> = {
  needs: ["http"],
  mode: "http",
  protocols: PLAIN_HTTP1,
  origin: null,
  endpointDelaysMs: [0],
  hops: 1,
  isMeshPair: false,
  idleConnections: 0,
  warmRequests: WARM_REQUESTS,
  reference: "nginx",
  bars: [],
};

const GET: Omit<Load, "id" | "loop" | "tools" | "what" | "rate" | "connections" | "seconds" | "requests"> = {
  path: "/",
  protocol: "http",
  requestBytes: 0,
  responseBytes: 248,
  streams: 1,
  keepAlive: true,
  resumes: false,
};

/** As fast as answers come, over 64 connections that stay open. */
export const CLOSED_LOOP: Load = {
  ...GET,
  id: "closed",
  loop: "closed",
  tools: ["wrk", "h2load", "open-loop"],
  what: "keep-alive, as fast as answers come",
  rate: null,
  connections: 64,
  seconds: 3,
  requests: 0,
};

/** A fixed rate with jitter, whatever the answers do: for latency, and for CPU where nothing batches. */
export const OPEN_LOOP: Load = {
  ...GET,
  id: "open",
  loop: "open",
  tools: ["open-loop"],
  what: "keep-alive, at a fixed rate with jitter",
  rate: "option",
  connections: "option",
  seconds: 3,
  requests: 0,
};
