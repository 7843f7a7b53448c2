// The container engine, as test/containers/engine.sh serves it: podman's own command line for looking, docker-compose for projects, or the
// client that WEFT_TEST_COMPOSE names.
//
// Everything a test starts has a name of its own, made from this process's id, and goes when the test ends: nothing else is touched.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
/** As a `FROM` or an `image:` of users would name them. */
export const WEFT_IMAGE = "docker.io/library/weft";
export const BASE_IMAGE = "docker.io/library/node:22-bookworm-slim";
/** Takes what docker-compose 1.29 takes. Docker Compose v2 does, where it is a program of its own: that file is named, not `docker compose`. */
export const COMPOSE = process.env["WEFT_TEST_COMPOSE"] || "docker-compose";
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;
/** Of one command: starting a whole project takes a minute on a busy machine. */
const COMMAND_MS_MAX = 300_000;

export interface Ran {
  readonly code: number | string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** Runs to its end; what it ended with is told, not thrown. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve) => {
    const env = { ...process.env, ...options.env };
    const settings = { cwd: ROOT, env, timeout: COMMAND_MS_MAX, maxBuffer: OUTPUT_BYTES_MAX, encoding: "utf8" } as const;
    const child = execFile(command, [...args], settings, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? error.signal ?? null), stdout, stderr });
    });
    // A command that reads no input may be gone already.
    child.stdin!.on("error", () => undefined);
    child.stdin!.end(options.input ?? "");
  });
}

/** What it printed, trimmed. Fails with its own words when it does not end with 0. */
export async function ok(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, options);
  assert.equal(code, 0, `${[command, ...args].join(" ")} ended with ${code}\n${stdout.slice(-4000)}\n${stderr.slice(-4000)}`);
  return stdout.trim();
}

export function engine(...args: string[]): Promise<string> {
  return ok("podman", args);
}

/** One value of a container's or an image's description, by a Go template such as `.State.Pid`. */
export function inspect(name: string, template: string): Promise<string> {
  return engine("inspect", "--format", `{{${template}}}`, name);
}

/** When its main process started, milliseconds since 1970. */
export async function startedAtMs(name: string): Promise<number> {
  const [state] = JSON.parse(await engine("inspect", name)) as { State: { StartedAt: string } }[];
  return Date.parse(state!.State.StartedAt);
}

/** Containers of one test, removed at its end whatever happened. */
export class Containers {
  readonly #names: string[] = [];
  #count = 0;

  /** Runs in the background; its name. */
  async start(image: string, options: readonly string[], command: readonly string[]): Promise<string> {
    const name = `weft-test-${process.pid}-${++this.#count}`;
    this.#names.push(name);
    await engine("run", "--detach", "--name", name, ...options, image, ...command);
    return name;
  }

  async remove(): Promise<void> {
    for (const name of this.#names.splice(0).reverse()) await engine("rm", "--force", "--time", "1", name);
  }
}
