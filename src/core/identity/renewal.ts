// When a certificate is renewed, and how long to wait after an attempt that failed. Pure: clocks and chance are handed in.
//
// A life is counted by two clocks, because either can be wrong alone: the wall clock jumps, and the monotonic one stands still while
// a machine is suspended. Whichever says first that it is time decides; a certificate has ended only by the wall clock,
// which is what peers go by. One that was received later than now, by a clock that has been set back since, may not be valid yet
// for anybody: it is time for another.

/** Of a certificate's life: renewed at a point in between, chosen for each certificate, so that replicas spread. */
const RENEW_FROM = 0.6;
const RENEW_TO = 0.7;

/** Set back by less, a clock catches up before a new certificate would be there. */
const SET_BACK_MS = 60_000;

/** Between two attempts while there is no valid certificate: nothing works without one, and a start is often a matter of order. */
const FIRST_RETRY_MS = { min: 250, max: 10_000 } as const;

/** Between two attempts while the certificate in use is still good. Shorter lives wait for a part of theirs. */
const RENEWAL_RETRY_MS = { min: 10_000, max: 300_000 } as const;
const RETRY_PART_MIN = 1 / 60;
const RETRY_PART_MAX = 1 / 12;
/** However short the life: an identity component is not asked more often. */
const RETRY_FLOOR_MS = 200;

/** A wait is this much shorter or longer by chance. */
const SPREAD = 0.25;

/** Doublings after which a wait has reached any maximum. */
const DOUBLINGS_MAX = 16;

/** A certificate in use. Wall clock in milliseconds since 1970, monotonic clock in milliseconds since some moment of its own. */
export interface Life {
  /** When it was received. */
  readonly from: number;
  /** Its end. */
  readonly until: number;
  /** The monotonic clock when the rest of the life was `restMs`. */
  readonly countedAt: number;
  readonly restMs: number;
  /** Where between the earliest and the latest moment it is renewed, 0 to 1. */
  readonly chance: number;
}

/** A life that begins or goes on at this moment. */
export function countLife(from: number, until: number, now: number, monotonic: number, chance: number): Life {
  return { from, until, countedAt: monotonic, restMs: Math.max(0, until - now), chance };
}

/** Milliseconds until the certificate should be renewed, 0 when it is time. */
export function renewalDelayMs(life: Life, now: number, monotonic: number): number {
  if (now < life.from - SET_BACK_MS) return 0;
  const lifeMs = life.until - life.from;
  const restAtRenewalMs = lifeMs * (1 - (RENEW_FROM + (RENEW_TO - RENEW_FROM) * life.chance));
  const byWall = life.until - restAtRenewalMs - now;
  const byMonotonic = life.restMs - restAtRenewalMs - (monotonic - life.countedAt);
  return Math.max(0, Math.min(byWall, byMonotonic));
}

/** True when one of the clocks says that it still is good: only then is it worth offering as proof. */
export function isPerhapsValid(life: Life, now: number, monotonic: number): boolean {
  return now < life.until || monotonic - life.countedAt < life.restMs;
}

/**
 * Milliseconds until the next attempt after so many failed ones (1 or more). `lifeMs` is that of the certificate in use, null without a
 * valid one; `chance` is 0 to 1.
 */
export function retryDelayMs(failures: number, lifeMs: number | null, chance: number): number {
  const { min, max } = lifeMs === null ? FIRST_RETRY_MS : renewalRetry(lifeMs);
  const delay = Math.min(max, min * 2 ** Math.min(failures - 1, DOUBLINGS_MAX));
  return Math.round(delay * (1 - SPREAD + 2 * SPREAD * chance));
}

function renewalRetry(lifeMs: number): { min: number; max: number } {
  const part = (of: number, atMost: number) => Math.max(RETRY_FLOOR_MS, Math.min(atMost, lifeMs * of));
  return { min: part(RETRY_PART_MIN, RENEWAL_RETRY_MS.min), max: part(RETRY_PART_MAX, RENEWAL_RETRY_MS.max) };
}
