// wrk, ab, h2load and openssl as load generators: run to their end, output parsed, anything that went wrong is an error.
//
// All are closed-loop: what they say about latency leaves out what a waiting user would have seen. It is kept beside our own
// figures for comparison, never instead of them.

import { type ExecFileException, execFile } from "node:child_process";
import type { ToolReport } from "../result.ts";
import { TOOL_ENV, toolVersion } from "../support/child.ts";

/** Programs that make load; all but our own have to be installed. */
export type Tool = "wrk" | "ab" | "h2load" | "openssl";

interface ToolKind {
  readonly versionArgument: string;
  readonly install: string;
}

export const TOOLS: Readonly<Record<Tool, ToolKind>> = {
  wrk: { versionArgument: "-v", install: "apt-get install wrk" },
  ab: { versionArgument: "-V", install: "apt-get install apache2-utils" },
  h2load: { versionArgument: "--version", install: "apt-get install nghttp2-client" },
  openssl: { versionArgument: "version", install: "apt-get install openssl" },
};

/** Null when it is not installed. */
export function versionOf(tool: Tool): string | null {
  return toolVersion(tool, TOOLS[tool].versionArgument);
}

/** What a load run did. */
export interface ToolResult {
  readonly requests: number;
  readonly errors: number;
  /** What failed, in the tool's words; null without errors. */
  readonly errorDetail: string | null;
  /** How long the load took by the tool's own clock; null where it does not say. */
  readonly durationMs: number | null;
  readonly report: ToolReport;
  /** All of the tool's words, for messages. */
  readonly output: string;
}

/** The last line that it wrote about it: tools repeat themselves. */
function whyItFailed(error: ExecFileException, stderr: string, deadlineMs: number): string {
  if (error.killed === true) return `it did not end within ${deadlineMs} ms`;
  const last = stderr.trim().split("\n").at(-1) ?? "";
  return last === "" ? `it ended with ${error.code ?? error.signal}` : last;
}

/** Runs a tool to its end. Rejects with its output when it fails or takes longer than the deadline. */
export function runTool(command: string, args: readonly string[], deadlineMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, [...args], { env: TOOL_ENV, timeout: deadlineMs, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${[command, ...args].join(" ")}: ${whyItFailed(error, stderr, deadlineMs)}`));
    });
  });
}

function numberAfter(pattern: RegExp, text: string): number | null {
  const found = pattern.exec(text)?.[1];
  return found === undefined ? null : Number(found);
}

const UNIT_US: Readonly<Record<string, number>> = { us: 1, ms: 1_000, s: 1_000_000, m: 60_000_000, h: 3_600_000_000 };

/** `1.58ms`, `221.00us`, `1.20s`, `1.50m` in microseconds; null for anything else. */
function microseconds(text: string | undefined): number | null {
  const match = /^([\d.]+)(us|ms|s|m|h)$/.exec(text ?? "");
  return match === null ? null : Math.round(Number(match[1]) * UNIT_US[match[2]!]! * 100) / 100;
}

const UNIT_BYTES: Readonly<Record<string, number>> = { B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4 };

/** `19.65MB` in bytes; null for anything else. */
function bytes(text: string | undefined): number | null {
  const match = /^([\d.]+)(B|KB|MB|GB|TB)$/.exec(text ?? "");
  return match === null ? null : Math.round(Number(match[1]) * UNIT_BYTES[match[2]!]!);
}

/** The lines that match, joined: the tool's own words about what failed. */
function linesAbout(pattern: RegExp, output: string, errors: number): string | null {
  if (errors === 0) return null;
  const lines = output.split("\n").filter((line) => pattern.test(line));
  return lines.map((line) => line.trim()).join("; ") || output.trim();
}

export function parseWrk(output: string): ToolResult {
  const socketErrors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(output);
  const errors =
    (socketErrors?.slice(1) ?? []).reduce((sum, one) => sum + Number(one), 0) +
    (numberAfter(/Non-2xx or 3xx responses: (\d+)/, output) ?? 0);
  const total = /(\d+) requests in ([\d.]+(?:us|ms|s|m|h)),/.exec(output);
  const latencyUs: Record<string, number> = {};
  for (const [, percent, value] of output.matchAll(/^ +([\d.]+)% +([\d.]+(?:us|ms|s|m|h)) *$/gm)) {
    latencyUs[String(Number(percent))] = microseconds(value)!;
  }
  const summary = /Latency +(\S+) +(\S+) +(\S+)/.exec(output);
  const durationUs = microseconds(total?.[2]);
  return {
    requests: Number(total?.[1] ?? 0),
    errors,
    errorDetail: linesAbout(/Socket errors|Non-2xx/, output, errors),
    durationMs: durationUs === null ? null : durationUs / 1000,
    report: {
      requestsPerSecond: numberAfter(/Requests\/sec: +([\d.]+)/, output),
      latencyUs,
      meanUs: microseconds(summary?.[1]),
      maxUs: microseconds(summary?.[3]),
      bytesPerSecond: bytes(/Transfer\/sec: +(\S+)/.exec(output)?.[1]),
    },
    output,
  };
}

export function parseAb(output: string): ToolResult {
  const failed = (numberAfter(/Failed requests: +(\d+)/, output) ?? 0) + (numberAfter(/Non-2xx responses: +(\d+)/, output) ?? 0);
  const latencyUs: Record<string, number> = {};
  for (const [, percent, ms] of output.matchAll(/^ +(\d+)% +(\d+)(?: \(longest request\))?$/gm)) latencyUs[percent!] = Number(ms) * 1000;
  const seconds = numberAfter(/Time taken for tests: +([\d.]+) seconds/, output);
  const kilobytes = numberAfter(/Transfer rate: +([\d.]+) \[Kbytes\/sec\] received/, output);
  const mean = /^Total: +\d+ +(\d+) /m.exec(output)?.[1];
  return {
    requests: numberAfter(/Complete requests: +(\d+)/, output) ?? 0,
    errors: failed,
    errorDetail: linesAbout(/Failed requests|Non-2xx|\(Connect:/, output, failed),
    durationMs: seconds === null ? null : seconds * 1000,
    report: {
      requestsPerSecond: numberAfter(/Requests per second: +([\d.]+)/, output),
      latencyUs,
      meanUs: mean === undefined ? null : Number(mean) * 1000,
      maxUs: latencyUs["100"] ?? null,
      bytesPerSecond: kilobytes === null ? null : Math.round(kilobytes * 1024),
    },
    output,
  };
}

export function parseH2load(output: string): ToolResult {
  const finished = /finished in (\S+), ([\d.]+) req\/s, (\S+)\/s/.exec(output);
  const counts = /requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout/.exec(output);
  const redirects = numberAfter(/(\d+) 3xx/, output) ?? 0;
  const [failed, errored] = [Number(counts?.[4] ?? 0), Number(counts?.[5] ?? 0)];
  // Time-outs and errored requests are among the failed ones.
  const errors = Math.max(failed, errored) + redirects;
  const times = /time for request: +(\S+) +(\S+) +(\S+)/.exec(output);
  const durationUs = microseconds(finished?.[1]);
  return {
    requests: Number(counts?.[2] ?? 0),
    errors,
    errorDetail: linesAbout(/^requests:|^status codes:/, output, errors),
    durationMs: durationUs === null ? null : durationUs / 1000,
    report: {
      requestsPerSecond: finished === null ? null : Number(finished[2]),
      latencyUs: {},
      meanUs: microseconds(times?.[3]),
      maxUs: microseconds(times?.[2]),
      bytesPerSecond: bytes(finished?.[3]),
    },
    output,
  };
}
