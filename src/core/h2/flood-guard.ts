// Counts what costs the receiver more than the sender, by kind, in leaky buckets: integer arithmetic on a clock that is handed in.
//
// Every bucket holds two seconds' worth of its rate. Time empties it, and so does work, for frames that come with work: a client that
// opens a thousand streams a second may send a thousand priorities. What is over the rim ends the connection with ENHANCE_YOUR_CALM.
// Reference: CVE-2023-44487, CVE-2025-8671, CVE-2019-9511 to 9518; RFC 9113 section 10.5.

import type { H2Limits } from "./limits.ts";

export const Flood = {
  /** RST_STREAM for an open stream. */
  reset: 0,
  /** A stream error: we had to reset. */
  fault: 1,
  /** A stream above the limit, RST_STREAM for one that is over. */
  refusal: 2,
  settings: 3,
  ping: 4,
  priority: 5,
  emptyData: 6,
  tinyData: 7,
  windowUpdate: 8,
  unknown: 9,
} as const;
export type Flood = (typeof Flood)[keyof typeof Flood];

const KINDS = 10;

/** Seconds of its rate that a bucket holds. */
const BURST_SECONDS = 2;

/** A bucket's unit: a thousandth of an event, so that a rate per second is an integer per millisecond. */
const MILLI = 1000;

/** Milliseconds after which every bucket is empty. */
const LEAK_MS_MAX = BURST_SECONDS * 1000;

/**
 * Room that one stream opened makes, in thousandths of an event. Resets: a busy connection between proxies carries the cancellations of many
 * clients, a fourth of its requests at most; a rapid reset makes one per stream, and three fourths of each stay in the bucket.
 */
const OPENED_SHARE = new Int32Array(KINDS);
OPENED_SHARE[Flood.reset] = MILLI / 4;
OPENED_SHARE[Flood.refusal] = MILLI;
OPENED_SHARE[Flood.priority] = 2 * MILLI;
OPENED_SHARE[Flood.windowUpdate] = 4 * MILLI;

/** And one DATA frame sent. */
const SENT_SHARE = new Int32Array(KINDS);
SENT_SHARE[Flood.windowUpdate] = 4 * MILLI;

/** For logs: why the connection ended, by kind. */
const REASONS: readonly string[] = [
  "too many RST_STREAM frames",
  "too many stream errors",
  "too many streams above the limit or resets of closed ones",
  "too many SETTINGS frames",
  "too many PING frames",
  "too many PRIORITY frames",
  "too many empty DATA frames",
  "too many tiny DATA frames",
  "too many WINDOW_UPDATE frames",
  "too many frames that do nothing",
];

/** Rates by kind, made once for all connections with the same limits. */
const RATES = new WeakMap<H2Limits, Int32Array>();

function ratesOf(limits: H2Limits): Int32Array {
  const known = RATES.get(limits);
  if (known !== undefined) return known;
  const rates = new Int32Array(KINDS);
  rates[Flood.reset] = limits.resetsPerSecondMax;
  rates[Flood.fault] = limits.faultsPerSecondMax;
  rates[Flood.refusal] = limits.refusalsPerSecondMax;
  rates[Flood.settings] = limits.settingsPerSecondMax;
  rates[Flood.ping] = limits.pingsPerSecondMax;
  rates[Flood.priority] = limits.prioritiesPerSecondMax;
  rates[Flood.emptyData] = limits.emptyDataPerSecondMax;
  rates[Flood.tinyData] = limits.tinyDataPerSecondMax;
  rates[Flood.windowUpdate] = limits.windowUpdatesPerSecondMax;
  rates[Flood.unknown] = limits.unknownFramesPerSecondMax;
  RATES.set(limits, rates);
  return rates;
}

export class FloodGuard {
  readonly #rates: Int32Array;
  /** Per kind: level, time and work when it was counted last. One array: each costs a connection 200 bytes beside its own. */
  readonly #buckets = new Float64Array(3 * KINDS);
  /** Streams opened (not those that were refused) and DATA frames sent: the connection counts. */
  opened = 0;
  sent = 0;

  constructor(limits: H2Limits) {
    this.#rates = ratesOf(limits);
  }

  /** Counts one event. True: that is too many. `nowMs`: any clock that does not go back; a step back counts as no time. */
  isOver(kind: Flood, nowMs: number): boolean {
    const rate = this.#rates[kind]!;
    const buckets = this.#buckets;
    const at = 3 * kind;
    const elapsedMs = Math.min(Math.max(Math.trunc(nowMs - buckets[at + 1]!), 0), LEAK_MS_MAX);
    let level = buckets[at]! - elapsedMs * rate;
    buckets[at + 1] = elapsedMs === LEAK_MS_MAX ? nowMs : buckets[at + 1]! + elapsedMs;
    const work = this.opened * OPENED_SHARE[kind]! + this.sent * SENT_SHARE[kind]!;
    level -= work - buckets[at + 2]!;
    buckets[at + 2] = work;
    level = Math.max(level, 0) + MILLI;
    buckets[at] = level;
    return level > rate * BURST_SECONDS * MILLI;
  }

  /** What there was too much of. */
  reason(kind: Flood): string {
    return REASONS[kind]!;
  }
}
