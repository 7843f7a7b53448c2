// An attack, and beside it what must not suffer: a good client on a connection of its own, and the target's memory.

import { readMemory } from "../../bench/support/proc.ts";
import { headers } from "../support/h2-frames.ts";
import { block, type Fields } from "../support/h2-hpack.ts";
import { H2Peer } from "../support/h2-peer.ts";
import type { Attack, AttackOptions, AttackReport } from "./attack.ts";

export interface WatchOptions extends AttackOptions {
  /** The target's process, for its memory. */
  readonly pid?: number;
  /** What the good client asks for; "/" unless said otherwise. */
  readonly goodPath?: string;
}

export interface Watched {
  readonly report: AttackReport;
  readonly goodRequests: number;
  /** What went wrong for the good client: connections cut, requests without an answer of 2xx. */
  readonly goodFailures: readonly string[];
  readonly goodWorstMs: number;
  /** How far private memory rose above where it was, in KB; null without `pid`. */
  readonly growthKb: number | null;
}

const MEMORY_SAMPLE_MS = 100;

/** Asks, reads, asks again, on one connection, until it is stopped. A failure is noted, and the next connection begins. */
class GoodClient {
  requests = 0;
  worstMs = 0;
  readonly failures: string[] = [];
  readonly #options: { readonly port: number; readonly tls: boolean };
  readonly #fields: Fields;
  #isStopping = false;
  readonly #ended: Promise<void>;

  constructor(port: number, options: WatchOptions) {
    this.#options = { port, tls: options.tls ?? false };
    this.#fields = [
      [":method", "GET"],
      [":scheme", options.tls ? "https" : "http"],
      [":path", options.goodPath ?? "/"],
      [":authority", options.authority ?? "web"],
    ];
    this.#ended = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#ended;
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      let peer: H2Peer | undefined;
      try {
        peer = await H2Peer.open({ ...this.#options, credit: true });
        for (let stream = 1; !this.#isStopping; stream += 2) await this.#ask(peer, stream);
      } catch (error) {
        this.failures.push((error as Error).message);
        // A target that is gone would otherwise be asked without a pause.
        await new Promise((resolve) => setTimeout(resolve, MEMORY_SAMPLE_MS));
      } finally {
        peer?.destroy();
      }
    }
  }

  async #ask(peer: H2Peer, stream: number): Promise<void> {
    const began = performance.now();
    peer.send(headers(stream, block(this.#fields), { endStream: true }));
    this.requests += 1;
    const { fields, flags } = await peer.expectHeaders(stream);
    const status = fields.find(([name]) => name === ":status")?.[1];
    if (!status?.startsWith("2")) this.failures.push(`status ${status}`);
    if ((flags & 1) === 0) await peer.expect("the end", (received) => received.streamId === stream && (received.flags & 1) !== 0);
    this.worstMs = Math.max(this.worstMs, performance.now() - began);
    // Others get their turn between two requests.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Runs the attack for `seconds`, with a good client beside it. */
export async function underAttack(attack: Attack, port: number, seconds: number, options: WatchOptions = {}): Promise<Watched> {
  const { pid } = options;
  const before = pid === undefined ? 0 : readMemory(pid).anonymous;
  let peak = before;
  const sample = (): void => {
    if (pid !== undefined) peak = Math.max(peak, readMemory(pid).anonymous);
  };
  const timer = setInterval(sample, MEMORY_SAMPLE_MS);
  const good = new GoodClient(port, options);
  try {
    const report = await attack(port, seconds, options);
    sample();
    await good.stop();
    const { requests: goodRequests, failures: goodFailures, worstMs: goodWorstMs } = good;
    return { report, goodRequests, goodFailures, goodWorstMs, growthKb: pid === undefined ? null : peak - before };
  } finally {
    clearInterval(timer);
    await good.stop();
  }
}
