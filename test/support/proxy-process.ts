// The built proxy as a process of its own, as a user runs it: configuration in a file, readiness and metrics from the admin port,
// SIGTERM at the end. `stop` proves that it ended by itself, cleanly, and that it leaked nothing on the way.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, renameSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { MeshFiles } from "./mesh-files.ts";
import { Metrics } from "./metrics.ts";
import { freePorts } from "./ports.ts";
import { listenerNames, type ProxyOptions, type ProxyPorts, proxyConfig } from "./proxy-config.ts";
import { removeFolder, temporaryFolder } from "./temporary-folder.ts";
import { isPair, splitOptions } from "./topology.ts";
import { waitUntil } from "./wait.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** The built command line; another build can be named. */
const MAIN = process.env.WEFT_TEST_MAIN ?? join(ROOT, "dist/cli/main.js");

/** A port may be taken between our look and the proxy's bind. */
const START_ATTEMPTS = 3;

/** Proxies that run: a test file that ends, or times out, must not leave them behind. */
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export interface AdminAnswer {
  readonly status: number;
  readonly body: string;
}

export class ProxyProcess {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #all: ProxyPorts;
  #options: ProxyOptions;
  #log = "";
  /** The proxy that stands before the services of this one (topology.ts), and the identities of both. */
  #behind: ProxyProcess | null = null;
  #files: MeshFiles | null = null;

  private constructor(options: ProxyOptions, ports: ProxyPorts) {
    this.#options = options;
    this.#all = ports;
    this.#folder = temporaryFolder("weft-test-");
    this.#write(options);
    this.#child = spawn(process.execPath, [MAIN, "proxy", "--config", join(this.#folder, "proxy.yaml")], {
      cwd: this.#folder,
      env: {
        ...process.env,
        NODE_OPTIONS: "",
        WEFT_TEST_HOOKS: "1",
        ...(options.dnsServer && { WEFT_TEST_DNS: options.dnsServer }),
        ...options.environment,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    running.add(this.#child);
    this.#child.once("exit", () => running.delete(this.#child));
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.on("data", (chunk: Buffer) => {
        this.#log += chunk.toString("utf8");
      });
    }
  }

  /** Starts a proxy and waits until it is ready. */
  static async start(options: ProxyOptions): Promise<ProxyProcess> {
    if (!isPair) return ProxyProcess.#startOne(options);
    const { files, behind, front } = splitOptions(options);
    const second = await ProxyProcess.#startOne(behind);
    const first = await ProxyProcess.#startOne(front((name) => second.listener(name)));
    first.#behind = second;
    first.#files = files;
    return first;
  }

  static #startOne(options: ProxyOptions): Promise<ProxyProcess> {
    return ProxyProcess.#startUntil(options, "the proxy to be ready", (proxy) => proxy.isReady());
  }

  /** Starts a proxy and waits until it says something on its admin port, ready or not. */
  static begin(options: ProxyOptions): Promise<ProxyProcess> {
    return ProxyProcess.#startUntil(
      options,
      "the proxy to begin",
      async (proxy) => (await proxy.admin("/live").catch(() => null)) !== null,
    );
  }

  static async #startUntil(
    options: ProxyOptions,
    what: string,
    hasStarted: (proxy: ProxyProcess) => Promise<boolean>,
  ): Promise<ProxyProcess> {
    for (let attempt = 1; ; attempt++) {
      const names = listenerNames(options);
      const [outbound, admin, ...rest] = await freePorts(2 + names.length);
      const listeners = Object.fromEntries(names.map((name, i) => [name, rest[i]!]));
      const proxy = new ProxyProcess(options, { outbound: outbound!, admin: admin!, listeners });
      try {
        await waitUntil(what, () => {
          if (proxy.hasExited) throw new Error(`the proxy ended with ${proxy.#child.exitCode ?? proxy.#child.signalCode}`);
          return hasStarted(proxy);
        });
        return proxy;
      } catch (error) {
        const isPortTaken = proxy.#log.includes("EADDRINUSE");
        proxy.kill();
        if (!isPortTaken || attempt === START_ATTEMPTS) throw new Error(`${(error as Error).message}\n${proxy.#log}`);
      }
    }
  }

  async isReady(): Promise<boolean> {
    return (await this.admin("/ready").catch(() => null))?.status === 200;
  }

  /** The outbound listener's port. */
  get port(): number {
    return this.#all.outbound;
  }

  get adminPort(): number {
    return this.#all.admin;
  }

  /** Port of a further listener. */
  listener(name: string): number {
    return this.#all.listeners[name]!;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** What it has logged so far. */
  get log(): string {
    return this.#log;
  }

  get hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** null while it runs, or when a signal ended it. */
  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Writes another configuration; the watcher finds it. Listeners stay where they are. */
  configure(options: ProxyOptions): void {
    this.#options = options;
    this.#write(options);
  }

  /** Writes another configuration and waits until it is the running one. */
  async reconfigure(options: ProxyOptions): Promise<void> {
    const before = (await this.metrics()).sum("proxy_config_reloads_total");
    this.configure(options);
    await waitUntil("the reload", async () => (await this.metrics()).sum("proxy_config_reloads_total") > before);
  }

  get options(): ProxyOptions {
    return this.#options;
  }

  admin(path: string, method = "GET", body = ""): Promise<AdminAnswer> {
    return new Promise((resolve, reject) => {
      const request = httpRequest({ host: "127.0.0.1", port: this.adminPort, path, method, agent: false }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => resolve({ status: response.statusCode!, body: Buffer.concat(chunks).toString("utf8") }));
        response.on("error", reject);
      });
      request.on("error", reject);
      request.end(body);
    });
  }

  async metrics(): Promise<Metrics> {
    const answer = await this.admin("/metrics");
    assert.equal(answer.status, 200);
    return new Metrics(answer.body);
  }

  async stats(): Promise<Record<string, unknown>> {
    return JSON.parse((await this.admin("/stats.json")).body) as Record<string, unknown>;
  }

  /** Descriptors that the process has open (Linux). */
  openDescriptors(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }

  /** Waits until no client connection is open and the accounts say so: what a test left behind must go by itself. */
  async idle(): Promise<Metrics> {
    const peer = { peer: "src" };
    return waitUntil("all client connections to close, opened = closed", async () => {
      const metrics = await this.metrics();
      const isBalanced = metrics.sum("tcp_open_total", peer) === metrics.sum("tcp_close_total", peer);
      return isBalanced && metrics.sum("tcp_open_connections", peer) === 0 && metrics;
    });
  }

  /** Ends the proxy and checks its accounts: nothing open, nothing caught by a guard, exit code 0. */
  async stop(): Promise<void> {
    try {
      const metrics = await this.idle();
      assert.equal(metrics.sum("proxy_callback_errors_total"), 0, "exceptions in callbacks");
      this.signal("SIGTERM");
      await waitUntil("the proxy to end", () => this.hasExited);
      assert.equal(this.#child.exitCode, 0, "exit code");
      await this.#behind?.stop();
    } catch (error) {
      (error as Error).message += `\n--- log of the proxy ---\n${this.#log.slice(-4000)}`;
      throw error;
    } finally {
      this.kill();
    }
  }

  /** The last resort, when a test has failed. */
  kill(): void {
    this.#behind?.kill();
    this.#files?.remove();
    if (!this.hasExited) this.#child.kill("SIGKILL");
    removeFolder(this.#folder);
  }

  #write(options: ProxyOptions): void {
    const path = join(this.#folder, "proxy.yaml");
    writeFileSync(`${path}.new`, proxyConfig(options, this.#all));
    renameSync(`${path}.new`, path);
  }
}
