// `npm run bench -- report FILE.json [FOLDER]`: the reports of a kept result, on the terminal and, with a folder, as files.

import { readFileSync } from "node:fs";
import { UsageError } from "../options.ts";
import { type BenchResult, decodeResult } from "../result.ts";
import { reportDocument } from "./document.ts";
import { terminalReport } from "./terminal.ts";
import { writeReport } from "./write.ts";

/** Throws an Error that names the file when it cannot be read or is no result. */
export function readResult(path: string): BenchResult {
  try {
    return decodeResult(readFileSync(path, "utf8"));
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`);
  }
}

/** Prints the report, writes its files if a folder is given; resolves with the exit code. */
export function reportCommand(args: readonly string[]): number {
  const [path, folder] = args;
  if (path === undefined || args.length > 2) throw new UsageError("report takes a result file, and a folder if files are to be written");
  const result = readResult(path);
  process.stdout.write(terminalReport(reportDocument(result)));
  if (folder !== undefined) process.stderr.write(`${writeReport(result, folder).join("\n")}\n`);
  return 0;
}
