// The built identity component as a process of its own, as a user runs it; for tests that kill it, load it, or give it another clock.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { askAdmin } from "../../src/control/identity/admin-client.ts";
import { openIdentityFolder } from "../../src/control/identity/token-maker.ts";
import { removeFolder, temporaryFolder } from "./temporary-folder.ts";
import { waitUntil } from "./wait.ts";

const MAIN = process.env.WEFT_TEST_MAIN ?? fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const START_MS = 60_000;

export interface IdentityProcessOptions {
  /** Further options of the command. */
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

export class IdentityProcess {
  /** Its data folder. */
  readonly data: string;
  readonly #parent: string;
  readonly #child: ChildProcess;
  #log = "";
  #port = 0;
  #adminPort = 0;

  private constructor({ args = [], environment = {} }: IdentityProcessOptions) {
    this.#parent = temporaryFolder("weft-identity-");
    this.data = join(this.#parent, "data");
    const all = ["identity-controller", "--data", this.data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", ...args];
    this.#child = spawn(process.execPath, [MAIN, ...all], {
      cwd: this.#parent,
      env: { ...process.env, NODE_OPTIONS: "", ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    // Before its folder is removed.
    process.prependOnceListener("exit", () => this.#child.kill("SIGKILL"));
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.on("data", (chunk: Buffer) => {
        this.#log += chunk.toString("utf8");
      });
    }
  }

  /** Starts one and waits until it serves. */
  static async start(options: IdentityProcessOptions = {}): Promise<IdentityProcess> {
    const one = new IdentityProcess(options);
    const line = await waitUntil(
      "the component to serve",
      () => {
        if (one.#child.exitCode !== null) throw new Error(`the component ended with ${one.#child.exitCode}\n${one.#log}`);
        return one.#log.split("\n").find((text) => text.includes("the identity component serves"));
      },
      START_MS,
    );
    const { port, adminPort } = JSON.parse(line) as { port: number; adminPort: number };
    one.#port = port;
    one.#adminPort = adminPort;
    return one;
  }

  /** For `spec.identity.controller`. */
  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get log(): string {
    return this.#log;
  }

  /** PEM of the trust bundle now. */
  get bundle(): string {
    return readFileSync(join(this.data, "bundle.pem"), "utf8");
  }

  /** How often it has logged this. */
  times(message: string): number {
    return this.#log.split(message).length - 1;
  }

  async token(name: string, ttlS = 86_400): Promise<string> {
    return await (await openIdentityFolder(this.data)).createToken({ name, namespace: "shop", use: "file", ttlS });
  }

  /** What `weft identity rotate` asks for. */
  async rotate(what: "root" | "issuer"): Promise<void> {
    await askAdmin(`127.0.0.1:${this.#adminPort}`, join(this.data, "admin.secret"), `/identity/rotate?what=${what}`, "");
  }

  /** Ends it, cleanly. */
  async stop(): Promise<void> {
    try {
      this.#child.kill("SIGTERM");
      await waitUntil("the component to end", () => this.#child.exitCode !== null || this.#child.signalCode !== null);
      assert.equal(this.#child.exitCode, 0, this.#log.slice(-4000));
    } finally {
      this.kill();
    }
  }

  /** The last resort, when a test has failed. */
  kill(): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill("SIGKILL");
    removeFolder(this.#parent);
  }
}
