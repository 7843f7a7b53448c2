// Files that nobody else may read: keys and state in a folder of our own. Writes are atomic and durable.
//
// Refuses a folder or a key that its group or others can reach, or that somebody else owns: whoever could read it could be the whole mesh.
// What root writes belongs to the folder's owner: a command run by sudo must not lock the component out of its own folder.

import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import type { Stats } from "node:fs";
import { dirname } from "node:path";

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const OTHERS = 0o077;

/** Bytes: state, keys and chains are a few KB; a file of another size is none of ours. */
export const PRIVATE_BYTES_MAX: number = 1024 * 1024;

/** What is wrong with a file or folder, in words that say what to do. */
export class FileProblem extends Error {
  override readonly name = "FileProblem";
}

/** Makes the folder if it is not there. Throws a FileProblem when it is not ours alone. */
export function openPrivateFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
  } catch (error) {
    throw new FileProblem(`${path} cannot be made (${(error as NodeJS.ErrnoException).code}): name a folder that this user may write`);
  }
  const stat = statSync(path);
  if (!stat.isDirectory()) throw new FileProblem(`${path} is no folder`);
  checkOwner(path, stat, "700");
}

/** The text of a key file. Throws a FileProblem when others can read it; `ENOENT` passes through as Node's error. */
export function readPrivateFile(path: string): string {
  const stat = lstatSync(path);
  // A link in the folder would be somebody's trick, or a mount (Kubernetes); what it leads to is what counts.
  checkOwner(path, stat.isSymbolicLink() ? statSync(path) : stat, "600");
  return readBounded(path);
}

/** The text of a file that is no secret. */
export function readBounded(path: string): string {
  const { size } = statSync(path);
  if (size > PRIVATE_BYTES_MAX) throw new FileProblem(`${path} is larger than ${PRIVATE_BYTES_MAX} bytes`);
  return readFileSync(path, "utf8");
}

function checkOwner(path: string, stat: Stats, mode: string): void {
  if ((stat.mode & OTHERS) !== 0) {
    throw new FileProblem(`${path} can be reached by others (mode ${(stat.mode & 0o777).toString(8)}): chmod ${mode} ${path}`);
  }
  const self = process.geteuid?.();
  if (self !== undefined && self !== 0 && stat.uid !== self) throw new FileProblem(`${path} belongs to another user (uid ${stat.uid})`);
}

/** Whose a file is, and who reads it. */
export interface Readers {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/**
 * Writes a file as a whole, mode 0600 or for `readers` (whose owner only root can give): whoever looks, also after a power cut, finds the old content or the new
 * one. Everything is settled on the descriptor before the file has its name: the folder's owner may put a link there at any time.
 */
export function writePrivateFile(path: string, text: string, readers: Readers | null = null): void {
  const fresh = `${path}.new`;
  rmSync(fresh, { force: true });
  const file = openSync(fresh, "wx", FILE_MODE);
  try {
    // A umask may have taken rights away, never given any.
    fchmodSync(file, FILE_MODE);
    if (readers === null) giveToOwner(file, path);
    else if (process.geteuid?.() === 0) fchownSync(file, readers.uid, readers.gid);
    if (readers !== null) fchmodSync(file, readers.mode);
    writeAll(file, text);
  } finally {
    closeSync(file);
  }
  renameSync(fresh, path);
  syncFolder(dirname(path));
}

function giveToOwner(file: number, path: string): void {
  if (process.geteuid?.() !== 0) return;
  const { uid, gid } = statSync(dirname(path));
  if (uid === 0) return;
  try {
    fchownSync(file, uid, gid);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new FileProblem(`${path} cannot be given to the owner of its folder, uid ${uid} (${code}): run this as that user`);
  }
}

/** Writes the text at the file's beginning, makes that its whole content, and durable. */
export function writeAll(file: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at, at);
  ftruncateSync(file, bytes.length);
  fsyncSync(file);
}

/** Removes a file; one that is not there is removed already. */
export function removePrivateFile(path: string): void {
  rmSync(path, { force: true });
  syncFolder(dirname(path));
}

/** Makes what happened to the folder's entries durable. */
export function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
