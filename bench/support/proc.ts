// What Linux knows about a process: CPU time and memory, from /proc. All processes below it are counted with it (nginx's
// workers are children of its master).
//
// `utime` and `stime` of /proc/PID/stat count in ticks of 10 ms; /proc/PID/task/*/schedstat has the same time in nanoseconds,
// but only of threads that still live. So the total is the finer one when no thread ended in between, and the ticks otherwise.

import { readFileSync, readdirSync } from "node:fs";

/** USER_HZ: 100 on every architecture that Node runs on. */
const TICK_US = 10_000;

/** CPU time since the start of a process and of those below it, microseconds. */
export interface CpuReading {
  readonly user: number;
  readonly system: number;
  /** Nanoseconds on a core by thread; empty where the kernel does not say. */
  readonly threads: ReadonlyMap<string, number>;
}

/** CPU time between two readings, microseconds. `total` is exact, `user` and `system` are rounded to ticks. */
export interface CpuUsed {
  readonly user: number;
  readonly system: number;
  readonly total: number;
}

/** The process and all below it. */
export function processTree(pid: number): number[] {
  const tree = [pid];
  for (const thread of list(`/proc/${pid}/task`)) {
    const below = read(`/proc/${pid}/task/${thread}/children`).trim();
    if (below !== "") for (const child of below.split(" ")) tree.push(...processTree(Number(child)));
  }
  return tree;
}

export function readCpu(pid: number): CpuReading {
  let user = 0;
  let system = 0;
  const threads = new Map<string, number>();
  for (const member of processTree(pid)) {
    const stat = read(`/proc/${member}/stat`);
    // The second field is the name in brackets and may hold anything; utime and stime are the 14th and 15th.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    user += Number(fields[11]) * TICK_US;
    system += Number(fields[12]) * TICK_US;
    for (const thread of list(`/proc/${member}/task`)) {
      const ran = read(`/proc/${member}/task/${thread}/schedstat`).split(" ")[0];
      if (ran !== undefined && ran !== "") threads.set(`${member}/${thread}`, Number(ran));
    }
  }
  return { user, system, threads };
}

export function cpuBetween(before: CpuReading, after: CpuReading): CpuUsed {
  const user = after.user - before.user;
  const system = after.system - before.system;
  let ns = 0;
  for (const [thread, ran] of after.threads) ns += ran - (before.threads.get(thread) ?? 0);
  const isComplete = after.threads.size > 0 && [...before.threads.keys()].every((thread) => after.threads.has(thread));
  return { user, system, total: isComplete ? ns / 1000 : user + system };
}

/** Kilobytes. `anonymous` is private to the process; `pss` shares out what several processes map, such as the binary's text. */
export interface MemoryReading {
  readonly rss: number;
  readonly pss: number;
  readonly anonymous: number;
}

export function readMemory(pid: number): MemoryReading {
  const sum = { rss: 0, pss: 0, anonymous: 0 };
  for (const member of processTree(pid)) {
    const text = read(`/proc/${member}/smaps_rollup`);
    sum.rss += field(text, "Rss");
    sum.pss += field(text, "Pss");
    sum.anonymous += field(text, "Anonymous");
  }
  return sum;
}

function field(text: string, name: string): number {
  return Number(new RegExp(`^${name}: +(\\d+) kB$`, "m").exec(text)?.[1] ?? 0);
}

/** A thread or process may end while we look: then it has nothing to say. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
