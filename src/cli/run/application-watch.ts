// The end of a job's application, seen by the proxy beside it: `weft proxy --job`.
//
// In compose the application's container knows nothing of Weft, and nobody tells a sidecar that it has ended. What they can share is a process
// namespace (`pid: "service:NAME-net"`): then the application's processes are in /proc, and one look a second tells when the last is gone.
// Whose process it is, its control group says: those of the application's container are in another one than the proxy and the holder (process 1).
// Without control groups to tell them apart it is the user: nothing but the proxy runs as the proxy's user (`weft init` exempts it), and what process 1 started is the holder's.
// An application that never starts is waited for.

import { readdirSync, readFileSync } from "node:fs";
import type { ProxyDirector } from "../../workers/director.ts";

/** A look costs some 30 microseconds per process of the namespace. */
const LOOK_MS = 1_000;

/** What /proc says about one process. */
export interface ProcessFacts {
  readonly pid: number;
  /** All control groups that it is in, as text. */
  readonly groups: string;
  readonly uid: string;
  readonly parent: number;
}

/** The processes that are the application's. `selfPid`: the proxy's own. */
export function applicationOf(processes: readonly ProcessFacts[], selfPid: number): readonly ProcessFacts[] {
  const self = processes.find(({ pid }) => pid === selfPid);
  const first = processes.find(({ pid }) => pid === 1);
  if (self === undefined) return [];
  if (first !== undefined && first.groups !== self.groups) {
    return processes.filter(({ groups }) => groups !== self.groups && groups !== first.groups);
  }
  return processes.filter(({ pid, uid, parent }) => pid !== 1 && parent !== 1 && uid !== self.uid);
}

function factsOf(pid: number): ProcessFacts | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    const field = (name: string): string => new RegExp(`^${name}:\\s+(\\S+)`, "m").exec(status)?.[1] ?? "";
    if (/^[ZX]/.test(field("State"))) return null;
    return { pid, groups: readFileSync(`/proc/${pid}/cgroup`, "latin1"), uid: field("Uid"), parent: Number(field("PPid")) };
  } catch {
    // It ended meanwhile.
    return null;
  }
}

function look(): readonly ProcessFacts[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return applicationOf(
    pids.flatMap((name) => factsOf(Number(name)) ?? []),
    process.pid,
  );
}

/** Ends a proxy, by its drain, when the application that had started has ended. */
export function directJob(): ProxyDirector {
  return {
    ignoresSignals: false,
    ready: () => undefined,
    direct: (stop) => {
      let hasBegun = false;
      const timer = setInterval(() => {
        const isThere = look().length > 0;
        if (isThere) hasBegun = true;
        if (!hasBegun || isThere) return;
        clearInterval(timer);
        stop("the application has ended");
      }, LOOK_MS);
      timer.unref();
    },
  };
}
