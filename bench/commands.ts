// The commands that are no benchmark run: the budget, comparing kept results, writing their reports, the micro benchmarks.

import { BUDGET_USAGE, benchBudget } from "./budget.ts";
import { COMPARE_USAGE, compareCommand } from "./compare.ts";
import { reportCommand } from "./report/command.ts";
import { runMicroBenchmarks } from "./micro/support/run-files.ts";

export const COMMANDS_USAGE = `more commands
  micro [NAME...]         micro benchmarks of the hot pieces, all or by name
  report FILE [FOLDER]    a kept result again: on the terminal, with a folder also as HTML page, markdown and pictures

${COMPARE_USAGE}
${BUDGET_USAGE}`;

/** The exit code of the command, or null when the arguments are for a benchmark run. */
export async function otherCommand(args: readonly string[]): Promise<number | null> {
  const command = commandOf(args);
  if (command === null) return null;
  try {
    return await command();
  } catch (error) {
    // A code of its own: nobody shall take a wrong option or a missing file for a slow proxy.
    process.stderr.write(`bench: ${(error as Error).message}\n`);
    return 3;
  }
}

function commandOf(args: readonly string[]): (() => number | Promise<number>) | null {
  if (args.includes("--budget")) return () => benchBudget(args);
  const rest = args.slice(1);
  if (args[0] === "micro") return () => runMicroBenchmarks(rest);
  if (args[0] === "compare") return () => compareCommand(rest);
  if (args[0] === "report") return () => reportCommand(rest);
  return null;
}
