// How a command prints: for people, or for programs.

export type OutputFormat = "text" | "json";

/** One JSON document with its line end. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
