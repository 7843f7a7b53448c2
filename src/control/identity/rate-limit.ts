// How often one identity may get a certificate: a bucket of tokens for each, in a bounded table.
//
// Asked only after the proof, so that nobody can use up another workload's share.

/** A workload of hundreds of replicas that start at the same moment passes. */
const BURST = 500;

/** And of thousands that renew all the time. */
const PER_SECOND = 50;

/** Identities remembered, at 150 bytes each; the one that was not seen for longest goes first. */
const IDENTITIES_MAX = 20_000;

export class RateLimit {
  /** By name, the least recently used first. */
  readonly #buckets = new Map<string, { level: number; atMs: number }>();
  readonly #nowMs: () => number;

  /** `nowMs`: a monotonic clock. */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** Takes one; false when there is none. */
  take(name: string): boolean {
    const nowMs = this.#nowMs();
    const bucket = this.#buckets.get(name) ?? { level: BURST, atMs: nowMs };
    this.#buckets.delete(name);
    this.#buckets.set(name, bucket);
    if (this.#buckets.size > IDENTITIES_MAX) this.#buckets.delete(this.#buckets.keys().next().value!);
    bucket.level = Math.min(BURST, bucket.level + ((nowMs - bucket.atMs) / 1000) * PER_SECOND);
    bucket.atMs = nowMs;
    if (bucket.level < 1) return false;
    bucket.level -= 1;
    return true;
  }
}
