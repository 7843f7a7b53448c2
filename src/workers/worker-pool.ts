// The worker threads: one seat per worker, each with one life after the other, in a Piscina pool.
//
// Placement: a connection goes to the serving worker with the fewest connections, those on their way included; without
// one that serves, to one that is starting; without any, it waits here for the next (bounded by the acceptor's limit).
// A life that ends without having been told to is replaced: at once at first, later and later when it goes on
// dying (restart-policy.ts). What it had not claimed goes to the others.

import type { Piscina } from "piscina";
import type { WorkerUpdate } from "../config/snapshot.ts";
import type { Waiting } from "./hand-off.ts";
import { RestartPolicy } from "./restart-policy.ts";
import { abortConnection, closeDescriptor, localPort } from "./system-calls.ts";
import { WATCH_PERIOD_MS } from "./watchdog.ts";
import { type LifeEnd, WorkerLife } from "./worker-life.ts";
import type { TestAction } from "./worker-messages.ts";
import { siblingModule } from "./worker-module.ts";
import type { WorkerSet, WorkerSetOptions, WorkerStatus } from "./worker-set.ts";

/** Semi-spaces of 16 MB hold all that lives for one turn; workers do not read the command line's flags. */
const YOUNG_GENERATION_MB = 16;
/** A worker's own data is a few MB; at this it is a leak, and dies alone. */
const OLD_GENERATION_MB = 224;
/** After the order to cut, a thread that does not obey is ended. */
const CUT_MS = 1_000;
/** Once one worker serves, a start waits so long for the others: long-lived connections should not all go to the first. */
const OTHERS_MS = 250;

interface Seat {
  readonly name: string;
  readonly policy: RestartPolicy;
  life: WorkerLife | null;
  restarts: number;
  timer: NodeJS.Timeout | null;
}

export class WorkerPool implements WorkerSet {
  readonly #options: WorkerSetOptions;
  readonly #seats: Seat[] = [];
  readonly #lives: WorkerLife[] = [];
  /** Connections that no worker could take. */
  #waiting: Waiting[] = [];
  /** By descriptor number: the serial of the connection that had it last. */
  readonly #serials: number[] = [];
  #nextSerial = 0;
  #version = 0;
  #pool: Piscina | null = null;
  #watch: NodeJS.Timeout | null = null;
  #isDraining = false;
  #cut = 0;
  #onServing: (() => void) | null = null;
  #onEmpty: (() => void) | null = null;

  constructor(count: number, options: WorkerSetOptions) {
    this.#options = options;
    for (let index = 0; index < count; index++) {
      this.#seats.push({ name: `worker/${index}`, policy: new RestartPolicy(), life: null, restarts: 0, timer: null });
    }
  }

  async start(): Promise<void> {
    const { Piscina } = await import("piscina");
    this.#pool = new Piscina({
      filename: siblingModule("worker-main"),
      // With minThreads above 0 Piscina itself would respawn a worker that dies at start, without any pause.
      minThreads: 0,
      maxThreads: this.#seats.length,
      // An idle worker must not block its event loop.
      atomics: "disabled",
      // Descriptors come from the acceptor: Node must neither close nor complain about those that it did not open.
      trackUnmanagedFds: false,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB, maxOldGenerationSizeMb: OLD_GENERATION_MB },
    });
    this.#pool.on("error", (error: Error) => this.#options.log("error", "worker pool", { error: error.message }));
    const first = new Promise<void>((resolve) => {
      this.#onServing = resolve;
    });
    for (const seat of this.#seats) this.#begin(seat);
    this.#watch = setInterval(() => {
      for (const life of this.#lives) life.watch();
    }, WATCH_PERIOD_MS);
    await first;
    const all = new Promise<void>((resolve) => {
      this.#onServing = () => {
        if (this.serving === this.#seats.length) resolve();
      };
      this.#onServing();
    });
    await atMost(OTHERS_MS, all);
    this.#onServing = null;
  }

  get serving(): number {
    let count = 0;
    for (const life of this.#lives) if (life.isServing) count++;
    return count;
  }

  get openConnections(): number {
    let open = this.#waiting.length;
    for (const life of this.#lives) open += life.load;
    return open;
  }

  place(fd: number, listener: number): void {
    const serial = this.#nextSerial;
    this.#nextSerial = (serial + 1) | 0;
    this.#serials[fd] = serial;
    this.#offer({ fd, listener, serial });
  }

  flush(): void {
    for (const life of this.#lives) if (life.sender.pending > 0) life.wake();
  }

  update(update: WorkerUpdate): void {
    this.#version = update.version;
    for (const life of this.#lives) life.send({ kind: "update", update, listenerIds: this.#options.listenerIds });
  }

  async status(): Promise<readonly WorkerStatus[]> {
    return await Promise.all(
      this.#seats.map(async ({ name, life, restarts }) => ({
        name,
        state: life === null ? ("backing off" as const) : life.isServing ? ("serving" as const) : ("starting" as const),
        openConnections: life?.sender.open ?? 0,
        pendingConnections: life?.sender.pending ?? 0,
        restarts,
        forwarder: life?.isServing ? await life.ask() : null,
      })),
    );
  }

  test(worker: number, action: TestAction): void {
    this.#seats[worker]?.life?.send({ kind: "test", action });
  }

  async drain(graceMs: number, cut: Promise<void>): Promise<number> {
    this.#isDraining = true;
    for (const seat of this.#seats) if (seat.timer !== null) clearTimeout(seat.timer);
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
      if (this.#lives.length === 0) resolve();
    });
    for (const life of this.#lives) life.send({ kind: "drain" });
    await atMost(graceMs, Promise.race([empty, cut]));
    for (const life of this.#lives) life.send({ kind: "cut" });
    await atMost(CUT_MS, empty);
    for (const life of [...this.#lives]) {
      this.#cut += life.sender.open;
      life.kill("killed");
    }
    this.#closeWaiting();
    if (this.#watch !== null) clearInterval(this.#watch);
    await this.#pool?.destroy();
    return this.#cut;
  }

  #begin(seat: Seat): void {
    const life = new WorkerLife(seat.name, this.#pool!, this.#options, {
      onServing: () => {
        this.#options.onServing(this.serving);
        this.#onServing?.();
        this.#placeWaiting();
      },
      onEnd: (end) => this.#ended(seat, life, end),
      onLimbo: (limbo) => this.#settleLimbo(limbo),
    });
    seat.timer = null;
    seat.life = life;
    this.#lives.push(life);
    this.#placeWaiting();
  }

  #offer(waiting: Waiting): void {
    let best: WorkerLife | null = null;
    let bestLoad = 0;
    for (const life of this.#lives) {
      const load = life.load;
      if (best === null || (life.isServing && !best.isServing) || (life.isServing === best.isServing && load < bestLoad)) {
        best = life;
        bestLoad = load;
      }
    }
    if (best?.sender.push(waiting.fd, waiting.listener, waiting.serial, this.#version)) return;
    // Rare: the ring of the least loaded is full, or there is no worker.
    const other = this.#lives.find(
      (life) => life !== best && life.sender.push(waiting.fd, waiting.listener, waiting.serial, this.#version),
    );
    if (other === undefined) this.#waiting.push(waiting);
  }

  #placeWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) this.#offer(one);
    this.flush();
  }

  #closeWaiting(): void {
    for (const { fd } of this.#waiting) abortConnection(fd);
    this.#cut += this.#waiting.length;
    this.#waiting = [];
  }

  #ended(seat: Seat, life: WorkerLife, end: LifeEnd): void {
    this.#lives.splice(this.#lives.indexOf(life), 1);
    seat.life = null;
    this.#options.onServing(this.serving);
    this.#cut += end.cut;
    this.#waiting.push(...end.waiting);
    this.#placeWaiting();
    if (this.#isDraining) {
      if (end.reason !== "drained" && end.reason !== "killed") this.#report(seat, end, 0, 1);
      if (this.#lives.length === 0) this.#onEmpty?.();
      return;
    }
    const { delayMs, crashes } = seat.policy.crashed(performance.now());
    this.#report(seat, end, delayMs, crashes);
    seat.restarts++;
    this.#options.onRestart(end.reason);
    if (delayMs === 0) this.#begin(seat);
    else seat.timer = setTimeout(() => this.#begin(seat), delayMs);
  }

  #report(seat: Seat, end: LifeEnd, delayMs: number, crashes: number): void {
    const what = delayMs === 0 ? "a worker died and is replaced" : "a worker dies again and again; its replacement waits";
    const { reason, error, waiting } = end;
    this.#options.log("error", what, { worker: seat.name, reason, error: error?.stack, crashes, delayMs, handedOn: waiting.length });
  }

  /** A thread died between claiming a connection and confirming it: if nobody else has the number now, it is still open. */
  #settleLimbo({ fd, serial }: Waiting): void {
    if (this.#serials[fd] !== serial || !this.#options.isListenerPort(localPort(fd))) return;
    closeDescriptor(fd);
  }
}

/** Waits for a promise, but not longer than `ms`. */
async function atMost(ms: number, promise: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([
    promise,
    new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    }),
  ]);
  clearTimeout(timer);
}
