// `weft version`.

import { readFileSync } from "node:fs";
import { printJson } from "./output-format.ts";
import type { OutputFormat } from "./output-format.ts";

/** Prints the version of this command and of the Node that runs it. Returns the exit code. */
export function runVersion(output: OutputFormat): number {
  const client = { version: packageVersion(), node: process.version };
  if (output === "json") printJson({ client });
  else process.stdout.write(`Client version: ${client.version} (Node ${client.node})\n`);
  return 0;
}

/** Of package.json, two folders above this file in the sources and in dist alike. */
export function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const version = typeof manifest === "object" && manifest !== null && "version" in manifest ? manifest.version : null;
  return typeof version === "string" ? version : "unknown";
}
