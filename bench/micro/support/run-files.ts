// Which micro benchmarks there are, and running them: each in a process of its own, so that none warms or spoils the other's code.

import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const FOLDER = new URL("../", import.meta.url);
const ENDING = ".bench.ts";

/** Their names, sorted: `chunked`, `head-parser`, ... */
export const MICRO_BENCHMARKS: readonly string[] = readdirSync(FOLDER)
  .filter((file) => file.endsWith(ENDING))
  .map((file) => file.slice(0, -ENDING.length))
  .sort();

export function microFile(name: string): string {
  return fileURLToPath(new URL(`${name}${ENDING}`, FOLDER));
}

/** Runs one, its output to ours; resolves with its exit code. */
function runFile(name: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--no-deprecation", microFile(name)], { stdio: "inherit" });
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
}

/** `bench micro [NAME...]`: all of them without names. Throws for a name that none has; resolves with the first exit code that is not 0. */
export async function runMicroBenchmarks(names: readonly string[]): Promise<number> {
  const unknown = names.find((name) => !MICRO_BENCHMARKS.includes(name));
  if (unknown !== undefined) throw new Error(`no micro benchmark is called '${unknown}'; there are: ${MICRO_BENCHMARKS.join(", ")}`);
  for (const name of names.length === 0 ? MICRO_BENCHMARKS : names) {
    process.stdout.write(`\n${name}\n\n`);
    const code = await runFile(name);
    if (code !== 0) return code;
  }
  return 0;
}
