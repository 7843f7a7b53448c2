// The end of a proxy, in order: nothing new, everything that is under way, and what is then left is cut and said.
//
//   retire the listeners   no new handshake; what the kernel has accepted is placed; the sockets close
//   drain the workers      `Connection: close`, idle connections closed, answers finished
//   cut                    after drainGraceMs, or at once when asked a second time

import type { Acceptor } from "./acceptor.ts";
import type { Log } from "./forwarder-types.ts";
import type { WorkerSet } from "./worker-set.ts";

export interface DrainOptions {
  readonly acceptor: Acceptor;
  readonly workers: WorkerSet;
  readonly graceMs: number;
  /** Resolves when somebody does not want to wait any longer. */
  readonly hurry: Promise<void>;
  readonly log: Log;
}

/** Resolves when no connection is left; never rejects because of a connection. Returns how many were cut. */
export async function drainProxy({ acceptor, workers, graceMs, hurry, log }: DrainOptions): Promise<number> {
  const startedAt = performance.now();
  log("info", "draining", { openConnections: workers.openConnections, graceMs });
  await acceptor.close();
  const cut = await workers.drain(graceMs, hurry);
  const ms = Math.round(performance.now() - startedAt);
  if (cut === 0) log("info", "drained: every connection ended by itself", { ms });
  else log("warn", "drained: the rest was cut", { ms, cut });
  return cut;
}
