// What one proxy adds to the latency, at a fixed rate, open loop: percentiles through the proxy minus percentiles direct.
//
// Rounds of a few seconds alternate between the targets, all from one warm generator process with the same schedule of due moments.
// p50 and p99 are compared round by round and the median of the differences counts; p99.9 needs all samples, so it compares the
// merged histograms. The generator says how late it was itself; over 0.1 ms at p99 the tails are its own.

import { ab } from "./load/tools.ts";
import { Generator } from "./load/generator.ts";
import { LATENESS_P99_US_MAX, type OpenLoopResult } from "./load/open-loop-protocol.ts";
import type { BenchOptions } from "./options.ts";
import type { Peer } from "./peers/peer.ts";
import { startOrigin, startProxy, stopAll } from "./peers/start.ts";
import { weftMetrics } from "./peers/weft.ts";
import { HdrLatency, type LatencySummary, summarise } from "../src/core/telemetry/hdr.ts";
import { figure, progress, type Report, type Table, type Verdict } from "./support/report.ts";
import { median } from "./statistics/spread.ts";

const WARM_REQUESTS = 30_000;
const ROUND_SECONDS = 3;

/** Bars and goals for one proxy at 1000 requests/s, milliseconds. p99.9 has a goal only. */
const P50_MS = { bar: 0.15, goal: 0.1 };
const P99_MS = { bar: 0.5, goal: 0.3 };
const P999_MS = { bar: Number.NaN, goal: 1 };

interface Target {
  readonly name: string;
  readonly port: number;
  readonly rounds: OpenLoopResult[];
}

interface Added {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

function summaryOf(result: OpenLoopResult): LatencySummary {
  return summarise(result.latency.digits, result.latency.counts);
}

function merged(target: Target): LatencySummary {
  const all = HdrLatency.merge(target.rounds.map((round) => round.latency));
  return summarise(all.digits, all.counts);
}

/** Microseconds that the target is slower than direct. */
function addedBy(target: Target, direct: Target): Added {
  const pairs = target.rounds.map((round, i) => ({ through: summaryOf(round), straight: summaryOf(direct.rounds[i]!) }));
  return {
    p50: median(pairs.map(({ through, straight }) => through.p50 - straight.p50)),
    p99: median(pairs.map(({ through, straight }) => through.p99 - straight.p99)),
    p999: merged(target).p999 - merged(direct).p999,
  };
}

async function oneRound(target: Target, options: BenchOptions, generator: Generator, seed: number): Promise<void> {
  const seconds = options.quick ? 1 : ROUND_SECONDS;
  const result = await generator.run({
    port: target.port,
    path: "/",
    rate: options.rate,
    seconds,
    connections: options.connections,
    seed,
  });
  if (result.errors > 0) throw new Error(`latency through ${target.name}: ${result.errors} of ${result.sent} requests failed`);
  if (seed > 0) target.rounds.push(result);
}

async function measure(targets: readonly Target[], options: BenchOptions, generator: Generator): Promise<void> {
  for (const target of targets) {
    progress(`latency: warming ${target.name}`);
    // The uWebSockets.js origin does not speak ab's HTTP/1.0; proxies do, and the generator warms the direct path.
    if (target.name !== "direct") {
      await ab({
        url: `http://127.0.0.1:${target.port}/`,
        requests: options.quick ? WARM_REQUESTS / 10 : WARM_REQUESTS,
        concurrency: 16,
        keepAlive: true,
      });
    }
    await oneRound(target, options, generator, 0);
  }
  for (let round = 1; round <= options.pairs; round++) {
    for (const target of round % 2 === 0 ? [...targets].reverse() : targets) {
      progress(`latency: round ${round} of ${options.pairs}, ${target.name}`);
      await oneRound(target, options, generator, round);
    }
  }
}

function tablesOf(targets: readonly Target[], direct: Target): Table[] {
  const ms = (us: number): string => (us / 1000).toFixed(3);
  return [
    {
      title: "latency from the intended start, ms (absolute figures depend on the machine)",
      head: ["target", "p50", "p95", "p99", "p99.9", "max", "requests"],
      rows: targets.map((target) => {
        const all = merged(target);
        return [target.name, ms(all.p50), ms(all.p95), ms(all.p99), ms(all.p999), ms(all.max), String(all.count)];
      }),
    },
    {
      title: "added to direct, ms (p50 and p99: median of the rounds' differences; p99.9: all rounds together)",
      head: ["proxy", "p50", "p99", "p99.9"],
      rows: targets
        .filter((target) => target !== direct)
        .map((target) => {
          const added = addedBy(target, direct);
          return [target.name, ms(added.p50), ms(added.p99), ms(added.p999)];
        }),
    },
  ];
}

function verdictsOf(weft: Target | undefined, direct: Target): Verdict[] {
  if (weft === undefined) return [];
  const added = addedBy(weft, direct);
  return [
    { what: "added latency p50", value: added.p50 / 1000, unit: "ms", ...P50_MS },
    { what: "added latency p99", value: added.p99 / 1000, unit: "ms", ...P99_MS },
    { what: "added latency p99.9", value: added.p999 / 1000, unit: "ms", ...P999_MS },
  ];
}

/** The generator's own lateness, and what Weft says about itself. */
async function notesOf(targets: readonly Target[], proxies: readonly Peer[]): Promise<string[]> {
  const all = HdrLatency.merge(targets.flatMap((target) => target.rounds.map((round) => round.lateness)));
  const late = summarise(all.digits, all.counts);
  const notes = [`the generator was late by p50 ${late.p50} us, p99 ${late.p99} us, max ${late.max} us`];
  if (late.p99 > LATENESS_P99_US_MAX)
    notes.push("THE GENERATOR ITSELF WAS LATE: these tails are partly its own, repeat on a quieter machine");
  const queued = targets.map((target) => target.rounds.reduce((sum, round) => sum + round.queued, 0));
  notes.push(`requests that waited for a free connection: ${targets.map((target, i) => `${target.name} ${queued[i]}`).join(", ")}`);
  const weft = proxies.find((peer) => peer.name === "weft");
  if (weft !== undefined) {
    const metrics = await weftMetrics(weft);
    const own = (quantile: string): string => figure(metrics.sum("proxy_overhead_us", { quantile }));
    notes.push(`Weft's own proxy_overhead_us over the last minute: p50 ${own("0.5")}, p99 ${own("0.99")}`);
  }
  return notes;
}

export async function benchLatency(options: BenchOptions): Promise<Report> {
  const origin = await startOrigin(options.origin);
  const proxies: Peer[] = [];
  const generator = new Generator();
  try {
    for (const name of options.peers) proxies.push(await startProxy(name, origin.port, options.workers));
    const direct: Target = { name: "direct", port: origin.port, rounds: [] };
    const targets = [direct, ...proxies.map((peer): Target => ({ name: peer.name, port: peer.port, rounds: [] }))];
    await measure(targets, options, generator);
    return {
      title: `Added latency at ${options.rate} requests/s, ${options.connections} connections, ${options.pairs} rounds per target`,
      tables: tablesOf(targets, direct),
      verdicts: verdictsOf(
        targets.find((target) => target.name === "weft"),
        direct,
      ),
      notes: await notesOf(targets, proxies),
      raw: targets.map((target) => ({ name: target.name, rounds: target.rounds.map(summaryOf) })),
    };
  } finally {
    generator.stop();
    await stopAll([...proxies, origin]);
  }
}
