// Runs one load against one port, once, with whichever tool was chosen, and says what came of it in the words of the result document.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Latency, Slice, ToolReport } from "../result.ts";
import { latencyOf } from "../engine/latency.ts";
import type { Protocols } from "../peers/peer.ts";
import { temporaryFolder } from "../support/child.ts";
import type { Generator } from "./generator.ts";
import { handshakeArguments, parseHandshakes, sumOfHandshakes } from "./handshake-tool.ts";
import type { Load, LoadTool } from "./scenario.ts";
import { parseAb, parseH2load, parseWrk, runTool, type Tool, type ToolResult } from "./tools.ts";

/** Beyond the run itself: connecting, the tail of slow answers, a busy machine. */
const EXTRA_MS = 20_000;
/** Tools that count requests end, however slow the proxy is. */
const COUNTED_SECONDS_MAX = 60;
/** ab's patience with one answer, seconds: some proxies never end an answer to HTTP/1.0. */
const AB_ANSWER_SECONDS_MAX = 5;
/** What OpenSSL, and so wrk, prefers: h2load by itself would have another one. */
const CIPHER = "TLS_AES_256_GCM_SHA384";

export interface LoadOrder {
  readonly load: Load;
  readonly tool: LoadTool;
  readonly protocols: Protocols;
  readonly port: number;
  readonly connections: number;
  /** Null for a closed loop. */
  readonly rateRps: number | null;
  readonly seconds: number;
  /** For ab and h2load, and as an end of our own closed loop; 0: none. */
  readonly requests: number;
  readonly seed: number;
}

export interface LoadOutcome {
  readonly commandLine: string;
  readonly requests: number;
  readonly errors: number;
  readonly errorDetail: string | null;
  readonly durationMs: number;
  readonly toolReport: ToolReport | null;
  readonly latency: Latency | null;
  readonly lateness: Latency | null;
  readonly queued: number | null;
  readonly slices: readonly Slice[];
  readonly downstreamOpened: number | null;
}

/** The first tool of the load's list that is there; null when none is. */
export function chooseTool(load: Load, installed: ReadonlySet<LoadTool>): LoadTool | null {
  return load.tools.find((tool) => tool === "open-loop" || installed.has(tool)) ?? null;
}

const written = new Map<string, string>();

/** The path of a file for bodies of so many bytes, written when it is first asked for. */
function once(bytes: number, tool: string, write: (bytes: number) => string): string {
  const key = `${tool} ${bytes}`;
  const path = written.get(key) ?? write(bytes);
  written.set(key, path);
  return path;
}

/** wrk takes a body only from a Lua script. */
function uploadScript(bytes: number): string {
  const path = join(temporaryFolder(), "upload.lua");
  writeFileSync(path, `wrk.method = "POST"\nwrk.body = string.rep("u", ${bytes})\n`);
  return path;
}

/** h2load takes a body from a file, and posts it then. */
function uploadFile(bytes: number): string {
  const path = join(temporaryFolder(), "upload");
  writeFileSync(path, Buffer.alloc(bytes, "u"));
  return path;
}

function h2loadArguments(order: LoadOrder, url: string): string[] {
  const { load, protocols, connections, seconds, requests } = order;
  const how = protocols.downstream === "http1" ? ["--h1"] : [`-m${load.streams}`];
  const length = requests > 0 ? ["-n", String(requests)] : ["-D", String(seconds)];
  const cipher = protocols.tls ? [`--tls13-ciphers=${CIPHER}`] : [];
  // Offered alone: by itself it would put up with HTTP/1.
  const offered = protocols.tls && protocols.downstream === "http2" ? ["--npn-list=h2"] : [];
  const body = load.requestBytes > 0 ? ["-d", once(load.requestBytes, "h2load", uploadFile)] : [];
  return [...how, "-t1", `-c${connections}`, ...length, ...cipher, ...offered, ...body, url];
}

/** The arguments of a tool; ab's `-n` comes after its `-t`, which would set it. */
export function toolArguments(order: LoadOrder): string[] {
  const { load, tool, connections, seconds, requests } = order;
  if (tool === "openssl") return handshakeArguments(order.port, load.path, load.resumes, seconds);
  const url = `${order.protocols.tls ? "https" : "http"}://127.0.0.1:${order.port}${load.path}`;
  if (tool === "wrk") {
    const body = load.requestBytes > 0 ? ["-s", once(load.requestBytes, "wrk", uploadScript)] : [];
    return ["-t1", `-c${connections}`, `-d${seconds}s`, "--latency", ...body, url];
  }
  if (tool === "ab") {
    const keepAlive = load.keepAlive ? ["-k"] : [];
    return [
      "-q",
      "-s",
      String(AB_ANSWER_SECONDS_MAX),
      "-t",
      String(COUNTED_SECONDS_MAX),
      "-n",
      String(requests),
      "-c",
      String(connections),
      ...keepAlive,
      url,
    ];
  }
  return h2loadArguments(order, url);
}

const PARSERS: Readonly<Record<"wrk" | "ab" | "h2load", (output: string) => ToolResult>> = {
  wrk: parseWrk,
  ab: parseAb,
  h2load: parseH2load,
};

/** A process of openssl per connection, for they make one at a time. */
async function runHandshakes(order: LoadOrder, args: readonly string[], deadlineMs: number): Promise<ToolResult> {
  const { connections, load } = order;
  const outputs = await Promise.all(Array.from({ length: connections }, () => runTool("openssl", args, deadlineMs)));
  return sumOfHandshakes(outputs.map((output) => parseHandshakes(output, load.resumes, load.responseBytes)));
}

async function runInstalled(order: LoadOrder, tool: Tool): Promise<LoadOutcome> {
  const args = toolArguments(order);
  const isCounting = tool === "ab" || (tool === "h2load" && order.requests > 0);
  const deadlineMs = (isCounting ? COUNTED_SECONDS_MAX : order.seconds) * 1000 + EXTRA_MS;
  const began = performance.now();
  const result = tool === "openssl" ? await runHandshakes(order, args, deadlineMs) : PARSERS[tool](await runTool(tool, args, deadlineMs));
  const elapsedMs = performance.now() - began;
  const hasAnswers = result.requests > 0;
  return {
    commandLine: [tool, ...args].join(" "),
    requests: result.requests,
    errors: hasAnswers ? result.errors : Math.max(1, result.errors),
    errorDetail: hasAnswers ? result.errorDetail : `no request was answered: ${result.output.trim()}`,
    // Its own clock leaves out the start of the program; requests/s by ours are held against those that it prints (cross-checks).
    durationMs: elapsedMs,
    toolReport: result.report,
    latency: null,
    lateness: null,
    queued: null,
    slices: [],
    downstreamOpened: order.load.keepAlive ? order.connections : result.requests,
  };
}

async function runOwn(order: LoadOrder, generator: Generator): Promise<LoadOutcome> {
  const { load, port, connections, rateRps, seconds, seed } = order;
  const result = await generator.run({
    port,
    path: load.path,
    rate: rateRps,
    seconds,
    connections,
    seed,
    protocol: load.protocol,
    requestBytes: load.protocol === "http" ? load.requestBytes : 0,
    ...(rateRps === null && order.requests > 0 ? { requestsMax: order.requests } : {}),
  });
  const missing = result.sent - result.completed;
  const detail = `${result.errors - missing} wrong answers, ${missing} missing`;
  const rate = rateRps === null ? "closed loop" : `--rate ${rateRps} --seed ${seed}`;
  const errors = result.completed === 0 ? Math.max(1, result.errors) : result.errors;
  return {
    commandLine: `open-loop ${rate} --connections ${connections} --seconds ${seconds} ${load.protocol}://127.0.0.1:${port}${load.path}`,
    requests: result.completed,
    errors,
    errorDetail: errors === 0 ? null : detail,
    durationMs: result.durationMs,
    toolReport: null,
    latency: latencyOf(result.latency),
    lateness: rateRps === null ? null : latencyOf(result.lateness),
    queued: rateRps === null ? null : result.queued,
    slices: result.slices.map(({ atMs, count, p50, p99, max }) => ({ atMs, count, p50Us: p50, p99Us: p99, maxUs: max })),
    downstreamOpened: result.opened,
  };
}

/** Rejects when the tool fails or does not end in time; failed requests are counted, not thrown. */
export function runLoad(order: LoadOrder, generator: Generator): Promise<LoadOutcome> {
  return order.tool === "open-loop" ? runOwn(order, generator) : runInstalled(order, order.tool);
}
