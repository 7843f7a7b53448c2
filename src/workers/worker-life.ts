// One life of one worker thread, from the supervisor's side: its task, port, ring and counters.
//
// A life ends once, for whatever reason, in two steps. First the task settles: the thread runs no more of our code, what it
// had not claimed is taken back. Then the thread itself and its port are gone: only now is it certain what its counters are
// and whether the one descriptor in limbo (claimed, not confirmed) is still open.

import { MessageChannel, type MessagePort, type Worker } from "node:worker_threads";
import type { Piscina } from "piscina";
import { Recorder } from "../core/telemetry/recorder.ts";
import { HandOffSender, handOffMemory, type Waiting } from "./hand-off.ts";
import { Watchdog } from "./watchdog.ts";
import { type FromWorker, type ServeResult, type ServeTask, type ToWorker, WAKE } from "./worker-messages.ts";
import type { CounterSink, WorkerSetOptions } from "./worker-set.ts";

/** A worker that does not answer a question in this time is busy; /stats.json says so. */
const ANSWER_MS = 500;

/** How a life ended. */
export interface LifeEnd {
  /** `drained` is the only good one. */
  readonly reason: "drained" | "exception" | "heap" | "exit" | "hung" | "killed";
  readonly error: Error | null;
  /** Connections that a cut closed. */
  readonly cut: number;
  readonly waiting: readonly Waiting[];
}

export interface LifeHandlers {
  onServing(): void;
  onEnd(end: LifeEnd): void;
  /** A descriptor that the thread may have left open. Called when the thread is gone. */
  onLimbo(waiting: Waiting): void;
}

export class WorkerLife {
  readonly sender: HandOffSender;
  isServing = false;
  readonly #name: string;
  readonly #options: WorkerSetOptions;
  readonly #handlers: LifeHandlers;
  readonly #port: MessagePort;
  readonly #sink: CounterSink;
  readonly #abort = new AbortController();
  readonly #watchdog = new Watchdog();
  readonly #questions = new Map<number, (stats: object | null) => void>();
  readonly #pool: Piscina;
  #thread: Worker | null = null;
  #killReason: "hung" | "killed" | null = null;
  #nextQuestion = 0;

  constructor(name: string, pool: Piscina, options: WorkerSetOptions, handlers: LifeHandlers) {
    const { forwarderModule, seriesMax, testHooks } = options;
    const { port1, port2 } = new MessageChannel();
    const handOff = handOffMemory();
    const slots = Recorder.memory(Recorder.slotsFor(seriesMax));
    this.#name = name;
    this.#options = options;
    this.#handlers = handlers;
    this.#port = port1;
    this.#pool = pool;
    this.sender = new HandOffSender(handOff);
    this.#sink = options.onLife(name, slots);
    port1.on("message", (message: FromWorker) => this.#hear(message));
    port1.on("close", () => this.#sink.retire());
    const task: ServeTask = { name, port: port2, handOff, slots, seriesMax, forwarderModule, testHooks };
    this.send({ kind: "update", update: options.fullUpdate(), listenerIds: options.listenerIds });
    pool.run(task, { name: "serve", transferList: [port2], signal: this.#abort.signal }).then(
      (result: ServeResult) => this.#ended("drained", null, result.cut),
      (error: Error & { code?: string }) => this.#ended(this.#killReason ?? reasonOf(error), error, 0),
    );
  }

  send(message: ToWorker): void {
    this.#port.postMessage(message);
  }

  /** Wakes the worker if it has not been since it last looked into the ring. */
  wake(): void {
    if (this.sender.mustWake()) this.#port.postMessage(WAKE);
  }

  /** Connections open or on their way: what placement compares. */
  get load(): number {
    return this.sender.open + this.sender.pending;
  }

  /** One look of the watchdog. */
  watch(): void {
    if (!this.#watchdog.isLost(this.sender.beat)) return;
    this.#options.log("error", "a worker's loop has not turned for 5 s: it is replaced", { worker: this.#name });
    this.kill("hung");
  }

  /** Ends the thread wherever it is. Its connections are lost. */
  kill(reason: "hung" | "killed"): void {
    this.#killReason = reason;
    this.#abort.abort();
  }

  /** What the forwarder says about itself; null when it does not answer in time. */
  async ask(): Promise<object | null> {
    const id = this.#nextQuestion++;
    return await new Promise((resolve) => {
      const timer = setTimeout(() => this.#answer(id, null), ANSWER_MS);
      this.#questions.set(id, (stats) => {
        clearTimeout(timer);
        resolve(stats);
      });
      this.send({ kind: "ask", id });
    });
  }

  #answer(id: number, stats: object | null): void {
    this.#questions.get(id)?.(stats);
    this.#questions.delete(id);
  }

  #hear(message: FromWorker): void {
    switch (message.kind) {
      case "serving":
        this.#thread = this.#pool.threads.find((thread) => thread.threadId === message.threadId) ?? null;
        this.isServing = true;
        this.#handlers.onServing();
        break;
      case "log":
        this.#options.log(message.level, message.message, { worker: this.#name, ...message.fields });
        break;
      case "series":
        this.#sink.add(message.descriptor);
        break;
      case "connect-failed":
        this.#options.onConnectFailed(message.service, message.endpoint);
        break;
      case "ask-names":
        void this.#options.askNames(message.ports).then(() => this.send({ kind: "names-asked" }));
        break;
      case "stats":
        this.#answer(message.id, message.stats);
        break;
    }
  }

  #ended(reason: LifeEnd["reason"], error: Error | null, cut: number): void {
    this.isServing = false;
    const { waiting, limbo } = this.sender.revoke();
    for (const id of this.#questions.keys()) this.#answer(id, null);
    if (limbo !== null) {
      const thread = this.#thread;
      if (thread === null || thread.threadId === -1) this.#handlers.onLimbo(limbo);
      else thread.once("exit", () => this.#handlers.onLimbo(limbo));
    }
    this.#handlers.onEnd({ reason, error, cut, waiting });
  }
}

function reasonOf(error: Error & { code?: string }): LifeEnd["reason"] {
  if (error.code === "ERR_WORKER_OUT_OF_MEMORY") return "heap";
  return error.message.startsWith("worker exited with code") ? "exit" : "exception";
}
