// A container engine by Docker's API (v1.24 and newer: Docker, podman), over its socket: who it is, its clock, containers by their
// labels, and a command inside one.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Answer, ask, type Place, type Question } from "./ask.ts";
import { isRecord } from "./reports.ts";

/** Labels of a container that Weft's compose files make. */
export const PART_LABEL = "weft.dev/part";
const SERVICE_LABEL = "weft.dev/service";
/** Both docker-compose and Docker Compose v2 set it, and podman-compose. */
const PROJECT_LABEL = "com.docker.compose.project";

/** States of a container that does nothing. */
const ENDED: ReadonlySet<string> = new Set(["created", "exited", "dead", "removing"]);

/** A command in a container: Node has to start there, on a machine that may be busy. */
const EXEC_MS = 30_000;

/** Header of a piece of output: which stream, and its length (Docker's API, "attach to a container"). */
const FRAME_HEADER_BYTES = 8;
const STDOUT = 1;

export interface Listed {
  readonly id: string;
  readonly name: string;
  readonly part: string;
  readonly service: string;
}

export interface Inspected {
  readonly status: string;
  readonly exitCode: number;
  readonly restarts: number;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
}

export class Engine {
  readonly #place: Place;
  /** `Docker 24.0.7`, `Podman Engine 4.3.1` */
  readonly description: string;

  constructor(place: Place, description: string) {
    this.#place = place;
    this.description = description;
  }

  /** Its clock, beside the one here. */
  async clock(): Promise<{ readonly aheadMs: number } | null> {
    const answer = await this.#ask({ path: "/info" });
    const { SystemTime: text } = jsonOf(answer);
    const timeMs = typeof text === "string" ? Date.parse(text) : Number.NaN;
    return Number.isNaN(timeMs) ? null : { aheadMs: timeMs - (answer.askedAtMs + answer.answeredAtMs) / 2 };
  }

  /** Compose projects that have containers of Weft's, by name; whether any of these runs, or is about to. */
  async meshProjects(): Promise<{ readonly name: string; readonly runs: boolean }[]> {
    const projects = new Map<string, boolean>();
    for (const { labels, state } of await this.#rows([PART_LABEL])) {
      const name = labels[PROJECT_LABEL] ?? "";
      projects.set(name, projects.get(name) === true || !ENDED.has(state));
    }
    return [...projects].map(([name, runs]) => ({ name, runs })).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Weft's containers of a project, those that have ended, too. */
  async containers(project: string): Promise<Listed[]> {
    const rows = await this.#rows([PART_LABEL, `${PROJECT_LABEL}=${project}`]);
    return rows.map(({ id, name, labels }) => ({ id, name, part: labels[PART_LABEL] ?? "", service: labels[SERVICE_LABEL] ?? "" }));
  }

  async inspect(id: string): Promise<Inspected> {
    const { State: state, Config: config, RestartCount: restarts } = jsonOf(await this.#ask({ path: `/containers/${id}/json` }));
    const { Status: status, ExitCode: exitCode } = isRecord(state) ? state : {};
    const { Entrypoint: entrypoint, Cmd: command } = isRecord(config) ? config : {};
    return {
      status: String(status),
      exitCode: Number(exitCode),
      restarts: typeof restarts === "number" ? restarts : 0,
      entrypoint: wordsOf(entrypoint),
      command: wordsOf(command),
    };
  }

  /** What a command in the container writes to its standard output. Rejects when it cannot be run, or ends otherwise than with 0. */
  async run(id: string, command: readonly string[]): Promise<string> {
    const made = await this.#ask({
      method: "POST",
      path: `/containers/${id}/exec`,
      json: { AttachStdout: true, AttachStderr: true, Cmd: command },
    });
    const { Id: exec } = jsonOf(made);
    const started = await this.#ask({
      method: "POST",
      path: `/exec/${String(exec)}/start`,
      json: { Detach: false, Tty: false },
      deadlineMs: EXEC_MS,
    });
    const { stdout, stderr } = streamsOf(started.body);
    const { ExitCode: code } = jsonOf(await this.#ask({ path: `/exec/${String(exec)}/json` }));
    if (code !== 0)
      throw new Error(`\`${command.join(" ")}\` ended with ${String(code)} in it: ${(stderr || stdout).trim().split("\n")[0]}`);
    return stdout;
  }

  async #rows(labels: readonly string[]): Promise<{ id: string; name: string; state: string; labels: Record<string, string> }[]> {
    const filters = encodeURIComponent(JSON.stringify({ label: labels }));
    const rows: unknown = JSON.parse((await this.#ask({ path: `/containers/json?all=true&filters=${filters}` })).body.toString("utf8"));
    return (Array.isArray(rows) ? rows : []).filter(isRecord).map((row) => {
      const [name = ""] = wordsOf(row["Names"]);
      const found = isRecord(row["Labels"]) ? (row["Labels"] as Record<string, string>) : {};
      return { id: String(row["Id"]), name: name.replace(/^\//, ""), state: String(row["State"]), labels: found };
    });
  }

  async #ask(question: Question): Promise<Answer> {
    const answer = await ask(this.#place, question);
    if (answer.status < 400) return answer;
    throw new Error(`the container engine answers ${answer.status}: ${answer.body.toString("utf8").trim().slice(0, 200)}`);
  }
}

/** The engine that DOCKER_HOST names, else the first that answers at a usual socket; or why there is none. */
export async function openEngine(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<{ readonly engine: Engine } | { readonly problem: string }> {
  const given = environment["DOCKER_HOST"];
  if (given !== undefined && given !== "") {
    const place = placeOf(given);
    if (place === null)
      return { problem: `DOCKER_HOST is ${JSON.stringify(given)}: only unix:// and tcp:// (without TLS) are understood here` };
    const answer = await introduce(place);
    return "problem" in answer ? { problem: `${given} (DOCKER_HOST): ${answer.problem}` } : answer;
  }
  const problems: string[] = [];
  for (const socketPath of usualSockets(environment).filter((path) => existsSync(path))) {
    const answer = await introduce({ socketPath });
    if ("engine" in answer) return answer;
    problems.push(`${socketPath}: ${answer.problem}`);
  }
  return {
    problem: problems.length > 0 ? problems.join("; ") : `none of the usual sockets is there (${usualSockets(environment).join(", ")})`,
  };
}

async function introduce(place: Place): Promise<{ readonly engine: Engine } | { readonly problem: string }> {
  try {
    const answer = await ask(place, { path: "/version" });
    const version = jsonOf(answer);
    if (answer.status !== 200 || typeof version["ApiVersion"] !== "string") return { problem: "what answers there is no container engine" };
    const { Components: components } = version;
    const [first] = Array.isArray(components) ? components.filter(isRecord) : [];
    const name = typeof first?.["Name"] === "string" ? first["Name"] : "Docker";
    const description = `${name === "Engine" ? "Docker" : name} ${String(version["Version"])}`;
    return { engine: new Engine(place, description) };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}

function usualSockets({ XDG_RUNTIME_DIR: runtime, HOME: home }: Readonly<Record<string, string | undefined>>): string[] {
  return [
    "/var/run/docker.sock",
    ...(runtime ? [join(runtime, "docker.sock")] : []),
    ...(home ? [join(home, ".docker/run/docker.sock")] : []),
    "/run/podman/podman.sock",
    ...(runtime ? [join(runtime, "podman/podman.sock")] : []),
  ];
}

function placeOf(text: string): Place | null {
  const socket = /^unix:\/\/(\/.+)$/.exec(text)?.[1];
  if (socket !== undefined) return { socketPath: socket };
  const address = /^(?:tcp|http):\/\/(\[[0-9a-f:.]+\]|[^:/]+):(\d{1,5})\/?$/i.exec(text);
  return address === null ? null : { host: address[1]!.replace(/^\[|\]$/g, ""), port: Number(address[2]) };
}

/** Output of a command without a terminal: pieces of both streams, each with a header. */
function streamsOf(body: Buffer): { readonly stdout: string; readonly stderr: string } {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  for (let at = 0; at + FRAME_HEADER_BYTES <= body.length; ) {
    const length = body.readUInt32BE(at + 4);
    const piece = body.subarray(at + FRAME_HEADER_BYTES, at + FRAME_HEADER_BYTES + length);
    (body[at] === STDOUT ? stdout : stderr).push(piece);
    at += FRAME_HEADER_BYTES + length;
  }
  return { stdout: Buffer.concat(stdout).toString("utf8"), stderr: Buffer.concat(stderr).toString("utf8") };
}

function jsonOf({ body }: Answer): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(body.toString("utf8"));
  } catch {
    throw new Error("what answers there is no container engine");
  }
  return isRecord(value) ? value : {};
}

function wordsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
