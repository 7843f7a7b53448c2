// The load generator: a process of its own that is told runs over its IPC channel and answers each with histograms.
//
// Open loop: requests are due at moments fixed in advance (schedule.ts), whatever the answers do. Latency counts from the due moment,
// so a request that had to wait for a connection, or for this process, is as slow as its user would find it: nothing is omitted.
// Timers of Node tick in milliseconds, so the loop spins (setImmediate) before a due moment and takes most of a core. How late it
// was all the same is recorded and reported: a generator that is late measures itself.
// Closed loop (no rate): a request is due when the answer before it has come. For CPU per request, never for latency.

import { HdrLatency, summarise } from "../../src/core/telemetry/hdr.ts";
import { type ConnectionOwner, HttpConnection, type LoadConnection } from "./connection.ts";
import { type OpenLoopResult, type OpenLoopRun, SLICE_MS, type TimeSlice } from "./open-loop-protocol.ts";
import { Schedule } from "./schedule.ts";
import { WebSocketConnection } from "./websocket-connection.ts";

/** Sleeps (in whole milliseconds) when nothing is due for longer; a timer of 1 ms fires within 2. */
const SPIN_US = 3_000;
/** Lost connections are opened again, so many times. */
const LOST_MAX = 1_000;
/** After the last request was sent: what has not come by then does not come. */
const TAIL_MS = 5_000;
/** A connection that is not open by then will not be. */
const CONNECT_DEADLINE_MS = 10_000;
const HERE = "127.0.0.1";

function requestOf(run: OpenLoopRun): Buffer {
  const bytes = run.requestBytes ?? 0;
  const fields = `Host: ${run.host ?? HERE}:${run.port}\r\nUser-Agent: weft-bench\r\nAccept: */*\r\n`;
  if (bytes === 0) return Buffer.from(`GET ${run.path} HTTP/1.1\r\n${fields}\r\n`);
  return Buffer.concat([Buffer.from(`POST ${run.path} HTTP/1.1\r\n${fields}Content-Length: ${bytes}\r\n\r\n`), Buffer.alloc(bytes, "u")]);
}

class LoadRun implements ConnectionOwner {
  readonly #run: OpenLoopRun;
  readonly #latency = new HdrLatency(3);
  readonly #lateness = new HdrLatency(3);
  readonly #slices: HdrLatency[];
  readonly #idle: LoadConnection[] = [];
  readonly #all = new Set<LoadConnection>();
  readonly #request: Buffer;
  readonly #isClosedLoop: boolean;
  readonly #requestsMax: number;
  /** Due moments of requests that wait for a free connection. */
  readonly #waiting: number[] = [];
  #sent = 0;
  #completed = 0;
  #errors = 0;
  #queued = 0;
  #open = 0;
  #opened = 0;
  #lost = 0;
  #isOver = false;
  #isSending = false;
  #onAllOpen: (() => void) | null = null;
  #onFailure: ((error: Error) => void) | null = null;
  #beganMs = 0;
  #lastAnswerUs = 0;

  constructor(run: OpenLoopRun) {
    this.#run = run;
    this.#request = requestOf(run);
    this.#isClosedLoop = run.rate === null;
    this.#requestsMax = run.requestsMax ?? Number.POSITIVE_INFINITY;
    // What comes after the end (at most the tail) is counted in the last one.
    this.#slices = Array.from({ length: Math.ceil((run.seconds * 1000) / SLICE_MS) + 1 }, () => new HdrLatency(2));
  }

  async run(): Promise<OpenLoopResult> {
    try {
      await this.#connectAll();
      this.#beganMs = performance.now();
      this.#isSending = true;
      await (this.#isClosedLoop ? this.#sendClosed() : this.#sendAll());
      this.#isSending = false;
      await this.#receiveAll();
    } finally {
      this.#isOver = true;
      for (const connection of this.#all) connection.close();
    }
    return this.#result();
  }

  onAnswer(connection: LoadConnection, ok: boolean): void {
    const now = this.#nowUs();
    const us = now - connection.dueUs;
    this.#latency.record(us);
    const slice = Math.min(Math.floor(now / (SLICE_MS * 1000)), this.#slices.length - 1);
    this.#slices[slice]!.record(us);
    this.#lastAnswerUs = now;
    this.#completed += 1;
    if (!ok) this.#errors += 1;
    this.#free(connection);
  }

  onOpen(connection: LoadConnection): void {
    this.#open += 1;
    if (this.#open === this.#run.connections) this.#onAllOpen?.();
    this.#free(connection);
  }

  /** A request that was on it is missing at the end and counts as an error there. */
  onLost(connection: LoadConnection): void {
    this.#all.delete(connection);
    if (this.#isOver) return;
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#lost += 1;
    if (this.#lost <= LOST_MAX) this.#connect();
    else this.#onFailure?.(new Error(`more than ${LOST_MAX} connections to port ${this.#run.port} were lost`));
  }

  /** The connection has nothing to do: gives it what waits, or what a closed loop wants next. */
  #free(connection: LoadConnection): void {
    if (this.#isClosedLoop) {
      if (this.#isSending && this.#sent < this.#requestsMax) {
        this.#sent += 1;
        this.#send(connection, this.#nowUs());
      } else this.#idle.push(connection);
      return;
    }
    const due = this.#waiting.shift();
    if (due === undefined) this.#idle.push(connection);
    else this.#send(connection, due);
  }

  #connect(): void {
    const { host = HERE, port, path, protocol } = this.#run;
    this.#opened += 1;
    this.#all.add(
      protocol === "websocket" ? new WebSocketConnection(port, path, this) : new HttpConnection(host, port, this.#request, this),
    );
  }

  #connectAll(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`not all connections to port ${this.#run.port} were open after ${CONNECT_DEADLINE_MS} ms`)),
        CONNECT_DEADLINE_MS,
      );
      this.#onAllOpen = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#onFailure = (error) => {
        clearTimeout(timer);
        reject(error);
      };
      for (let i = 0; i < this.#run.connections; i++) this.#connect();
    });
  }

  #nowUs(): number {
    return (performance.now() - this.#beganMs) * 1000;
  }

  #send(connection: LoadConnection, dueUs: number): void {
    connection.dueUs = dueUs;
    connection.send();
  }

  async #sendClosed(): Promise<void> {
    const endMs = performance.now() + this.#run.seconds * 1000;
    for (const connection of this.#idle.splice(0)) this.#free(connection);
    while (performance.now() < endMs && this.#completed < this.#requestsMax) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  #sendAll(): Promise<void> {
    const schedule = new Schedule(this.#run.rate!, this.#run.seed);
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
        else setTimeout(look, 1);
      };
      look();
    });
  }

  #result(): OpenLoopResult {
    const slices: TimeSlice[] = this.#slices.map((slice, index) => ({
      atMs: index * SLICE_MS,
      ...summarise(2, slice.snapshot().counts),
    }));
    const missing = this.#sent - this.#completed;
    return {
      sent: this.#sent,
      completed: this.#completed,
      errors: this.#errors + missing,
      durationMs: missing > 0 ? this.#nowUs() / 1000 : Math.max(this.#lastAnswerUs / 1000, 0.001),
      latency: this.#latency.snapshot(),
      lateness: this.#lateness.snapshot(),
      queued: this.#queued,
      opened: this.#opened,
      slices: slices.filter((slice) => slice.count > 0),
    };
  }
}

process.on("message", (run: OpenLoopRun) => {
  new LoadRun(run).run().then(
    (result) => process.send!(result),
    (error: Error) => process.send!({ failed: error.message }),
  );
});
process.on("disconnect", () => process.exit(0));
