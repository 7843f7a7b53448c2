// Choosing from a result document what counts: rounds without errors, and pairs of them that ran right after each other.

import type { LoadDescription, Round, ScenarioResult, SubjectResult } from "../result.ts";
import type { DistributionPair } from "../statistics/added.ts";
import { type Distribution, decodeDistribution, mergeDistributions } from "../statistics/distribution.ts";
import { type PairRatio, ratioOfPairs } from "../statistics/ratio.ts";

/** Rounds of a load in which nothing failed; none of a subject that failed as a whole. */
export function roundsOf(subject: SubjectResult, load: string): readonly Round[] {
  return subject.state === "failed" ? [] : subject.rounds.filter((round) => round.load === load && round.errors === 0);
}

export function subjectNamed(scenario: ScenarioResult, name: string): SubjectResult | null {
  return scenario.subjects.find((subject) => subject.name === name) ?? null;
}

export function directOf(scenario: ScenarioResult): SubjectResult | null {
  return scenario.subjects.find((subject) => subject.role === "direct") ?? null;
}

/** Rounds of two subjects with the same load and index. */
export function pairsOf(one: SubjectResult, other: SubjectResult, load: string): { readonly one: Round; readonly other: Round }[] {
  const others = new Map(roundsOf(other, load).map((round) => [round.index, round]));
  return roundsOf(one, load).flatMap((round) => {
    const partner = others.get(round.index);
    return partner === undefined ? [] : [{ one: round, other: partner }];
  });
}

/** A round is decoded once, however many tables and pictures it is in. */
const decoded = new WeakMap<Round, Distribution>();

/** The latencies of a round; null where a tool ran that gives none. */
export function latencyOf(round: Round): Distribution | null {
  if (round.latency === null) return null;
  const known = decoded.get(round);
  if (known !== undefined) return known;
  const fresh = decodeDistribution(round.latency.histogram, round.latency.maxUs);
  decoded.set(round, fresh);
  return fresh;
}

/** All rounds of a load together; null when none has latencies. */
export function mergedLatency(subject: SubjectResult, load: string): Distribution | null {
  const all = roundsOf(subject, load)
    .map(latencyOf)
    .filter((one) => one !== null);
  return all.length === 0 ? null : mergeDistributions(all);
}

/** Latencies through a subject and direct, round by round. */
export function latencyPairs(subject: SubjectResult, direct: SubjectResult, load: string): DistributionPair[] {
  return pairsOf(subject, direct, load).flatMap(({ one, other }) => {
    const through = latencyOf(one);
    const straight = latencyOf(other);
    return through === null || straight === null ? [] : [{ through, direct: straight }];
  });
}

/** CPU per request beside the reference, pair by pair. */
export function cpuRatio(subject: SubjectResult, reference: SubjectResult, load: string): PairRatio | null {
  const pairs = pairsOf(subject, reference, load).flatMap(({ one, other }) =>
    one.cpu === null || other.cpu === null ? [] : [{ value: one.cpu.totalUs, reference: other.cpu.totalUs }],
  );
  return ratioOfPairs(pairs);
}

/** Loads of the scenario in which somebody has the figure. */
export function loadsWith(scenario: ScenarioResult, hasFigure: (round: Round) => boolean): readonly LoadDescription[] {
  return scenario.loads.filter((load) => scenario.subjects.some((subject) => roundsOf(subject, load.id).some(hasFigure)));
}
