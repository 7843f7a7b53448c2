// A steady load on one URL, and what came of each request: for tests that break something meanwhile.
//
// Open loop: requests are due at fixed moments, so an outage is as long as it was. A request that has no answer in time counts as failed.

import { Agent, get } from "node:http";

const ANSWER_MS_MAX = 10_000;
const SOCKETS_MAX = 64;

export interface Failure {
  /** When the request was sent, milliseconds since 1970: comparable with what the engine says of its containers. */
  readonly sentMs: number;
  readonly why: string;
}

export class Load {
  readonly #url: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: SOCKETS_MAX });
  readonly #timer: NodeJS.Timeout;
  readonly failures: Failure[] = [];
  /** Send moments of requests that were answered with 200. */
  readonly answered: number[] = [];
  #open = 0;
  #onIdle: (() => void) | null = null;

  constructor(url: string, requestsPerSecond: number) {
    this.#url = url;
    this.#timer = setInterval(() => this.#send(), 1000 / requestsPerSecond);
  }

  #send(): void {
    const sentMs = Date.now();
    this.#open += 1;
    let isOver = false;
    const over = (why: string | null): void => {
      if (isOver) return;
      isOver = true;
      if (why === null) this.answered.push(sentMs);
      else this.failures.push({ sentMs, why });
      this.#open -= 1;
      if (this.#open === 0) this.#onIdle?.();
    };
    const request = get(this.#url, { agent: this.#agent, timeout: ANSWER_MS_MAX }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on("end", () => over(response.statusCode === 200 ? null : `${response.statusCode} ${text.trim()}`));
      response.on("error", (error: Error) => over(error.message));
    });
    request.on("timeout", () => request.destroy(new Error(`no answer within ${ANSWER_MS_MAX} ms`)));
    request.on("error", (error: NodeJS.ErrnoException) => over(error.code ?? error.message));
  }

  /** So many more answers with 200 than now. */
  answersFrom(sentMs: number): number {
    return this.answered.filter((at) => at >= sentMs).length;
  }

  failuresFrom(sentMs: number): Failure[] {
    return this.failures.filter((failure) => failure.sentMs >= sentMs);
  }

  /** Sends no more, and waits for what is open. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    if (this.#open > 0)
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    this.#agent.destroy();
  }
}

/** `3 x 502 web answered 502, 1 x ECONNRESET`; nothing without failures. */
export function told(failures: readonly Failure[]): string {
  const counts = new Map<string, number>();
  for (const { why } of failures) counts.set(why, (counts.get(why) ?? 0) + 1);
  return [...counts].map(([why, count]) => `${count} x ${why}`).join(", ");
}
