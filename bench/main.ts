// `npm run bench [-- PRESET]`: the benchmarks that anybody can run. Prints tables (or the result document) to stdout, progress to stderr,
// and writes the reports into a folder.
//
// Exit code 0 also when a bar is missed, unless `--assert` asks otherwise: a busy machine is no broken build.

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { measureBeforeAfter } from "./before-after.ts";
import { COMMANDS_USAGE, otherCommand } from "./commands.ts";
import { runBench } from "./engine/run.ts";
import { footprintVerdicts, measureFootprint } from "./footprint.ts";
import { type BenchOptions, parseOptions, USAGE, UsageError } from "./options.ts";
import { versionOf } from "./load/tools.ts";
import { NGINX } from "./peers/nginx.ts";
import { WEFT } from "./peers/weft.ts";
import { listText, planOf } from "./presets.ts";
import { reportDocument } from "./report/document.ts";
import { terminalReport } from "./report/terminal.ts";
import { writeReport } from "./report/write.ts";
import type { BenchResult } from "./result.ts";

const REPORTS = fileURLToPath(new URL("./reports/local/", import.meta.url));

/** `2026-11-22T08-24-34-default`, below the reports that stay on this machine. */
function defaultFolder(result: BenchResult): string {
  return join(REPORTS, `${result.startedAt.slice(0, 19).replaceAll(":", "-")}-${result.options.preset}`);
}

async function measure(options: BenchOptions, args: readonly string[]): Promise<BenchResult> {
  const { request, footprintPeers: peers, beforeAfterRuns: runs } = planOf(options, args);
  const result = await runBench(request);
  const beganMs = performance.now();
  const { requests, concurrency, workers, quick, connections, minutes } = options;
  const beforeAfter = runs > 0 ? await measureBeforeAfter({ requests, concurrency, runs, workers, quick }) : null;
  const origin = options.origin ?? (NGINX.version() === null ? "uws" : "nginx");
  const footprint = peers === null ? null : await measureFootprint({ peers, origin, connections, minutes, quick });
  const versions: Record<string, string | null> = {
    ...(beforeAfter === null ? {} : { weft: WEFT.version(), ab: versionOf("ab"), "origin nginx": NGINX.version() }),
    ...Object.fromEntries((footprint?.subjects ?? []).map((one) => [one.role === "weft" ? "weft" : one.name, one.version])),
  };
  const known = Object.entries(versions).filter((entry): entry is [string, string] => entry[1] !== null);
  return {
    ...result,
    versions: { ...result.versions, ...Object.fromEntries(known) },
    durationMs: result.durationMs + performance.now() - beganMs,
    beforeAfter,
    footprint,
    verdicts: [...result.verdicts, ...(footprint === null ? [] : footprintVerdicts(footprint))],
  };
}

/** 0, or with --assert 1 for a missed bar and 2 for one that could not be judged. */
export function exitCodeOf(result: BenchResult, assert: boolean): number {
  if (!assert) return 0;
  const states = result.verdicts.filter((verdict) => verdict.bar !== null).map((verdict) => verdict.state);
  return states.includes("missed") ? 1 : states.includes("unknown") ? 2 : 0;
}

async function main(args: readonly string[]): Promise<number> {
  const other = await otherCommand(args);
  if (other !== null) return other;
  if (args[0] === "help" || args.includes("--help") || args[0] === "list") {
    process.stdout.write(args[0] === "list" ? listText() : `${USAGE}\n${COMMANDS_USAGE}`);
    return 0;
  }
  const options = parseOptions(args);
  const result = await measure(options, args);
  process.stdout.write(options.format === "json" ? `${JSON.stringify(result)}\n` : terminalReport(reportDocument(result)));
  if (options.format === "text" || options.folder !== null) {
    const [page] = writeReport(result, options.folder ?? defaultFolder(result));
    process.stderr.write(`\nThe reports, the page to look at first:\n  ${page}\n`);
  }
  return exitCodeOf(result, options.assert);
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: Error) => {
    const isUsage = error instanceof UsageError || (error as NodeJS.ErrnoException).code?.startsWith("ERR_PARSE_ARGS") === true;
    process.stderr.write(isUsage ? `bench: ${error.message}\n\n${USAGE}` : `bench: ${error.message}\n`);
    process.exit(1);
  },
);
