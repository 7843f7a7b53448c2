// Which file a command is, found as a shell finds it, before anything is started: 127 when there is none, 126 when it cannot be run.

import { accessSync, constants, statSync } from "node:fs";
import { join } from "node:path";

export const NOT_EXECUTABLE = 126;
export const NOT_FOUND = 127;
/** Where execvp looks without PATH. */
const PATH_DEFAULT = "/bin:/usr/bin";

export interface CommandMistake {
  readonly code: number;
  readonly message: string;
}

/** What is wrong with a command, or null. A name without a slash is looked up in PATH; the first file there that may be run has it. */
export function commandMistake(name: string, path: string | undefined): CommandMistake | null {
  const places = name.includes("/") ? [name] : (path ?? PATH_DEFAULT).split(":").map((folder) => join(folder === "" ? "." : folder, name));
  let found: string | null = null;
  for (const place of places) {
    const what = look(place);
    if (what === "runs") return null;
    if (what !== "none") found ??= what;
  }
  if (found === null) return { code: NOT_FOUND, message: `${name}: not found` };
  return { code: NOT_EXECUTABLE, message: `${name}: ${found}` };
}

function look(place: string): "runs" | "none" | "is a folder" | "not executable" {
  try {
    if (!statSync(place).isFile()) return "is a folder";
  } catch (error) {
    // A folder on the way that may not be searched is not the same as no file, but execvp goes on, too.
    return (error as NodeJS.ErrnoException).code === "EACCES" ? "not executable" : "none";
  }
  try {
    accessSync(place, constants.X_OK);
    return "runs";
  } catch {
    return "not executable";
  }
}

/** The exit code for a start that the kernel refused after all. */
export function spawnFailureCode(error: NodeJS.ErrnoException): number {
  return error.code === "ENOENT" ? NOT_FOUND : NOT_EXECUTABLE;
}
