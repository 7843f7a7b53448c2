// How a command answers: for people or for programs, and with which exit code.

/** Exit code of a command that failed, where it has no code of its own. */
export const FAILURE = 1;

export type OutputFormat = "text" | "json";

/** One JSON document with its line end. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
