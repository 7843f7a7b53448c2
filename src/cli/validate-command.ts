// `weft validate`: everything that is wrong with a configuration, at once. Problems go to standard error, the verdict to standard output.

import { chooseSource, CONFIG_VARIABLE } from "../config/config-source.ts";
import type { ConfigSource } from "../config/config-source.ts";
import { checkConfig } from "../config/load.ts";
import type { CheckResult } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import type { Problem } from "../config/problem.ts";
import { SOURCE_BYTES_MAX } from "../config/read-sources.ts";
import { FAILURE, printJson } from "./output-format.ts";
import type { OutputFormat } from "./output-format.ts";

/** Checks the path, standard input for `-`, or WEFT_CONFIG without one. Resolves to the exit code: 0 without errors, else 1. */
export async function runValidate(path: string | null, output: OutputFormat): Promise<number> {
  const source = path === "-" ? { text: await readStandardInput(), label: "standard input" } : chooseSource(path, process.env);
  if (source === null) {
    process.stderr.write(`weft validate: there is nothing to check; give it a path, or the YAML itself in ${CONFIG_VARIABLE}\n`);
    return FAILURE;
  }
  const result = checkConfig(source);
  const errors = result.problems.filter((problem) => problem.severity === "error").length;
  if (output === "json") printJson({ valid: errors === 0, ...result });
  else printText(nameOf(source), result, errors);
  return errors === 0 ? 0 : FAILURE;
}

function printText(name: string, { problems, proxies, services }: CheckResult, errors: number): void {
  process.stderr.write(problems.map((problem: Problem) => `${formatProblem(problem)}\n`).join(""));
  const warnings = problems.length - errors;
  const found = `${count(proxies.length, "Proxy document")}, ${count(services.length, "Service document")}`;
  if (errors > 0)
    process.stderr.write(`${name}: not valid: ${count(errors, "error")}${warnings > 0 ? `, ${count(warnings, "warning")}` : ""}\n`);
  else process.stdout.write(`${name}: valid: ${found}${warnings > 0 ? `, ${count(warnings, "warning")}` : ""}\n`);
}

function nameOf(source: ConfigSource): string {
  return source.path ?? source.label ?? CONFIG_VARIABLE;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** Reads a little more than is allowed at most, so that the loader sees that it is too much. */
async function readStandardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > SOURCE_BYTES_MAX) break;
  }
  return Buffer.concat(chunks).toString("utf8");
}
