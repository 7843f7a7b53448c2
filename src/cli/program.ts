// The command line as a whole: commands, options, help, and what is said about wrong ones.

import { Command, CommanderError } from "commander";
import { BAD_CONFIGURATION } from "../config/problem.ts";
import { addDiagnostics } from "./diagnostics-program.ts";
import { addCheck } from "./check/check-program.ts";
import { addIdentity, addIdentityController } from "./identity-program.ts";
import { addInit } from "./init/init-program.ts";
import { addInject } from "./inject/inject-program.ts";
import { addInstall } from "./install/install-program.ts";
import { FAILURE } from "./output-format.ts";
import { outputOption } from "./output-option.ts";
import type { ProxyOptions } from "./proxy-arguments.ts";
import { addRun } from "./run/run-program.ts";
import type { OutputFormat } from "./output-format.ts";

/** Parses and runs; resolves to the exit code. */
export async function runProgram(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const finish = (code: number): void => {
    exitCode = code;
  };
  const program = new Command("weft")
    .description("A service mesh for plain hosts and docker-compose.")
    .showSuggestionAfterError()
    // What is behind a command's name is that command's: `weft identity` and the commands below it have options of the same names.
    .enablePositionalOptions()
    .exitOverride();
  addProxy(program, finish);
  addRun(program, finish);
  addValidate(program, finish);
  addCheck(program, finish);
  addInit(program, finish);
  addInstall(program, finish);
  addInject(program, finish);
  addHold(program, finish);
  addVersion(program, finish);
  addIdentityController(program, finish);
  addIdentity(program, finish);
  addDiagnostics(program, finish);
  nameHelp(program, program.name());
  try {
    // What most programs call it.
    await program.parseAsync(args.length === 1 && args[0] === "--version" ? ["version"] : [...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // What is wrong has been said already; help that was asked for is no failure.
    if (error.exitCode !== 0) return ["proxy", "run", "identity-controller"].includes(args[0]!) ? BAD_CONFIGURATION : FAILURE;
  }
  return exitCode;
}

/** After a mistake the help of that very command is named. */
function nameHelp(command: Command, path: string): void {
  command.showHelpAfterError(`(${path} --help lists the ${command.commands.length > 0 ? "commands" : "options"})`);
  for (const sub of command.commands) nameHelp(sub, `${path} ${sub.name()}`);
}

type Finish = (code: number) => void;

function addProxy(program: Command, finish: Finish): void {
  const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];
  program
    .command("proxy")
    .description("Run a proxy until SIGTERM or SIGINT; a second one cuts what is left.")
    .option("--config <path>", "a file, or a folder with *.yaml and *.yml files; watched and reloaded")
    .option("--listen <host:port>", "without a file: where to listen")
    .option("--to <host:port,...>", "without a file: where to forward, balanced over all of them", collect)
    .option("--workers <n>", "worker threads; auto: one per core; 0: forward on the main thread")
    .option("--admin <host:port>", "metrics and readiness; off: none")
    .option("--name <name>", "which Proxy document, when there are several")
    .option("--job", "end when the application has ended, in the process namespace that it shares (docs/jobs.md)")
    .addHelpText(
      "after",
      "\nThe configuration may also stand in the environment variable WEFT_CONFIG.\nExit codes: 0 after a drain, 64 for a bad configuration, 1 for any other failure.",
    )
    .action(async (options: ProxyOptions) => {
      const { runProxyCommand } = await import("./proxy-command.ts");
      finish(await runProxyCommand(options));
    });
}

function addValidate(program: Command, finish: Finish): void {
  program
    .command("validate")
    .description("Check a configuration and say everything that is wrong with it.")
    .argument("[path]", "a file, a folder, or - for standard input; without it, WEFT_CONFIG")
    .addOption(outputOption())
    .action(async (path: string | undefined, { output }: { output: OutputFormat }) => {
      const { runValidate } = await import("./validate-command.ts");
      finish(await runValidate(path ?? null, output));
    });
}

function addHold(program: Command, finish: Finish): void {
  program
    .command("hold")
    .description("Hold a network namespace for other containers to join, until SIGTERM.")
    .option("--job", "or until all who joined its process namespace have ended (docs/jobs.md)")
    .action(async ({ job }: { job?: boolean }) => {
      const { runHold } = await import("./hold-command.ts");
      finish(await runHold(job === true));
    });
}

function addVersion(program: Command, finish: Finish): void {
  program
    .command("version")
    .description("Say which version this is.")
    .option("--client", "only this command's own version")
    .addOption(outputOption())
    .action(async ({ output }: { output: OutputFormat }) => {
      const { runVersion } = await import("./version-command.ts");
      finish(runVersion(output));
    });
}
