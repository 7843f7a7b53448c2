// Processes that are nobody's child here: whether the one that had a pid is still it.

import { readFileSync } from "node:fs";

/** When a process began, in the kernel's ticks since boot: with the pid it names one process for good. Null: there is none, or only its ashes. */
export function startTime(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}
