// From a command line to what the engine is asked to do: which scenarios, which proxies, how long.

import { QUICK, type RunRequest } from "./engine/request.ts";
import { SCENARIOS } from "./load/list.ts";
import type { Scenario } from "./load/scenario.ts";
import { type BenchOptions, UsageError } from "./options.ts";
import { PEERS } from "./peers/list.ts";
import type { PeerKind } from "./peers/peer.ts";

interface Preset {
  readonly title: string;
  readonly scenarios: readonly string[];
  /** Null: all. */
  readonly subjects: readonly string[] | null;
  readonly pairs: number;
  readonly seconds: number | null;
  readonly hasFootprint: boolean;
  readonly hasBeforeAfter: boolean;
}

/** Who the bars of `cpu` and `latency` are about. */
const COMPARED = ["weft", "nginx", "haproxy", "haproxy-64k"];
const CPU = ["plain", "fixed-rate", "new-connection", "download-1m", "upload-1m"];

/** HTTP/2 and TLS: whose bars and goals are about HAProxy, nginx and Node itself. */
const HTTP2 = ["http2", "http2-to-http1", "http1-to-http2", "http2-download-1m", "http2-upload-1m", "tls", "tls-http2"];
const HTTP2_COMPARED = ["weft", "haproxy", "haproxy-64k", "nginx", "envoy", "node-http2"];

const NOTHING_MORE = { hasFootprint: false, hasBeforeAfter: false };

const BY_NAME: Readonly<Record<string, Preset>> = {
  // Shorter rounds: eleven proxies take their time.
  default: { title: "Weft beside the others", scenarios: CPU, subjects: null, pairs: 9, seconds: 2, ...NOTHING_MORE },
  cpu: { title: "CPU per request", scenarios: CPU, subjects: COMPARED, pairs: 9, seconds: null, ...NOTHING_MORE },
  latency: { title: "Added latency", scenarios: ["fixed-rate"], subjects: COMPARED, pairs: 10, seconds: null, ...NOTHING_MORE },
  http2: { title: "HTTP/2 and TLS", scenarios: HTTP2, subjects: HTTP2_COMPARED, pairs: 9, seconds: null, ...NOTHING_MORE },
  memory: {
    title: "Start, memory, idle CPU",
    scenarios: [],
    subjects: COMPARED,
    pairs: 1,
    seconds: null,
    hasFootprint: true,
    hasBeforeAfter: false,
  },
  ab: { title: "Before and after", scenarios: [], subjects: ["weft"], pairs: 3, seconds: null, hasFootprint: false, hasBeforeAfter: true },
  all: {
    title: "Everything",
    scenarios: SCENARIOS.map((one) => one.name),
    subjects: null,
    pairs: 9,
    seconds: null,
    hasFootprint: true,
    hasBeforeAfter: true,
  },
};

/** Former names of scenarios, which notes and habits still have. */
const ALIASES: Readonly<Record<string, string>> = {
  small: "plain",
  close: "new-connection",
  download: "download-1m",
  upload: "upload-1m",
  rate: "fixed-rate",
};

/** A quick run ends within two minutes: this long it begins new things. */
const QUICK_DEADLINE_MS = 110_000;
/** Of which the parts that are no scenarios take so much. */
const QUICK_FOOTPRINT_MS = 60_000;
const QUICK_BEFORE_AFTER_MS = 10_000;
const BEFORE_AFTER_RUNS = 3;
/** Of a quick run that has few proxies; with all of them one round fills the time. */
const QUICK_PAIRS = 3;

export interface Plan {
  readonly request: RunRequest;
  /** Whose memory is measured; null: nobody's. */
  readonly footprintPeers: readonly PeerKind[] | null;
  /** Runs of ab, each without and with; 0: none. */
  readonly beforeAfterRuns: number;
}

function scenarioNamed(name: string): Scenario {
  const found = SCENARIOS.find((one) => one.name === (ALIASES[name] ?? name));
  if (found === undefined) throw new UsageError(`no scenario is called '${name}': ${SCENARIOS.map((one) => one.name).join(", ")}`);
  return found;
}

function peerNamed(name: string): PeerKind {
  const found = PEERS.find((one) => one.name === name);
  if (found === undefined) throw new UsageError(`no proxy is called '${name}': ${PEERS.map((one) => one.name).join(", ")}`);
  return found;
}

/** Throws UsageError for names that nobody has. */
export function planOf(options: BenchOptions, args: readonly string[]): Plan {
  const preset = BY_NAME[options.preset]!;
  const peers = options.subjects.length > 0 ? options.subjects.map(peerNamed) : (preset.subjects?.map(peerNamed) ?? PEERS);
  const quickPairs = preset.subjects === null && options.subjects.length === 0 ? 1 : QUICK_PAIRS;
  const pairs = options.pairs ?? (options.quick ? quickPairs : preset.pairs);
  const chosen = options.scenarios.length > 0 ? options.scenarios : preset.scenarios;
  const hasFootprint = preset.hasFootprint && options.scenarios.length === 0;
  const hasBeforeAfter = preset.hasBeforeAfter && options.scenarios.length === 0;
  const reservedMs = (hasFootprint ? QUICK_FOOTPRINT_MS : 0) + (hasBeforeAfter ? QUICK_BEFORE_AFTER_MS : 0);
  const request: RunRequest = {
    title: preset.title,
    preset: options.preset,
    commandLine: ["npm run bench", ...(args.length > 0 ? ["--", ...args] : [])].join(" "),
    scenarios: chosen.map(scenarioNamed),
    peers,
    origin: options.origin,
    quick: options.quick,
    pairs,
    workers: options.workers,
    rateRps: options.rate,
    connections: options.connections,
    seconds: options.seconds ?? (options.quick ? QUICK.seconds : preset.seconds),
    deadlineMs: options.quick ? QUICK_DEADLINE_MS - reservedMs : null,
    probe: true,
    crossCheck: !options.quick,
    isSilent: false,
  };
  const footprintPeers = options.quick && options.subjects.length === 0 ? COMPARED.map(peerNamed) : peers;
  const beforeAfterRuns = options.pairs ?? BEFORE_AFTER_RUNS;
  return { request, footprintPeers: hasFootprint ? footprintPeers : null, beforeAfterRuns: hasBeforeAfter ? beforeAfterRuns : 0 };
}

/** What there is, for people. */
export function listText(): string {
  const scenarios = SCENARIOS.map((one) => `  ${one.name.padEnd(20)} ${one.what}`);
  const peers = PEERS.map((kind) => `  ${kind.name.padEnd(20)} ${kind.version() ?? `not installed: ${kind.install}`}`);
  return ["scenarios", ...scenarios, "", "proxies", ...peers, ""].join("\n");
}
