// The open-loop load generator: a process of its own that is told runs over its IPC channel and answers each with histograms.
//
// Requests are due at moments fixed in advance (schedule.ts), whatever the answers do. Latency counts from the due moment, so a
// request that had to wait for a connection, or for this process, is as slow as its user would find it: nothing is omitted.
// Timers of Node tick in milliseconds, so the loop spins (setImmediate) before a due moment and takes most of a core. How late it
// was all the same is recorded and reported: a generator that is late measures itself.

import { HdrLatency } from "../../src/core/telemetry/hdr.ts";
import { Connection, type ConnectionOwner } from "./connection.ts";
import type { OpenLoopResult, OpenLoopRun } from "./open-loop-protocol.ts";
import { Schedule } from "./schedule.ts";

/** Sleeps (in whole milliseconds) when nothing is due for longer; a timer of 1 ms fires within 2. */
const SPIN_US = 3_000;
/** Lost connections are opened again, so many times. */
const LOST_MAX = 1_000;
/** After the last request was sent: what has not come by then does not come. */
const TAIL_MS = 5_000;

class OpenLoop implements ConnectionOwner {
  readonly #run: OpenLoopRun;
  readonly #latency = new HdrLatency(3);
  readonly #lateness = new HdrLatency(3);
  readonly #idle: Connection[] = [];
  readonly #all = new Set<Connection>();
  readonly #request: Buffer;
  /** Due moments of requests that wait for a free connection. */
  readonly #waiting: number[] = [];
  #sent = 0;
  #completed = 0;
  #errors = 0;
  #queued = 0;
  #open = 0;
  #lost = 0;
  #isOver = false;
  #onAllOpen: (() => void) | null = null;
  #onFailure: ((error: Error) => void) | null = null;
  #beganMs = 0;

  constructor(run: OpenLoopRun) {
    this.#run = run;
    this.#request = Buffer.from(`GET ${run.path} HTTP/1.1\r\nHost: 127.0.0.1:${run.port}\r\nUser-Agent: open-loop\r\nAccept: */*\r\n\r\n`);
  }

  async run(): Promise<OpenLoopResult> {
    await this.#connectAll();
    this.#beganMs = performance.now();
    await this.#sendAll();
    await this.#receiveAll();
    this.#isOver = true;
    for (const connection of this.#all) connection.close();
    return {
      sent: this.#sent,
      completed: this.#completed,
      errors: this.#errors + (this.#sent - this.#completed),
      latency: this.#latency.snapshot(),
      lateness: this.#lateness.snapshot(),
      queued: this.#queued,
    };
  }

  onAnswer(connection: Connection, ok: boolean): void {
    this.#latency.record(this.#nowUs() - connection.dueUs);
    this.#completed += 1;
    if (!ok) this.#errors += 1;
    const due = this.#waiting.shift();
    if (due === undefined) this.#idle.push(connection);
    else this.#send(connection, due);
  }

  onOpen(connection: Connection): void {
    this.#open += 1;
    if (this.#open === this.#run.connections) this.#onAllOpen?.();
    const due = this.#waiting.shift();
    if (due === undefined) this.#idle.push(connection);
    else this.#send(connection, due);
  }

  /** A request that was on it is missing at the end and counts as an error there. */
  onLost(connection: Connection): void {
    this.#all.delete(connection);
    if (this.#isOver) return;
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#lost += 1;
    if (this.#lost <= LOST_MAX) this.#connect();
    else this.#onFailure?.(new Error(`more than ${LOST_MAX} connections to port ${this.#run.port} were lost`));
  }

  #connect(): void {
    this.#all.add(new Connection(this.#run.port, this.#request, this));
  }

  #connectAll(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onAllOpen = resolve;
      this.#onFailure = reject;
      for (let i = 0; i < this.#run.connections; i++) this.#connect();
    });
  }

  #nowUs(): number {
    return (performance.now() - this.#beganMs) * 1000;
  }

  #send(connection: Connection, dueUs: number): void {
    connection.dueUs = dueUs;
    connection.send();
  }

  #sendAll(): Promise<void> {
    const schedule = new Schedule(this.#run.rate, this.#run.seed);
    const endUs = this.#run.seconds * 1_000_000;
    let dueUs = schedule.next();
    return new Promise((resolve) => {
      const turn = (): void => {
        const now = this.#nowUs();
        while (dueUs <= now && dueUs < endUs) {
          this.#lateness.record(now - dueUs);
          this.#sent += 1;
          // The one that has been idle longest: every connection takes its turn.
          const connection = this.#idle.shift();
          if (connection !== undefined) this.#send(connection, dueUs);
          else {
            this.#queued += 1;
            this.#waiting.push(dueUs);
          }
          dueUs = schedule.next();
        }
        if (dueUs >= endUs) resolve();
        else if (dueUs - now > SPIN_US) setTimeout(turn, 1);
        else setImmediate(turn);
      };
      turn();
    });
  }

  #receiveAll(): Promise<void> {
    const deadline = performance.now() + TAIL_MS;
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.#completed === this.#sent || performance.now() > deadline) resolve();
        else setTimeout(look, 5);
      };
      look();
    });
  }
}

process.on("message", (run: OpenLoopRun) => {
  new OpenLoop(run).run().then(
    (result) => process.send!(result),
    (error: Error) => process.send!({ failed: error.message }),
  );
});
process.on("disconnect", () => process.exit(0));
