// `weft hold`: keeps a container, and with it the network namespace that others join, until it is told to end.
//
// It does nothing, so it should cost nothing: the process becomes a shell that waits (1 MB instead of Node's 40). Only where Node
// cannot hand its process over, or there is no shell, Node itself waits. As process 1 of a container it must handle the
// signals itself: the kernel does not end that one for a signal without a handler.

import { accessSync, constants } from "node:fs";

const SHELL = "/bin/sh";
/** A signal ends `wait`; the sleeper would outlive the shell outside of a container. */
const SCRIPT = "trap 'kill $!; exit 0' TERM INT; sleep infinity & wait";

type Execve = (file: string, args: readonly string[], env: NodeJS.ProcessEnv) => never;

/** Does not return where the process becomes a shell; else resolves to the exit code at SIGTERM or SIGINT. */
export async function runHold(): Promise<number> {
  process.stdout.write("weft hold: the network namespace is here until SIGTERM\n");
  const { execve } = process as unknown as { execve?: Execve };
  if (execve !== undefined && isExecutable(SHELL)) {
    // Its warning that it is experimental would be for nobody.
    process.removeAllListeners("warning");
    execve.call(process, SHELL, ["sh", "-c", SCRIPT], process.env);
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
