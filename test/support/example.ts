// An example's start script as its README says it, and requests to what it starts.

import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { request as httpRequest, type RequestOptions } from "node:http";
import { fileURLToPath } from "node:url";
import { Metrics } from "./metrics.ts";
import { waitUntil } from "./wait.ts";

export const EXAMPLES = fileURLToPath(new URL("../../examples/", import.meta.url));
/** It ends by itself should the test die. */
const SECONDS = 150;
/** Another copy of the example may run on this machine, and goes. */
const PATIENCE_MS = 90_000;

export interface Example {
  readonly said: () => string;
  /** Ends it as Ctrl-C would; resolves to the exit code and to what is still running of it. */
  stop(): Promise<{ readonly code: number | null; readonly left: readonly number[] }>;
}

/** Starts an example and waits until everything runs. */
export async function startExample(name: string): Promise<Example> {
  for (const end = performance.now() + PATIENCE_MS; ; ) {
    const outcome = await startOnce(name);
    if (typeof outcome !== "string") return outcome;
    if (!outcome.includes(" is taken") || performance.now() > end) throw new Error(`examples/${name}: ${outcome}`);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

/** All processes of a session. */
function sessionOf(leader: number): number[] {
  return readdirSync("/proc").flatMap((entry) => {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "latin1");
      const [state, , , session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return Number(session) === leader && state !== "Z" ? [Number(entry)] : [];
    } catch {
      return [];
    }
  });
}

/** Processes that have this word in their environment: those of one example, whatever session they are in. */
function marked(mark: string): number[] {
  return readdirSync("/proc").flatMap((entry) => {
    try {
      return /^\d+$/.test(entry) && readFileSync(`/proc/${entry}/environ`, "latin1").includes(mark) ? [Number(entry)] : [];
    } catch {
      return [];
    }
  });
}

async function startOnce(name: string): Promise<Example | string> {
  const mark = `WEFT_TEST_EXAMPLE=${name}-${process.pid}-${performance.now()}`;
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
  const child = spawn(process.execPath, [`${EXAMPLES}${name}/start.mjs`, "--seconds", String(SECONDS)], {
    env: { ...inherited, WEFT_TEST_EXAMPLE: mark.slice(mark.indexOf("=") + 1) },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once("close", (code) => resolve(code)));
  const hasStarted = await waitUntil(
    `examples/${name} to run`,
    () => (said.includes("Everything runs") ? "yes" : child.exitCode !== null || child.signalCode !== null ? "no" : null),
    PATIENCE_MS,
  ).catch((error: Error) => {
    for (const pid of sessionOf(child.pid!)) process.kill(pid, "SIGKILL");
    throw new Error(`${error.message}\n${said}`);
  });
  if (hasStarted === "no") {
    await ended;
    return said;
  }
  return {
    said: () => said,
    stop: async () => {
      child.kill("SIGINT");
      const code = await ended;
      return { code, left: marked(mark) };
    },
  };
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** One request on a connection of its own. */
export function ask(url: string, options: RequestOptions = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { agent: false, ...options }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => (text += part));
      response.on("end", () => resolve({ status: response.statusCode!, text }));
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end();
  });
}

/** The metrics of a proxy. */
export async function metricsOf(place: string): Promise<Metrics> {
  return new Metrics((await ask(`http://${place}/metrics`)).text);
}
