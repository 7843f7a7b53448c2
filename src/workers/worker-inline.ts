// `workers: 0`: no threads; the main thread forwards what it accepts. The smallest memory, for one quiet service.
//
// Same interface as the pool, none of its machinery: nothing to hand off, watch or replace. A bug that would cost a worker
// its life costs the process here.

import { Recorder } from "../core/telemetry/recorder.ts";
import type { WorkerUpdate } from "../config/snapshot.ts";
import type { CreateForwarder, ForwarderLike } from "./forwarder-types.ts";
import { runTestAction } from "./test-hooks.ts";
import type { TestAction } from "./worker-messages.ts";
import type { WorkerSet, WorkerSetOptions, WorkerStatus } from "./worker-set.ts";

export class InlineWorker implements WorkerSet {
  readonly #options: WorkerSetOptions;
  #forwarder: ForwarderLike | null = null;
  #onIdle: (() => void) | null = null;

  constructor(options: WorkerSetOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { forwarderModule, seriesMax, log, onConnectFailed, askNames, testHooks } = this.#options;
    const { createForwarder } = (await import(forwarderModule)) as { createForwarder: CreateForwarder };
    const slots = Recorder.memory(Recorder.slotsFor(seriesMax));
    const sink = this.#options.onLife("worker/main", slots);
    this.#forwarder = createForwarder({
      recorder: new Recorder(slots, (descriptor) => sink.add(descriptor), seriesMax),
      log,
      onConnectFailed,
      onStrangers: (ports) => void askNames(ports).then(() => this.#forwarder!.namesAsked()),
      onOpenConnections: (count) => {
        if (count === 0 && this.#onIdle !== null) setImmediate(this.#onIdle);
      },
      testHooks,
    });
    this.#forwarder.update(this.#options.fullUpdate());
    this.#options.onServing(1);
  }

  get serving(): number {
    return this.#forwarder === null ? 0 : 1;
  }

  get openConnections(): number {
    return this.#forwarder?.openConnections ?? 0;
  }

  place(fd: number, listener: number): void {
    this.#forwarder!.adopt(fd, this.#options.listenerIds[listener]!);
  }

  flush(): void {
    // Nothing is batched: `place` has done it.
  }

  update(update: WorkerUpdate): void {
    this.#forwarder!.update(update);
  }

  async status(): Promise<readonly WorkerStatus[]> {
    const forwarder = this.#forwarder;
    if (forwarder === null) return [];
    const { openConnections } = forwarder;
    return [{ name: "worker/main", state: "serving", openConnections, pendingConnections: 0, restarts: 0, forwarder: forwarder.stats() }];
  }

  async drain(graceMs: number, cut: Promise<void>): Promise<number> {
    const forwarder = this.#forwarder;
    if (forwarder === null) return 0;
    let timer: NodeJS.Timeout | undefined;
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = () => {
        if (forwarder.idle()) resolve();
      };
      timer = setTimeout(resolve, graceMs);
    });
    forwarder.drain();
    this.#onIdle?.();
    await Promise.race([idle, cut]);
    clearTimeout(timer);
    return forwarder.cut();
  }

  test(_worker: number, action: TestAction): void {
    if (this.#options.testHooks) runTestAction(action);
  }
}
