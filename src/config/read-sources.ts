// Reads the texts of a configuration: one file, the YAML files of a folder, or text that is there already.
//
// A folder is read one level deep, in the order of names (code units): *.yaml and *.yml, no sub-folders, nothing that begins
// with a dot (editors' swap files, the `..data` links of mounted Kubernetes volumes; the links beside them are followed).
// Refused: anything that is no regular file, more than SOURCE_BYTES_MAX in all, text that is not UTF-8.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { CONFIG_VARIABLE } from "./config-source.ts";
import type { ConfigSource, SourceFile } from "./config-source.ts";
import { nearest } from "./did-you-mean.ts";
import type { Problem } from "./problem.ts";

/** Bytes of all files together: some 400,000 endpoints; a file beyond it is no configuration. */
export const SOURCE_BYTES_MAX = 16 * 1024 * 1024;
/** Files per folder, for the same reason. */
export const FILES_MAX = 1000;

export interface SourceText {
  /** As the user knows it. */
  readonly file: string;
  readonly text: string;
}

export interface Sources {
  readonly texts: readonly SourceText[];
  readonly files: readonly SourceFile[];
  readonly problems: readonly Problem[];
}

/** Reads everything a source has; what cannot be read becomes problems. */
export function readSources(source: ConfigSource): Sources {
  const path = source.path ?? null;
  if (path !== null) return readPath(path);
  const text = source.text ?? "";
  const label = source.label ?? CONFIG_VARIABLE;
  if (Buffer.byteLength(text) > SOURCE_BYTES_MAX) return { texts: [], files: [], problems: [error(label, tooLarge(), null)] };
  return { texts: [{ file: label, text }], files: [], problems: [] };
}

function readPath(path: string): Sources {
  const texts: SourceText[] = [];
  const files: SourceFile[] = [];
  const problems: Problem[] = [];
  let bytesLeft = SOURCE_BYTES_MAX;
  try {
    for (const file of listFiles(path, problems)) {
      const stat = statSync(file);
      files.push({ path: file, mtimeMs: stat.mtimeMs });
      if (!stat.isFile()) {
        if (file === path) problems.push(error(path, "it is neither a file nor a folder", null));
        continue;
      }
      bytesLeft -= stat.size;
      if (bytesLeft < 0) {
        problems.push(error(file, tooLarge(), null));
        break;
      }
      const text = decode(readFileSync(file));
      if (text === null) problems.push(error(file, "it is not UTF-8 text", "save it as UTF-8"));
      else texts.push({ file, text });
    }
  } catch (reason) {
    if (!isSystemError(reason)) throw reason;
    problems.push(describeSystemError(path, reason));
    if (files.length === 0) files.push({ path, mtimeMs: 0 });
  }
  return { texts, files, problems };
}

function listFiles(path: string, problems: Problem[]): string[] {
  if (!statSync(path).isDirectory()) return [path];
  const names = readdirSync(path).sort();
  const yamlNames = names.filter((name) => /\.ya?ml$/.test(name) && !name.startsWith("."));
  if (yamlNames.length === 0) problems.push(error(path, "the folder has no *.yaml or *.yml file", null));
  if (yamlNames.length > FILES_MAX) problems.push(error(path, `the folder has ${yamlNames.length} files`, `at most ${FILES_MAX} are read`));
  return yamlNames.slice(0, FILES_MAX).map((name) => join(path, name));
}

function decode(bytes: Buffer): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

function isSystemError(reason: unknown): reason is NodeJS.ErrnoException {
  return reason instanceof Error && typeof (reason as NodeJS.ErrnoException).code === "string";
}

function describeSystemError(path: string, reason: NodeJS.ErrnoException): Problem {
  const file = reason.path ?? path;
  switch (reason.code) {
    case "ENOENT":
      return error(file, "there is no such file or folder", similarName(file));
    case "EACCES":
    case "EPERM":
      return error(file, "it may not be read", "check its permissions and those of its folders");
    case "ELOOP":
      return error(file, "its symbolic links lead in a circle", null);
    default:
      return error(file, `it cannot be read (${reason.code ?? reason.message})`, null);
  }
}

function similarName(file: string): string | null {
  const cut = file.lastIndexOf("/");
  const folder = cut < 0 ? "." : file.slice(0, cut + 1);
  try {
    const near = nearest(file.slice(cut + 1), readdirSync(folder));
    return near === null ? null : `did you mean ${cut < 0 ? "" : folder}${near}?`;
  } catch {
    return null;
  }
}

function tooLarge(): string {
  return `the configuration is larger than ${SOURCE_BYTES_MAX} bytes`;
}

function error(file: string, message: string, hint: string | null): Problem {
  return { file, line: 0, column: 0, severity: "error", message, hint };
}
