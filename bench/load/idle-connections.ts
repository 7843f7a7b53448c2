// Many connections that do nothing, each after one request: what a proxy keeps for clients that are merely there.

import { connect, type Socket } from "node:net";

/** Opened at a time: a burst beyond the listen queue would measure retransmissions. */
const BATCH = 100;
const OPEN_DEADLINE_MS = 10_000;

function openOne(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    const timer = setTimeout(() => fail(new Error(`no answer from port ${port}`)), OPEN_DEADLINE_MS);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    socket.once("error", fail);
    // Closed without a word: refused.
    socket.once("close", () => fail(new Error(`port ${port} closed the connection`)));
    socket.once("connect", () => socket.write(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`));
    // The answer is smaller than one segment; its first bytes mean that it is here.
    socket.once("data", () => {
      clearTimeout(timer);
      socket.off("error", fail);
      socket.on("error", () => {});
      resolve(socket);
    });
  });
}

/** All of them or none: those that were opened before one failed are closed again. */
export async function openIdle(port: number, count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < count) {
    const batch = Array.from({ length: Math.min(BATCH, count - sockets.length) }, () => openOne(port));
    const outcomes = await Promise.allSettled(batch);
    for (const outcome of outcomes) if (outcome.status === "fulfilled") sockets.push(outcome.value);
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed !== undefined) {
      closeAll(sockets);
      throw failed.reason;
    }
  }
  return sockets;
}

export function closeAll(sockets: readonly Socket[]): void {
  for (const socket of sockets) socket.destroy();
}
