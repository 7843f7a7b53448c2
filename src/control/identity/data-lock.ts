// One process per data folder: a listening socket in the folder is the lock. It goes with its process, however that ends, and it works
// between containers that share the folder.
//
//   lock.sock   listened to by whoever has the folder; left behind by one that was killed
//   lock.old    the one that was left behind, out of the way. Answers it, then somebody was faster: it is put back
//
// Two authorities with one folder would undo each other's rotations and forget each other's used tokens. So a socket gets that name when it listens
// already, and what is found dead is never just removed: by then it may be the lock of another process, which has found the same one dead.

import { randomBytes } from "node:crypto";
import { chmodSync, linkSync, lstatSync, renameSync, rmSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import type { Server } from "node:net";
import { join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { FileProblem } from "./private-files.ts";

/** Bytes of a socket's path in the kernel's address (sun_path), without the final NUL. */
const SOCKET_PATH_MAX = 107;

/** Each is lost to another process that wants the folder at the same time. */
const ATTEMPTS_MAX = 20;

/** Who has taken the place of a lock meanwhile sees it and goes, within milliseconds. */
const PUT_BACK_TRIES_MAX = 500;
const PUT_BACK_PAUSE_MS = 10;

/** Takes the lock; resolves to what gives it back, or to null when another process has it. */
export async function lockFolder(folder: string): Promise<(() => Promise<void>) | null> {
  const path = socketPath(join(folder, "lock.sock"));
  const aside = socketPath(join(folder, "lock.old"));
  const own = socketPath(join(folder, `lock.${randomBytes(3).toString("base64url")}`));
  const server = await listen(own);
  // The folder is its owner's alone; what root listens to there must answer that owner, too.
  chmodSync(own, 0o666);
  const inode = inodeOf(own);
  const giveBack = async (): Promise<void> => {
    if (inodeOf(path) === inode) rmSync(path, { force: true });
    rmSync(own, { force: true });
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  if (await isTaken(own, path, aside)) {
    rmSync(own, { force: true });
    return giveBack;
  }
  await giveBack();
  return null;
}

/** The socket gets its name; false when another one has it. */
async function isTaken(own: string, path: string, aside: string): Promise<boolean> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    if (await isAnswered(aside)) return false;
    if (isLinked(own, path)) return !(await isAnswered(aside));
    if (await isAnswered(path)) return false;
    if (!moveAside(path, aside)) continue;
    if (await isAnswered(aside)) {
      await putBack(aside, path);
      return false;
    }
  }
  return false;
}

/** The kernel's limit is short; from here it may be shorter. */
function socketPath(path: string): string {
  const near = relative(process.cwd(), path);
  const shorter = near.length < path.length ? near : path;
  if (Buffer.byteLength(shorter) > SOCKET_PATH_MAX)
    throw new FileProblem(`the path of the data folder is too long for a socket in it: ${path}`);
  return shorter;
}

async function listen(path: string): Promise<Server> {
  return await new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.unref();
    server.once("error", reject);
    server.listen(path, () => resolve(server));
  });
}

async function isAnswered(path: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = createConnection(path);
    const finish = (isThere: boolean): void => {
      socket.destroy();
      resolve(isThere);
    };
    socket.once("connect", () => finish(true));
    // It listens, and many wait.
    socket.once("error", ({ code }: NodeJS.ErrnoException) => finish(code === "EAGAIN"));
  });
}

/** A second name for the same socket; false when there is something of that name. */
function isLinked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** False: another process was faster. */
function moveAside(path: string, aside: string): boolean {
  try {
    renameSync(path, aside);
    // Two names of one file, of a process that was killed while it put it back: then renaming does nothing.
    if (inodeOf(path) === inodeOf(aside)) rmSync(path, { force: true });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/** As long as it is aside nobody takes the folder, so it may stay there. */
async function putBack(aside: string, path: string): Promise<void> {
  for (let attempt = 0; attempt < PUT_BACK_TRIES_MAX; attempt++) {
    try {
      if (isLinked(aside, path) || inodeOf(aside) === inodeOf(path)) {
        rmSync(aside, { force: true });
        return;
      }
    } catch (error) {
      // Gone with its process, or put back by another one; or it is root's, whose files only root may name.
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT" || code === "EPERM") return;
      throw error;
    }
    await sleep(PUT_BACK_PAUSE_MS);
  }
}

/** Null: nothing is there. */
function inodeOf(path: string): bigint | null {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino ?? null;
}
