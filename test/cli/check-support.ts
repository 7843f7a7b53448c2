// What the tests of `weft check` stand on: the built command as a process, and a real identity component beside real proxies.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { keyToPem, makeIssuer, makeRoot, type Validity } from "../../src/control/identity/x509.ts";
import { waitUntil } from "../support/wait.ts";

const WEFT = fileURLToPath(new URL("../../bin/weft.mjs", import.meta.url));
/** Long enough for a busy machine; a test that passes never gets near it. */
const RUN_DEADLINE_MS = 60_000;

export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CheckRow {
  readonly id: string;
  readonly description: string;
  readonly result: "success" | "warning" | "error";
  readonly hint?: string;
  readonly error?: string;
  readonly note?: string;
}

export interface CheckJson {
  readonly success: boolean;
  readonly categories: readonly { readonly categoryName: string; readonly checks: readonly CheckRow[] }[];
}

/** A folder with everything that one test file starts, and its end. */
export class Stage {
  readonly folder: string = mkdtempSync(join(tmpdir(), "weft-check-"));
  readonly #children = new Set<ChildProcess>();

  /** Runs the built `weft` to its end, in the stage's folder and without a container engine unless one is named. */
  async weft(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Result> {
    const child = this.#spawn(args, environment);
    let stdout = "";
    let stderr = "";
    child.stdout!.on("data", (chunk: Buffer) => {
      stdout += chunk.toString("utf8");
    });
    child.stderr!.on("data", (chunk: Buffer) => {
      stderr += chunk.toString("utf8");
    });
    return await new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
  }

  /** `weft check ... -o json`, by id. */
  async check(...args: readonly string[]): Promise<{ readonly code: number | null; readonly json: CheckJson; row(id: string): CheckRow }> {
    const { code, stdout, stderr } = await this.weft(["check", ...args, "-o", "json"]);
    if (stdout === "") throw new Error(`no JSON: ${stderr}`);
    const json = JSON.parse(stdout) as CheckJson;
    return {
      code,
      json,
      row(id) {
        const found = json.categories.flatMap(({ checks }) => checks).find((one) => one.id === id);
        if (found === undefined) throw new Error(`no ${id} in ${stdout}`);
        return found;
      },
    };
  }

  #spawn(args: readonly string[], environment: NodeJS.ProcessEnv): ChildProcess {
    const env = { ...process.env, NODE_OPTIONS: "", NO_COLOR: "1", DOCKER_HOST: `unix://${this.folder}/no-engine.sock`, ...environment };
    const child = spawn(process.execPath, [WEFT, ...args], { cwd: this.folder, env, stdio: ["ignore", "pipe", "pipe"] });
    this.#children.add(child);
    child.once("exit", () => this.#children.delete(child));
    return child;
  }

  /** Starts an identity component; `data` is its folder's name. Ports of its own, unless they are given. */
  async component(data: string, args: readonly string[] = [], port = 0, adminPort = 0): Promise<Component> {
    const folder = join(this.folder, data);
    const listen = ["--listen", `127.0.0.1:${port}`, "--admin", `127.0.0.1:${adminPort}`];
    const child = this.#spawn(["identity-controller", "--data", folder, ...listen, ...args], {});
    let said = "";
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on("data", (chunk: Buffer) => {
        said += chunk.toString("utf8");
      });
    }
    const line = await waitUntil(
      "the identity component to serve",
      () => {
        if (child.exitCode !== null) throw new Error(said);
        return said.split("\n").find((text) => text.includes("the identity component serves"));
      },
      RUN_DEADLINE_MS,
    );
    return new Component(child, folder, JSON.parse(line) as { port: number; adminPort: number });
  }

  /** A token file for a workload of that component. */
  async token(component: Component, name: string): Promise<string> {
    const file = join(this.folder, `${name}.token`);
    const made = await this.weft([
      "identity",
      "token",
      "create",
      "--name",
      name,
      "--namespace",
      "shop",
      "--data",
      component.data,
      "--file",
      file,
    ]);
    if (made.code !== 0) throw new Error(made.stderr);
    return file;
  }

  /** An authority from outside, as files: roots of these lives, and an issuer below the first. */
  async givenFiles(roots: readonly Validity[], issuer: Validity): Promise<string[]> {
    const folder = mkdtempSync(join(this.folder, "given-"));
    const made = await Promise.all(roots.map((validity, index) => makeRoot(`given ${index}`, validity)));
    const signer = await makeIssuer(made[0]!, "given", issuer);
    writeFileSync(join(folder, "roots.pem"), made.map(({ certificate }) => certificate.toString()).join(""));
    writeFileSync(join(folder, "issuer.crt"), signer.certificate.toString());
    writeFileSync(join(folder, "issuer.key"), await keyToPem(signer.key), { mode: 0o600 });
    const option = (name: string, file: string): string[] => [name, join(folder, file)];
    return [...option("--roots", "roots.pem"), ...option("--issuer-cert", "issuer.crt"), ...option("--issuer-key", "issuer.key")];
  }

  /** A folder in the stage's. */
  makeFolder(name: string): string {
    const path = join(this.folder, name);
    mkdirSync(path);
    return path;
  }

  end(): void {
    for (const child of this.#children) child.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** An identity component that runs. */
export class Component {
  readonly data: string;
  readonly port: number;
  readonly adminPort: number;
  readonly #child: ChildProcess;

  constructor(child: ChildProcess, data: string, { port, adminPort }: { readonly port: number; readonly adminPort: number }) {
    this.#child = child;
    this.data = data;
    this.port = port;
    this.adminPort = adminPort;
  }

  get admin(): string {
    return `127.0.0.1:${this.adminPort}`;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGTERM");
    await ended;
  }
}
