// A worker's life: one long Piscina task that forwards until it is told to drain.
//
// It learns its configuration and its orders from the message port, takes its connections from the ring, and tells what
// it counts in shared memory. Everything it knows about traffic is in the forwarder; this file is the thread around it.
// The task ends when a drain has left nothing open, or when what is left was cut.

import { type MessagePort, threadId } from "node:worker_threads";
import { Recorder } from "../core/telemetry/recorder.ts";
import type { CreateForwarder, ForwarderLike } from "./forwarder-types.ts";
import { HandOffReceiver } from "./hand-off.ts";
import { runTestAction } from "./test-hooks.ts";
import { type FromWorker, type ServeResult, type ServeTask, type ToWorker, WAKE } from "./worker-messages.ts";

/** Connections adopted before other events get their turn: a flood of new ones must not delay the old. */
const ADOPTIONS_PER_TURN = 32;

/** The heartbeat's period; the watchdog looks as often. */
const BEAT_MS = 1_000;

/** Piscina's entry: resolves when the worker has nothing more to do. */
export async function serve(task: ServeTask): Promise<ServeResult> {
  const { createForwarder } = (await import(task.forwarderModule)) as { createForwarder: CreateForwarder };
  return await new Promise<ServeResult>((resolve) => {
    new WorkerThread(task, createForwarder, resolve);
  });
}

class WorkerThread {
  readonly #port: MessagePort;
  readonly #receiver: HandOffReceiver;
  readonly #forwarder: ForwarderLike;
  readonly #testHooks: boolean;
  readonly #beat: NodeJS.Timeout;
  readonly #end: (result: ServeResult) => void;
  /** The version of the configuration that is applied; -1: none yet, so no connection either. */
  #version = -1;
  #listenerIds: readonly string[] = [];
  #isDraining = false;
  #hasEnded = false;
  #isTurnScheduled = false;

  constructor(task: ServeTask, createForwarder: CreateForwarder, end: (result: ServeResult) => void) {
    this.#port = task.port;
    this.#receiver = new HandOffReceiver(task.handOff);
    this.#testHooks = task.testHooks;
    this.#end = end;
    this.#forwarder = createForwarder({
      recorder: new Recorder(task.slots, (descriptor) => this.#tell({ kind: "series", descriptor }), task.seriesMax),
      log: (level, message, fields) => this.#tell({ kind: "log", level, message, ...(fields && { fields }) }),
      onConnectFailed: (service, endpoint) => this.#tell({ kind: "connect-failed", service, endpoint }),
      onStrangers: (ports) => this.#tell({ kind: "ask-names", ports }),
      onOpenConnections: (count) => this.#openChanged(count),
      testHooks: task.testHooks,
    });
    // The first says that it has begun: from here on silence is a fault.
    this.#receiver.beat();
    this.#beat = setInterval(() => this.#receiver.beat(), BEAT_MS);
    this.#port.on("message", (message: ToWorker) => this.#obey(message));
    this.#tell({ kind: "serving", threadId });
  }

  #tell(message: FromWorker): void {
    this.#port.postMessage(message);
  }

  #obey(message: ToWorker): void {
    if (message === WAKE) {
      this.#adopt(ADOPTIONS_PER_TURN);
      return;
    }
    switch (message.kind) {
      case "update":
        // What is in the ring was accepted under the old configuration, whose listeners the new one may not know.
        this.#adopt(Number.POSITIVE_INFINITY);
        this.#listenerIds = message.listenerIds;
        this.#forwarder.update(message.update);
        this.#version = message.update.version;
        this.#adopt(ADOPTIONS_PER_TURN);
        break;
      case "drain":
        this.#adopt(Number.POSITIVE_INFINITY);
        this.#isDraining = true;
        this.#forwarder.drain();
        if (this.#forwarder.idle()) this.#finish(0);
        break;
      case "names-asked":
        this.#forwarder.namesAsked();
        break;
      case "cut":
        this.#finish(this.#forwarder.cut());
        break;
      case "ask":
        this.#tell({ kind: "stats", id: message.id, stats: this.#forwarder.stats() });
        break;
      case "test":
        if (this.#testHooks) runTestAction(message.action);
        break;
    }
  }

  #adopt(max: number): void {
    const ids = this.#listenerIds;
    const isMore = this.#receiver.drain(max, this.#version, (fd, listener) => this.#forwarder.adopt(fd, ids[listener]!));
    if (!isMore || this.#isTurnScheduled) return;
    this.#isTurnScheduled = true;
    setImmediate(() => {
      this.#isTurnScheduled = false;
      this.#adopt(ADOPTIONS_PER_TURN);
    });
  }

  #openChanged(count: number): void {
    this.#receiver.setOpen(count);
    // Not inside the forwarder's call: it may be about to adopt the next one.
    if (this.#isDraining && count === 0) setImmediate(() => this.#forwarder.idle() && this.#finish(0));
  }

  #finish(cut: number): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearInterval(this.#beat);
    this.#port.close();
    this.#end({ cut });
  }
}
