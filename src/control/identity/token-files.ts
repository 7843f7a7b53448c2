// Join tokens in files, renewed where they are: the same file, owner and mode, because whoever reads it may have it mounted as a file (a compose
// secret), where a file that takes its place by its name is never seen.
//
//   NAME.new   the new token, whole and durable, until it stands in NAME: an interruption in between is finished by the next run
//
// Only what the component's own key has signed is renewed without being named: a workload that may write its own token file must not get another
// one's identity by asking for it there. Links are left alone.

import { accessSync, closeSync, constants, existsSync, fstatSync, lstatSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { readJoinToken, TOKEN_LENGTH_MAX } from "../../core/identity/join-token.ts";
import type { JoinTokens, OwnToken } from "./join-tokens.ts";
import { FileProblem, removePrivateFile, writeAll, writePrivateFile } from "./private-files.ts";

/** Files of a folder that are looked at: more is no folder of tokens. */
const FILES_MAX = 10_000;

const FRESH = ".new";

/** Everybody but the owner and the group. */
const OTHERS = 0o007;

/** O_NONBLOCK: a FIFO must not hold anybody up. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const WRITE = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** What the token in it says; null: a join token, and not of this key. `problem`: it cannot be read. */
export type TokenFile = { readonly path: string } & ({ readonly token: OwnToken | null } | { readonly problem: string });

/** The files of the folder that hold join tokens, by name; renewals that were interrupted are finished first, unless `isDryRun`. Throws a FileProblem. */
export async function findTokenFiles(folder: string, tokens: JoinTokens, isDryRun: boolean): Promise<readonly TokenFile[]> {
  const names = listFolder(folder);
  const found: TokenFile[] = [];
  for (const name of names) {
    const path = join(folder, name);
    try {
      if (name.endsWith(FRESH)) {
        const whole = name.slice(0, -FRESH.length);
        if (!isDryRun && names.includes(whole)) await finishRenewal(join(folder, whole), tokens);
        continue;
      }
      const text = readTokenText(path);
      if (text !== null) found.push({ path, token: await tokens.recognize(text) });
    } catch (error) {
      if (!(error instanceof FileProblem)) throw error;
      found.push({ path, problem: error.message });
    }
  }
  return found;
}

/** Puts the token into the file that is there. Throws a FileProblem. */
export function renewTokenFile(path: string, token: string): void {
  writePrivateFile(`${path}${FRESH}`, `${token}\n`);
  copyInto(path, `${token}\n`);
  removePrivateFile(`${path}${FRESH}`);
}

/**
 * Whether a token can be written there, as far as that can be known before: the folder is there, and takes files; or it comes with the folder `data`,
 * which is laid out first. Throws a FileProblem.
 */
export function checkTokenPlace(path: string, data: string | undefined): void {
  const folder = dirname(path);
  if (data !== undefined && !existsSync(folder) && `${resolve(data)}/`.startsWith(`${resolve(folder)}/`)) return;
  if (!existsSync(folder))
    throw new FileProblem(`${path} cannot be written: the folder ${folder} does not exist; make it first (mkdir -p ${folder})`);
  if (!isFolder(folder)) throw new FileProblem(`${path} cannot be written: ${folder} is no folder`);
  if (isFolder(path)) throw new FileProblem(`${path} cannot be written: it is a folder; name a file in it`);
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new FileProblem(`${path} cannot be written (${(error as NodeJS.ErrnoException).code}): this user may not write into ${folder}`);
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** Writes the token into a file for its owner alone: in place where it is a token's already, and others cannot read it; else as a new file. Throws a FileProblem. */
export function writeTokenFile(path: string, token: string): void {
  if (isPrivateTokenFile(path)) renewTokenFile(path, token);
  else writePrivateFile(path, `${token}\n`);
}

function isPrivateTokenFile(path: string): boolean {
  try {
    const stat = lstatSync(path);
    return stat.isFile() && (stat.mode & OTHERS) === 0 && readTokenText(path) !== null;
  } catch {
    return false;
  }
}

/** True when the file is there and holds a join token of whatever key, or nothing is there. */
export function mayHoldToken(path: string): boolean {
  try {
    return lstatSync(path).isFile() && readTokenText(path) !== null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}

function listFolder(folder: string): string[] {
  try {
    const names = readdirSync(folder).sort();
    if (names.length > FILES_MAX) throw new FileProblem(`${folder} has more than ${FILES_MAX} files: it is no folder of tokens`);
    // Finished before their files are looked at.
    return [...names.filter((name) => name.endsWith(FRESH)), ...names.filter((name) => !name.endsWith(FRESH))];
  } catch (error) {
    if (error instanceof FileProblem) throw error;
    throw new FileProblem(
      `${folder} cannot be listed (${(error as NodeJS.ErrnoException).code}): name the folder that has the token files`,
    );
  }
}

/** A whole new token beside a file that holds no good one: the copy was interrupted, or had not begun. Beside a good one it had not begun, or was over. */
async function finishRenewal(path: string, tokens: JoinTokens): Promise<void> {
  const fresh = `${path}${FRESH}`;
  const text = readTokenText(fresh);
  if (text === null || (await tokens.recognize(text)) === null) return;
  const there = readTokenText(path);
  if (there === null || (await tokens.recognize(there)) === null) copyInto(path, `${text}\n`);
  removePrivateFile(fresh);
}

function copyInto(path: string, content: string): void {
  let file: number;
  try {
    file = openSync(path, WRITE);
  } catch (error) {
    throw new FileProblem(`${path} cannot be written (${(error as NodeJS.ErrnoException).code}): run this as its owner`);
  }
  try {
    if (!fstatSync(file).isFile()) throw new FileProblem(`${path} is no file`);
    writeAll(file, content);
  } finally {
    closeSync(file);
  }
}

/** The join token that is all of the file's content; null for anything else. Throws a FileProblem for a file that may not be read. */
function readTokenText(path: string): string | null {
  let file: number;
  try {
    file = openSync(path, READ);
  } catch (error) {
    const { code = "unknown error" } = error as NodeJS.ErrnoException;
    if (code === "ELOOP" || code === "ENXIO" || code === "ENOENT") return null;
    throw new FileProblem(`${path} cannot be read (${code}): run this as its owner`);
  }
  try {
    if (!fstatSync(file).isFile()) return null;
    // One byte more than a token with a line end has.
    const buffer = Buffer.alloc(TOKEN_LENGTH_MAX + 2);
    const text = buffer.toString("latin1", 0, readSync(file, buffer, 0, buffer.length, 0)).trim();
    return "problem" in readJoinToken(text) ? null : text;
  } finally {
    closeSync(file);
  }
}
