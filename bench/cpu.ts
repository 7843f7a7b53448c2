// CPU per request of Weft, nginx and HAProxy, interleaved on one machine in one run.
//
// Each round runs every proxy once, in alternating order, so that whatever else the machine does hits all of them; the figure that
// counts is the median of the per-round ratios. Absolute microseconds drift with the machine by a factor of two and are printed
// only to be distrusted. A run in which any request failed does not count: it stops the benchmark.

import { type CpuScenario, CPU_SCENARIOS, type RunContext } from "./cpu-scenarios.ts";
import { Generator } from "./load/generator.ts";
import { type BenchOptions, UsageError } from "./options.ts";
import type { Peer } from "./peers/peer.ts";
import { startOrigin, startProxy, stopAll } from "./peers/start.ts";
import { weftMetrics } from "./peers/weft.ts";
import { pause } from "./support/child.ts";
import { type CpuUsed, cpuBetween, readCpu } from "./support/proc.ts";
import { type Report, type Table, type Verdict, figure, progress } from "./support/report.ts";
import { median, spreadOf } from "./statistics/spread.ts";

/** After a load tool has ended its connections are still being closed; that work belongs to the run. */
const SETTLE_MS = 100;

/** CPU per request of one proxy in one round, microseconds. */
interface Sample extends CpuUsed {
  readonly requests: number;
}

interface ScenarioResult {
  readonly scenario: CpuScenario;
  readonly samples: Readonly<Record<string, readonly Sample[]>>;
  /** Share of body bytes that Weft copied, 0..1; NaN when not asked for. */
  readonly copiedShare: number;
}

async function sample(scenario: CpuScenario, context: RunContext): Promise<Sample> {
  const before = readCpu(context.peer.child.pid);
  const load = await scenario.run(context);
  await pause(SETTLE_MS);
  const used = cpuBetween(before, readCpu(context.peer.child.pid));
  if (load.errors > 0 || load.requests === 0) {
    throw new Error(`${scenario.name} through ${context.peer.name}: ${load.errors} of ${load.requests} requests failed\n${load.output}`);
  }
  const per = (us: number): number => us / load.requests;
  return { user: per(used.user), system: per(used.system), total: per(used.total), requests: load.requests };
}

async function bodyBytes(weft: Peer | undefined): Promise<{ forwarded: number; copied: number }> {
  if (weft === undefined) return { forwarded: 0, copied: 0 };
  const metrics = await weftMetrics(weft);
  return { forwarded: metrics.sum("proxy_body_bytes_total"), copied: metrics.sum("proxy_body_bytes_copied_total") };
}

async function measure(
  scenario: CpuScenario,
  proxies: readonly Peer[],
  options: BenchOptions,
  generator: Generator,
): Promise<ScenarioResult> {
  const samples: Record<string, Sample[]> = {};
  for (const peer of proxies) {
    samples[peer.name] = [];
    progress(`${scenario.name}: warming ${peer.name}`);
    const warm = await scenario.warmUp({ peer, options, generator, seed: 1 });
    if (warm.errors > 0) throw new Error(`${scenario.name}, warming ${peer.name}: ${warm.errors} requests failed\n${warm.output}`);
  }
  const weft = proxies.find((peer) => peer.name === "weft");
  const before = scenario.bodies ? await bodyBytes(weft) : null;
  for (let round = 1; round <= options.pairs; round++) {
    const order = round % 2 === 0 ? [...proxies].reverse() : proxies;
    for (const peer of order) {
      progress(`${scenario.name}: round ${round} of ${options.pairs}, ${peer.name}`);
      samples[peer.name]!.push(await sample(scenario, { peer, options, generator, seed: round }));
    }
  }
  let copiedShare = Number.NaN;
  if (before !== null && weft !== undefined) {
    const after = await bodyBytes(weft);
    copiedShare = (after.copied - before.copied) / (after.forwarded - before.forwarded);
  }
  return { scenario, samples, copiedShare };
}

/** Where bodies are measured HAProxy also runs with large buffers, for comparison. */
function peersOf(scenario: CpuScenario, options: BenchOptions): string[] {
  return scenario.bodies && options.peers.includes("haproxy") ? [...options.peers, "haproxy-64k"] : [...options.peers];
}

async function runScenario(scenario: CpuScenario, options: BenchOptions): Promise<ScenarioResult> {
  const origin = await startOrigin(scenario.origin ?? options.origin);
  const proxies: Peer[] = [];
  const generator = new Generator();
  try {
    for (const name of peersOf(scenario, options)) proxies.push(await startProxy(name, origin.port, options.workers));
    return await measure(scenario, proxies, options, generator);
  } finally {
    generator.stop();
    await stopAll([...proxies, origin]);
  }
}

function ratios(result: ScenarioResult, name: string, reference: string): number[] {
  const base = result.samples[reference];
  if (base === undefined) return [];
  return (result.samples[name] ?? []).map((one, round) => one.total / base[round]!.total);
}

function spreadText(values: readonly number[]): string {
  const spread = spreadOf(values);
  return spread.count === 0 ? "-" : `${spread.median.toFixed(2)} (${spread.q1.toFixed(2)}-${spread.q3.toFixed(2)})`;
}

function tableOf(result: ScenarioResult): Table {
  const names = Object.keys(result.samples);
  const references = ["nginx", "haproxy"].filter((name) => names.includes(name));
  return {
    title: `${result.scenario.name}: ${result.scenario.what}`,
    head: ["proxy", "us/request *", "user *", "system *", "requests/run", ...references.map((name) => `x ${name}, median (quartiles)`)],
    rows: names.map((name) => {
      const runs = result.samples[name]!;
      const column = (pick: (one: Sample) => number): string => figure(median(runs.map(pick)));
      return [
        name,
        column((one) => one.total),
        column((one) => one.user),
        column((one) => one.system),
        String(Math.round(median(runs.map((one) => one.requests)))),
        ...references.map((reference) => (reference === name ? "1" : spreadText(ratios(result, name, reference)))),
      ];
    }),
  };
}

/** Under this share of body bytes may be copied in user space. */
const COPIED_SHARE_MAX = 0.05;

function verdictsOf(result: ScenarioResult): Verdict[] {
  const { scenario } = result;
  const found = ratios(result, "weft", scenario.reference);
  const verdicts: Verdict[] = [];
  if (found.length > 0) {
    const what = `${scenario.name}: CPU per request`;
    verdicts.push({ what, value: median(found), unit: `x ${scenario.reference}`, bar: scenario.bar, goal: scenario.goal });
  }
  if (!Number.isNaN(result.copiedShare)) {
    const what = `${scenario.name}: bytes copied`;
    verdicts.push({ what, value: result.copiedShare * 100, unit: "%", bar: COPIED_SHARE_MAX * 100, goal: COPIED_SHARE_MAX * 100 });
  }
  return verdicts;
}

export async function benchCpu(options: BenchOptions): Promise<Report> {
  const unknown = options.scenarios.filter((name) => !CPU_SCENARIOS.some((scenario) => scenario.name === name));
  if (unknown.length > 0) throw new UsageError(`no scenario '${unknown[0]}': ${CPU_SCENARIOS.map((one) => one.name).join(", ")}`);
  const chosen = CPU_SCENARIOS.filter((one) => options.scenarios.length === 0 || options.scenarios.includes(one.name));
  const results: ScenarioResult[] = [];
  for (const scenario of chosen) results.push(await runScenario(scenario, options));
  return {
    title: `CPU per request, ${options.pairs} interleaved rounds, Weft with ${options.workers} worker(s)`,
    tables: results.map(tableOf),
    verdicts: results.flatMap(verdictsOf),
    notes: [
      "* absolute figures depend on the machine and its other users; only ratios within one scenario may be quoted",
      `rate: ${options.rate} requests/s over ${options.connections} connections`,
    ],
    raw: results.map(({ scenario, samples, copiedShare }) => ({ scenario: scenario.name, samples, copiedShare })),
  };
}
