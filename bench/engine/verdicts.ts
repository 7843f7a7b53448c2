// Holds Weft's figures against the bars of a scenario. Pure.
//
// CPU is the median of per-pair ratios, and at least nine pairs are asked for: with fewer there is a figure, but no verdict. Added
// latency is the difference to direct (statistics/added.ts) in the pairs of rounds in which the machine was quiet, as the latency budget
// has it; a bar that lies within its interval is neither met nor missed. A figure whose self-check failed, or whose subject had errors,
// is unknown.

import { type BudgetPair, type BudgetRound, noiseOf, QUIET_PAIRS_MIN } from "../budget/verdict.ts";
import type { Bar, Scenario } from "../load/scenario.ts";
import type { Round, SelfCheck, SubjectResult, Verdict } from "../result.ts";
import { addedAt } from "../statistics/added.ts";
import { decodeDistribution } from "../statistics/distribution.ts";
import { ratioOfPairs } from "../statistics/ratio.ts";

/** A peer's own figure swings by 1.7 x within minutes on a shared machine: fewer ratios than this decide nothing. */
export const PAIRS_MIN = 9;

/** What is promised of added latency: how quiet the machine must be is measured by it. */
const BUDGET_US = 1_000;

interface Figure {
  readonly value: number | null;
  /** Why there is none, or why it decides nothing. */
  readonly reason: string | null;
}

function stateOf(value: number | null, reason: string | null, bar: number | null, goal: number): Verdict["state"] {
  if (value === null || reason !== null) return "unknown";
  if (bar === null) return value <= goal ? "goal" : "information";
  return value <= goal ? "goal" : value <= bar ? "met" : "missed";
}

/** Rounds of two subjects that belong together. */
function pairsOf(weft: SubjectResult, other: SubjectResult, load: string): { readonly weft: Round; readonly other: Round }[] {
  return weft.rounds.flatMap((round) => {
    if (round.load !== load) return [];
    const partner = other.rounds.find((one) => one.load === load && one.index === round.index);
    return partner === undefined ? [] : [{ weft: round, other: partner }];
  });
}

function usable(subjects: readonly SubjectResult[], name: string): SubjectResult | string {
  const subject = subjects.find((one) => one.name === name);
  if (subject === undefined) return `${name} did not take part`;
  return subject.state === "failed" ? `${name} failed: ${subject.failure}` : subject;
}

function cpuFigure(bar: Bar & { measure: "cpu" }, subjects: readonly SubjectResult[]): Figure {
  const [weft, other] = [usable(subjects, "weft"), usable(subjects, bar.against)];
  if (typeof weft === "string") return { value: null, reason: weft };
  if (typeof other === "string") return { value: null, reason: other };
  const pairs = pairsOf(weft, other, bar.load).map((pair) => ({
    value: pair.weft.cpu?.totalUs ?? 0,
    reference: pair.other.cpu?.totalUs ?? 0,
  }));
  const ratio = ratioOfPairs(pairs);
  if (ratio === null) return { value: null, reason: "no pair of rounds was measured" };
  const reason = ratio.pairs < PAIRS_MIN ? `rounds: ${ratio.pairs}, at least ${PAIRS_MIN} are asked for` : null;
  return { value: ratio.median, reason };
}

function latencyFigure(bar: Bar & { measure: "added-latency" }, subjects: readonly SubjectResult[]): Figure {
  const [weft, direct] = [usable(subjects, "weft"), usable(subjects, "direct")];
  if (typeof weft === "string") return { value: null, reason: weft };
  if (typeof direct === "string") return { value: null, reason: direct };
  const pairs = pairsOf(weft, direct, bar.load).flatMap((pair) => {
    const [through, straight] = [budgetRound(pair.weft), budgetRound(pair.other)];
    return through === null || straight === null ? [] : [{ through, direct: straight }];
  });
  const quiet = pairs.filter((pair) => noiseOf(pair, BUDGET_US).length === 0);
  const isEnough = quiet.length >= QUIET_PAIRS_MIN;
  const counted: readonly BudgetPair[] = isEnough ? quiet : pairs;
  const added = addedAt(
    counted.map((pair) => ({ through: pair.through.latency, direct: pair.direct.latency })),
    bar.percentile,
  );
  if (added.us === null) return { value: null, reason: `too few requests for p${bar.percentile}` };
  const value = added.us / 1000;
  if (!isEnough)
    return { value, reason: `the machine was quiet in ${quiet.length} of ${pairs.length} pairs of rounds, ${QUIET_PAIRS_MIN} are needed` };
  const { low, high } = added.interval ?? { low: added.us, high: added.us };
  const isAstride = bar.bar !== null && low <= bar.bar * 1000 && high > bar.bar * 1000;
  return {
    value,
    reason: isAstride ? `the bar lies within the interval, ${(low / 1000).toFixed(3)} to ${(high / 1000).toFixed(3)} ms` : null,
  };
}

/** A round as the budget looks at it; null without latencies. */
function budgetRound(round: Round): BudgetRound | null {
  if (round.latency === null) return null;
  return {
    latency: decodeDistribution(round.latency.histogram, round.latency.maxUs),
    latenessP99Us: round.generatorLateness?.p99Us ?? 0,
    sent: round.requests,
    errors: round.errors,
    othersShare: round.othersCpuShare,
    stealShare: null,
  };
}

function copiedFigure(subjects: readonly SubjectResult[]): Figure {
  const weft = usable(subjects, "weft");
  if (typeof weft === "string") return { value: null, reason: weft };
  const share = weft.weft?.copiedShare ?? null;
  return share === null ? { value: null, reason: "no bodies were counted" } : { value: share * 100, reason: null };
}

/** A check that failed for Weft, for direct or for everybody, and not only for some peer. */
function brokenCheck(bar: Bar, checks: readonly SelfCheck[]): string | null {
  if (bar.measure === "copied") return null;
  const other = bar.measure === "cpu" ? bar.against : "direct";
  const found = checks.find(
    (one) => one.state === "fail" && one.load === bar.load && (one.subject === null || one.subject === "weft" || one.subject === other),
  );
  // Somebody else's latency does not change what a request costs in CPU.
  if (found === undefined || (bar.measure === "cpu" && found.name !== "others")) return null;
  return `self-check ${found.name}: ${found.message}`;
}

function labelOf(bar: Bar, bars: readonly Bar[]): { readonly id: string; readonly what: string; readonly unit: string } {
  if (bar.measure === "cpu") {
    const unit = `x ${bar.against}`;
    // Several of them need their loads and peers to be told apart.
    const isOnly = bars.filter((one) => one.measure === "cpu").length === 1;
    if (isOnly) return { id: "cpu", what: "CPU per request", unit };
    return { id: `cpu-${bar.load}-${bar.against}`, what: `CPU per request, ${bar.load}`, unit };
  }
  if (bar.measure === "copied") return { id: "copied", what: "body bytes copied", unit: "%" };
  return { id: `added-p${bar.percentile}`, what: `added latency p${bar.percentile}`, unit: "ms" };
}

export function verdictsOf(scenario: Scenario, subjects: readonly SubjectResult[], checks: readonly SelfCheck[]): Verdict[] {
  return scenario.bars.map((bar) => {
    const { id, what, unit } = labelOf(bar, scenario.bars);
    const figure =
      bar.measure === "cpu" ? cpuFigure(bar, subjects) : bar.measure === "copied" ? copiedFigure(subjects) : latencyFigure(bar, subjects);
    const reason = figure.reason ?? brokenCheck(bar, checks);
    return {
      id: `${scenario.name}/${id}`,
      scenario: scenario.name,
      what: `${scenario.name}: ${what}`,
      value: figure.value,
      unit,
      bar: bar.bar,
      goal: bar.goal,
      state: stateOf(figure.value, reason, bar.bar, bar.goal),
      reason,
    };
  });
}
