// The short-lived thread that loads configurations: here, and only here, a running proxy holds zod and yaml.
//
// It answers one message per load. It lowers its own priority, so that a reload of thousands of endpoints takes no time from
// the requests.

import { setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import type { ConfigSource, LoadResult } from "./config-source.ts";
import { loadConfig } from "./load.ts";

/** Nice value of this thread; what it does can wait. */
const PRIORITY = 10;

/** A load that is asked for. */
export interface LoadRequest {
  readonly id: number;
  readonly source: ConfigSource;
}

export interface LoadAnswer {
  readonly id: number;
  readonly result: LoadResult;
}

/** What the thread is told when it begins. */
export interface LoaderData {
  /** Nothing is served yet, the proxy waits for this load: it has the usual priority until it has answered. */
  readonly isFirst: boolean;
}

function lowerPriority(): void {
  // On Linux the priority of "this process" is that of the calling thread; elsewhere it would be that of the whole proxy.
  if (process.platform !== "linux") return;
  try {
    setPriority(0, PRIORITY);
  } catch {
    // Forbidden by the container: then at the usual priority.
  }
}

if (!(workerData as LoaderData).isFirst) lowerPriority();

parentPort?.on("message", ({ id, source }: LoadRequest) => {
  const answer: LoadAnswer = { id, result: loadConfig(source) };
  lowerPriority();
  parentPort?.postMessage(answer);
});
