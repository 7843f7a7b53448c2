// What `weft inject` and `weft install` read and write: whole files or standard input and output, and never half of one.

import {
  chmodSync,
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { SOURCE_BYTES_MAX } from "../../config/read-sources.ts";
import type { Source } from "./injection.ts";

/** What keeps a file from being read or written, for people. */
export class FileTrouble extends Error {
  override readonly name = "FileTrouble";
}

/** Files of a folder: an application has some dozens, a whole repository by mistake has more. */
const FOLDER_FILES_MAX = 1_000;

const STDIN_NAME = "standard input";

/** Reads a file, or standard input for `-`. Rejects with a FileTrouble. */
export async function readSource(path: string): Promise<Source> {
  const file = path === "-" ? STDIN_NAME : path;
  const bytes = path === "-" ? await readStandardInput() : readWhole(path);
  if (bytes.length > SOURCE_BYTES_MAX) throw new FileTrouble(`${file} is larger than ${SOURCE_BYTES_MAX} bytes`);
  try {
    // The mark of byte order stays: what is given back must be the same bytes.
    return { file, text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    throw new FileTrouble(`${file} is not UTF-8`);
  }
}

/** A folder's manifests (`*.yaml`, `*.yml`, `*.json`, also in folders of it) in the order of their names; null when the path is no folder. Rejects with a FileTrouble. */
export async function readFolder(path: string): Promise<readonly Source[] | null> {
  if (path === "-" || statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return null;
  let names: string[];
  try {
    names = readdirSync(path, { recursive: true, encoding: "utf8" });
  } catch (error) {
    throw new FileTrouble(`${path} cannot be read: ${codeOf(error)}`);
  }
  const files = names
    .filter((name) => /\.(?:ya?ml|json)$/.test(name) && !/(?:^|\/)\./.test(name))
    .map((name) => join(path, name))
    .filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile() === true)
    .sort();
  if (files.length === 0 || files.length > FOLDER_FILES_MAX)
    throw new FileTrouble(`${path} has ${files.length} files that end in .yaml, .yml or .json; expected 1 to ${FOLDER_FILES_MAX}`);
  const sources: Source[] = [];
  for (const file of files) sources.push(await readSource(file));
  return sources;
}

function readWhole(path: string): Buffer {
  try {
    if (statSync(path).isDirectory()) throw new FileTrouble(`${path} is a folder: name a file in it`);
    return readFileSync(path);
  } catch (error) {
    if (error instanceof FileTrouble) throw error;
    const code = codeOf(error);
    throw new FileTrouble(code === "ENOENT" ? `${path}: there is no such file or folder` : `${path} cannot be read: ${code}`);
  }
}

async function readStandardInput(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > SOURCE_BYTES_MAX) break;
  }
  return Buffer.concat(chunks);
}

/** Writes to a file as a whole, or to standard output without one. Rejects with a FileTrouble. */
export async function writeOutput(path: string | null, text: string): Promise<void> {
  if (path !== null) {
    writeWhole(path, text);
    return;
  }
  await new Promise<void>((resolve, reject) => {
    const fail = (error: unknown): void => reject(new FileTrouble(`standard output cannot be written: ${codeOf(error)}`));
    process.stdout.once("error", fail);
    process.stdout.write(text, (error) => (error ? fail(error) : resolve()));
  });
}

/** What the system refused while something was read or written: a full disk, a folder of somebody else. */
export function isSystemTrouble(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error && "code" in error;
}

/** Whoever looks finds the old file or the new one. */
function writeWhole(path: string, text: string): void {
  const target = realPathOf(path);
  const fresh = `${target}.${process.pid}.new`;
  try {
    const before = statSync(target, { throwIfNoEntry: false });
    // A pipe or a terminal has nothing old that could be kept.
    if (before !== undefined && !before.isFile()) {
      writeFileSync(target, text);
      return;
    }
    const file = openSync(fresh, "wx", 0o666);
    try {
      if (before !== undefined) chmodSync(fresh, before.mode & 0o777);
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(fresh, target);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw new FileTrouble(`${path} cannot be written: ${codeOf(error)}`);
  }
}

/** Behind links, so that a link stays one. */
function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
