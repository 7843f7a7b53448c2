// One measured round: one load against one subject, with everything around it read before and after.

import type { Generator } from "../load/generator.ts";
import { type LoadOrder, runLoad } from "../load/run-load.ts";
import { type Origin, processesOf } from "../peers/start.ts";
import type { Connections, CpuPerRequest, Round } from "../result.ts";
import { pause } from "../support/child.ts";
import { othersShare, readMachine } from "../support/machine.ts";
import { cpuBetween, readCpu } from "../support/proc.ts";
import { cpuOf, memoryOf, type Subject } from "./subject.ts";

/** After a load tool has ended its connections are still being closed; that work belongs to the round. */
const SETTLE_MS = 100;

export interface RoundPlace {
  /** 1, 2, ... */
  readonly index: number;
  /** 0, 1, ... among the subjects of the round. */
  readonly position: number;
  /** From the start of the run. */
  readonly startedAtMs: number;
}

export interface Around {
  readonly origins: readonly Origin[];
  readonly generator: Generator;
}

async function acceptedBy(origins: readonly Origin[]): Promise<number> {
  let sum = 0;
  for (const origin of origins) sum += await origin.accepted();
  return sum;
}

function connectionsOf(downstreamOpened: number | null, upstreamOpened: number, requests: number): Connections {
  const upstream = Number.isFinite(upstreamOpened) ? Math.max(0, upstreamOpened) : null;
  return {
    downstreamOpened,
    upstreamOpened: upstream,
    requestsPerUpstream: upstream === null || upstream === 0 ? null : requests / upstream,
    upstreamReuse: upstream === null || requests === 0 ? null : Math.max(0, 1 - upstream / requests),
  };
}

export async function runRound(subject: Subject, order: LoadOrder, place: RoundPlace, around: Around): Promise<Round> {
  const accepted = await acceptedBy(around.origins);
  const originPids = around.origins.flatMap(processesOf).map((origin) => origin.child.pid);
  const read = () => ({
    subject: cpuOf(subject.chain),
    origins: originPids.map(readCpu),
    generator: readCpu(around.generator.pid),
    machine: readMachine(),
    atMs: performance.now(),
  });
  const before = read();
  const outcome = await runLoad(order, around.generator);
  await pause(SETTLE_MS);
  const after = read();
  const memory = memoryOf(subject.chain);
  // Each look at the counter was a connection too, but the first one's is in both readings.
  const upstreamOpened = (await acceptedBy(around.origins)) - accepted - around.origins.length;
  const share = (us: number): number => us / ((after.atMs - before.atMs) * 1000);
  const used = cpuBetween(before.subject, after.subject);
  const origins = originPids.reduce((sum, _, index) => sum + cpuBetween(before.origins[index]!, after.origins[index]!).total, 0);
  const own = cpuBetween(before.generator, after.generator).total;
  const tool = after.machine.ended - before.machine.ended;
  const isProxy = subject.chain.length > 0;
  const per = (us: number): number => us / Math.max(1, outcome.requests);
  const cpu: CpuPerRequest = { userUs: per(used.user), systemUs: per(used.system), totalUs: per(used.total) };
  return {
    load: order.load.id,
    ...place,
    durationMs: outcome.durationMs,
    commandLine: outcome.commandLine,
    requests: outcome.requests,
    errors: outcome.errors,
    errorDetail: outcome.errorDetail,
    offeredRps: order.rateRps,
    achievedRps: (outcome.requests / outcome.durationMs) * 1000,
    toolReport: outcome.toolReport,
    latency: outcome.latency,
    generatorLateness: outcome.lateness,
    queuedAtGenerator: outcome.queued,
    slices: outcome.slices,
    cpu: isProxy ? cpu : null,
    originCpuShare: share(origins),
    generatorCpuShare: share(order.tool === "open-loop" ? own : tool),
    subjectCpuShare: isProxy ? share(used.total) : null,
    othersCpuShare: othersShare(before.machine, after.machine),
    connections: connectionsOf(outcome.downstreamOpened, upstreamOpened, outcome.requests),
    memory,
  };
}
