// SIGHUP that was ignored when Weft was started (`nohup weft ...`): Weft ignores it, too, and so does what it runs.
//
// Node gives ignored signals their default action back before any code of ours runs, and its children get that as well. What starts Node
// (bin/weft.mjs) has seen how it was, and says so in a variable, which goes no further.

const VARIABLE = "WEFT_SIGHUP";

/** Takes the variable out of the environment. True: SIGHUP was ignored, and is again. */
export function keepHangUpIgnored(environment: NodeJS.ProcessEnv): boolean {
  const isIgnored = environment[VARIABLE] === "ignored";
  delete environment[VARIABLE];
  if (isIgnored) process.on("SIGHUP", () => undefined);
  return isIgnored;
}

/** A command line that ignores SIGHUP and becomes the other one, which then ignores it as well. */
export function ignoringHangUp(commandLine: readonly string[]): [file: string, ...args: string[]] {
  return ["/bin/sh", "-c", `trap "" HUP; exec "$@"`, "sh", ...commandLine];
}
