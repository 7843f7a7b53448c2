// Loads configurations in a thread of their own, so that a long-lived process neither waits for nor remembers how it is done.
//
// The thread ends when it has had nothing to do for a while, and its memory goes back; loads in quick succession share one
// (native-notes/reload-cost.md). A thread that dies, or takes too long, is a problem like any other mistake: it never rejects, and a
// running proxy keeps what it has.

import { Worker } from "node:worker_threads";
import { CONFIG_VARIABLE } from "./config-source.ts";
import type { ConfigSource, LoadResult } from "./config-source.ts";
import { deepFreeze } from "./deep-freeze.ts";
import type { LoadAnswer, LoaderData, LoadRequest } from "./loader-worker.ts";

/** How long the thread waits for another load. A new one's first load takes six times the CPU, half of it V8's compiler at full priority. */
const LINGER_MS = 20_000;
/** After the load of a start: another is not to be expected, and the memory is. */
const FIRST_LINGER_MS = 3_000;
/** A load of the largest file that is read takes some 20 s; beyond this the text is malicious or the machine has other troubles. */
const LOAD_DEADLINE_MS = 60_000;
/** 450,000 endpoints (13 MB of YAML, 17 s on a busy machine) took 1.6 GB at their peak, which goes back; 5000 take 40 MB. */
const OLD_GENERATION_MB = 2_048;
/** Parsing makes much that is soon forgotten; with a small nursery, collecting it costs a quarter of the load. */
const YOUNG_GENERATION_MB = 64;

const MODULE = new URL(`./loader-worker${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);

interface Pending {
  readonly source: ConfigSource;
  readonly resolve: (result: LoadResult) => void;
  readonly deadline: NodeJS.Timeout;
}

/** One thread and what it was asked. Used by `loadInWorker`, and by the tests with a module that fails. */
export class LoaderThread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  readonly #onEnd: () => void;
  readonly #isFirst: boolean;
  #linger: NodeJS.Timeout | null = null;

  /** @param onEnd the thread takes no further load */
  constructor(module: URL, workerData: LoaderData, onEnd: () => void) {
    this.#onEnd = onEnd;
    this.#isFirst = workerData.isFirst;
    const resourceLimits = { maxOldGenerationSizeMb: OLD_GENERATION_MB, maxYoungGenerationSizeMb: YOUNG_GENERATION_MB };
    this.#worker = new Worker(module, { resourceLimits, workerData, name: "config" });
    // Only a load keeps the process alive.
    this.#worker.unref();
    this.#worker.on("message", (answer: LoadAnswer) => this.#receive(answer));
    this.#worker.on("error", (error: NodeJS.ErrnoException) => this.#fail(describeDeath(error)));
    this.#worker.on("exit", (code) => this.#fail(`its thread ended with code ${code}`));
  }

  load(source: ConfigSource): Promise<LoadResult> {
    if (this.#linger !== null) clearTimeout(this.#linger);
    this.#linger = null;
    this.#worker.ref();
    const request: LoadRequest = { id: this.#nextId++, source };
    return new Promise((resolve) => {
      const deadline = setTimeout(() => this.#fail(`it took longer than ${LOAD_DEADLINE_MS} ms`), LOAD_DEADLINE_MS);
      this.#pending.set(request.id, { source, resolve, deadline });
      this.#worker.postMessage(request);
    });
  }

  #receive({ id, result }: LoadAnswer): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    clearTimeout(pending.deadline);
    this.#pending.delete(id);
    if (this.#pending.size === 0) {
      // Nobody waits: the thread keeps no process alive.
      this.#worker.unref();
      const isStart = this.#isFirst && id === 1;
      this.#linger = setTimeout(() => this.#end(), isStart ? FIRST_LINGER_MS : LINGER_MS).unref();
    }
    // What crosses threads is copied, and a copy is not frozen.
    pending.resolve(deepFreeze(result));
  }

  #fail(message: string): void {
    this.#end();
    for (const { source, resolve, deadline } of this.#pending.values()) {
      clearTimeout(deadline);
      const file = source.path ?? CONFIG_VARIABLE;
      const text = `the configuration could not be loaded: ${message}`;
      resolve({ problems: [{ file, line: 0, column: 0, severity: "error", message: text, hint: null }], files: [] });
    }
    this.#pending.clear();
  }

  #end(): void {
    this.#onEnd();
    if (this.#linger !== null) clearTimeout(this.#linger);
    this.#linger = null;
    void this.#worker.terminate();
  }
}

let current: LoaderThread | null = null;
let isFirst = true;

/** As `loadConfig`, in another thread. The snapshot is frozen. Never rejects. */
export function loadInWorker(source: ConfigSource): Promise<LoadResult> {
  return thread().load(source);
}

/** Begins the thread for a load that will be asked for in a moment: its imports take longer than most loads. */
export function prepareLoader(): void {
  thread();
}

function thread(): LoaderThread {
  if (current !== null) return current;
  const started = new LoaderThread(MODULE, { isFirst }, () => {
    if (current === started) current = null;
  });
  current = started;
  isFirst = false;
  return started;
}

function describeDeath(error: NodeJS.ErrnoException): string {
  return error.code === "ERR_WORKER_OUT_OF_MEMORY" ? `it needs more than ${OLD_GENERATION_MB} MB` : error.message;
}
