// Runs the tools that other people wrote. A tool that is not installed fails the test, with the list that names its package.

import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { TOOL_ENV } from "../../../bench/support/child.ts";

export interface Outcome {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface ToolOptions {
  readonly deadlineMs?: number;
  /** Goes to the tool's standard input. */
  readonly input?: Readable;
  /** Sees standard output piece by piece instead of collecting it. */
  readonly onStdout?: (chunk: Buffer) => void;
  /** Runs as this user (postgres refuses root). */
  readonly uid?: number;
  readonly gid?: number;
}

const DEADLINE_MS = 60_000;

/** What a missing tool means. */
export function missing(tool: string): Error {
  return new Error(`${tool} is not installed; test/peers/packages.txt lists what these tests need`);
}

/** Resolves with whatever exit code; rejects when the tool is missing or does not end. */
export async function runTool(command: string, args: readonly string[], options: ToolOptions = {}): Promise<Outcome> {
  const { deadlineMs = DEADLINE_MS, input, onStdout, ...user } = options;
  const child = spawn(command, [...args], { env: TOOL_ENV, stdio: ["pipe", "pipe", "pipe"], ...user });
  const timer = setTimeout(() => child.kill("SIGKILL"), deadlineMs);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on("data", onStdout ?? ((chunk: Buffer) => stdout.push(chunk)));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  // A tool may stop reading before the end; its exit code tells the rest.
  if (input === undefined) child.stdin.end();
  else pipeline(input, child.stdin).catch(() => {});
  try {
    const code = await exitOf(child, command);
    if (child.signalCode === "SIGKILL") throw new Error(`${command} ${args.join(" ")} did not end within ${deadlineMs} ms`);
    return { code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString("utf8") };
  } finally {
    clearTimeout(timer);
  }
}

function exitOf(child: ChildProcess, command: string): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once("error", (error: NodeJS.ErrnoException) => reject(error.code === "ENOENT" ? missing(command) : error));
    child.once("close", (code) => resolve(code));
  });
}

/** The tool's output as text; a failure of the tool fails the test with everything it said. */
export async function succeed(command: string, args: readonly string[], options: ToolOptions = {}): Promise<string> {
  const outcome = await runTool(command, args, options);
  const text = outcome.stdout.toString("utf8");
  if (outcome.code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${outcome.code}\n${text}\n${outcome.stderr}`);
  return text;
}
