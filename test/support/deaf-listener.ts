// A listener that accepts nothing and whose queue is full: a connect to it hangs, as to a host that drops packets.
//
// The kernel completes connections up to backlog + 1 by itself and drops the SYNs of further ones, as long as nobody accepts: a thread
// that listens and then stands still. Linux' behaviour; elsewhere `start` fails rather than pretend.

import { connect, type Socket } from "node:net";
import { Worker } from "node:worker_threads";
import { within } from "./wait.ts";

/** Connections that the kernel takes for a backlog of 1. */
const QUEUE_LENGTH = 2;

const LISTEN = `
  const { parentPort } = require("node:worker_threads");
  const server = require("node:net").createServer();
  server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
`;

export class DeafListener {
  readonly port: number;
  readonly #thread: Worker;
  readonly #fillers: readonly Socket[];

  private constructor(port: number, thread: Worker, fillers: readonly Socket[]) {
    this.port = port;
    this.#thread = thread;
    this.#fillers = fillers;
  }

  static async start(): Promise<DeafListener> {
    const thread = new Worker(LISTEN, { eval: true });
    const port = await within("the thread to listen", new Promise<number>((resolve) => thread.once("message", resolve)));
    const fillers: Socket[] = [];
    for (let i = 0; i < QUEUE_LENGTH; i++) {
      const socket = connect({ port, host: "127.0.0.1" });
      fillers.push(socket);
      await within("a connection that fills the queue", new Promise((resolve) => socket.once("connect", resolve)));
    }
    return new DeafListener(port, thread, fillers);
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#fillers) socket.on("error", () => {}).destroy();
    await this.#thread.terminate();
  }
}
