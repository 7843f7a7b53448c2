// What the house tests read: the files that git tracks, as text.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));

let tracked: string[] | null = null;

/** Paths relative to the project, with forward slashes, whoever owns it; a file that was deleted but not committed yet is left out. */
export function trackedFiles(): readonly string[] {
  tracked ??= execFileSync("git", ["-c", "safe.directory=*", "ls-files", "-z"], { cwd: ROOT, encoding: "utf8" })
    .split("\0")
    .filter((path) => path !== "" && existsSync(join(ROOT, path)));
  return tracked;
}

/** Tracked files below a folder (all with "") whose names end like that. */
export function trackedBelow(folder: string, ...endings: string[]): string[] {
  return trackedFiles().filter((path) => path.startsWith(folder) && endings.some((ending) => path.endsWith(ending)));
}

export function readText(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** A finding, in the form that editors make a link of. */
export function finding(path: string, line: number, text: string): string {
  return `${path}:${line}: ${text}`;
}

/** One-based line of an offset. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at !== -1 && at < offset; at = text.indexOf("\n", at + 1)) line++;
  return line;
}
