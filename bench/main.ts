// `npm run bench -- COMMAND`: the benchmarks that anybody can run. Prints a report to stdout, progress to stderr.
//
// Exit code 0 also when a bar is missed, unless `--assert` asks otherwise: a busy machine is no broken build.

import { COMMANDS_USAGE, otherCommand } from "./commands.ts";
import { benchCpu } from "./cpu.ts";
import { benchLatency } from "./latency.ts";
import { benchMemory } from "./memory.ts";
import { type BenchOptions, parseOptions, USAGE, UsageError } from "./options.ts";
import { toolVersion } from "./support/child.ts";
import { isMet, printReport, type Report } from "./support/report.ts";

const COMMANDS: Readonly<Record<string, (options: BenchOptions) => Promise<Report>>> = {
  cpu: benchCpu,
  latency: benchLatency,
  memory: benchMemory,
};

async function main(args: readonly string[]): Promise<number> {
  const other = await otherCommand(args);
  if (other !== null) return other;
  const [command = "help", ...rest] = args;
  if (command === "help" || command === "--help") {
    process.stdout.write(`${USAGE}\n${COMMANDS_USAGE}`);
    return 0;
  }
  const chosen = command === "all" ? Object.keys(COMMANDS) : [command];
  if (COMMANDS[chosen[0]!] === undefined) throw new UsageError(`no benchmark is called '${command}'`);
  const options = parseOptions(rest, toolVersion("nginx", "-v") === null ? "uws" : "nginx");
  let isGood = true;
  for (const name of chosen) {
    const report = await COMMANDS[name]!(options);
    printReport(report, options.format);
    isGood &&= report.verdicts.every(isMet);
  }
  return isGood || !options.assert ? 0 : 1;
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: Error) => {
    const isUsage = error instanceof UsageError || (error as NodeJS.ErrnoException).code?.startsWith("ERR_PARSE_ARGS") === true;
    process.stderr.write(isUsage ? `bench: ${error.message}\n\n${USAGE}` : `bench: ${error.message}\n`);
    process.exit(1);
  },
);
