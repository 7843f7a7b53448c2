// Does a proxy keep the latency budget? Pure: from what was measured to 0 (kept), 1 (broken) or 2 (cannot be told), with a sentence.
//
// Two questions, one after the other. First: was the machine quiet? That is judged by what has nothing to do with the proxy: the
// direct target's own p99, the generator's lateness while it ran direct, and what other programs and other virtual machines took.
// A pair of rounds that fails this does not count, whatever it found; with fewer than five quiet pairs there is no verdict. Second: do
// the quiet pairs agree? Only when the whole 95 % interval lies on one side of the budget is there a verdict, and a budget counts as
// broken only when that interval is narrow: pairs that all say "too slow", one by 1 ms and one by 20, have met something else too.
//
// A proxy that is slow because it takes the processor from the generator is slow: lateness while it runs is part of its latency, as
// long as nobody else can have caused it.

import { type Added, addedAt } from "../statistics/added.ts";
import { type Distribution, valueAtPercentile } from "../statistics/distribution.ts";

/** One round: some seconds of open-loop load on one target. */
export interface BudgetRound {
  readonly latency: Distribution;
  readonly latenessP99Us: number;
  readonly sent: number;
  readonly errors: number;
  /** Shares of all cores' time, 0..1; null where the kernel does not say. */
  readonly othersShare: number | null;
  readonly stealShare: number | null;
}

export interface BudgetPair {
  readonly direct: BudgetRound;
  readonly through: BudgetRound;
}

/** What is wrong with a pair of rounds; `excess` is how many times its limit the value has. */
export interface Noise {
  readonly sentence: string;
  readonly excess: number;
}

export interface BudgetVerdict {
  readonly code: 0 | 1 | 2;
  /** What was found, and why it means that. */
  readonly sentence: string;
  readonly added: readonly Added[];
  readonly quietPairs: number;
  readonly pairs: number;
}

export const BUDGET_PERCENTILES: readonly number[] = [50, 99];
/** Fewer quiet pairs have no interval. */
export const QUIET_PAIRS_MIN = 5;

/** Share of the budget that the direct target's p99 may have: over it, the tail of the machine is as long as what is looked for. */
const DIRECT_P99_SHARE = 0.5;
/** Share of the budget by which the generator may be late at p99 while nothing but the origin works beside it. */
const LATENESS_SHARE = 0.25;
/** Of all cores' time: on two cores three tenths of one. Beyond it p99 is the scheduler's, of whatever runs. */
const OTHERS_SHARE_MAX = 0.15;
/** With more than this a generator that is late while the proxy runs may be late because of the others, and the pair does not count. */
const OTHERS_SHARE_BLAMELESS = 0.05;
const STEAL_SHARE_MAX = 0.05;
/** An interval whose ends are further apart than this is no figure. */
const INTERVAL_ENDS_MAX = 5;

/** Why this pair does not count; empty when it was quiet. */
export function noiseOf(pair: BudgetPair, budgetUs: number): Noise[] {
  const { direct, through } = pair;
  const directP99 = valueAtPercentile(direct.latency, 99);
  const others = Math.max(direct.othersShare ?? 0, through.othersShare ?? 0);
  const steal = Math.max(direct.stealShare ?? 0, through.stealShare ?? 0);
  const found: Noise[] = [];
  const check = (value: number, limit: number, say: (value: number, limit: number) => string): void => {
    if (value > limit) found.push({ sentence: say(value, limit), excess: value / limit });
  };
  check(others, OTHERS_SHARE_MAX, (is, max) => `other programs took ${percent(is)} of the processors (at most ${percent(max)} may be)`);
  check(
    steal,
    STEAL_SHARE_MAX,
    (is, max) => `other virtual machines took ${percent(is)} of the processors (at most ${percent(max)} may be)`,
  );
  check(
    direct.latenessP99Us,
    budgetUs * LATENESS_SHARE,
    (is, max) => `the load generator itself was ${ms(is)} late at p99 with no proxy running (at most ${ms(max)} may be)`,
  );
  if (others > OTHERS_SHARE_BLAMELESS) {
    check(
      through.latenessP99Us,
      budgetUs * LATENESS_SHARE,
      (is, max) => `the load generator was ${ms(is)} late at p99 (at most ${ms(max)} may be) while other programs took ${percent(others)}`,
    );
  }
  check(
    directP99,
    budgetUs * DIRECT_P99_SHARE,
    (is, max) => `without any proxy p99 was already ${ms(is)} (at most ${ms(max)} may be for a budget of ${ms(budgetUs)})`,
  );
  return found;
}

export function judgeBudget(pairs: readonly BudgetPair[], budgetUs: number): BudgetVerdict {
  const quiet = pairs.filter((pair) => noiseOf(pair, budgetUs).length === 0);
  const added = BUDGET_PERCENTILES.map((percentile) => addedAt(quiet.map(distributions), percentile));
  const verdict = (code: 0 | 1 | 2, sentence: string): BudgetVerdict => ({
    code,
    sentence,
    added,
    quietPairs: quiet.length,
    pairs: pairs.length,
  });
  const failed = failures(pairs);
  if (failed !== null) return verdict(failed.code, failed.sentence);
  if (quiet.length < QUIET_PAIRS_MIN) return verdict(2, noisySentence(pairs, quiet.length, budgetUs));
  const unsure = added.find((one) => one.us === null || one.interval === null);
  if (unsure !== undefined)
    return verdict(2, `cannot tell: too few requests for p${unsure.percentile}; use a higher --rate or more --seconds`);
  const over = added.filter((one) => one.interval!.low > budgetUs);
  const apart = over.filter((one) => one.interval!.high > INTERVAL_ENDS_MAX * one.interval!.low);
  if (apart.length > 0 && apart.length === over.length) {
    return verdict(
      2,
      `cannot tell: the proxy adds ${apart.map(figures).join(" and ")}, and pairs of rounds that differ so much tell nothing`,
    );
  }
  if (over.length > 0) return verdict(1, `the budget of ${ms(budgetUs)} is broken: the proxy adds ${over.map(figures).join(" and ")}`);
  const astride = added.filter((one) => one.interval!.high > budgetUs);
  if (astride.length > 0) {
    const what = astride.map(figures).join(" and ");
    return verdict(2, `cannot tell: the proxy adds ${what}, and the budget of ${ms(budgetUs)} lies within that interval`);
  }
  return verdict(0, `the budget of ${ms(budgetUs)} is kept: the proxy adds ${added.map(figures).join(" and ")}`);
}

/** Requests that failed are no latency: without the proxy nothing can be told, with it the proxy is broken. */
function failures(pairs: readonly BudgetPair[]): { code: 1 | 2; sentence: string } | null {
  const sum = (of: (pair: BudgetPair) => number): number => pairs.reduce((total, pair) => total + of(pair), 0);
  const direct = sum((pair) => pair.direct.errors);
  if (direct > 0) {
    return { code: 2, sentence: `cannot tell: ${direct} of ${sum((pair) => pair.direct.sent)} requests failed without any proxy` };
  }
  const through = sum((pair) => pair.through.errors);
  if (through === 0) return null;
  return { code: 1, sentence: `${through} of ${sum((pair) => pair.through.sent)} requests failed through the proxy, and none without it` };
}

/** The ground that most pairs share, with the worst that it came to. */
function noisySentence(pairs: readonly BudgetPair[], quiet: number, budgetUs: number): string {
  const all = pairs.flatMap((pair) => noiseOf(pair, budgetUs));
  const worst = all.reduce<Noise | null>((most, one) => (most === null || one.excess > most.excess ? one : most), null);
  const counted = `only ${quiet} of ${pairs.length} pairs of rounds were quiet, and ${QUIET_PAIRS_MIN} are needed`;
  if (worst === null) return `cannot tell: ${counted}`;
  return `cannot tell, the machine is too noisy: ${worst.sentence}; ${counted}`;
}

function distributions(pair: BudgetPair): { through: Distribution; direct: Distribution } {
  return { through: pair.through.latency, direct: pair.direct.latency };
}

function figures(added: Added): string {
  const { low, high } = added.interval!;
  return `${ms(added.us!)} at p${added.percentile} (95 % interval ${ms(low)} to ${ms(high)})`;
}

function ms(us: number): string {
  return `${(us / 1000).toFixed(Math.abs(us) < 10_000 ? 3 : 1)} ms`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
