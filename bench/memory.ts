// What Weft needs when it does nothing or little: time to be ready, memory, memory per idle connection, CPU, growth under load.
//
// Memory is the anonymous part (private to the process; the binary's text is shared by all Node processes of a host) and PSS beside
// it. nginx and HAProxy stand beside Weft for context: no bar compares with them here.

import { ab, wrk } from "./load/tools.ts";
import { Generator } from "./load/generator.ts";
import { closeAll, openIdle } from "./load/idle-connections.ts";
import type { BenchOptions } from "./options.ts";
import type { Peer } from "./peers/peer.ts";
import { startOrigin, startProxy, stopAll } from "./peers/start.ts";
import { startWeft } from "./peers/weft.ts";
import { pause } from "./support/child.ts";
import { cpuBetween, type MemoryReading, readCpu, readMemory } from "./support/proc.ts";
import { figure, progress, type Report, type Table, type Verdict } from "./support/report.ts";
import { median } from "./statistics/spread.ts";

const KB = 1024;
/** Opened first: they use up what the heap and the tables have in reserve. */
const RESERVE_CONNECTIONS = 2_000;
/** Opened on top of them: what these cost is what a connection costs. */
const IDLE_CONNECTIONS = 4_000;
const SETTLE_MS = 2_000;
const WARM_REQUESTS = 30_000;
/** The generator's own kind of request also has to be compiled before little load can be measured. */
const WARM_RATE = 2_000;
const WARM_SECONDS = 3;
const LOW_RATE = 100;

/** Under steady load the second half may need this much more than the first, percent: less is what a heap does anyway. */
const GROWTH_PERCENT_MAX = 5;

interface IdleRow {
  readonly name: string;
  readonly start: MemoryReading;
  /** After the warm-up and the low rate. */
  readonly warm: MemoryReading;
  /** KB per connection that is open and idle. */
  readonly perConnection: number;
  /** Share of a core, percent. */
  readonly idleCpu: number;
  readonly lowCpu: number;
}

async function cpuShare(peer: Peer, during: () => Promise<unknown>): Promise<number> {
  const before = readCpu(peer.child.pid);
  const began = performance.now();
  await during();
  const elapsedUs = (performance.now() - began) * 1000;
  return (cpuBetween(before, readCpu(peer.child.pid)).total / elapsedUs) * 100;
}

async function measureIdle(name: string, peer: Peer, options: BenchOptions, generator: Generator): Promise<IdleRow> {
  const seconds = options.quick ? 3 : 20;
  const url = `http://127.0.0.1:${peer.port}/`;
  await pause(SETTLE_MS);
  const start = readMemory(peer.child.pid);
  progress(`memory: ${name} idle`);
  const idleCpu = await cpuShare(peer, () => pause(seconds * 1000));
  progress(`memory: ${name} at ${LOW_RATE} requests/s`);
  await ab({ url, requests: options.quick ? WARM_REQUESTS / 10 : WARM_REQUESTS, concurrency: 64, keepAlive: true });
  const run = { port: peer.port, path: "/", rate: LOW_RATE, seconds, connections: options.connections, seed: 1 };
  await generator.run({ ...run, rate: WARM_RATE, seconds: WARM_SECONDS });
  const lowCpu = await cpuShare(peer, async () => {
    const result = await generator.run(run);
    if (result.errors > 0) throw new Error(`${name} at ${LOW_RATE} requests/s: ${result.errors} requests failed`);
  });
  const warm = readMemory(peer.child.pid);
  const perConnection = await memoryPerConnection(name, peer);
  return { name, start, warm, perConnection, idleCpu, lowCpu };
}

async function memoryPerConnection(name: string, peer: Peer): Promise<number> {
  progress(`memory: ${name} with ${IDLE_CONNECTIONS} idle connections`);
  const sockets = await openIdle(peer.port, RESERVE_CONNECTIONS);
  await pause(SETTLE_MS);
  const before = readMemory(peer.child.pid);
  sockets.push(...(await openIdle(peer.port, IDLE_CONNECTIONS)));
  await pause(SETTLE_MS);
  const after = readMemory(peer.child.pid);
  closeAll(sockets);
  return (after.anonymous - before.anonymous) / IDLE_CONNECTIONS;
}

/** Milliseconds from start to ready, median of several starts. */
async function startTime(upstreamPort: number, options: BenchOptions): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < (options.quick ? 2 : 5); i++) {
    const weft = await startWeft({ mode: "http", upstreams: [upstreamPort], workers: options.workers });
    times.push(weft.readyMs);
    await weft.child.stop();
  }
  return median(times);
}

interface Growth {
  /** KB of anonymous memory after each lap of load. */
  readonly laps: readonly number[];
  /** Median of the last quarter against that of the second, percent. */
  readonly percent: number;
}

/** Laps of different load; memory is read after each. */
async function growth(peer: Peer, options: BenchOptions): Promise<Growth> {
  const end = performance.now() + options.minutes * 60_000;
  const base = `http://127.0.0.1:${peer.port}`;
  const laps: number[] = [];
  while (performance.now() < end || laps.length < 8) {
    progress(`memory: growth under load, lap ${laps.length + 1}`);
    const runs = [
      await wrk({ url: `${base}/`, connections: 64, seconds: options.quick ? 1 : 4 }),
      await wrk({ url: `${base}/1m`, connections: 16, seconds: 1 }),
      await ab({ url: `${base}/`, requests: 2_000, concurrency: 100, keepAlive: false }),
    ];
    for (const run of runs) if (run.errors > 0) throw new Error(`growth: ${run.errors} requests failed\n${run.output}`);
    await pause(500);
    laps.push(readMemory(peer.child.pid).anonymous);
  }
  const quarter = Math.floor(laps.length / 4);
  const early = median(laps.slice(quarter, 2 * quarter));
  return { laps, percent: (median(laps.slice(-quarter)) / early - 1) * 100 };
}

function mb(kb: number): string {
  return figure(kb / KB);
}

function tablesOf(rows: readonly IdleRow[], grown: Growth | null): Table[] {
  const tables = [
    {
      title: "idle and nearly idle",
      head: ["proxy", "RSS MB", "PSS MB", "RssAnon MB", "after load", "KB/connection", "idle CPU %", `CPU % at ${LOW_RATE}/s`],
      rows: rows.map((row) => [
        row.name,
        mb(row.start.rss),
        mb(row.start.pss),
        mb(row.start.anonymous),
        mb(row.warm.anonymous),
        figure(row.perConnection),
        row.idleCpu.toFixed(3),
        row.lowCpu.toFixed(3),
      ]),
    },
  ];
  if (grown !== null) {
    tables.push({
      title: `RssAnon under load, MB after each of ${grown.laps.length} laps`,
      head: ["first", "a quarter", "half", "three quarters", "last"],
      rows: [[0, 0.25, 0.5, 0.75, 1].map((share) => mb(grown.laps[Math.round((grown.laps.length - 1) * share)]!))],
    });
  }
  return tables;
}

function verdictsOf(rows: readonly IdleRow[], readyMs: number, grown: Growth | null): Verdict[] {
  const verdicts: Verdict[] = [];
  const add = (what: string, value: number, unit: string, bar: number, goal: number): void => {
    verdicts.push({ what, value, unit, bar, goal });
  };
  add("start to ready", readyMs, "ms", 500, 500);
  for (const [name, bar, goal] of [
    ["weft, 1 worker", 40, 20],
    ["weft, 0 workers", 30, 10],
  ] as const) {
    const row = rows.find((one) => one.name === name);
    if (row === undefined) continue;
    add(`${name}: RssAnon, idle`, row.start.anonymous / KB, "MB", bar, goal);
    add(`${name}: per idle connection`, row.perConnection, "KB", 8, 8);
    add(`${name}: idle CPU`, row.idleCpu, "% of a core", 0.2, 0.2);
    add(`${name}: CPU at ${LOW_RATE} requests/s`, row.lowCpu, "% of a core", 1, 1);
  }
  if (grown !== null) add("growth under load", grown.percent, "%", GROWTH_PERCENT_MAX, 0);
  return verdicts;
}

export async function benchMemory(options: BenchOptions): Promise<Report> {
  const origin = await startOrigin(options.origin);
  const generator = new Generator();
  const rows: IdleRow[] = [];
  let grown: Growth | null = null;
  let readyMs = Number.NaN;
  const chosen = options.peers.flatMap((name) =>
    name === "weft"
      ? [
          { title: "weft, 0 workers", name, workers: 0 },
          { title: "weft, 1 worker", name, workers: 1 },
        ]
      : [{ title: name, name, workers: 0 }],
  );
  try {
    if (options.peers.includes("weft")) readyMs = await startTime(origin.port, options);
    for (const { title, name, workers } of chosen) {
      const peer = await startProxy(name, origin.port, workers);
      try {
        rows.push(await measureIdle(title, peer, options, generator));
        if (name === "weft" && workers === 1 && options.minutes > 0) grown = await growth(peer, options);
      } finally {
        await peer.child.stop();
      }
    }
  } finally {
    generator.stop();
    await stopAll([origin]);
  }
  return {
    title: "Memory, idle CPU and start",
    tables: tablesOf(rows, grown),
    verdicts: Number.isNaN(readyMs) ? [] : verdictsOf(rows, readyMs, grown),
    notes: [
      `RssAnon is private to the process, PSS shares out the binary; per connection: ${IDLE_CONNECTIONS} more after one request each`,
      "the growth run mixes small requests, 1 MB bodies and new connections; --minutes 10 is the run that the bar means",
    ],
    raw: { rows, grown, readyMs },
  };
}
