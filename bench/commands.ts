// The commands that are no benchmark run: the budget, comparing kept results, writing their reports, the micro benchmarks.

import { BUDGET_USAGE, benchBudget } from "./budget.ts";
import { reportCommand } from "./report/command.ts";
import { runMicroBenchmarks } from "./micro/support/run-files.ts";

export const COMMANDS_USAGE = `more commands
  micro [NAME...]         micro benchmarks of the hot pieces, all or by name
  report FILE [FOLDER]    a kept result again: on the terminal, with a folder also as HTML page, markdown and pictures

${BUDGET_USAGE}`;

/** The exit code of the command, or null when the arguments are for a benchmark run. */
export async function otherCommand(args: readonly string[]): Promise<number | null> {
  if (args.includes("--budget")) return benchBudget(args).catch(couldNotRun);
  if (args[0] === "micro") return runMicroBenchmarks(args.slice(1));
  if (args[0] === "report") return reportCommand(args.slice(1));
  return null;
}

/** Neither kept nor broken nor noisy: a code of its own, so that nobody takes a wrong option for a slow proxy. */
function couldNotRun(error: Error): number {
  process.stderr.write(`bench --budget: ${error.message}\n`);
  return 3;
}
