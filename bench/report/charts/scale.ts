// From figures to places, and which figures are written at an axis.

export type Scale = (value: number) => number;

export function linearScale(from: number, to: number, start: number, end: number): Scale {
  const span = to - from || 1;
  return (value) => start + ((value - from) / span) * (end - start);
}

/** Both ends over 0. */
export function logScale(from: number, to: number, start: number, end: number): Scale {
  const linear = linearScale(Math.log10(from), Math.log10(to), start, end);
  return (value) => linear(Math.log10(value));
}

/** Steps of 1, 2 or 5 times a power of ten from 0 to at least `to`; about `wanted` of them. */
export function linearTicks(to: number, wanted: number): number[] {
  if (!(to > 0)) return [0, 1];
  const rough = to / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * (rough / power <= 1 ? 1 : rough / power <= 2 ? 2 : rough / power <= 5 ? 5 : 10);
  const count = Math.ceil(to / step - 1e-9);
  // Multiplied rather than added up: 0.1 + 0.2 is not a tick.
  return Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

/** 1, 2 and 5 times each power of ten within the range; its ends are widened to the next of them. */
export function logTicks(from: number, to: number): number[] {
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(from)); power <= Math.ceil(Math.log10(to)); power++) {
    for (const digit of [1, 2, 5]) ticks.push(Number((digit * 10 ** power).toPrecision(3)));
  }
  const first = ticks.findLastIndex((tick) => tick <= from * 1.000001);
  const last = ticks.findIndex((tick) => tick >= to * 0.999999);
  const kept = ticks.slice(Math.max(0, first), last < 0 ? undefined : last + 1);
  // A single value has no range: one step up gives it one.
  return kept.length > 1 ? kept : [kept[0]!, kept[0]! * 2];
}

/** Ticks that are at least so far apart; whole powers of ten are kept before others, the ends are not special. */
export function thinned(ticks: readonly number[], scale: Scale, gap: number): number[] {
  const kept: number[] = [];
  const isFree = (tick: number): boolean => kept.every((other) => Math.abs(scale(other) - scale(tick)) >= gap);
  const isPower = (tick: number): boolean => tick > 0 && Math.abs(Math.log10(tick) - Math.round(Math.log10(tick))) < 1e-9;
  for (const tick of [...ticks.filter(isPower), ...ticks.filter((one) => !isPower(one))]) if (isFree(tick)) kept.push(tick);
  return kept.sort((a, b) => a - b);
}

/** A tick without superfluous digits: `0.05`, `2`, `10 000`. */
export function tickText(value: number): string {
  const text = String(Number(value.toPrecision(6)));
  return value >= 10_000 ? text.replace(/\B(?=(\d{3})+$)/g, "\u00a0") : text;
}
