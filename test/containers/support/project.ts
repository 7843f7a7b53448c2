// A compose project of the tests: a file brought up under a name of its own, its containers by the names of their services, and taken
// down again with everything that it made.

import { spawn } from "node:child_process";
import { COMPOSE, engine, inspect, ok, type Ran, run } from "./engine.ts";

/** Compose waits for health checks without a word; what it says when they fail is in the containers' logs. */
const LOG_LINES = "40";
/** Of the parts of a container's name: version 1 writes `project_service_1`, version 2 `project-service-1`. */
const SEPARATOR = (await ok(COMPOSE, ["version", "--short"])).startsWith("1.") ? "_" : "-";
const PODMAN_KEEPS_OWNERS = "has dependent containers which must be removed before it";

export class Project {
  readonly name: string;
  readonly #files: readonly string[];
  readonly #env: Readonly<Record<string, string>>;

  /** `files`: relative to the project's root, or absolute. */
  constructor(name: string, files: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.name = `${name}${process.pid}`;
    this.#files = files;
    this.#env = { COMPOSE_HTTP_TIMEOUT: "300", ...env };
  }

  #arguments(args: readonly string[]): string[] {
    return ["--project-name", this.name, ...this.#files.flatMap((file) => ["--file", file]), ...args];
  }

  tried(...args: string[]): Promise<Ran> {
    return run(COMPOSE, this.#arguments(args), { env: this.#env });
  }

  compose(...args: string[]): Promise<string> {
    return ok(COMPOSE, this.#arguments(args), { env: this.#env });
  }

  /** Detached; when it fails, the logs of what is there are part of the message. */
  async up(profiles: readonly string[] = [], ...services: string[]): Promise<void> {
    const { code, stdout, stderr } = await this.tried(...profiles.flatMap((one) => ["--profile", one]), "up", "--detach", ...services);
    if (code === 0) return;
    const { stdout: logs } = await this.tried("logs", "--no-color", "--tail", LOG_LINES);
    const table = await engine("ps", "--all", "--filter", `name=${this.name}`);
    throw new Error(`${COMPOSE} up ended with ${code}\n${stdout}${stderr}\n${table}\n${logs.slice(-20_000)}`);
  }

  /** The container of a service. */
  container(service: string): string {
    return [this.name, service, "1"].join(SEPARATOR);
  }

  /** In the first of its networks. */
  async address(service: string): Promise<string> {
    const text = await inspect(this.container(service), "range .NetworkSettings.Networks}}{{.IPAddress}} {{end");
    return text.trim().split(" ")[0]!;
  }

  logs(service: string): Promise<string> {
    return engine("logs", this.container(service));
  }

  /**
   * docker-compose removes the containers of a project all at once, which Docker allows. Podman keeps the owner of a network namespace until
   * those that joined it are gone, and says so: then the same command once more removes the owners. Version 2 leaves what a profile brought
   * when that profile is not named.
   */
  async down(): Promise<Ran> {
    const command = ["--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "30"];
    const first = await this.tried(...command);
    return first.stderr.includes(PODMAN_KEEPS_OWNERS) ? await this.tried(...command) : first;
  }

  /** What is left of it: containers, networks, volumes by name. */
  async remains(): Promise<string[]> {
    const kinds = [
      ["ps", "--all", "--format", "{{.Names}}"],
      ["network", "ls", "--format", "{{.Name}}"],
      ["volume", "ls", "--format", "{{.Name}}"],
    ];
    const lists = await Promise.all(kinds.map((args) => engine(...args)));
    return lists
      .join("\n")
      .split("\n")
      .filter((name) => name.startsWith(`${this.name}_`) || name.startsWith(`${this.name}-`));
  }

  /** Removes what is left by whatever it takes: for the end of a test that has failed before. */
  async remove(): Promise<void> {
    await this.down();
    for (const name of await this.remains()) {
      await run("podman", ["rm", "--force", "--depend", "--time", "1", name]);
      await run("podman", ["network", "rm", "--force", name]);
      await run("podman", ["volume", "rm", "--force", name]);
    }
  }
}

/** What passes an interface of a container's network namespace while `work` runs, as tcpdump writes it: bytes and all. */
export async function captured(container: string, networkInterface: string, work: () => Promise<void>): Promise<string> {
  const target = await inspect(container, ".State.Pid");
  const options = ["-i", networkInterface, "-U", "--immediate-mode", "-s", "0", "-Z", "root", "-w", "-", "tcp"];
  const dump = spawn("nsenter", ["--net", "--target", target, "tcpdump", ...options], { stdio: ["ignore", "pipe", "pipe"] });
  const chunks: Buffer[] = [];
  let said = "";
  dump.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise<void>((resolve) => dump.once("close", () => resolve()));
  try {
    await new Promise<void>((resolve, reject) => {
      dump.once("error", reject);
      dump.once("exit", () => reject(new Error(`tcpdump ended: ${said}`)));
      dump.stderr.on("data", (chunk: Buffer) => {
        said += chunk.toString();
        if (said.includes("listening on")) resolve();
      });
    });
    await work();
  } finally {
    dump.kill("SIGINT");
    await ended;
  }
  return Buffer.concat(chunks).toString("latin1");
}
