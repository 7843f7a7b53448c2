// Was it the proxy that was measured? Finds the rounds in which the generator, the origin or the rest of the machine was the bottleneck.
// Pure: from a scenario's loads and rounds to verdicts about them.
//
// A `fail` takes the meaning out of the figures that depend on it (verdicts of that load become unknown); a `warn` makes them coarser.
// The direct figure is the yardstick of throughput: a proxy that is as fast as no proxy at all was never the bottleneck.

import { LATENESS_P99_US_MAX } from "../load/open-loop-protocol.ts";
import type { LoadDescription, Round, SelfCheck, SubjectResult } from "../result.ts";
import { median } from "../statistics/spread.ts";

/** A generator that is later than this at p99 has measured itself. */
const LATENESS_P99_US_FAIL = 1_000;
/** Of a core: an origin busier than this makes its clients wait. */
const ORIGIN_CPU_SHARE_MAX = 0.9;
/** Of a core: a load tool of one thread cannot do more. */
const GENERATOR_CPU_SHARE_MAX = 0.95;
/** A proxy below this share of its cores had time left. */
const SUBJECT_BUSY_SHARE = 0.85;
/** Achieved over offered. */
const RATE_SHARE_MIN = 0.98;
/** Direct has to be this much faster than a proxy for the proxy to be what limits. */
const DIRECT_FACTOR_MIN = 1.1;
/** Of all cores: others that use more than this disturb, or ruin, a run. */
const OTHERS_SHARE_WARN = 0.1;
const OTHERS_SHARE_FAIL = 0.3;
/** Of the requests: more that waited for a connection make the latency a queue at the client. */
const QUEUED_SHARE_MAX = 0.01;

interface Found {
  readonly value: number;
  readonly limit: number;
  readonly unit: string;
  readonly state: SelfCheck["state"];
  readonly message: string;
}

function check(name: string, load: LoadDescription, subject: string | null, found: Found): SelfCheck {
  return { name, load: load.id, subject, ...found };
}

function medianOf(rounds: readonly Round[], pick: (round: Round) => number | null): number | null {
  const values = rounds.map(pick).filter((value): value is number => value !== null);
  return values.length === 0 ? null : median(values);
}

function lateness(load: LoadDescription, subject: SubjectResult, rounds: readonly Round[]): SelfCheck[] {
  const value = medianOf(rounds, (round) => round.generatorLateness?.p99Us ?? null);
  if (load.loop !== "open" || value === null) return [];
  const state = value > LATENESS_P99_US_FAIL ? "fail" : value > LATENESS_P99_US_MAX ? "warn" : "ok";
  const message =
    state === "ok"
      ? "the generator sent when it meant to"
      : "the generator itself was late: part of these latencies is its own; repeat on a quieter machine or at a lower rate";
  return [check("generator-late", load, subject.name, { value, limit: LATENESS_P99_US_MAX, unit: "us at p99", state, message })];
}

function achievedRate(load: LoadDescription, subject: SubjectResult, rounds: readonly Round[]): SelfCheck[] {
  const value = medianOf(rounds, (round) => (round.offeredRps === null ? null : round.achievedRps / round.offeredRps));
  if (value === null) return [];
  const state = value < RATE_SHARE_MIN ? "fail" : "ok";
  const message =
    state === "ok" ? "the offered rate was served" : "the offered rate was not served: this is a queue growing, not a latency";
  return [check("rate", load, subject.name, { value, limit: RATE_SHARE_MIN, unit: "of the offered rate", state, message })];
}

function queued(load: LoadDescription, subject: SubjectResult, rounds: readonly Round[]): SelfCheck[] {
  const value = medianOf(rounds, (round) =>
    round.queuedAtGenerator === null ? null : round.queuedAtGenerator / Math.max(1, round.requests),
  );
  if (value === null) return [];
  const state = value > QUEUED_SHARE_MAX ? "warn" : "ok";
  const message =
    state === "ok" ? "connections were free when requests were due" : "requests waited for a free connection: raise --connections";
  return [check("queue", load, subject.name, { value, limit: QUEUED_SHARE_MAX, unit: "of the requests", state, message })];
}

/** The proxy had time left while somebody else had none. */
function otherBottleneck(load: LoadDescription, subject: SubjectResult, rounds: readonly Round[], workers: number): SelfCheck[] {
  const own = medianOf(rounds, (round) => round.subjectCpuShare);
  const origin = medianOf(rounds, (round) => round.originCpuShare);
  const generator = medianOf(rounds, (round) => round.generatorCpuShare);
  const hasTimeLeft = own !== null && own < SUBJECT_BUSY_SHARE * Math.max(1, workers);
  const checks: SelfCheck[] = [];
  const add = (name: string, who: string, value: number | null, limit: number): void => {
    if (value === null || own === null) return;
    const isLimit = hasTimeLeft && value > limit;
    // CPU per request of a proxy that waits is still its own; its latency and throughput are not.
    const state = !isLimit ? "ok" : load.loop === "open" ? "fail" : "warn";
    const message = isLimit
      ? `${who} was the bottleneck: requests/s and latency here are its own; CPU per request still counts`
      : `${who} was not the bottleneck`;
    checks.push(check(name, load, subject.name, { value, limit, unit: "of a core", state, message }));
  };
  add("origin-cpu", "the origin", origin, ORIGIN_CPU_SHARE_MAX);
  // Our generator spins on purpose while it waits for the next due moment: there its lateness tells, not its CPU.
  if (load.loop === "closed") add("generator-cpu", "the load generator", generator, GENERATOR_CPU_SHARE_MAX);
  return checks;
}

function directFigure(load: LoadDescription, subjects: readonly SubjectResult[], roundsOf: RoundsOf): SelfCheck[] {
  const direct = subjects.find((subject) => subject.role === "direct");
  if (load.loop !== "closed" || direct === undefined) return [];
  const without = medianOf(roundsOf(direct), (round) => round.achievedRps);
  if (without === null) return [];
  return subjects.flatMap((subject) => {
    const withProxy = subject === direct ? null : medianOf(roundsOf(subject), (round) => round.achievedRps);
    if (withProxy === null || withProxy === 0) return [];
    const value = without / withProxy;
    const state = value < DIRECT_FACTOR_MIN ? "warn" : "ok";
    const message =
      state === "ok"
        ? "direct is faster: the proxy is what limits"
        : "hardly slower than direct: generator or origin limit both, requests/s say nothing about the proxy";
    return [check("direct", load, subject.name, { value, limit: DIRECT_FACTOR_MIN, unit: "x its requests/s without it", state, message })];
  });
}

function others(load: LoadDescription, subjects: readonly SubjectResult[], roundsOf: RoundsOf): SelfCheck[] {
  const value = medianOf(subjects.flatMap(roundsOf), (round) => round.othersCpuShare);
  if (value === null) return [];
  // Ratios of neighbouring rounds bear a busy machine, which is why they are what counts; a latency does not.
  const worst = load.loop === "open" ? "fail" : "warn";
  const state = value > OTHERS_SHARE_FAIL ? worst : value > OTHERS_SHARE_WARN ? "warn" : "ok";
  const message = state === "ok" ? "the machine was ours" : "other programs were busy on this machine: stop them and repeat";
  return [check("others", load, null, { value, limit: OTHERS_SHARE_WARN, unit: "of all cores", state, message })];
}

type RoundsOf = (subject: SubjectResult) => readonly Round[];

/** Every check that its rounds allow, good ones included. */
export function selfChecks(loads: readonly LoadDescription[], subjects: readonly SubjectResult[], workers: number): SelfCheck[] {
  return loads.flatMap((load) => {
    const roundsOf: RoundsOf = (subject) => subject.rounds.filter((round) => round.load === load.id);
    const each = subjects.flatMap((subject) => {
      const rounds = roundsOf(subject);
      return [
        ...lateness(load, subject, rounds),
        ...achievedRate(load, subject, rounds),
        ...queued(load, subject, rounds),
        ...otherBottleneck(load, subject, rounds, workers),
      ];
    });
    return [...each, ...directFigure(load, subjects, roundsOf), ...others(load, subjects, roundsOf)];
  });
}
