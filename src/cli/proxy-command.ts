// `weft proxy`: from its options to a running proxy. One source of configuration, never two.

import { CONFIG_VARIABLE, chooseSource } from "../config/config-source.ts";
import type { ConfigOverrides } from "../config/config-source.ts";
import { flagsToSnapshot, readAdminFlag } from "../config/flags.ts";
import { prepareLoader } from "../config/load-in-worker.ts";
import { BAD_CONFIGURATION, formatProblem } from "../config/problem.ts";
import type { Problem } from "../config/problem.ts";
import type { ProxyDirector } from "../workers/director.ts";
import type { RunProxyOptions } from "../workers/supervisor.ts";
import type { ProxyOptions } from "./proxy-arguments.ts";

/** Worker threads at most, as in the schema, which must not be loaded here. */
const WORKERS_MAX = 256;

/** Nobody else could be seen to end. */
const ALONE = usage("--job has nothing to watch: this process is number 1 of its namespace", 'pid: "service:NAME-net" as in docs/jobs.md');

/** Runs until the proxy is told to stop, also by `director`; resolves to the exit code. */
export async function runProxyCommand(options: ProxyOptions, director?: ProxyDirector): Promise<number> {
  const plan = options.job === true && process.pid === 1 ? { problems: [ALONE] } : planProxy(options, process.env);
  if ("problems" in plan) {
    process.stderr.write(plan.problems.map((problem) => `weft proxy: ${formatProblem(problem)}\n`).join(""));
    return BAD_CONFIGURATION;
  }
  // The loader's thread and this one have much to import; they do it at the same time.
  if ((plan.snapshot ?? null) === null) prepareLoader();
  const { runProxy } = await import("../workers/supervisor.ts");
  const master = director ?? (options.job === true ? (await import("./run/application-watch.ts")).directJob() : undefined);
  return await runProxy(master === undefined ? plan : { ...plan, director: master });
}

/** What the options mean, or what is wrong with them. */
export function planProxy(
  options: ProxyOptions,
  environment: Readonly<Record<string, string | undefined>>,
): RunProxyOptions | { readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const workers = readWorkers(options.workers, problems);
  const usesFlags = options.listen !== undefined || options.to !== undefined;
  if (usesFlags && options.config !== undefined) {
    problems.push(usage("--config and --listen exclude each other", "the file has spec.outbound.listen"));
  }
  if (usesFlags) return problems.length > 0 ? { problems } : planFlags(options, workers);
  const source = chooseSource(options.config ?? null, environment);
  if (source === null) {
    const hint = `give it --config PATH, or --listen HOST:PORT --to HOST:PORT, or the YAML itself in ${CONFIG_VARIABLE}`;
    problems.push(usage("there is no configuration", hint));
  }
  const admin = options.admin === undefined ? undefined : readAdminFlag(options.admin, problems);
  if (problems.length > 0 || source === null) return { problems };
  const overrides: ConfigOverrides = { ...(workers !== undefined && { workers }), ...(admin !== undefined && { admin }) };
  return { configPath: source.path ?? null, configText: source.text ?? null, snapshot: null, proxyName: options.name ?? null, overrides };
}

function planFlags(
  options: ProxyOptions,
  workers: number | "auto" | undefined,
): RunProxyOptions | { readonly problems: readonly Problem[] } {
  const { listen, to, admin, name } = options;
  if (listen === undefined || to === undefined) {
    return {
      problems: [usage(`--${listen === undefined ? "listen" : "to"} is missing`, "--listen HOST:PORT --to HOST:PORT[,HOST:PORT...]")],
    };
  }
  const targets = to.flatMap((list) => list.split(",")).filter((target) => target.trim() !== "");
  const result = flagsToSnapshot({
    listen,
    to: targets,
    ...(workers !== undefined && { workers }),
    ...(admin !== undefined && { admin }),
    ...(name !== undefined && { name }),
  });
  return "problems" in result ? result : { configPath: null, configText: null, snapshot: result.snapshot };
}

function readWorkers(text: string | undefined, problems: Problem[]): number | "auto" | undefined {
  if (text === undefined || text === "auto") return text;
  const count = Number(text);
  if (/^[0-9]+$/.test(text) && count <= WORKERS_MAX) return count;
  problems.push({
    ...usage(`${JSON.stringify(text)} is no number of workers`, `expected 0 to ${WORKERS_MAX}, or auto`),
    file: "--workers",
  });
  return undefined;
}

function usage(message: string, hint: string): Problem {
  return { file: "usage", line: 0, column: 0, severity: "error", message, hint };
}
