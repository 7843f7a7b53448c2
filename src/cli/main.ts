// The `weft` command. Starts fast and small: what only one command needs is loaded by that command.
//
// `weft proxy` lives for months, and `weft run` as long as its command, so their options are read with Node's own parser; only when those are wrong, or help is asked
// for, the command line library (2.5 MB of private memory) is loaded to say so. Exit codes: 0, 1, and 64 for a proxy
// whose configuration or options are wrong (as Linkerd's proxy).

import { keepHangUpIgnored } from "./hang-up.ts";
import { readProxyArguments } from "./proxy-arguments.ts";
import { readRunArguments } from "./run/run-arguments.ts";

const isHangUpIgnored = keepHangUpIgnored(process.env);
const [command, ...rest] = process.argv.slice(2);
const options = command === "proxy" ? readProxyArguments(rest) : null;
const runOptions = command === "run" ? readRunArguments(rest) : null;

if (runOptions !== null) {
  const { runRun } = await import("./run/run-command.ts");
  process.exitCode = await runRun(runOptions, isHangUpIgnored);
} else if (options !== null) {
  const { runProxyCommand } = await import("./proxy-command.ts");
  process.exitCode = await runProxyCommand(options);
} else {
  const { runProgram } = await import("./program.ts");
  process.exitCode = await runProgram(process.argv.slice(2));
}
