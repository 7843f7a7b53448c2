// One lane of the corpus through a running proxy: a listener with an origin of its own behind it, one case at a time, so that every
// byte that reaches the origin belongs to that case. Many lanes run side by side.
//
// The origin records all bytes of all its connections in the order in which they came, and answers each complete request. It
// reads HTTP by wire-form.ts, not by Weft's code.

import { Buffer } from "node:buffer";
import { connect, createServer, type Server, type Socket } from "node:net";
import { readWire } from "./wire-form.ts";
import { within } from "./wait.ts";

export const PLAIN_ANSWER = Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
const PLAIN_ANSWER_HEAD = PLAIN_ANSWER.subarray(0, PLAIN_ANSWER.length - 2);

/** What the origin does with a complete request. */
export interface Answer {
  readonly pieces: readonly Buffer[];
  readonly thenClose: boolean;
}

/** Writes pieces one by one, each handed to the kernel before the next: as far apart as one sender can put them. */
async function writePieces(socket: Socket, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed || socket.writableEnded) return;
    await new Promise<void>((resolve) => socket.write(piece, () => resolve()));
    // Another turn of the loop: the reader gets a chance to see this piece alone.
    if (pieces.length > 1) await new Promise((resolve) => setImmediate(resolve));
  }
}

export class LaneOrigin {
  /** Everything that came since `reset`. */
  #record: Buffer[] = [];
  /** Number of the connection on which each complete request came. */
  readonly requestConnections: number[] = [];
  /** Connections that are open with an incomplete request on them. */
  readonly #half = new Set<Socket>();
  /** Pass bytes through unread, answer nothing: opaque cases. */
  isRaw = false;
  /** Answers to come, by the number of the request since `reset`; a plain one for the others. */
  answers: readonly (Answer | null)[] = [];
  readonly #server: Server;
  readonly #waiting = new Set<() => void>();
  readonly #sockets = new Set<Socket>();
  #connections = 0;
  #answering = 0;

  private constructor(server: Server) {
    this.#server = server;
    server.on("connection", (socket) => this.#serve(socket));
  }

  static async start(): Promise<LaneOrigin> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new LaneOrigin(server);
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  get record(): Buffer {
    return Buffer.concat(this.#record);
  }

  /** Forgets the case before, and what a failed one left open. */
  reset(): void {
    for (const socket of this.#half) socket.destroy();
    this.#half.clear();
    this.#record = [];
    this.requestConnections.length = 0;
    this.isRaw = false;
    this.answers = [];
  }

  /** Waits for a state of the origin, without polling. */
  async until(what: string, condition: () => boolean): Promise<void> {
    while (!condition()) {
      let wake = (): void => {};
      const changed = new Promise<void>((resolve) => {
        wake = resolve;
      });
      this.#waiting.add(wake);
      await within(`the origin: ${what}`, changed).finally(() => this.#waiting.delete(wake));
    }
  }

  /** All answers that were begun are written. */
  get isQuiet(): boolean {
    return this.#answering === 0;
  }

  /** No open connection has an incomplete request on it. */
  get isCutOff(): boolean {
    return this.#half.size === 0;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    const connection = ++this.#connections;
    let bytes: Buffer = Buffer.alloc(0);
    let answered = 0;
    this.#sockets.add(socket);
    socket.on("data", (chunk: Buffer) => {
      this.#record.push(chunk);
      if (!this.isRaw) {
        bytes = Buffer.concat([bytes, chunk]);
        const all = readWire(bytes, { kind: "request" });
        const requests = all.filter((message) => message.isComplete);
        if (all.length > requests.length) this.#half.add(socket);
        else this.#half.delete(socket);
        for (; answered < requests.length; answered++) {
          this.requestConnections.push(connection);
          void this.#answer(socket, this.answers[this.requestConnections.length - 1] ?? null, requests[answered]!.head.startsWith("HEAD "));
        }
        // Between two requests nothing needs to be kept.
        if (requests.length === all.length) {
          bytes = Buffer.alloc(0);
          answered = 0;
        }
      }
      this.#notify();
    });
    socket.on("end", () => socket.end());
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#sockets.delete(socket);
      this.#half.delete(socket);
      this.#notify();
    });
  }

  async #answer(socket: Socket, answer: Answer | null, isHead: boolean): Promise<void> {
    this.#answering++;
    if (answer === null) await writePieces(socket, [isHead ? PLAIN_ANSWER_HEAD : PLAIN_ANSWER]);
    else await writePieces(socket, answer.pieces);
    if (answer?.thenClose === true) socket.end();
    this.#answering--;
    this.#notify();
  }

  #notify(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}

/** What the client got. */
export interface ClientView {
  readonly bytes: Buffer;
  /** The proxy ended the connection before the client did. */
  readonly wasEnded: boolean;
  readonly error: string;
}

export interface SendOptions {
  /** Enough has come: the client ends its side. Asked after every read. */
  readonly isEnough: (bytes: Buffer) => boolean;
  /** End the client's side as soon as everything is sent. */
  readonly endsAtOnce: boolean;
}

/** Sends pieces to a port of the loopback and reads until the connection is gone. */
export async function send(port: number, pieces: readonly Buffer[], options: SendOptions): Promise<ClientView> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
  let bytes: Buffer = Buffer.alloc(0);
  let wasEnded = false;
  let hasEnded = false;
  let error = "";
  const closed = new Promise<void>((resolve) => {
    socket.on("close", () => resolve());
  });
  const end = (): void => {
    hasEnded = true;
    socket.end();
  };
  socket.on("data", (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    if (!hasEnded && options.isEnough(bytes)) end();
  });
  socket.on("end", () => {
    wasEnded = !hasEnded;
    socket.end();
  });
  socket.on("error", (cause: NodeJS.ErrnoException) => {
    error = cause.code ?? cause.message;
  });
  const run = async (): Promise<void> => {
    await writePieces(socket, pieces);
    if (options.endsAtOnce && !hasEnded) end();
    await closed;
  };
  try {
    await within("the end of a client's connection", run());
  } catch (cause) {
    throw new Error(`${(cause as Error).message}; it got ${JSON.stringify(bytes.toString("latin1").slice(0, 400))}`);
  } finally {
    socket.destroy();
  }
  return { bytes, wasEnded, error };
}
