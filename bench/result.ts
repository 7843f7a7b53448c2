// The result document of a benchmark run: everything that was measured, nothing that was concluded from it but the verdicts.
//
// The engine (engine/run.ts) writes it, the reports and `compare` read it, and it is what is kept under bench/results. It is plain JSON:
// what is not known or was not measured is null (never NaN, never 0), lists are empty rather than absent. Fields are only ever
// added; a field that changes its meaning gets another name, and the format another number. Units are in the names: Us
// microseconds, Ms milliseconds, Kb units of 1024 bytes, Rps requests per second; shares are 0..1.
//
// How it nests: a run has scenarios; a scenario has loads (a way of loading it: closed loop for CPU, open loop for latency) and
// subjects (direct, weft, the peers); a subject has rounds, and each round belongs to one load. Rounds with the same `load` and the
// same `index` were run right after each other, one per subject, and are what ratios and differences are made of.
//
// Long because it is one document, and each field says what it means.

/** Changes when a reader of the former format would misread the document. */
export const RESULT_FORMAT = "weft-bench/1";

export interface BenchResult {
  readonly format: typeof RESULT_FORMAT;
  /** One line for people: what was run. */
  readonly title: string;
  /** What was typed, to repeat it: `npm run bench -- cpu --quick`. */
  readonly commandLine: string;
  /** UTC, ISO 8601. All `...AtMs` fields count from here. */
  readonly startedAt: string;
  readonly durationMs: number;
  readonly options: RunOptions;
  readonly machine: Machine;
  /** By program (`weft`, `node`, `nginx`, `wrk`, ...): what it says about itself, one line. Only what took part. */
  readonly versions: Readonly<Record<string, string>>;
  /** In the order in which they ran. */
  readonly scenarios: readonly ScenarioResult[];
  /** Proxies that took part in no scenario at all. */
  readonly skipped: readonly Skipped[];
  /** Every figure that was held against a bar, of all scenarios. */
  readonly verdicts: readonly Verdict[];
  /** The before-and-after of ApacheBench; null when it was not asked for. */
  readonly beforeAfter: BeforeAfter | null;
  /** Start, idle memory and CPU, memory per connection, growth; null when it was not asked for. */
  readonly footprint: Footprint | null;
  /** Remarks for the reader, whole sentences. */
  readonly notes: readonly string[];
}

export interface RunOptions {
  /** The preset: `default`, `cpu`, `latency`, `memory`, `ab`. */
  readonly preset: string;
  /** Short runs: the figures show that it works and are worth little. */
  readonly quick: boolean;
  /** Rounds per load and subject. */
  readonly pairs: number;
  /** Worker threads of Weft; peers get as many processes or threads, at least one. */
  readonly workers: number;
  /** Requests per second of the open-loop loads that name no rate of their own. */
  readonly rateRps: number;
  /** Connections of the open-loop loads. */
  readonly connections: number;
}

export interface Machine {
  readonly cores: number;
  readonly cpuModel: string;
  readonly memoryKb: number;
  /** `Linux 6.1.0-18-amd64`. */
  readonly kernel: string;
  readonly arch: string;
  /** Share of all cores' time that others used in a moment before the run (1 s, in a quick run 0.2 s), 0..1. */
  readonly busyShareBefore: number | null;
}

/** A proxy or tool that did not take part, by name, with what to do about it. */
export interface Skipped {
  readonly name: string;
  /** `not installed`, `cannot do this: uploads are read whole`, ... */
  readonly reason: string;
  /** How to have it; null when nothing can be done. */
  readonly install: string | null;
}

export interface ScenarioResult {
  /** Key: `plain`, `new-connection`, `body-64k`, ... */
  readonly name: string;
  /** One line: what is done. */
  readonly what: string;
  /** Which origin answered: `nginx`, `uws` or `nghttpd`. */
  readonly origin: string;
  /** The subject that ratios are made against by default, such as `nginx`; null: none. */
  readonly reference: string | null;
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly loads: readonly LoadDescription[];
  /** `direct` first, then `weft`, then the peers. */
  readonly subjects: readonly SubjectResult[];
  /** Those who take part elsewhere, but not here. */
  readonly skipped: readonly Skipped[];
  /** Was the proxy what was measured? */
  readonly selfChecks: readonly SelfCheck[];
  /** Our own figures beside those of wrk and ab for the same thing. */
  readonly crossChecks: readonly CrossCheck[];
}

/** One way in which a scenario is loaded. */
export interface LoadDescription {
  /** Unique in the scenario: `wrk`, `ab`, `open-loop`, ... */
  readonly id: string;
  /** The program: `wrk`, `ab`, `h2load`, `open-loop` (ours, HTTP), `echo` (ours, WebSocket and TCP). */
  readonly tool: string;
  /** `closed`: as fast as answers come, for CPU per request. `open`: at a fixed rate whatever the answers do, for latency. */
  readonly loop: "closed" | "open";
  /** One line for people: `64 keep-alive connections for 3 s`. */
  readonly what: string;
  readonly connections: number;
  /** Requests per second that are offered; null for a closed loop. */
  readonly offeredRps: number | null;
  /** Bytes of a request's body; 0: none. */
  readonly requestBytes: number;
  /** Bytes of a response's body. */
  readonly responseBytes: number;
}

export interface SubjectResult {
  /** `direct`, `weft`, `nginx`, `haproxy-64k`, ... */
  readonly name: string;
  readonly role: "direct" | "weft" | "peer";
  readonly version: string | null;
  /** How it was started; temporary paths shortened. Empty for `direct`. */
  readonly commandLine: readonly string[];
  /** Remark about its configuration, such as `2 proxies in a row`; null: none. */
  readonly note: string | null;
  /** `failed`: its figures do not count; `failure` says why, rounds up to then are kept. */
  readonly state: "measured" | "failed";
  readonly failure: string | null;
  readonly warmUp: WarmUp;
  /** In the order in which they ran. */
  readonly rounds: readonly Round[];
  /** When it was ready, before any load; null for `direct`. */
  readonly memoryAtStart: Memory | null;
  /** After the last round. */
  readonly memoryAtEnd: Memory | null;
  /** What only Weft can say; null for the others. */
  readonly weft: WeftRuntime | null;
}

export interface WarmUp {
  readonly requests: number;
  readonly errors: number;
  readonly durationMs: number;
}

export interface Round {
  /** `LoadDescription.id`. */
  readonly load: string;
  /** 1, 2, ...: rounds of all subjects with the same load and index belong together. */
  readonly index: number;
  /** 0, 1, ...: place among the subjects in this round (the order alternates). */
  readonly position: number;
  /** From the start of the run, milliseconds. */
  readonly startedAtMs: number;
  /** Of the load itself, milliseconds. */
  readonly durationMs: number;
  /** What was run: `wrk -t1 -c64 -d3s --latency http://127.0.0.1:PORT/`; for our own generators its parameters. */
  readonly commandLine: string;
  /** Answered, wrong answers included. */
  readonly requests: number;
  /** Failed, lost, refused, wrong or missing answers. A round with one does not count. */
  readonly errors: number;
  /** What failed, in the tool's words; null without errors. */
  readonly errorDetail: string | null;
  /** Offered; null for a closed loop. */
  readonly offeredRps: number | null;
  /** requests / duration. */
  readonly achievedRps: number;
  /** What the tool itself printed; null for our own generators. */
  readonly toolReport: ToolReport | null;
  /** From the intended start to the last byte, by our own generator; null for tools. */
  readonly latency: Latency | null;
  /** By which our generator was late itself (intended start to write, without waiting for a connection); null for tools. */
  readonly generatorLateness: Latency | null;
  /** Requests that found every connection busy and waited for one at the generator; null for tools. */
  readonly queuedAtGenerator: number | null;
  /** In time order, gaps where nothing was answered; empty for tools. */
  readonly slices: readonly Slice[];
  /** CPU of the subject, all its processes; null for `direct`. */
  readonly cpu: CpuPerRequest | null;
  /** CPU of the origin during the load, share of one core (1 = one core busy). */
  readonly originCpuShare: number | null;
  /** CPU of the load generator during the load, share of one core. */
  readonly generatorCpuShare: number | null;
  /** CPU of the subject during the load, share of one core; null for `direct`. */
  readonly subjectCpuShare: number | null;
  /** Share of all cores' time that was neither ours nor idle, 0..1: other programs on the machine. */
  readonly othersCpuShare: number | null;
  readonly connections: Connections;
  /** Right after the load; null for `direct`. */
  readonly memory: Memory | null;
}

/** What wrk, ab or h2load said. Closed-loop latency: it leaves out what a waiting user would have seen; for comparison only. */
export interface ToolReport {
  readonly requestsPerSecond: number | null;
  /** By percentile as the tool prints it (`50`, `90`, `99`, `100` = longest), microseconds. Resolution: wrk 10 us, ab 1 ms. */
  readonly latencyUs: Readonly<Record<string, number>>;
  readonly meanUs: number | null;
  readonly maxUs: number | null;
  /** Body and head bytes received per second, as the tool says; null where it does not. */
  readonly bytesPerSecond: number | null;
}

/** A distribution of microseconds. */
export interface Latency {
  readonly count: number;
  readonly meanUs: number;
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly p9999Us: number;
  readonly maxUs: number;
  /** Base64 of the HdrHistogram V2 compressed encoding (hdr-histogram-js: decodeFromCompressedBase64), 3 digits, microseconds. */
  readonly histogram: string;
}

/** A slice of a round: answers that came in it. */
export interface Slice {
  /** Its start, from the start of the round, milliseconds. */
  readonly atMs: number;
  readonly count: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
}

/** Microseconds of CPU per request. `totalUs` is exact where the kernel allows; user and system are split by ticks of 10 ms. */
export interface CpuPerRequest {
  readonly userUs: number;
  readonly systemUs: number;
  readonly totalUs: number;
}

export interface Connections {
  /** Opened by the load generator to the subject (or, direct, to the origin); null where the tool does not tell. */
  readonly downstreamOpened: number | null;
  /** Accepted by the origin during the round. For `direct` the same connections as downstream. */
  readonly upstreamOpened: number | null;
  /** Requests per upstream connection opened: requests / upstreamOpened; null when none was opened or nothing is known. */
  readonly requestsPerUpstream: number | null;
  /** Share of requests that found an open upstream connection: 1 - upstreamOpened / requests, 0..1. */
  readonly upstreamReuse: number | null;
}

/** Of a process with all below it. */
export interface Memory {
  /** Resident, shared pages counted in full. */
  readonly rssKb: number;
  /** Resident, shared pages shared out among those who map them. */
  readonly pssKb: number;
  /** Anonymous: the process's own. */
  readonly privateKb: number;
}

export interface WeftRuntime {
  /** `proxy_overhead_us` of its own metrics over the last 30 to 60 s, at the end of the scenario: time inside Weft. */
  readonly overheadP50Us: number | null;
  readonly overheadP99Us: number | null;
  /** `proxy_loop_delay_us`, likewise. */
  readonly loopDelayP99Us: number | null;
  /** Share of forwarded body bytes that were copied in user space during the rounds, 0..1; null without bodies. */
  readonly copiedShare: number | null;
  /**
   * Per thread that forwards, from an extra lap with a probe loaded into Weft (its cost is in no other figure); empty when it was
   * not run.
   */
  readonly threads: readonly ThreadRuntime[];
}

export interface ThreadRuntime {
  /** `main`, `worker 1`, ... */
  readonly thread: string;
  readonly durationMs: number;
  /** Share of the time that the event loop was not waiting, 0..1. */
  readonly eventLoopUtilization: number;
  readonly gc: GcPauses;
}

export interface GcPauses {
  readonly count: number;
  readonly totalMs: number;
  readonly maxMs: number;
  /** How many of each kind. */
  readonly minor: number;
  readonly major: number;
  readonly incremental: number;
}

/** Whether the generator, the origin or the rest of the machine was the bottleneck. */
export interface SelfCheck {
  /** `generator-late`, `generator-cpu`, `origin-cpu`, `rate`, `direct`, `others`, `queue`. */
  readonly name: string;
  /** `LoadDescription.id`, or null for the scenario as a whole. */
  readonly load: string | null;
  /** null: all subjects. */
  readonly subject: string | null;
  /** `warn`: the figures are coarser than they look; `fail`: something other than the proxy was measured. */
  readonly state: "ok" | "warn" | "fail";
  /** What was found, and held against what; null when it could not be found out. */
  readonly value: number | null;
  readonly limit: number;
  readonly unit: string;
  /** A sentence: what it means for the figures. */
  readonly message: string;
}

/** One figure of ours beside a tool's own. */
export interface CrossCheck {
  readonly subject: string;
  /** `requests/s`, `p50`, `p99`. */
  readonly what: string;
  readonly unit: string;
  readonly ours: number;
  /** Where ours is from: `requests counted / wall clock`, `open-loop generator, closed`. */
  readonly oursFrom: string;
  readonly theirs: number;
  /** `wrk`, `ab`. */
  readonly theirsFrom: string;
  /** Largest relative difference that is noise here, 0..1. */
  readonly tolerance: number;
  readonly agrees: boolean;
}

/** One figure against what it has to be. */
export interface Verdict {
  /** Unique: `plain/cpu`, `latency/p99`, ... */
  readonly id: string;
  readonly scenario: string | null;
  /** For people: `plain: CPU per request`. */
  readonly what: string;
  /** null: could not be measured (see `reason`). */
  readonly value: number | null;
  /** `x nginx`, `ms`, `MB`, `%`. */
  readonly unit: string;
  /** What the project promises (smaller is better); null: nothing, the figure is for information. */
  readonly bar: number | null;
  /** Where it wants to be; null: nowhere in particular. */
  readonly goal: number | null;
  /** `unknown`: not measured, or a self-check failed. `information`: there is no bar. */
  readonly state: "goal" | "met" | "missed" | "information" | "unknown";
  /** Why it is unknown; null otherwise. */
  readonly reason: string | null;
}

/** `ab -n N -c C` without Weft, with Weft, and the difference: ab's own output, nothing of ours. */
export interface BeforeAfter {
  readonly requests: number;
  readonly concurrency: number;
  readonly cases: readonly BeforeAfterCase[];
}

export interface BeforeAfterCase {
  /** `-k` given. */
  readonly keepAlive: boolean;
  /** Whole runs, in the order in which they ran, `without` and `with` alternating; the middle one by rate is the one to print. */
  readonly without: readonly AbReport[];
  readonly with: readonly AbReport[];
}

/** ab's report, as it prints it. */
export interface AbReport {
  readonly commandLine: string;
  readonly requests: number;
  readonly failed: number;
  readonly requestsPerSecond: number;
  /** `Time per request (mean)`, milliseconds. */
  readonly timePerRequestMs: number;
  /** `(mean, across all concurrent requests)`, milliseconds. */
  readonly timePerRequestConcurrentMs: number;
  readonly transferKbPerSecond: number;
  /** `Percentage of the requests served within a certain time`: `50`, `66`, ... `100` to milliseconds. */
  readonly percentilesMs: Readonly<Record<string, number>>;
  /** Everything that ab printed. */
  readonly output: string;
}

export interface Footprint {
  /** From the start of the process to the first ready answer, milliseconds, every start. */
  readonly weftReadyMs: readonly number[];
  readonly subjects: readonly FootprintSubject[];
  readonly growth: Growth | null;
}

export interface FootprintSubject {
  /** `weft, 1 worker`, `nginx`, ... */
  readonly name: string;
  readonly role: "weft" | "peer";
  readonly version: string | null;
  readonly idle: Memory;
  /** After the warm-up and the low rate. */
  readonly afterLoad: Memory;
  /** Private memory per connection that is open and idle, KB. */
  readonly perIdleConnectionKb: number;
  /** Idle connections that were counted, on top of a reserve that was opened before. */
  readonly idleConnections: number;
  /** Share of a core, 0..1, with nothing to do. */
  readonly idleCpuShare: number;
  /** Share of a core at `lowRateRps`. */
  readonly lowRateCpuShare: number;
  readonly lowRateRps: number;
}

export interface Growth {
  readonly subject: string;
  /** How long the load ran. */
  readonly minutes: number;
  /** Private memory after each lap of mixed load, KB. */
  readonly lapsKb: readonly number[];
  /** Median of the last quarter over that of the second, minus 1. */
  readonly share: number;
}

/** Reads a kept document. Throws an Error that says what is wrong when it is none, or of another format. */
export function decodeResult(text: string): BenchResult {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`not the result of a benchmark, not even JSON: ${(error as Error).message}`);
  }
  const format = value !== null && typeof value === "object" && "format" in value ? value.format : undefined;
  if (format !== RESULT_FORMAT) {
    throw new Error(
      `not a result that this version reads: format is ${JSON.stringify(format)}, not "${RESULT_FORMAT}"; run the benchmark again`,
    );
  }
  // The format's number stands for the shape: whoever writes it writes all of it.
  return value as BenchResult;
}
