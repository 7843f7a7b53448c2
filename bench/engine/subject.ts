// One subject of a scenario while it runs: the proxies of its chain, their CPU and memory taken together.

import type { Scenario } from "../load/scenario.ts";
import type { MeshPlace, Peer, PeerKind } from "../peers/peer.ts";
import { type Origin, type OriginName, startOrigin, stopAll, stopOrigins } from "../peers/start.ts";
import type { Memory, Round, Skipped, WarmUp } from "../result.ts";
import { type CpuReading, readCpu, readMemory } from "../support/proc.ts";

export interface Subject {
  readonly name: string;
  readonly role: "direct" | "weft" | "peer";
  readonly version: string | null;
  /** Where the load goes. */
  readonly port: number;
  /** Its proxies, the one that the load reaches first; none for `direct`. */
  readonly chain: readonly Peer[];
  readonly note: string | null;
  readonly memoryAtStart: Memory | null;
  readonly rounds: Round[];
  warmUp: WarmUp;
  /** Why it no longer takes part. */
  failure: string | null;
}

const NO_WARM_UP: WarmUp = { requests: 0, errors: 0, durationMs: 0 };

export function cpuOf(chain: readonly Peer[]): CpuReading {
  const sum = { user: 0, system: 0, threads: new Map<string, number>() };
  for (const peer of chain) {
    const one = readCpu(peer.child.pid);
    sum.user += one.user;
    sum.system += one.system;
    for (const [thread, ns] of one.threads) sum.threads.set(thread, ns);
  }
  return sum;
}

export function memoryOf(chain: readonly Peer[]): Memory | null {
  if (chain.length === 0) return null;
  const sum = { rssKb: 0, pssKb: 0, privateKb: 0 };
  for (const peer of chain) {
    const one = readMemory(peer.child.pid);
    sum.rssKb += one.rss;
    sum.pssKb += one.pss;
    sum.privateKb += one.anonymous;
  }
  return sum;
}

/** All endpoints of the scenario; the first is where `direct` goes. */
export async function startOrigins(name: OriginName, scenario: Scenario): Promise<Origin[]> {
  const origins: Origin[] = [];
  try {
    const { protocols } = scenario;
    for (const delayMs of scenario.endpointDelaysMs) origins.push(await startOrigin(name, { delayMs, protocols }));
    return origins;
  } catch (error) {
    await stopOrigins(origins);
    throw error;
  }
}

export function directSubject(origin: Origin): Subject {
  const nobody = { role: "direct", version: null, chain: [], note: null, memoryAtStart: null } as const;
  return { name: "direct", port: origin.clientPort, rounds: [], warmUp: NO_WARM_UP, failure: null, ...nobody };
}

/** The places of a pair, the last one first. */
const MESH_PAIR: readonly MeshPlace[] = ["inbound", "outbound"];

/** Starts the scenario's chain of one proxy, the last one first. */
export async function startSubject(kind: PeerKind, scenario: Scenario, origins: readonly Origin[], workers: number): Promise<Subject> {
  const chain: Peer[] = [];
  try {
    const isPair = scenario.isMeshPair && kind.name === "weft";
    const hops = isPair ? MESH_PAIR.length : scenario.hops;
    for (let hop = 0; hop < hops; hop++) {
      const upstreams = chain.length === 0 ? origins.map((origin) => origin.port) : [chain[0]!.port];
      const { mode, protocols } = scenario;
      chain.unshift(await kind.start({ mode, protocols, upstreams, workers, ...(isPair && { mesh: MESH_PAIR[hop]! }) }));
    }
  } catch (error) {
    await stopAll(chain);
    throw error;
  }
  return {
    name: kind.name,
    role: kind.name === "weft" ? "weft" : "peer",
    version: kind.version(),
    port: chain[0]!.port,
    chain,
    note: chain.length > 1 ? `${chain.length} proxies in a row, CPU and memory of all of them` : null,
    memoryAtStart: memoryOf(chain),
    rounds: [],
    warmUp: NO_WARM_UP,
    failure: null,
  };
}

/** Why a proxy cannot take part in a scenario; null when it can. */
export function cannot(kind: PeerKind, scenario: Scenario): Skipped | null {
  if (kind.version() === null) return { name: kind.name, reason: "not installed", install: kind.install };
  for (const ability of scenario.needs) {
    if (!kind.abilities.includes(ability))
      return { name: kind.name, reason: `cannot do this scenario, or is not configured for it here (${ability})`, install: null };
    const missing = kind.missing?.(ability) ?? null;
    if (missing !== null) return { name: kind.name, reason: missing, install: null };
  }
  return null;
}
