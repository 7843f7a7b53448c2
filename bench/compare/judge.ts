// Is a figure of one run different from the same figure of another, beyond noise? Pure.
//
// Three hurdles, and a difference has to take all of them. It must exclude zero in a 99 % bootstrap interval over rounds (99, because
// a comparison makes dozens of such decisions). It must be worth a word: 3 %, or 20 us of latency. And it must be larger than
// what subjects show that have not changed: between two runs a machine changes too, and no resampling of rounds sees that.

import { twoMediansInterval } from "../statistics/bootstrap.ts";
import { median } from "../statistics/spread.ts";
import type { Figure, FigureKind } from "./samples.ts";

export interface Change {
  readonly before: number;
  readonly after: number;
  /** Of the kind: a share (0.1 = 10 % more) for ratios, CPU and memory; microseconds for latency. Above 0 is worse. */
  readonly amount: number;
  readonly low: number;
  readonly high: number;
  /** Largest amount of a subject that has not changed, as a size; null when there is none to look at. */
  readonly control: number | null;
  readonly verdict: "better" | "worse" | "same" | "unknown";
}

const LEVEL = 0.99;
const WORTH_A_WORD: Readonly<Record<FigureKind, number>> = { ratio: 0.03, cpu: 0.03, kb: 0.03, us: 20 };

function amountOf(kind: FigureKind): (before: number, after: number) => number {
  return kind === "us" ? (before, after) => after - before : (before, after) => after / before - 1;
}

/** `controls`: the same figure of subjects that are the same program in both runs. */
export function judge(before: Figure, after: Figure, controls: readonly { readonly before: Figure; readonly after: Figure }[]): Change {
  const { kind } = before;
  const amount = amountOf(kind);
  const moved = controls.map((one) => Math.abs(amount(median(one.before.samples), median(one.after.samples)))).filter(Number.isFinite);
  const medians = { before: median(before.samples), after: median(after.samples) };
  const size = amount(medians.before, medians.after);
  const interval = twoMediansInterval(before.samples, after.samples, LEVEL, amount);
  const control = moved.length === 0 ? null : Math.max(...moved);
  if (interval === null || !Number.isFinite(size)) {
    return { ...medians, amount: size, low: Number.NaN, high: Number.NaN, control, verdict: "unknown" };
  }
  const isBeyond = (interval.low > 0 || interval.high < 0) && Math.abs(size) >= WORTH_A_WORD[kind] && Math.abs(size) > (control ?? 0);
  return { ...medians, amount: size, ...interval, control, verdict: !isBeyond ? "same" : size > 0 ? "worse" : "better" };
}
