// The demo's own load: an open loop, so that a slow answer does not slow the asking down.
//
// Latency counts from the moment at which a request was due, not from when it was sent: what waits in this process waits for
// the caller as well. Bounded: at most IN_FLIGHT_MAX requests are open, one that finds no room counts as failed.

import { Agent, request } from "node:http";
import { HdrLatency } from "../../core/telemetry/hdr.ts";

/** Twenty times what 200 requests/s with the slowest service keep open. */
const IN_FLIGHT_MAX = 512;
/** Well above the slowest service's 60 ms. */
const REQUEST_TIMEOUT_MS = 5000;
/** How often due requests are sent; 1 per turn at 200/s. */
const TICK_MS = 5;

export class DemoLoad {
  readonly latency = new HdrLatency(3);
  sent = 0;
  succeeded = 0;
  failed = 0;
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
      if (this.#inFlight < IN_FLIGHT_MAX) this.#send(dueAt);
      else this.failed += 1;
    }
  }

  #send(dueAt: number): void {
    this.#inFlight += 1;
    let isOver = false;
    const finish = (isSuccess: boolean): void => {
      if (isOver) return;
      isOver = true;
      if (isSuccess) this.succeeded += 1;
      else this.failed += 1;
      this.latency.record((performance.now() - dueAt) * 1000);
      this.#inFlight -= 1;
      if (this.#inFlight === 0) this.#whenIdle?.();
    };
    const outgoing = request(
      { host: "127.0.0.1", port: this.#port, path: "/", agent: this.#agent, timeout: REQUEST_TIMEOUT_MS },
      (response) => {
        response.resume();
        response.on("end", () => finish(response.complete && response.statusCode === 200));
        response.on("close", () => finish(false));
      },
    );
    outgoing.on("timeout", () => outgoing.destroy());
    outgoing.on("error", () => finish(false));
    outgoing.end();
  }
}
