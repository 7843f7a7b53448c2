// An origin for bodies that do not fit into memory, on node:http: content from a seed, uploads to a hash.
//
//   GET  /seeded?seed=N&size=N[&chunked]   that content, with a Content-Length or in chunks
//   POST, PUT anything                     the body's size and SHA-256 as JSON, and how it was framed

import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { SeededContent } from "../../support/seeded-content.ts";

export interface Received {
  readonly size: number;
  readonly sha256: string;
  readonly httpVersion: string;
  readonly contentLength: string | null;
  readonly transferEncoding: string | null;
  readonly expect: string | null;
}

/** The content as a stream, for a socket or for a tool's standard input. */
export function seededStream(seed: number, size: number): Readable {
  const content = new SeededContent(seed, size);
  return new Readable({
    highWaterMark: 256 * 1024,
    read() {
      const chunk = content.next();
      this.push(chunk.length === 0 ? null : chunk);
    },
  });
}

async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    hash.update(chunk);
  }
  const received: Received = {
    size,
    sha256: hash.digest("hex"),
    httpVersion: request.httpVersion,
    contentLength: request.headers["content-length"] ?? null,
    transferEncoding: request.headers["transfer-encoding"] ?? null,
    expect: request.headers.expect ?? null,
  };
  response.end(JSON.stringify(received));
}

async function send(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const query = new URL(request.url ?? "/", "http://origin").searchParams;
  const size = Number(query.get("size"));
  if (!query.has("chunked")) response.setHeader("Content-Length", size);
  await pipeline(seededStream(Number(query.get("seed")), size), response);
}

export class BigOrigin {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<BigOrigin> {
    const server = createServer((request, response) => {
      const answered = request.method === "GET" ? send(request, response) : receive(request, response);
      // A client that leaves is its own test's business.
      answered.catch(() => response.destroy());
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new BigOrigin(server);
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}
