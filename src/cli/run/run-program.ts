// `weft run` as the command line library describes it: help, and what is said about wrong options. Right ones never come here
// (run-arguments.ts), so that this library is not kept in memory beside the command.

import type { Command } from "commander";
import { BAD_CONFIGURATION } from "../../config/problem.ts";

type Finish = (code: number) => void;

export function addRun(program: Command, finish: Finish): void {
  program
    .command("run")
    .description("Run a command behind a proxy of its own: the command starts when the proxy is ready, and both end together.")
    .usage("[options] -- COMMAND [ARGUMENTS]")
    .option("--config <path>", "as of `weft proxy`: a file, or a folder with *.yaml and *.yml files")
    .option("--listen <host:port>", "without a file: where to listen")
    .option("--to <host:port,...>", "without a file: where to forward, balanced over all of them")
    .option("--workers <n>", "worker threads of the proxy")
    .option("--admin <host:port>", "metrics and readiness; off: none")
    .option("--name <name>", "which Proxy document, when there are several")
    .option("--http-proxy", "set http_proxy, HTTP_PROXY, no_proxy and NO_PROXY for the command")
    .option("--ready-timeout <duration>", "how long to wait for the proxy, its certificate included", "2m")
    .option("--proxy-log <file>", "append the proxy's log to this file instead of writing it to standard error")
    .argument("[command...]")
    .addHelpText(
      "after",
      "\nSIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 go to the command, SIGHUP not under nohup. A proxy that dies is started again.\n" +
        "Exit codes: the command's, 128 + n when signal n ended it; 126 and 127 for a command that cannot be run or found;\n" +
        "64 for a bad configuration, 125 when the proxy did not become ready. In the last four cases the command has not run.",
    )
    .action((command: readonly string[], { readyTimeout }: { readyTimeout: string }) => {
      process.stderr.write(`weft run: ${complaint(command, readyTimeout)}\n`);
      finish(BAD_CONFIGURATION);
    });
}

/** Options that the library found right and the reader did not. */
function complaint(command: readonly string[], readyTimeout: string): string {
  if (!process.argv.includes("--")) return "-- is missing: weft run --config weft.yaml -- COMMAND [ARGUMENTS]";
  if (command.length === 0 || command[0] === "") return "there is no command behind --";
  return `${JSON.stringify(readyTimeout)} is no time to wait; expected something like 30s or 2m, at most 24d`;
}
