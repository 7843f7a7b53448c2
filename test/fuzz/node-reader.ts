// Reads requests with Node's own HTTP/1 parser: a `node:http` server without a socket, fed through a stream in memory. A second
// opinion by other people's code on where a request begins, what it asks for and where it ends.

import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, METHODS, type Server, type ServerResponse } from "node:http";
import { Duplex } from "node:stream";

export interface NodeRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly string[];
  readonly payload: string;
  readonly trailers: readonly string[];
}

export interface NodeReading {
  /** Complete requests, in order. */
  readonly requests: readonly NodeRequest[];
  /** Requests whose head was read, also if their body was not complete. */
  readonly begun: number;
  /** Node's error code, '' without one. */
  readonly error: string;
}

const NODE_METHODS = new Set(METHODS);

/** Does Node's parser know this method? It refuses all others. */
export function isNodeMethod(method: string): boolean {
  return NODE_METHODS.has(method) && method !== "CONNECT";
}

class MemorySocket extends Duplex {
  override _read(): void {}
  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done();
  }
  setTimeout(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
}

export class NodeReader {
  readonly #server: Server;
  #requests: NodeRequest[] = [];
  #begun = 0;
  #error = "";

  constructor() {
    this.#server = createServer({
      requireHostHeader: false,
      keepAliveTimeout: 0,
      maxHeaderSize: 128 * 1024,
      requestTimeout: 0,
      headersTimeout: 0,
    });
    this.#server.maxHeadersCount = 0;
    const take = (request: IncomingMessage, response: ServerResponse): void => this.#take(request, response);
    this.#server.on("request", take);
    this.#server.on("checkContinue", take);
    this.#server.on("checkExpectation", take);
    this.#server.on("clientError", (error: NodeJS.ErrnoException) => {
      this.#error = error.code ?? error.message;
    });
  }

  async read(bytes: Buffer): Promise<NodeReading> {
    this.#requests = [];
    this.#begun = 0;
    this.#error = "";
    const socket = new MemorySocket();
    this.#server.emit("connection", socket);
    socket.push(bytes);
    // Parsing is synchronous once the stream flows; answers release pipelined requests one by one.
    for (let turns = 0, seen = -1; turns < 4 || seen !== this.#requests.length; turns++) {
      seen = this.#requests.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    socket.destroy();
    return { requests: this.#requests, begun: this.#begun, error: this.#error };
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    this.#begun++;
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      this.#requests.push({
        method: request.method!,
        url: request.url!,
        headers: request.rawHeaders,
        payload: Buffer.concat(chunks).toString("latin1"),
        trailers: request.rawTrailers,
      });
      response.end();
    });
    request.on("error", () => response.destroy());
  }
}
