// One `weft init` at a time in a network namespace: two that write at once would each add its jumps, or be refused by the other's change.
//
// A namespace's holder and its init container share no file that they could lock, but they share the namespace, and with it the names of abstract
// sockets: who listens at ours is the one that writes. The kernel gives the name back when that process ends, however it does. Whoever holds the name
// for too long may be anybody, the application too, and must not keep rules from being written: then it goes on without.

import { createServer, type Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Abstract: not in the file system, but in the network namespace. */
const NAME = "\0weft-init";
const LOOK_MS = 50;
/** Writing takes a fraction of a second, waiting for the lock of the older tables ten seconds (tables.ts). */
const WAIT_MS_MAX = 15_000;

/** Does it when no other does, or after a wait. What it throws is passed on. */
export async function oneAtATime<T>(work: () => T): Promise<T> {
  const server = await listen();
  try {
    return work();
  } finally {
    if (server !== null) await new Promise((resolve) => server.close(resolve));
  }
}

async function listen(): Promise<Server | null> {
  for (let waitedMs = 0; waitedMs < WAIT_MS_MAX; waitedMs += LOOK_MS) {
    const server = createServer((socket) => socket.destroy());
    const code = await new Promise<string | null>((resolve) => {
      server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "unknown"));
      server.listen(NAME, () => resolve(null));
    });
    if (code === null) return server;
    // Elsewhere than on Linux there are no such names, and nothing that could be written.
    if (code !== "EADDRINUSE") return null;
    await sleep(LOOK_MS);
  }
  return null;
}
