// `npm run bench -- --budget`: does one proxy add less than a millisecond at p50 and p99? Ends with 0 (yes), 1 (no) or 2 (cannot tell);
// what keeps it from running at all is an error (commands.ts makes a 3 of it).
//
// Pairs of short open-loop rounds, direct and through the proxy in turns, from one warm generator. Pairs in which the machine was
// noisy are replaced by others, and where the pairs asked for tell nothing more of them are run, both up to a limit; what is noisy and
// what the rest means is decided in budget/verdict.ts.

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type BudgetPair, type BudgetRound, type BudgetVerdict, judgeBudget, noiseOf, QUIET_PAIRS_MIN } from "./budget/verdict.ts";
import { Generator } from "./load/generator.ts";
import { UsageError } from "./options.ts";
import type { Peer } from "./peers/peer.ts";
import { startOrigin, startProxy, stopAll } from "./peers/start.ts";
import { distributionOf, valueAtPercentile } from "./statistics/distribution.ts";
import { Child, isListening, startOnFreePorts, untilReady } from "./support/child.ts";
import { type MachineReading, othersShare, readMachine, stolenShare } from "./support/machine.ts";
import { progress } from "./support/progress.ts";

const RELAY = fileURLToPath(new URL("./budget/delay-relay.ts", import.meta.url));
/** Milliseconds by which a relay slows the proxy down: for the tests of this command. */
const DELAY_VARIABLE = "WEFT_BENCH_DELAY_MS";

/** Until the proxy's code is compiled: 20,000 requests, at a rate that the generator holds. */
const WARM_RATE = 4_000;
const WARM_SECONDS = 5;
/** Pairs beyond those asked for that may replace noisy ones. */
const REPLACEMENTS_MAX = 5;
/** Pairs in all, as a multiple of those asked for, after which "cannot tell" is the answer: three minutes by default. */
const PAIRS_FACTOR_MAX = 6;

export interface BudgetOptions {
  readonly budgetUs: number;
  /** Requests per second. */
  readonly rate: number;
  readonly connections: number;
  readonly workers: number;
  /** Quiet pairs to be had. */
  readonly pairs: number;
  /** Per round. */
  readonly seconds: number;
  readonly warmSeconds: number;
  readonly format: "text" | "json";
}

export const BUDGET_USAGE = `npm run bench -- --budget [OPTIONS]
  exit code 0: one proxy adds at most the budget at p50 and at p99; 1: more; 2: the machine is too noisy to tell;
  3: it could not be run
  --budget-ms N      the budget in milliseconds (default 1)
  --rate N           requests per second (default 1000)
  --connections N    connections (default 16)
  --workers N        worker threads of Weft (default 1)
  --pairs N          quiet pairs of rounds, direct and through the proxy, at least (default 7; more where those tell nothing)
  --seconds N        of a round (default 2)
  -o, --output FMT   text or json
`;

function number(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= min && value <= max))
    throw new UsageError(`--${name} is a number from ${min} to ${max}, not '${text}'`);
  return value;
}

function whole(name: string, text: string, min: number, max: number): number {
  const value = number(name, text, min, max);
  if (!Number.isInteger(value)) throw new UsageError(`--${name} is a whole number, not '${text}'`);
  return value;
}

/** Throws UsageError, or parseArgs' own TypeError for options that it does not know. */
export function parseBudgetOptions(args: readonly string[]): BudgetOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      budget: { type: "boolean" },
      "budget-ms": { type: "string", default: "1" },
      rate: { type: "string", default: "1000" },
      connections: { type: "string", default: "16" },
      workers: { type: "string", default: "1" },
      pairs: { type: "string", default: "7" },
      seconds: { type: "string", default: "2" },
      "warm-seconds": { type: "string", default: String(WARM_SECONDS) },
      output: { type: "string", short: "o", default: "text" },
    },
  });
  if (values.output !== "text" && values.output !== "json") throw new UsageError(`--output is text or json, not '${values.output}'`);
  const rate = whole("rate", values.rate, 50, 20_000);
  return {
    budgetUs: number("budget-ms", values["budget-ms"], 0.05, 10_000) * 1000,
    rate,
    connections: whole("connections", values.connections, 1, 1000),
    workers: whole("workers", values.workers, 0, 64),
    pairs: whole("pairs", values.pairs, QUIET_PAIRS_MIN, 1000),
    seconds: number("seconds", values.seconds, 0.5, 600),
    warmSeconds: number("warm-seconds", values["warm-seconds"], 0, 600),
    format: values.output,
  };
}

/** Other programs without what other virtual machines took. */
function sharesBetween(before: MachineReading, after: MachineReading): Pick<BudgetRound, "othersShare" | "stealShare"> {
  const [others, stealShare] = [othersShare(before, after), stolenShare(before, after)];
  return { othersShare: others === null ? null : Math.max(0, others - (stealShare ?? 0)), stealShare };
}

async function round(target: Peer, options: BudgetOptions, generator: Generator, seed: number): Promise<BudgetRound> {
  const { rate, connections, seconds } = options;
  const before = readMachine();
  const result = await generator.run({ port: target.port, path: "/", rate, seconds, connections, seed });
  return {
    latency: distributionOf(result.latency),
    latenessP99Us: valueAtPercentile(distributionOf(result.lateness), 99),
    sent: result.sent,
    errors: result.errors,
    ...sharesBetween(before, readMachine()),
  };
}

async function warmUp(targets: readonly Peer[], options: BudgetOptions, generator: Generator): Promise<void> {
  const { connections, warmSeconds } = options;
  if (warmSeconds === 0) return;
  for (const target of targets) {
    progress(`budget: warming ${target.name}`);
    await generator.run({ port: target.port, path: "/", rate: WARM_RATE, seconds: warmSeconds, connections, seed: 1 });
  }
}

/** Neither enough quiet pairs for a verdict, nor so many that there will be none. */
function wantsMore(pairs: readonly BudgetPair[], quiet: number, options: BudgetOptions): boolean {
  // As many as were asked for, and not one of them quiet: the next five will not be enough.
  if (quiet === 0 && pairs.length >= options.pairs) return false;
  if (quiet < options.pairs) return pairs.length < options.pairs + REPLACEMENTS_MAX;
  return pairs.length < PAIRS_FACTOR_MAX * options.pairs && judgeBudget(pairs, options.budgetUs).code === 2;
}

/** Runs pairs until they tell something, or it is clear that they will not. */
async function measure(direct: Peer, proxy: Peer, options: BudgetOptions, generator: Generator): Promise<BudgetPair[]> {
  const pairs: BudgetPair[] = [];
  let quiet = 0;
  while (wantsMore(pairs, quiet, options)) {
    const seed = pairs.length + 2;
    progress(`budget: ${quiet} of ${options.pairs} quiet pairs (${pairs.length} run)`);
    // Alternating, so that neither always comes first.
    const isDirectFirst = seed % 2 === 0;
    const first = await round(isDirectFirst ? direct : proxy, options, generator, seed);
    const second = await round(isDirectFirst ? proxy : direct, options, generator, seed);
    const pair = isDirectFirst ? { direct: first, through: second } : { direct: second, through: first };
    pairs.push(pair);
    if (noiseOf(pair, options.budgetUs).length === 0) quiet++;
  }
  return pairs;
}

/** The relay as a target of its own, in front of the proxy. */
function startRelay(proxy: Peer, delayMs: number): Promise<Peer> {
  return startOnFreePorts(1, async ([port]) => {
    const child = new Child("delay relay", process.execPath, [RELAY, String(port), String(proxy.port), String(delayMs)]);
    await untilReady(child, () => isListening(port!));
    return { ...proxy, name: `${proxy.name} behind a delay of ${delayMs} ms`, port: port!, child };
  });
}

export function budgetText(verdict: BudgetVerdict, options: BudgetOptions): string {
  const how = `${options.rate} requests/s over ${options.connections} connections, open loop, ${verdict.quietPairs} quiet pairs of ${verdict.pairs}`;
  return `budget: ${verdict.sentence}\n        ${how}; exit code ${verdict.code}\n`;
}

/** Measures, prints the verdict, and resolves with the exit code. */
export async function benchBudget(args: readonly string[]): Promise<number> {
  const options = parseBudgetOptions(args);
  const delayMs = Number(process.env[DELAY_VARIABLE] ?? 0);
  const origin = await startOrigin("uws");
  const started: Peer[] = [origin];
  const generator = new Generator();
  try {
    const proxy = await startProxy("weft", origin.port, options.workers);
    started.push(proxy);
    const target = delayMs > 0 ? await startRelay(proxy, delayMs) : proxy;
    if (target !== proxy) started.push(target);
    await warmUp([origin, target], options, generator);
    const pairs = await measure(origin, target, options, generator);
    const verdict = judgeBudget(pairs, options.budgetUs);
    if (process.stderr.isTTY) progress("");
    process.stdout.write(
      options.format === "json" ? `${JSON.stringify({ ...verdict, options }, null, 1)}\n` : budgetText(verdict, options),
    );
    return verdict.code;
  } finally {
    generator.stop();
    await stopAll(started);
  }
}
