// Checks of the container engine and of what reads compose files.

import { spawnSync } from "node:child_process";
import { type Engine, openEngine } from "./engine.ts";
import { skewOutcome } from "./mesh-checks.ts";
import { type Check, failureOf, type Outcome } from "./run-checks.ts";

/** A version is said at once; the first call of a program on a busy machine takes longer. */
const VERSION_MS = 20_000;

/** `depends_on` with conditions for files without a version came with 1.27, `service_completed_successfully` with 1.29. */
const DOCKER_COMPOSE_MIN = [1, 29] as const;

interface ComposeCommand {
  readonly name: string;
  readonly command: readonly string[];
  /** Null: every one of them does. */
  readonly versionMin: readonly [number, number] | null;
}

/** In the order in which people should prefer them. */
const COMPOSE_COMMANDS: readonly ComposeCommand[] = [
  { name: "docker compose", command: ["docker", "compose", "version", "--short"], versionMin: null },
  { name: "docker-compose", command: ["docker-compose", "version", "--short"], versionMin: DOCKER_COMPOSE_MIN },
  { name: "podman-compose", command: ["podman-compose", "--version"], versionMin: null },
];

/** `isNeeded`: without an engine nothing can be done, so that a failure is an error. */
export function engineChecks(isNeeded: boolean): Check[] {
  const severity = isNeeded ? "error" : "warning";
  let engine: Engine | null = null;
  const lookForEngine = async (): Promise<Outcome> => {
    const opened = await openEngine(process.env);
    if ("problem" in opened) return failureOf([opened.problem], severity);
    engine = opened.engine;
    return { ok: true, note: engine.description };
  };
  return [
    { id: "pre-engine-reachable", look: lookForEngine },
    { id: "pre-engine-compose", look: () => lookForCompose(severity) },
    { id: "pre-engine-clock", look: async () => (engine === null ? null : await lookAtClock(engine)) },
  ];
}

function lookForCompose(severity: "error" | "warning"): Outcome {
  const found: string[] = [];
  const tooOld: string[] = [];
  for (const { name, command, versionMin } of COMPOSE_COMMANDS) {
    const version = versionOf(command);
    if (version === null) continue;
    const isOld = versionMin !== null && isOlder(version, versionMin);
    (isOld ? tooOld : found).push(`${name} ${version}`);
  }
  if (found.length > 0) return { ok: true, note: found.join(", ") };
  if (tooOld.length > 0)
    return failureOf(
      tooOld.map((one) => `${one} is too old: ${DOCKER_COMPOSE_MIN.join(".")} or newer is needed`),
      severity,
    );
  return failureOf(["there is neither docker compose nor docker-compose nor podman-compose"], severity);
}

/** Null where the program is missing or says nothing of the kind. */
function versionOf([program = "", ...args]: readonly string[]): string | null {
  const { status, stdout } = spawnSync(program, args, { encoding: "utf8", timeout: VERSION_MS });
  return status === 0 ? (/\d+\.\d+(?:\.\d+)?/.exec(stdout)?.[0] ?? null) : null;
}

function isOlder(version: string, [major, minor]: readonly [number, number]): boolean {
  const [itsMajor = 0, itsMinor = 0] = version.split(".").map(Number);
  return itsMajor < major || (itsMajor === major && itsMinor < minor);
}

async function lookAtClock(engine: Engine): Promise<Outcome> {
  try {
    const clock = await engine.clock();
    if (clock === null) return null;
    return skewOutcome([{ name: "the engine", clock: { ...clock, uncertainMs: 0 } }]);
  } catch (error) {
    return failureOf([(error as Error).message], "warning");
  }
}
