// Process 1 of a container inherits every process that lost its parent, and must ask how each of them ended: else they stay as zombies.
//
// Node asks for the children that it started, and for no others. Its own are left to it, and looked past when it has asked for them.

/** Begins to bury others' children when this process is number 1. `own`: pids that Node started. Returns what to call when one of those has ended. */
export async function buryOrphans(own: () => readonly number[]): Promise<() => void> {
  if (process.pid !== 1) return () => undefined;
  const { buryChild, endedChild } = await import("../../workers/system-calls.ts");
  const look = (): void => {
    for (let pid = endedChild(); pid !== 0 && !own().includes(pid); pid = endedChild()) buryChild(pid);
  };
  process.on("SIGCHLD", look);
  return look;
}
