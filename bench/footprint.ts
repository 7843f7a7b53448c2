// What Weft needs when it does nothing or little: time to be ready, memory, memory per idle connection, CPU, growth under load.
//
// Memory is the private part (the binary's text is shared by all Node processes of a host) with PSS and RSS beside it. The peers stand
// beside Weft for context: no bar compares with them here. Load comes from our own generator, so nothing has to be installed.

import { Generator } from "./load/generator.ts";
import { closeAll, openIdle } from "./load/idle-connections.ts";
import { WARM_REQUESTS } from "./load/scenario.ts";
import type { Peer, PeerKind } from "./peers/peer.ts";
import { startOrigin, stopAll } from "./peers/start.ts";
import { startWeft } from "./peers/weft.ts";
import type { Footprint, FootprintSubject, Growth, Verdict } from "./result.ts";
import { median } from "./statistics/spread.ts";
import { pause } from "./support/child.ts";
import { cpuBetween, readCpu } from "./support/proc.ts";
import { progress } from "./support/progress.ts";
import { memoryOf } from "./engine/subject.ts";

const KB = 1024;
/** Opened first: they use up what the heap and the tables have in reserve. */
const RESERVE_CONNECTIONS = 2_000;
/** Opened on top of them: what these cost is what a connection costs. */
const IDLE_CONNECTIONS = 4_000;
const SETTLE_MS = 2_000;
/** Before idle CPU is measured: V8 collects once, 10 to 40 s after a start (native-notes/where-the-time-goes.md); that is no idling. */
const IDLE_SETTLE_MS = 45_000;
/** The generator's own kind of request also has to be compiled before little load can be measured. */
const WARM_RATE = 2_000;
const LOW_RATE = 100;
/** Laps of the growth run, at least: its quarters need some each. */
const LAPS_MIN = 8;

/**
 * Under steady load the last quarter may need this much more than the second, percent: a heap that is full goes up and down by as much
 * between two collections. In ten minutes it finds what keeps 30 bytes per connection, or half a byte per request.
 */
const GROWTH_PERCENT_MAX = 5;
/** In a shorter run the second quarter still belongs to the time in which nurseries and heaps fill (native-notes/memory-under-load.md). */
const GROWTH_MINUTES_MIN = 8;

export interface FootprintOptions {
  readonly peers: readonly PeerKind[];
  readonly origin: "nginx" | "uws";
  readonly connections: number;
  /** Of load in the growth run; 0: none. */
  readonly minutes: number;
  readonly quick: boolean;
}

interface Lengths {
  readonly seconds: number;
  readonly warmRequests: number;
  readonly warmSeconds: number;
  readonly settleMs: number;
  readonly idleSettleMs: number;
  readonly starts: number;
}

const FULL: Lengths = {
  seconds: 20,
  warmRequests: WARM_REQUESTS,
  warmSeconds: 3,
  settleMs: SETTLE_MS,
  idleSettleMs: IDLE_SETTLE_MS,
  starts: 5,
};
const SHORT: Lengths = { seconds: 2, warmRequests: WARM_REQUESTS / 10, warmSeconds: 1, settleMs: 500, idleSettleMs: 500, starts: 2 };

async function cpuShare(peer: Peer, during: () => Promise<unknown>): Promise<number> {
  const before = readCpu(peer.child.pid);
  const began = performance.now();
  await during();
  const elapsedUs = (performance.now() - began) * 1000;
  return cpuBetween(before, readCpu(peer.child.pid)).total / elapsedUs;
}

function loadOn(generator: Generator, peer: Peer, connections: number, name: string) {
  return async (rate: number | null, seconds: number, requestsMax: number, path = "/"): Promise<void> => {
    const bound = rate === null ? { requestsMax } : {};
    const result = await generator.run({ port: peer.port, path, rate, seconds, connections, seed: 1, ...bound });
    if (result.errors > 0) throw new Error(`${name}: ${result.errors} of ${result.sent} requests failed`);
  };
}

async function perIdleConnection(name: string, peer: Peer, lengths: Lengths): Promise<number> {
  progress(`memory: ${name} with ${IDLE_CONNECTIONS} idle connections`);
  const sockets = await openIdle(peer.port, RESERVE_CONNECTIONS);
  await pause(lengths.settleMs);
  const before = memoryOf([peer])!;
  sockets.push(...(await openIdle(peer.port, IDLE_CONNECTIONS)));
  await pause(lengths.settleMs);
  const after = memoryOf([peer])!;
  closeAll(sockets);
  return (after.privateKb - before.privateKb) / IDLE_CONNECTIONS;
}

async function measureSubject(
  name: string,
  kind: PeerKind,
  peer: Peer,
  options: FootprintOptions,
  generator: Generator,
): Promise<FootprintSubject> {
  const lengths = options.quick ? SHORT : FULL;
  const load = loadOn(generator, peer, options.connections, name);
  await pause(lengths.settleMs);
  const idle = memoryOf([peer])!;
  progress(`memory: ${name} settles for ${lengths.idleSettleMs / 1000} s, then idles`);
  await pause(lengths.idleSettleMs);
  const idleCpuShare = await cpuShare(peer, () => pause(lengths.seconds * 1000));
  progress(`memory: ${name} at ${LOW_RATE} requests/s`);
  await load(null, lengths.seconds, lengths.warmRequests);
  await load(WARM_RATE, lengths.warmSeconds, 0);
  const lowRateCpuShare = await cpuShare(peer, () => load(LOW_RATE, lengths.seconds, 0));
  const afterLoad = memoryOf([peer])!;
  const perIdleConnectionKb = await perIdleConnection(name, peer, lengths);
  const role = kind.name === "weft" ? "weft" : "peer";
  const memory = { idle, afterLoad, perIdleConnectionKb, idleConnections: IDLE_CONNECTIONS };
  return { name, role, version: kind.version(), ...memory, idleCpuShare, lowRateCpuShare, lowRateRps: LOW_RATE };
}

/** Laps of small requests, 1 MB bodies and new connections; memory is read after each. */
async function growth(name: string, peer: Peer, options: FootprintOptions, generator: Generator): Promise<Growth> {
  const end = performance.now() + options.minutes * 60_000;
  const many = loadOn(generator, peer, 64, name);
  const few = loadOn(generator, peer, 16, name);
  const lapsKb: number[] = [];
  while ((!options.quick && performance.now() < end) || lapsKb.length < LAPS_MIN) {
    progress(`memory: growth under load, lap ${lapsKb.length + 1}`);
    await many(null, options.quick ? 0.5 : 4, Number.MAX_SAFE_INTEGER);
    await few(null, options.quick ? 0.5 : 1, Number.MAX_SAFE_INTEGER, "/1m");
    // Opened, used once and closed: what accepting and closing leave behind.
    closeAll(await openIdle(peer.port, options.quick ? 500 : 2_000));
    await pause(500);
    lapsKb.push(memoryOf([peer])!.privateKb);
  }
  return growthOf(name, lapsKb, options.quick ? 0 : options.minutes);
}

/** The last quarter of the laps beside the second; the first is the warm-up. At least four laps. */
export function growthOf(subject: string, lapsKb: readonly number[], minutes: number): Growth {
  const quarter = Math.floor(lapsKb.length / 4);
  const early = median(lapsKb.slice(quarter, 2 * quarter));
  return { subject, minutes, lapsKb, share: median(lapsKb.slice(-quarter)) / early - 1 };
}

/** Weft with none and with one worker; the others as they are. */
function variants(options: FootprintOptions): { readonly name: string; readonly kind: PeerKind; readonly workers: number }[] {
  return options.peers.flatMap((kind) => {
    if (kind.version() === null || kind.bodiesOnly === true) return [];
    if (kind.name !== "weft") return [{ name: kind.name, kind, workers: 1 }];
    return [
      { name: "weft, 0 workers", kind, workers: 0 },
      { name: "weft, 1 worker", kind, workers: 1 },
    ];
  });
}

async function startTimes(upstream: number, count: number): Promise<number[]> {
  const times: number[] = [];
  while (times.length < count) {
    progress(`memory: start ${times.length + 1} of ${count}`);
    const weft = await startWeft({ mode: "http", upstreams: [upstream], workers: 1 });
    times.push(weft.readyMs);
    await weft.child.stop();
  }
  return times;
}

export async function measureFootprint(options: FootprintOptions): Promise<Footprint> {
  const origin = await startOrigin(options.origin);
  const generator = new Generator();
  const subjects: FootprintSubject[] = [];
  let grown: Growth | null = null;
  try {
    const hasWeft = options.peers.some((kind) => kind.name === "weft");
    const weftReadyMs = hasWeft ? await startTimes(origin.port, (options.quick ? SHORT : FULL).starts) : [];
    for (const { name, kind, workers } of variants(options)) {
      const peer = await kind.start({ mode: "http", upstreams: [origin.port], workers });
      try {
        subjects.push(await measureSubject(name, kind, peer, options, generator));
        if (name === "weft, 1 worker" && options.minutes > 0) grown = await growth(name, peer, options, generator);
      } finally {
        await peer.child.stop();
      }
    }
    return { weftReadyMs, subjects, growth: grown };
  } finally {
    generator.stop();
    await stopAll([origin]);
  }
}

function verdict(id: string, what: string, value: number, unit: string, bar: number, goal: number): Verdict {
  const state = value <= goal ? "goal" : value <= bar ? "met" : "missed";
  return { id: `memory/${id}`, scenario: null, what, value, unit, bar, goal, state, reason: null };
}

/** The bars of design's table for a sidecar that idles, and of growth. */
export function footprintVerdicts(footprint: Footprint): Verdict[] {
  const verdicts: Verdict[] = [];
  if (footprint.weftReadyMs.length > 0) verdicts.push(verdict("ready", "start to ready", median(footprint.weftReadyMs), "ms", 500, 500));
  for (const [name, bar, goal] of [
    ["weft, 1 worker", 40, 20],
    ["weft, 0 workers", 30, 10],
  ] as const) {
    const found = footprint.subjects.find((one) => one.name === name);
    if (found === undefined) continue;
    verdicts.push(
      verdict(`${name}/idle`, `${name}: private memory, idle`, found.idle.privateKb / KB, "MB", bar, goal),
      verdict(`${name}/connection`, `${name}: per idle connection`, found.perIdleConnectionKb, "KB", 8, 8),
      verdict(`${name}/idle-cpu`, `${name}: idle CPU`, found.idleCpuShare * 100, "% of a core", 0.2, 0.2),
      verdict(`${name}/low-cpu`, `${name}: CPU at ${LOW_RATE} requests/s`, found.lowRateCpuShare * 100, "% of a core", 1, 1),
    );
  }
  const grown = footprint.growth;
  if (grown !== null) verdicts.push(growthVerdict(grown));
  return verdicts;
}

function growthVerdict({ minutes, share }: Growth): Verdict {
  const judged = verdict("growth", "growth under load", share * 100, "%", GROWTH_PERCENT_MAX, 0);
  if (minutes >= GROWTH_MINUTES_MIN) return judged;
  return { ...judged, state: "unknown", reason: `it takes ${GROWTH_MINUTES_MIN} minutes of load: --minutes 10` };
}
