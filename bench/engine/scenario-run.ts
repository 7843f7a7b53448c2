// Runs one scenario: starts its origins and proxies, warms them, measures interleaved rounds, and puts the result together.
//
// This is the one loop of the benchmarks. A proxy that does not start, or that answers wrongly once, is named with its reason and takes
// no further part; the others go on.

import type { Generator } from "../load/generator.ts";
import { closeAll, openIdle } from "../load/idle-connections.ts";
import { chooseTool, type LoadOrder, runLoad } from "../load/run-load.ts";
import type { Load, LoadTool, Scenario } from "../load/scenario.ts";
import { TOOLS } from "../load/tools.ts";
import type { PeerKind, Protocols } from "../peers/peer.ts";
import { type Origin, ORIGINS, stopAll, stopOrigins } from "../peers/start.ts";
import type { LoadDescription, ScenarioResult, Skipped, SubjectResult, WarmUp, WeftRuntime } from "../result.ts";
import type { Progress } from "../support/progress.ts";
import { orderOfRound } from "./order.ts";
import { QUICK, type RunRequest, WARM_MS_MAX } from "./request.ts";
import { runRound } from "./round.ts";
import { selfChecks } from "./self-check.ts";
import { cannot, directSubject, memoryOf, startOrigins, startSubject, type Subject } from "./subject.ts";
import { type BodyBytes, bodyBytes, ownMetrics, probeThreads } from "./weft-runtime.ts";

/** Between runs of a round: reading counters and letting connections close. */
const ROUND_EXTRA_MS = 300;
const START_MS = 500;

export interface RunContext {
  readonly request: RunRequest;
  readonly installed: ReadonlySet<LoadTool>;
  readonly originName: "nginx" | "uws";
  readonly generator: Generator;
  readonly progress: Progress;
  /** Of performance.now(). */
  readonly beganMs: number;
  /** What earlier scenarios took, as a multiple of their estimates; null: this is the first. */
  readonly pace: number | null;
}

interface ChosenLoad {
  readonly load: Load;
  readonly tool: LoadTool;
  readonly protocols: Protocols;
}

/** The loads whose tools are there. */
export function chosenLoads(scenario: Scenario, installed: ReadonlySet<LoadTool>): ChosenLoad[] {
  return scenario.loads.flatMap((load) => {
    const tool = chooseTool(load, installed);
    return tool === null ? [] : [{ load, tool, protocols: scenario.protocols }];
  });
}

/** What to install for a load that no tool here can run. */
export function missingTools(scenario: Scenario): string {
  const tools = scenario.loads.flatMap((load) => load.tools).filter((tool) => tool !== "open-loop");
  return [...new Set(tools)].map((tool) => `${tool} (${TOOLS[tool].install})`).join(" or ");
}

/** A guess of milliseconds for one round of one subject. */
function roundMs(load: Load, request: RunRequest): number {
  return (request.quick ? QUICK.seconds : (request.seconds ?? load.seconds)) * 1000 + ROUND_EXTRA_MS;
}

function warmMs(request: RunRequest): number {
  return request.quick ? QUICK.warmMs : 3_000;
}

/** Bodies over this are what `bodiesOnly` peers are about. */
const LARGE_BODY_BYTES = 32 * 1024;

/** The proxies that the scenario is about, able or not. */
function concerned(scenario: Scenario, request: RunRequest): PeerKind[] {
  const hasBodies = scenario.loads.some((load) => Math.max(load.requestBytes, load.responseBytes) > LARGE_BODY_BYTES);
  return request.peers.filter((kind) => hasBodies || kind.bodiesOnly !== true);
}

export function estimateMs(scenario: Scenario, request: RunRequest): number {
  const subjects = 1 + concerned(scenario, request).filter((kind) => cannot(kind, scenario) === null).length;
  const loads = scenario.loads.reduce((sum, load) => sum + request.pairs * roundMs(load, request) + warmMs(request), 0);
  return subjects * (START_MS + loads);
}

function isOutOfTime(context: RunContext): boolean {
  const { deadlineMs } = context.request;
  return deadlineMs !== null && performance.now() - context.beganMs > deadlineMs;
}

function orderFor(chosen: ChosenLoad, subject: Subject, context: RunContext, seed: number): LoadOrder {
  const { load, tool, protocols } = chosen;
  const { request } = context;
  const seconds = request.quick ? QUICK.seconds : (request.seconds ?? load.seconds);
  const rateRps = load.rate === "option" ? request.rateRps : load.rate;
  const connections = load.connections === "option" ? request.connections : load.connections;
  const requests = request.quick ? Math.min(load.requests, QUICK.requests) : load.requests;
  return { load, tool, protocols, port: subject.port, connections, rateRps, seconds, requests, seed };
}

function describeLoad(chosen: ChosenLoad, context: RunContext, subject: Subject): LoadDescription {
  const order = orderFor(chosen, subject, context, 1);
  const { load, tool } = chosen;
  const length = order.requests > 0 ? `${order.requests} requests` : `${order.seconds} s`;
  const rate = order.rateRps === null ? "" : `, ${order.rateRps} requests/s`;
  const streams = load.streams > 1 ? ` x ${load.streams} streams` : "";
  return {
    id: load.id,
    tool,
    loop: load.loop,
    what: `${load.what}: ${order.connections} connections${streams}${rate}, ${length} a round (${tool})`,
    connections: order.connections,
    offeredRps: order.rateRps,
    requestBytes: load.requestBytes,
    responseBytes: load.responseBytes,
  };
}

class ScenarioRun {
  readonly #scenario: Scenario;
  readonly #context: RunContext;
  readonly #loads: readonly ChosenLoad[];
  readonly #origins: readonly Origin[];
  readonly #subjects: Subject[] = [];
  readonly #skipped: Skipped[] = [];

  constructor(scenario: Scenario, context: RunContext, loads: readonly ChosenLoad[], origins: readonly Origin[]) {
    this.#scenario = scenario;
    this.#context = context;
    this.#loads = loads;
    this.#origins = origins;
  }

  async run(startedAtMs: number): Promise<ScenarioResult> {
    try {
      await this.#start();
      for (const subject of this.#subjects) await this.#warm(subject);
      const weft = this.#subjects.find((subject) => subject.role === "weft");
      const bytes = weft === undefined ? null : await bodyBytes(weft.chain[0]!);
      for (const chosen of this.#loads) await this.#measure(chosen);
      const subjects: SubjectResult[] = [];
      for (const subject of this.#subjects) {
        const runtime = subject === weft && bytes !== null ? await this.#weftRuntime(subject, bytes) : null;
        subjects.push(resultOf(subject, runtime, this.#memoryAtEnd(subject)));
      }
      return this.#result(startedAtMs, subjects);
    } finally {
      await stopAll(this.#subjects.flatMap((subject) => subject.chain));
    }
  }

  #result(startedAtMs: number, subjects: readonly SubjectResult[]): ScenarioResult {
    const context = this.#context;
    const descriptions = this.#loads.map((chosen) => describeLoad(chosen, context, this.#subjects[0]!));
    return {
      name: this.#scenario.name,
      what: this.#scenario.what,
      origin: this.#scenario.origin ?? context.originName,
      reference: this.#scenario.reference,
      startedAtMs,
      durationMs: performance.now() - context.beganMs - startedAtMs,
      loads: descriptions,
      subjects,
      skipped: this.#skipped,
      selfChecks: selfChecks(descriptions, subjects, context.request.workers),
      crossChecks: [],
    };
  }

  async #start(): Promise<void> {
    const { request, progress } = this.#context;
    const isUws = (this.#scenario.origin ?? this.#context.originName) === "uws";
    if (isUws && this.#loads.some(({ tool }) => tool === "ab")) {
      const reason = "ab speaks HTTP/1.0 and this origin does not; with nginx as the origin it can";
      this.#skipped.push({ name: "direct", reason, install: "apt-get install nginx" });
    } else this.#subjects.push(directSubject(this.#origins[0]!));
    for (const kind of concerned(this.#scenario, request)) {
      const obstacle = cannot(kind, this.#scenario);
      if (obstacle !== null) {
        this.#skipped.push(obstacle);
        continue;
      }
      progress.show(`${this.#scenario.name}: starting ${kind.name}`);
      try {
        this.#subjects.push(await startSubject(kind, this.#scenario, this.#origins, request.workers));
      } catch (error) {
        this.#skipped.push({ name: kind.name, reason: `did not start: ${(error as Error).message}`, install: null });
      }
      progress.advance(START_MS);
    }
  }

  async #warm(subject: Subject): Promise<void> {
    const { request, progress, generator } = this.#context;
    const wanted = request.quick ? Math.min(this.#scenario.warmRequests, QUICK.warmRequests) : this.#scenario.warmRequests;
    const limitMs = request.quick ? QUICK.warmMs : WARM_MS_MAX;
    let requests = 0;
    let errors = 0;
    const began = performance.now();
    for (const chosen of this.#loads) {
      progress.show(`${this.#scenario.name}: warming ${subject.name}`);
      const end = performance.now() + limitMs;
      let done = 0;
      const order = orderFor(chosen, subject, this.#context, 1);
      // An open loop is warmed as fast as answers come: at its own rate 30,000 requests would take half a minute.
      const warm: LoadOrder = { ...order, rateRps: null, seconds: 1, requests: wanted };
      // Direct there is no code to compile; one short run warms the generator.
      while (done < wanted && errors === 0 && (done === 0 || (performance.now() < end && subject.role !== "direct"))) {
        const outcome = await this.#guard(subject, () => runLoad(warm, generator));
        if (outcome === null) return;
        done += outcome.requests;
        errors += outcome.errors;
        if (outcome.errors > 0)
          this.#fail(subject, `warm-up: ${outcome.errors} of ${outcome.requests} requests failed: ${outcome.errorDetail}`);
      }
      requests += done;
      progress.advance(warmMs(request));
    }
    const warmUp: WarmUp = { requests, errors, durationMs: performance.now() - began };
    subject.warmUp = warmUp;
  }

  async #measure(chosen: ChosenLoad): Promise<void> {
    const { request, progress } = this.#context;
    const cost = roundMs(chosen.load, request);
    for (let index = 1; index <= request.pairs; index++) {
      const all = orderOfRound(this.#subjects, index);
      // The first round is what a quick run is for; only more of them are left out.
      if (index > 1 && isOutOfTime(this.#context)) {
        progress.drop(cost * all.length);
        continue;
      }
      for (const [position, subject] of all.entries()) {
        progress.show(`${this.#scenario.name}, ${chosen.load.id} loop: round ${index} of ${request.pairs}, ${subject.name}`);
        if (subject.failure === null) await this.#round(chosen, subject, index, position);
        progress.advance(cost);
      }
    }
  }

  async #round(chosen: ChosenLoad, subject: Subject, index: number, position: number): Promise<void> {
    const { generator, beganMs } = this.#context;
    const order = orderFor(chosen, subject, this.#context, index + 1);
    const place = { index, position, startedAtMs: performance.now() - beganMs };
    const around = { origins: this.#origins, generator };
    const round = await this.#guard(subject, () => this.#besideIdle(subject, () => runRound(subject, order, place, around)));
    if (round === null) return;
    subject.rounds.push(round);
    if (round.errors > 0) {
      const where = `${chosen.load.id} loop, round ${index}`;
      this.#fail(subject, `${where}: ${round.errors} of ${round.requests} requests failed: ${round.errorDetail}`);
    }
  }

  /**
   * With the scenario's idle connections open. They are this subject's alone and close afterwards: those of all subjects together
   * would be more descriptors than a process may have, and the others' proxies would hold theirs for nothing.
   */
  async #besideIdle<T>(subject: Subject, work: () => Promise<T>): Promise<T> {
    const { idleConnections } = this.#scenario;
    const count = this.#context.request.quick ? Math.min(idleConnections, QUICK.idleConnections) : idleConnections;
    const idle = count === 0 ? [] : await openIdle(subject.port, count);
    try {
      return await work();
    } finally {
      closeAll(idle);
    }
  }

  /** Beside the idle connections, where there are any: the rounds read it while they were open. */
  #memoryAtEnd(subject: Subject): SubjectResult["memoryAtEnd"] {
    if (subject.failure !== null) return null;
    const last = subject.rounds.at(-1);
    return this.#scenario.idleConnections > 0 && last !== undefined ? last.memory : memoryOf(subject.chain);
  }

  /** What goes wrong with one subject is its failure, not the run's. */
  async #guard<T>(subject: Subject, work: () => Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      this.#fail(subject, (error as Error).message);
      return null;
    }
  }

  #fail(subject: Subject, reason: string): void {
    const words = subject.chain.map((peer) => peer.child.log.trim()).filter((log) => log !== "");
    subject.failure ??= [reason, ...words.map((log) => `its last words: ${log.slice(-500)}`)].join("\n");
  }

  async #weftRuntime(weft: Subject, before: BodyBytes): Promise<WeftRuntime | null> {
    const { request, generator, progress } = this.#context;
    const own = await this.#guard(weft, () => ownMetrics(weft.chain[0]!, before));
    if (own === null) return null;
    if (!request.probe || weft.failure !== null || isOutOfTime(this.#context)) return { ...own, threads: [] };
    progress.show(`${this.#scenario.name}: Weft with a probe`);
    const upstreams = this.#origins.map((origin) => origin.port);
    const { mode, protocols } = this.#scenario;
    const threads = await probeThreads({ mode, protocols, upstreams, workers: request.workers }, async (port) => {
      await runLoad({ ...orderFor(this.#loads[0]!, weft, this.#context, 1), port }, generator);
    });
    return { ...own, threads };
  }
}

function resultOf(subject: Subject, weft: WeftRuntime | null, memoryAtEnd: SubjectResult["memoryAtEnd"]): SubjectResult {
  return {
    name: subject.name,
    role: subject.role,
    version: subject.version,
    commandLine: subject.chain[0]?.child.commandLine ?? [],
    note: subject.note,
    state: subject.failure === null ? "measured" : "failed",
    failure: subject.failure,
    warmUp: subject.warmUp,
    rounds: subject.rounds,
    memoryAtStart: subject.memoryAtStart,
    memoryAtEnd,
    weft,
  };
}

/** Null with the reason when it cannot be run at all. */
export async function runScenario(scenario: Scenario, context: RunContext): Promise<ScenarioResult | string> {
  const startedAtMs = performance.now() - context.beganMs;
  const { deadlineMs } = context.request;
  // The first one runs in any case, cut short by the deadline if need be.
  const endMs = context.pace === null ? 0 : startedAtMs + estimateMs(scenario, context.request) * context.pace;
  if (deadlineMs !== null && endMs > deadlineMs) return `${scenario.name} was not run: the time of a quick run did not suffice`;
  const loads = chosenLoads(scenario, context.installed);
  if (loads.length === 0) return `${scenario.name} was not run: it needs ${missingTools(scenario)}`;
  const originName = scenario.origin ?? context.originName;
  const { version, install } = ORIGINS[originName];
  if (version() === null) return `${scenario.name} was not run: its origin is ${originName} (${install})`;
  const origins = await startOrigins(originName, scenario);
  try {
    return await new ScenarioRun(scenario, context, loads, origins).run(startedAtMs);
  } finally {
    await stopOrigins(origins);
  }
}
