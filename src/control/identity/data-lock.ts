// One process per data folder: a listening socket in the folder is the lock. It goes with its process, however that ends, and it works
// between containers that share the folder.
//
// Two authorities with one folder would undo each other's rotations and forget each other's used tokens.

import { rmSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import type { Server } from "node:net";
import { join, relative } from "node:path";
import { FileProblem } from "./private-files.ts";

/** Bytes of a socket's path in the kernel's address (sun_path), without the final NUL. */
const SOCKET_PATH_MAX = 107;

/** Takes the lock; resolves to what gives it back, or to null when another process has it. */
export async function lockFolder(folder: string): Promise<(() => Promise<void>) | null> {
  const path = socketPath(join(folder, "lock.sock"));
  for (let attempt = 0; attempt < 2; attempt++) {
    const server = await listen(path);
    if (server !== null) {
      return async () => {
        await new Promise<void>((resolve) => server.close(() => resolve()));
      };
    }
    if (await isAnswered(path)) return null;
    // Its process is gone.
    rmSync(path, { force: true });
  }
  return null;
}

/** The kernel's limit is short; from here it may be shorter. */
function socketPath(path: string): string {
  const near = relative(process.cwd(), path);
  const shorter = near.length < path.length ? near : path;
  if (Buffer.byteLength(shorter) > SOCKET_PATH_MAX)
    throw new FileProblem(`the path of the data folder is too long for a socket in it: ${path}`);
  return shorter;
}

async function listen(path: string): Promise<Server | null> {
  return await new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.unref();
    server.once("error", (error: NodeJS.ErrnoException) => (error.code === "EADDRINUSE" ? resolve(null) : reject(error)));
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
    socket.once("error", () => finish(false));
  });
}
