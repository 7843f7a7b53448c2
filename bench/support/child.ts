// Child processes of a benchmark: started on ports that were free a moment ago, waited for, stopped by their own id.
//
// A benchmark that is interrupted leaves nothing behind: every child that is still there is killed when this process ends,
// and the temporary folder goes with it. Nothing is ever ended by name.

import { type ChildProcess, type SpawnOptions, execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { get } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePorts } from "../../test/support/ports.ts";

const READY_DEADLINE_MS = 10_000;
const STOP_DEADLINE_MS = 5_000;
/** A port may be taken between our look and the child's bind. */
const START_ATTEMPTS = 3;
const LOG_BYTES_MAX = 16 * 1024;

const children = new Set<Child>();
const folders = new Set<string>();

process.on("exit", () => {
  for (const child of children) child.kill();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.on(signal, () => process.exit(code));
}

/** A folder that is removed when this process ends. Others may read it: nginx's workers run as another user. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "weft-bench-"));
  chmodSync(folder, 0o755);
  folders.add(folder);
  return folder;
}

/** Programs that were installed for the benchmark alone (bench/README.md). */
const INSTALLED = fileURLToPath(new URL("../peers/tools/", import.meta.url));

/** Debian puts daemons where an ordinary PATH does not look. */
const PLACES = [process.env["PATH"] ?? "", "/usr/sbin", "/sbin", join(INSTALLED, "bin"), join(INSTALLED, "python", "bin")];
export const TOOL_ENV: NodeJS.ProcessEnv = { ...process.env, PATH: PLACES.join(delimiter) };

/** First line that a tool says about itself; null when it is not installed. */
export function toolVersion(tool: string, argument: string): string | null {
  try {
    const text = execFileSync("sh", ["-c", `command -v "$0" >/dev/null && "$0" ${argument} 2>&1 || true`, tool], { env: TOOL_ENV });
    return text.toString("utf8").trim().split("\n")[0] || null;
  } catch {
    return null;
  }
}

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Command lines end up in reports that others read: a path is told from the repository's root, and Node is called by its name. */
function withoutRoot(argument: string): string {
  return argument === process.execPath ? "node" : argument.replaceAll(ROOT, "");
}

export class Child {
  readonly name: string;
  readonly process: ChildProcess;
  readonly commandLine: readonly string[];
  #log = "";

  constructor(name: string, command: string, args: readonly string[], options: SpawnOptions = {}) {
    this.name = name;
    this.commandLine = [command, ...args].map(withoutRoot);
    this.process = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: TOOL_ENV, ...options });
    children.add(this);
    this.process.on("error", (error) => this.#note(Buffer.from(`${error.message}\n`)));
    this.process.once("close", () => children.delete(this));
    for (const stream of [this.process.stdout, this.process.stderr]) stream?.on("data", (chunk: Buffer) => this.#note(chunk));
  }

  /** 0 when it could not be started. */
  get pid(): number {
    return this.process.pid ?? 0;
  }

  /** The last of what it wrote. */
  get log(): string {
    return this.#log;
  }

  get hasExited(): boolean {
    return this.pid === 0 || this.process.exitCode !== null || this.process.signalCode !== null;
  }

  /** Ends it: SIGTERM, and SIGKILL if that does not do. */
  async stop(): Promise<void> {
    if (this.hasExited) return;
    const ended = new Promise<void>((resolve) => this.process.once("exit", () => resolve()));
    const timer = setTimeout(() => this.kill(), STOP_DEADLINE_MS);
    this.process.kill("SIGTERM");
    await ended;
    clearTimeout(timer);
  }

  kill(): void {
    if (!this.hasExited) this.process.kill("SIGKILL");
  }

  #note(chunk: Buffer): void {
    this.#log = (this.#log + chunk.toString("utf8")).slice(-LOG_BYTES_MAX);
  }
}

/** True when something accepts connections there. */
export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** True when an HTTP request there is answered with 200. */
export function isAnswering(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ host: "127.0.0.1", port, path: "/", agent: false, timeout: 1_000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(false));
  });
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until `isReady` says so; fails with the child's own words when it ends or the deadline comes first. */
export async function untilReady(child: Child, isReady: () => Promise<boolean>, pollMs = 10): Promise<void> {
  const end = performance.now() + READY_DEADLINE_MS;
  while (!(await isReady())) {
    if (child.hasExited) throw new Error(`${child.name} ended at its start:\n${child.log}`);
    if (performance.now() > end) throw new Error(`${child.name} was not ready after ${READY_DEADLINE_MS} ms:\n${child.log}`);
    await pause(pollMs);
  }
}

/** Starts something that needs `count` ports: again with others if one of them was taken meanwhile. */
export async function startOnFreePorts<T>(count: number, start: (ports: readonly number[]) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePorts(count));
    } catch (error) {
      const isTaken = /EADDRINUSE|in use|cannot bind/i.test((error as Error).message);
      if (!isTaken || attempt === START_ATTEMPTS) throw error;
    }
  }
}
