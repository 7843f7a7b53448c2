// A whole run: its scenarios one after the other, and the document that comes of it.
//
// It refuses nothing that it can leave out by name: a peer that is not installed, a load without its tool, a scenario for which the
// time of a quick run did not suffice are all said in the result. Nothing that it starts outlives it.

import { Generator } from "../load/generator.ts";
import type { LoadTool, Scenario } from "../load/scenario.ts";
import { TOOLS, type Tool, versionOf } from "../load/tools.ts";
import { NGINX } from "../peers/nginx.ts";
import { type OriginName, ORIGINS } from "../peers/start.ts";
import type { BenchResult, ScenarioResult, Skipped } from "../result.ts";
import { RESULT_FORMAT } from "../result.ts";
import { pause } from "../support/child.ts";
import { describeMachine, othersShare, readMachine } from "../support/machine.ts";
import { Progress } from "../support/progress.ts";
import { latencyChecks, rateChecks } from "./cross-check.ts";
import type { RunRequest } from "./request.ts";
import { chosenLoads, estimateMs, type RunContext, runScenario } from "./scenario-run.ts";
import { verdictsOf } from "./verdicts.ts";

/** How long the machine is watched before anything of ours runs. */
const WATCH_MS = 1_000;
const QUICK_WATCH_MS = 200;

async function busyShare(watchMs: number): Promise<number | null> {
  const before = readMachine();
  await pause(watchMs);
  return othersShare(before, readMachine());
}

function installedTools(): Map<LoadTool, string> {
  const found = new Map<LoadTool, string>();
  for (const tool of Object.keys(TOOLS) as Tool[]) {
    const version = versionOf(tool);
    if (version !== null) found.set(tool, version);
  }
  return found;
}

/** What took part, by name. */
function versionsOf(scenarios: readonly ScenarioResult[], tools: ReadonlyMap<LoadTool, string>): Record<string, string> {
  const versions: Record<string, string> = { node: process.version };
  for (const scenario of scenarios) {
    for (const subject of scenario.subjects) if (subject.version !== null) versions[subject.name] = subject.version;
    for (const load of scenario.loads) {
      const version = tools.get(load.tool as LoadTool);
      if (version !== undefined) versions[load.tool] = version;
    }
    const origin = ORIGINS[scenario.origin as OriginName].version();
    if (origin !== null) versions[`origin ${scenario.origin}`] = origin;
  }
  return versions;
}

/** Skipped in every scenario that was run. */
function skippedEverywhere(scenarios: readonly ScenarioResult[]): Skipped[] {
  const first = scenarios[0];
  if (first === undefined) return [];
  return first.skipped.filter((one) => scenarios.every((scenario) => scenario.skipped.some((other) => other.name === one.name)));
}

function withoutNames(all: readonly Skipped[], named: readonly Skipped[]): Skipped[] {
  return all.filter((one) => !named.some((other) => other.name === one.name));
}

async function crossChecked(scenario: ScenarioResult, context: RunContext, isFirst: boolean): Promise<ScenarioResult> {
  const rates = rateChecks(scenario);
  const hasWeft = scenario.subjects.some((subject) => subject.role === "weft");
  if (!context.request.crossCheck || !isFirst || !hasWeft) return { ...scenario, crossChecks: rates };
  context.progress.show("comparing our latencies with wrk's and ab's");
  const latencies = await latencyChecks(context.generator, context.installed, context.request.workers);
  return { ...scenario, crossChecks: [...rates, ...latencies] };
}

/** Runs every scenario of the request. */
export async function runBench(request: RunRequest): Promise<BenchResult> {
  const startedAt = new Date();
  const beganMs = performance.now();
  const machine = describeMachine(await busyShare(request.quick ? QUICK_WATCH_MS : WATCH_MS));
  const tools = installedTools();
  const originName = request.origin ?? (NGINX.version() === null ? "uws" : "nginx");
  const installed = new Set(tools.keys());
  const runnable = request.scenarios.filter((scenario) => chosenLoads(scenario, installed).length > 0);
  const progress = new Progress(
    runnable.reduce((sum, scenario) => sum + estimateMs(scenario, request), 0),
    request.isSilent,
  );
  const context: RunContext = { request, installed, originName, generator: new Generator(), progress, beganMs, pace: null };
  const scenarios: ScenarioResult[] = [];
  const failed: Scenario[] = [];
  const notes: string[] = [];
  try {
    let estimatedMs = 0;
    for (const scenario of request.scenarios) {
      // How the estimates so far compare with the clock: they are the same kind of guess.
      const pace = estimatedMs === 0 ? null : (performance.now() - beganMs) / estimatedMs;
      const result = await runScenario(scenario, { ...context, pace }).catch((error: Error) => {
        // Half an hour of finished scenarios is not thrown away for one that could not be run; the last one's error is, if nothing is left.
        if (scenarios.length === 0 && scenario === request.scenarios.at(-1)) throw error;
        failed.push(scenario);
        return `${scenario.name} FAILED and has no figures: ${error.message}`;
      });
      if (typeof result === "string") {
        notes.push(`${result}.`);
        continue;
      }
      estimatedMs += estimateMs(scenario, request);
      scenarios.push(await crossChecked(result, context, scenarios.length === 0));
    }
  } finally {
    context.generator.stop();
    progress.end();
  }
  notes.push("Absolute figures depend on the machine and on who else uses it; ratios and differences within one run are what counts.");
  const skipped = skippedEverywhere(scenarios);
  const { title, preset, commandLine, quick, pairs, workers, rateRps, connections } = request;
  return {
    format: RESULT_FORMAT,
    title,
    commandLine,
    startedAt: startedAt.toISOString(),
    durationMs: performance.now() - beganMs,
    options: { preset, quick, pairs, workers, rateRps, connections },
    machine,
    versions: versionsOf(scenarios, tools),
    scenarios: scenarios.map((scenario) => ({ ...scenario, skipped: withoutNames(scenario.skipped, skipped) })),
    skipped,
    verdicts: [
      ...scenarios.flatMap((scenario) => {
        const definition = request.scenarios.find((one) => one.name === scenario.name)!;
        return verdictsOf(definition, scenario.subjects, scenario.selfChecks);
      }),
      // Its bars are unknown, which is not the same as not asked for.
      ...failed.flatMap((scenario) => verdictsOf(scenario, [], [])),
    ],
    beforeAfter: null,
    footprint: null,
    notes,
  };
}
