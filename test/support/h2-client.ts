// Requests by Node's own HTTP/2 client: one connection, and answers as a test wants to look at them.

import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { connect as connectSocket, type Socket } from "node:net";
import { within } from "./wait.ts";

export interface H2Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly trailers: IncomingHttpHeaders | null;
  /** Statuses of 1xx responses. */
  readonly informational: readonly number[];
}

export class H2Client {
  readonly session: ClientHttp2Session;
  readonly #authority: string;

  /** `to`: a port, or a connection that is there and has said nothing yet. */
  constructor(to: number | Socket, authority = "web") {
    this.#authority = authority;
    this.session = connect(`http://${authority}`, { createConnection: () => (typeof to === "number" ? connectTo(to) : to) });
    this.session.on("error", () => undefined);
  }

  open(headers: OutgoingHttpHeaders, endStream = true): ClientHttp2Stream {
    const stream = this.session.request({ ":authority": this.#authority, ...headers }, { endStream });
    stream.on("error", () => undefined);
    return stream;
  }

  /** A whole request; rejects when its stream is reset. */
  async request(headers: OutgoingHttpHeaders, body?: Buffer | string, trailers?: Record<string, string>): Promise<H2Answer> {
    const all = { ":authority": this.#authority, ...headers };
    const stream = this.session.request(all, { endStream: body === undefined, waitForTrailers: trailers !== undefined });
    if (trailers !== undefined) stream.once("wantTrailers", () => stream.sendTrailers(trailers));
    if (body !== undefined) stream.end(body);
    return within(`an answer to ${headers[":method"] ?? "GET"} ${headers[":path"] ?? "/"}`, answerOf(stream));
  }

  get(path: string, headers: OutgoingHttpHeaders = {}): Promise<H2Answer> {
    return this.request({ ":path": path, ...headers });
  }

  close(): void {
    this.session.destroy();
  }
}

/** The whole answer on a stream. */
export function answerOf(stream: ClientHttp2Stream): Promise<H2Answer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const informational: number[] = [];
    let head: IncomingHttpHeaders | null = null;
    let trailers: IncomingHttpHeaders | null = null;
    stream.on("headers", (headers) => informational.push(Number(headers[":status"])));
    stream.once("response", (headers) => {
      head = headers;
    });
    stream.once("trailers", (fields) => {
      trailers = fields;
    });
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.once("error", reject);
    stream.once("close", () => {
      if (head === null || stream.rstCode > 0)
        reject(new Error(`reset with ${stream.rstCode}, ${head === null ? "no" : "after its"} head`));
      else resolve({ status: Number(head[":status"]), headers: head, body: Buffer.concat(chunks), trailers, informational });
    });
  });
}

function connectTo(port: number): Socket {
  return connectSocket({ port, host: "127.0.0.1", noDelay: true });
}
