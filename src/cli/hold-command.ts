// `weft hold`: keeps a container, and with it the network namespace that others join, until it is told to end.
//
// It does nothing, so it should cost nothing: the process becomes a shell that waits (1 MB instead of Node's 40). Only where Node
// cannot hand its process over, or there is no shell, Node itself waits. As process 1 of a container it must handle the
// signals itself: the kernel does not end that one for a signal without a handler.

import { accessSync, constants } from "node:fs";
import { FAILURE } from "./output-format.ts";

const SHELL = "/bin/sh";
/** A signal ends `wait`; the sleeper would outlive the shell outside of a container. */
const SCRIPT = "trap 'kill $!; exit 0' TERM INT; sleep infinity & wait";
/**
 * A job's: one look a second, without another process, for others in the process namespace. Five looks alone, after somebody was there, are
 * the end; a sidecar that crashed may come back meanwhile.
 */
const JOB_SCRIPT =
  "trap 'kill $!; exit 0' TERM INT; alone=0; seen=; while sleep 1 & wait $!; do set -- /proc/[0-9]*; " +
  'if [ $# -gt 1 ]; then seen=1 alone=0; elif [ -n "$seen" ]; then alone=$((alone+1)); [ $alone -ge 5 ] && exit 0; fi; done';

type Execve = (file: string, args: readonly string[], env: NodeJS.ProcessEnv) => never;

/** Does not return where the process becomes a shell; else resolves to the exit code at SIGTERM or SIGINT. `isJob`: see above. */
export async function runHold(isJob: boolean): Promise<number> {
  if (isJob && process.pid !== 1) {
    process.stderr.write("weft hold: --job is for process 1 of a container: everybody else on a host would have to end\n");
    return FAILURE;
  }
  process.stdout.write(`weft hold: the network namespace is here until SIGTERM${isJob ? ", or until the job has ended" : ""}\n`);
  const { execve } = process as unknown as { execve?: Execve };
  if (execve !== undefined && isExecutable(SHELL)) {
    // Its warning that it is experimental would be for nobody.
    process.removeAllListeners("warning");
    execve.call(process, SHELL, ["sh", "-c", isJob ? JOB_SCRIPT : SCRIPT], process.env);
  }
  if (isJob) {
    process.stderr.write(`weft hold: --job takes ${SHELL} and a Node that can become it\n`);
    return FAILURE;
  }
  const timer = setInterval(() => {}, 2 ** 30);
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
  });
  clearInterval(timer);
  return 0;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
