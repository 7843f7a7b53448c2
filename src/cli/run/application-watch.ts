// The end of a job's application, seen by the proxy beside it: `weft proxy --job`.
//
// In compose the application's container knows nothing of Weft, and nobody tells a sidecar that it has ended. What they can share is a process
// namespace (`pid: "service:NAME-net"`): then the application's processes are in /proc, and looks tell when the last is gone.
// Whose process it is, its control group says: the application's is named as the holder's (process 1) but for the container's id. Any other than the proxy's and the
// holder's is in doubt: a health check is in the engine's own group on its way into the proxy's container. Where control groups do not tell containers apart it is
// the user: nothing but the proxy runs as the proxy's user (`weft init` exempts it), and what process 1 started is the holder's; that is in doubt, too. What stays is no
// health check on its way.
// An application that never starts is waited for.

import { readdirSync, readFileSync } from "node:fs";
import type { ProxyDirector } from "../../workers/director.ts";

/** Until the application was seen. A container's first process is in its group some tens of milliseconds before it becomes the application. */
const LOOK_FIRST_MS = 20;

/** Afterwards. A look costs some 30 microseconds per process of the namespace. */
const LOOK_MS = 1_000;

/** A process in doubt that is there so long is the application's: a busy engine takes half a second to bring a health check to its place. */
const DOUBT_MS = 2_000;

/** What every engine calls a container in the names of control groups. */
const CONTAINER_ID = /[0-9a-f]{64}/g;

/** What /proc says about one process. */
export interface ProcessFacts {
  readonly pid: number;
  /** All control groups that it is in, as text. */
  readonly groups: string;
  readonly uid: string;
  readonly parent: number;
}

/** Processes that are neither the proxy's nor the holder's. */
export interface Others {
  /** The application's. */
  readonly certain: readonly ProcessFacts[];
  /** The application's, or somebody's who passes. */
  readonly doubtful: readonly ProcessFacts[];
}

/** `selfPid`: the proxy's own. */
export function othersOf(processes: readonly ProcessFacts[], selfPid: number): Others {
  const self = processes.find(({ pid }) => pid === selfPid);
  const first = processes.find(({ pid }) => pid === 1);
  if (self === undefined) return { certain: [], doubtful: [] };
  if (first === undefined || first.groups === self.groups) {
    return { certain: [], doubtful: processes.filter(({ pid, uid, parent }) => pid !== 1 && parent !== 1 && uid !== self.uid) };
  }
  const others = processes.filter(({ groups }) => groups !== self.groups && groups !== first.groups);
  const kind = kindOf(first.groups);
  const isCertain = ({ groups }: ProcessFacts): boolean => kind !== first.groups && kindOf(groups) === kind;
  return { certain: others.filter(isCertain), doubtful: others.filter((process) => !isCertain(process)) };
}

/** Equal for the groups of all containers that an engine started in the same way. */
function kindOf(groups: string): string {
  return groups.replaceAll(CONTAINER_ID, "ID");
}

/** What looks tell together. */
export class ApplicationWatch {
  #hasBegun = false;
  /** When processes in doubt were seen first, by their pids. */
  #doubtfulSince = new Map<number, number>();

  /** `nowMs`: of a clock that does not jump. */
  look({ certain, doubtful }: Others, nowMs: number): "awaited" | "running" | "ended" {
    this.#doubtfulSince = new Map(doubtful.map(({ pid }) => [pid, this.#doubtfulSince.get(pid) ?? nowMs]));
    const isThere = certain.length > 0 || [...this.#doubtfulSince.values()].some((since) => nowMs - since >= DOUBT_MS);
    if (isThere) this.#hasBegun = true;
    return isThere ? "running" : this.#hasBegun ? "ended" : "awaited";
  }
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

function processes(): readonly ProcessFacts[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.flatMap((name) => factsOf(Number(name)) ?? []);
}

/** Ends a proxy, by its drain, when the application that had started has ended. */
export function directJob(): ProxyDirector {
  return {
    ignoresSignals: false,
    ready: () => undefined,
    direct: (stop) => {
      const watch = new ApplicationWatch();
      const lookAgain = (): void => {
        const state = watch.look(othersOf(processes(), process.pid), performance.now());
        if (state === "ended") stop("the application has ended");
        else setTimeout(lookAgain, state === "awaited" ? LOOK_FIRST_MS : LOOK_MS).unref();
      };
      setTimeout(lookAgain, LOOK_FIRST_MS).unref();
    },
  };
}
