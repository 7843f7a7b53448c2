// `weft run` as a process of its own, from the built command line, with what it starts: its proxy and its command are found in /proc.

import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { removeFolder, temporaryFolder } from "./temporary-folder.ts";
import { waitUntil } from "./wait.ts";

export const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
/** A busy machine may take long to start two processes. */
export const PATIENCE_MS = 60_000;

/** False, too, for one that has ended and waits for somebody to ask how. */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "latin1"));
  } catch {
    return false;
  }
}

/** Pids of the children of a process, and their command lines. */
export function childrenOf(pid: number): { pid: number; line: string }[] {
  try {
    const pids = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, "latin1").trim().split(" "),
    );
    return pids
      .filter((text) => text !== "")
      .map((text) => ({ pid: Number(text), line: readFileSync(`/proc/${text}/cmdline`, "latin1").replaceAll("\0", " ") }));
  } catch {
    // It ended while we looked.
    return [];
  }
}

export interface RunEnd {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface WeftRunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly stdin?: "pipe" | "ignore";
  /** The words before `run`: Node and the built command line, unless it is something else. */
  readonly start?: readonly string[];
}

export class WeftRun {
  readonly child: ChildProcess;
  readonly end: Promise<RunEnd>;
  readonly #out: Buffer[] = [];
  readonly #err: Buffer[] = [];

  constructor(args: readonly string[], options: WeftRunOptions = {}) {
    const { WEFT_CONFIG: _, NODE_OPTIONS: _options, NODE_TEST_CONTEXT: _context, http_proxy: _proxy, ...inherited } = process.env;
    const [file, ...before] = options.start ?? [process.execPath, MAIN];
    this.child = spawn(file!, [...before, "run", ...args], {
      cwd: options.cwd,
      env: options.env ?? inherited,
      stdio: [options.stdin ?? "ignore", "pipe", "pipe"],
      // No terminal, whoever runs the tests; and nobody of the tests' own group.
      detached: true,
    });
    this.child.stdout!.on("data", (chunk: Buffer) => this.#out.push(chunk));
    this.child.stderr!.on("data", (chunk: Buffer) => this.#err.push(chunk));
    this.end = new Promise((resolve, reject) => {
      this.child.once("error", reject);
      this.child.once("close", (code, signal) =>
        resolve({ code, signal, stdout: Buffer.concat(this.#out), stderr: Buffer.concat(this.#err).toString() }),
      );
    });
  }

  get pid(): number {
    return this.child.pid!;
  }

  get stdout(): string {
    return Buffer.concat(this.#out).toString();
  }

  get stderr(): string {
    return Buffer.concat(this.#err).toString();
  }

  /** Waits until the command has written a text that matches. */
  said(pattern: RegExp): Promise<RegExpExecArray> {
    return waitUntil(
      `${pattern} in what the command says`,
      () => {
        const match = pattern.exec(this.stdout);
        if (match === null && this.child.exitCode !== null) throw new Error(`it ended with ${this.child.exitCode}\n${this.stderr}`);
        return match;
      },
      PATIENCE_MS,
    ).catch((error: Error) => {
      throw new Error(`${error.message}\n--- stdout\n${this.stdout}\n--- stderr\n${this.stderr}`);
    });
  }

  /** The process of its proxy; null while there is none. */
  get proxyPid(): number | null {
    return childrenOf(this.pid).find(({ line }) => line.includes("proxy-child"))?.pid ?? null;
  }

  /** What may be left of a failed test. */
  kill(): void {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    for (const { pid } of childrenOf(this.pid)) process.kill(pid, "SIGKILL");
    this.child.kill("SIGKILL");
  }
}

/** An origin, a folder for files and the proxy's configuration in it. */
export class RunPlace {
  readonly folder = temporaryFolder("weft-run-");
  readonly #origins: Server[] = [];

  /** An HTTP server that answers with its name and the path. */
  async origin(name: string): Promise<number> {
    const server = createServer((request, response) => response.end(`${name} ${request.url}`));
    this.#origins.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return (server.address() as AddressInfo).port;
  }

  /** Writes weft.yaml and returns its path. */
  configure(port: number, originPort: number, spec = ""): string {
    return this.write(
      "weft.yaml",
      `apiVersion: weft.dev/v1alpha1
kind: Proxy
metadata: {name: p}
spec:
  workers: 1
  outbound: {listen: "127.0.0.1:${port}", default: web}
  admin: {listen: off}
${spec}---
apiVersion: weft.dev/v1alpha1
kind: Service
metadata: {name: web}
spec: {endpoints: [{address: "127.0.0.1:${originPort}"}]}
`,
    );
  }

  write(name: string, text: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, text, { mode: 0o755 });
    return path;
  }

  remove(): void {
    removeFolder(this.folder);
    for (const server of this.#origins) {
      server.close();
      server.closeAllConnections();
    }
  }
}
