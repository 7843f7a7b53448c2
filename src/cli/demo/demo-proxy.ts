// Runs the real `weft proxy --config` as a child process for the demo, waits until it is ready, and ends it.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { siblingModule } from "./demo-services.ts";

/** Ready takes half a second; a busy machine may need more. */
const READY_TIMEOUT_MS = 15_000;
const READY_POLL_MS = 25;
/** After SIGTERM; the load is over by then, so that a drain has nothing to wait for. */
const STOP_TIMEOUT_MS = 5000;
/** What is kept of the proxy's log, to be shown if it ends early. */
const LOG_BYTES_MAX = 8192;

export interface DemoProxy {
  readonly configPath: string;
  /** Resolves with what the proxy said last, if it ends before `stop`. */
  readonly endedEarly: Promise<string>;
  stop(): Promise<void>;
}

/** A configuration that serves `endpoints` at `port` by EWMA. */
export function demoConfig(port: number, adminPort: number, endpoints: readonly string[]): string {
  return `# The demo's configuration. It is watched: a change is taken over while requests flow.
apiVersion: weft.dev/v1alpha1
kind: Proxy
metadata: {name: demo}
spec:
  workers: auto
  outbound: {listen: "127.0.0.1:${port}", default: demo}
  admin: {listen: "127.0.0.1:${adminPort}"}
---
apiVersion: weft.dev/v1alpha1
kind: Service
metadata: {name: demo}
spec:
  loadBalancer: ewma   # try round-robin or p2c
  endpoints:
${endpoints.map((endpoint) => `    - address: ${endpoint}\n`).join("")}`;
}

/** The port itself, or a free one for 0. Throws an error with `code` EADDRINUSE when it is taken. */
export async function claimPort(port: number): Promise<number> {
  const server = createServer();
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : port;
}

async function isReady(adminPort: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${adminPort}/ready`, { signal: AbortSignal.timeout(1000) });
    await response.text();
    return response.ok;
  } catch {
    // Not listening yet.
    return false;
  }
}

/** Keeps the end of what the child writes. */
function tailOf(child: ChildProcess): () => string {
  let tail = "";
  const add = (chunk: Buffer): void => {
    tail = (tail + chunk.toString("utf8")).slice(-LOG_BYTES_MAX);
  };
  child.stdout?.on("data", add);
  child.stderr?.on("data", add);
  return () => tail.trim();
}

export async function startProxy(port: number, adminPort: number, endpoints: readonly string[]): Promise<DemoProxy> {
  const folder = await mkdtemp(join(tmpdir(), "weft-demo-"));
  const configPath = join(folder, "weft.yaml");
  await writeFile(configPath, demoConfig(port, adminPort, endpoints));
  const child = fork(fileURLToPath(siblingModule("proxy-process")), ["proxy", "--config", configPath], {
    // A process group of its own: Ctrl-C is for the demo, which first lets its load end.
    detached: true,
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  const tail = tailOf(child);
  let isStopping = false;
  const exited = once(child, "exit");
  const endedEarly = new Promise<string>((resolve) => {
    child.once("exit", (code, signal) => {
      if (!isStopping) resolve(`the proxy ended (${signal ?? `exit code ${code}`})\n${tail()}`);
    });
  });
  const stop = async (): Promise<void> => {
    isStopping = true;
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      const isLate = await Promise.race([exited.then(() => false), wait(STOP_TIMEOUT_MS, true, { ref: false })]);
      if (isLate) {
        process.stderr.write(`weft: the proxy had not ended ${STOP_TIMEOUT_MS / 1000} s after SIGTERM and was killed\n${tail()}\n`);
        child.kill("SIGKILL");
        await exited;
      }
    }
    await rm(folder, { recursive: true, force: true });
  };
  let failure: string | null = null;
  void endedEarly.then((text) => (failure = text));
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (!(await isReady(adminPort))) {
    if (failure === null && performance.now() > deadline) failure = `the proxy was not ready after ${READY_TIMEOUT_MS / 1000} s\n${tail()}`;
    if (failure !== null) {
      await stop();
      throw new Error(failure);
    }
    await wait(READY_POLL_MS);
  }
  return { configPath, endedEarly, stop };
}
