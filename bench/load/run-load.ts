// Runs one load against one port, once, with whichever tool was chosen, and says what came of it in the words of the result document.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Latency, Slice, ToolReport } from "../result.ts";
import { latencyOf } from "../engine/latency.ts";
import { temporaryFolder } from "../support/child.ts";
import type { Generator } from "./generator.ts";
import type { Load, LoadTool } from "./scenario.ts";
import { parseAb, parseH2load, parseWrk, runTool, type ToolResult } from "./tools.ts";

/** Beyond the run itself: connecting, the tail of slow answers, a busy machine. */
const EXTRA_MS = 20_000;
/** ab counts requests; however slow the proxy is, it ends. */
const AB_SECONDS_MAX = 60;
/** ab's patience with one answer, seconds: some proxies never end an answer to HTTP/1.0. */
const AB_ANSWER_SECONDS_MAX = 5;

export interface LoadOrder {
  readonly load: Load;
  readonly tool: LoadTool;
  readonly port: number;
  readonly connections: number;
  /** Null for a closed loop. */
  readonly rateRps: number | null;
  readonly seconds: number;
  /** For ab, and as an end of our own closed loop; 0: none. */
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

const scripts = new Map<number, string>();

/** wrk takes a body only from a Lua script. */
function uploadScript(bytes: number): string {
  const known = scripts.get(bytes);
  if (known !== undefined) return known;
  const path = join(temporaryFolder(), `upload-${bytes}.lua`);
  writeFileSync(path, `wrk.method = "POST"\nwrk.body = string.rep("u", ${bytes})\n`);
  scripts.set(bytes, path);
  return path;
}

/** The arguments of a tool; ab's `-n` comes after its `-t`, which would set it. */
export function toolArguments(order: LoadOrder): string[] {
  const { load, tool, connections, seconds, requests } = order;
  const url = `http://127.0.0.1:${order.port}${load.path}`;
  if (tool === "wrk") {
    const body = load.requestBytes > 0 ? ["-s", uploadScript(load.requestBytes)] : [];
    return ["-t1", `-c${connections}`, `-d${seconds}s`, "--latency", ...body, url];
  }
  if (tool === "ab") {
    const keepAlive = load.keepAlive ? ["-k"] : [];
    return [
      "-q",
      "-s",
      String(AB_ANSWER_SECONDS_MAX),
      "-t",
      String(AB_SECONDS_MAX),
      "-n",
      String(requests),
      "-c",
      String(connections),
      ...keepAlive,
      url,
    ];
  }
  return ["--h1", "-t1", `-c${connections}`, "-D", String(seconds), url];
}

const PARSERS: Readonly<Record<"wrk" | "ab" | "h2load", (output: string) => ToolResult>> = {
  wrk: parseWrk,
  ab: parseAb,
  h2load: parseH2load,
};

async function runInstalled(order: LoadOrder, tool: "wrk" | "ab" | "h2load"): Promise<LoadOutcome> {
  const args = toolArguments(order);
  const deadlineMs = (tool === "ab" ? AB_SECONDS_MAX : order.seconds) * 1000 + EXTRA_MS;
  const began = performance.now();
  const result = PARSERS[tool](await runTool(tool, args, deadlineMs));
  const elapsedMs = performance.now() - began;
  const isCounted = result.requests > 0;
  return {
    commandLine: [tool, ...args].join(" "),
    requests: result.requests,
    errors: isCounted ? result.errors : Math.max(1, result.errors),
    errorDetail: isCounted ? result.errorDetail : `no request was answered: ${result.output.trim()}`,
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
