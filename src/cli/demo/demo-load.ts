// The demo's own load: an open loop, so that a slow answer does not slow the asking down.
//
// Latency counts from the moment at which a request was due, not from when it was sent: what waits in this process waits for
// the caller as well. Bounded: at most IN_FLIGHT_MAX requests are open, one that finds no room counts as failed.

import { Agent, type IncomingMessage, request } from "node:http";
import { HdrLatency } from "../../core/telemetry/hdr.ts";

/** Twenty times what 200 requests/s with the slowest service keep open. */
const IN_FLIGHT_MAX = 512;
/** Well above the slowest service. */
const REQUEST_TIMEOUT_MS = 5000;
/** How often due requests are sent: what this adds to a latency is half of it. */
const TICK_MS = 1;

export class DemoLoad {
  readonly latency = new HdrLatency(3);
  sent = 0;
  succeeded = 0;
  failed = 0;
  /** Why the latest failed one failed. */
  lastFailure = "";
  readonly #port: number;
  readonly #rate: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT_MAX });
  #startedAt = 0;
  #inFlight = 0;
  #timer: NodeJS.Timeout | null = null;
  #whenIdle: (() => void) | null = null;

  /** `rate` in requests per second. */
  constructor(port: number, rate: number) {
    this.#port = port;
    this.#rate = rate;
  }

  start(): void {
    this.#startedAt = performance.now();
    this.#timer = setInterval(() => this.#sendDue(), TICK_MS);
  }

  /** Sends no more, and resolves when every open request has its answer. */
  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    if (this.#inFlight > 0) await new Promise<void>((resolve) => (this.#whenIdle = resolve));
    this.#agent.destroy();
  }

  #sendDue(): void {
    const due = Math.floor(((performance.now() - this.#startedAt) * this.#rate) / 1000);
    while (this.sent < due) {
      const dueAt = this.#startedAt + ((this.sent + 1) * 1000) / this.#rate;
      this.sent += 1;
      if (this.#inFlight < IN_FLIGHT_MAX) {
        this.#send(dueAt);
      } else {
        this.failed += 1;
        this.lastFailure = `${IN_FLIGHT_MAX} requests were open already`;
      }
    }
  }

  #send(dueAt: number): void {
    this.#inFlight += 1;
    let isOver = false;
    const finish = (failure: string | null): void => {
      if (isOver) return;
      isOver = true;
      if (failure === null) this.succeeded += 1;
      else {
        this.failed += 1;
        this.lastFailure = failure;
      }
      this.latency.record((performance.now() - dueAt) * 1000);
      this.#inFlight -= 1;
      if (this.#inFlight === 0) this.#whenIdle?.();
    };
    const outgoing = request(
      { host: "127.0.0.1", port: this.#port, path: "/", agent: this.#agent, timeout: REQUEST_TIMEOUT_MS },
      (response) => {
        response.resume();
        response.on("end", () => finish(failureOf(response)));
        response.on("close", () => finish("the answer broke off"));
      },
    );
    outgoing.on("timeout", () => outgoing.destroy(new Error(`no answer within ${REQUEST_TIMEOUT_MS} ms`)));
    outgoing.on("error", (error) => finish(error.message));
    outgoing.end();
  }
}

/** null for a complete 200. */
function failureOf(response: IncomingMessage): string | null {
  if (response.statusCode !== 200) return `${response.statusCode} ${response.headers["l5d-proxy-error"] ?? ""}`.trim();
  return response.complete ? null : "the answer broke off";
}
