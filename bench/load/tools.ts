// wrk and ab as load generators: run to their end, output parsed, anything that went wrong is an error.
//
// Both are closed-loop: what they say about latency means nothing, so it is not read. Only how many requests were answered
// counts, for the CPU time that the proxy spent meanwhile.

import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { TOOL_ENV, temporaryFolder } from "../support/child.ts";

/** What a load run did. */
export interface LoadResult {
  readonly requests: number;
  readonly errors: number;
  /** The tool's own words, for messages. */
  readonly output: string;
}

/** Runs a tool to its end. Rejects with its output when it fails or takes longer than the deadline. */
export function runTool(command: string, args: readonly string[], deadlineMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, [...args], { env: TOOL_ENV, timeout: deadlineMs, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${command} ${args.join(" ")}: ${error.message}\n${stdout}\n${stderr}`));
    });
  });
}

function numberAfter(pattern: RegExp, text: string): number {
  return Number(pattern.exec(text)?.[1] ?? 0);
}

export function parseWrk(output: string): LoadResult {
  const socketErrors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(output);
  const errors = (socketErrors?.slice(1) ?? []).reduce((sum, one) => sum + Number(one), 0);
  return {
    requests: numberAfter(/(\d+) requests in/, output),
    errors: errors + numberAfter(/Non-2xx or 3xx responses: (\d+)/, output),
    output,
  };
}

export function parseAb(output: string): LoadResult {
  return {
    requests: numberAfter(/Complete requests: +(\d+)/, output),
    errors: numberAfter(/Failed requests: +(\d+)/, output) + numberAfter(/Non-2xx responses: +(\d+)/, output),
    output,
  };
}

export interface WrkRun {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  /** POST bodies of this many bytes; absent: GET. */
  readonly uploadBytes?: number;
}

/** wrk takes a body only from a Lua script. */
function uploadScript(bytes: number): string {
  const path = join(temporaryFolder(), `upload-${bytes}.lua`);
  writeFileSync(path, `wrk.method = "POST"\nwrk.body = string.rep("u", ${bytes})\n`);
  return path;
}

const scripts = new Map<number, string>();

export async function wrk(run: WrkRun): Promise<LoadResult> {
  const args = ["-t1", `-c${run.connections}`, `-d${run.seconds}s`];
  if (run.uploadBytes !== undefined) {
    const script = scripts.get(run.uploadBytes) ?? uploadScript(run.uploadBytes);
    scripts.set(run.uploadBytes, script);
    args.push("-s", script);
  }
  return parseWrk(await runTool("wrk", [...args, run.url], run.seconds * 1000 + 15_000));
}

export interface AbRun {
  readonly url: string;
  readonly requests: number;
  readonly concurrency: number;
  readonly keepAlive: boolean;
}

export async function ab(run: AbRun): Promise<LoadResult> {
  const args = ["-q", "-n", String(run.requests), "-c", String(run.concurrency), ...(run.keepAlive ? ["-k"] : []), run.url];
  return parseAb(await runTool("ab", args, 120_000));
}
