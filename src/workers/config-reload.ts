// Reloads: the files are read again when they change or when SIGHUP says so, and one reload at a time is applied.
//
// A configuration with a mistake changes nothing: every problem is logged, the running one stays. Changes that arrive while
// a reload is under way lead to one more, however many they are.

import type { ConfigSource, LoadResult, SourceFile } from "../config/config-source.ts";
import { formatProblem, type Problem } from "../config/problem.ts";
import type { ProxySnapshot } from "../config/snapshot.ts";
import type { Log } from "./forwarder-types.ts";

export interface ReloaderOptions {
  readonly source: ConfigSource;
  readonly load: (source: ConfigSource) => Promise<LoadResult>;
  /** Makes a snapshot the running one. Rejects when it cannot be (a port is taken), and then nothing has changed. */
  readonly apply: (snapshot: ProxySnapshot) => Promise<void>;
  /** What was read, also by a load that found mistakes. */
  readonly onLoaded?: (files: readonly SourceFile[]) => void;
  readonly onReload: (result: "applied" | "refused") => void;
  readonly log: Log;
}

export class Reloader {
  readonly #options: ReloaderOptions;
  #isDue = false;
  #isRunning = false;
  #isClosed = false;

  constructor(options: ReloaderOptions) {
    this.#options = options;
  }

  /** Asks for a reload; one that is under way is followed by another. */
  request(): void {
    this.#isDue = true;
    if (!this.#isRunning) void this.#run();
  }

  close(): void {
    this.#isClosed = true;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#isDue && !this.#isClosed) {
      this.#isDue = false;
      await this.#reload();
    }
    this.#isRunning = false;
  }

  async #reload(): Promise<void> {
    const { source, load, apply, onLoaded, onReload, log } = this.#options;
    try {
      const result = await load(source);
      if (this.#isClosed) return;
      onLoaded?.(result.files);
      if ("problems" in result) {
        logProblems(log, result.problems);
        log("error", "the new configuration has mistakes: the running one stays", { problems: result.problems.length });
        onReload("refused");
        return;
      }
      logProblems(log, result.warnings);
      await apply(result.snapshot);
      onReload("applied");
    } catch (error) {
      log("error", "the new configuration cannot be applied: the running one stays", { error: (error as Error).message });
      onReload("refused");
    }
  }
}

/** One line per problem, as `weft validate` prints them. */
export function logProblems(log: Log, problems: readonly Problem[]): void {
  for (const problem of problems) log(problem.severity === "error" ? "error" : "warn", formatProblem(problem));
}
