// Origins: the services behind the proxy, on real sockets, doing exactly what a test tells them.
//
// `startOrigin` speaks HTTP/1: the handler gets each request at its head and answers by hand or with `reply`. `startRawOrigin`
// hands over the bare connection. Both remember every connection and head, so that a test can prove what did not arrive.

import { createServer, type Server } from "node:net";
import type { Message, MessageReader, ReadOptions } from "./http-lite.ts";
import { Wire } from "./wire.ts";

/** One request at an origin. */
export class OriginExchange {
  /** The head; body fields are filled once `body()` has resolved. */
  readonly request: Message;
  readonly wire: Wire;
  readonly origin: Origin;
  readonly #reader: MessageReader;

  constructor(origin: Origin, wire: Wire, reader: MessageReader) {
    this.origin = origin;
    this.wire = wire;
    this.#reader = reader;
    this.request = reader.message!;
  }

  /** The whole request. Fails if the peer goes away before its end. */
  body(): Promise<Message> {
    return this.wire.readBody(this.#reader);
  }

  get isBodyRead(): boolean {
    return this.#reader.isDone;
  }

  /** Writes a response with a Content-Length. */
  reply(status: number, body: string | Buffer = "", headers: Readonly<Record<string, string>> = {}): Promise<void> {
    const bytes = typeof body === "string" ? Buffer.from(body, "latin1") : body;
    const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const length = status === 204 || status === 304 ? "" : `Content-Length: ${bytes.length}\r\n`;
    const head = Buffer.from(`HTTP/1.1 ${status} Status\r\n${length}${fields.join("")}\r\n`, "latin1");
    return this.wire.send(this.request.method === "HEAD" ? head : Buffer.concat([head, bytes]));
  }
}

export type OriginHandler = (exchange: OriginExchange) => Promise<void> | void;

export class Origin {
  readonly name: string;
  port = 0;
  /** Every connection ever accepted, in order. */
  readonly connections: Wire[] = [];
  /** Every request head that arrived, in order. */
  readonly requests: Message[] = [];
  /** What handlers and readers threw; a test that expects none looks here. */
  readonly errors: Error[] = [];
  readonly #server: Server;

  constructor(name: string, onConnection: (origin: Origin, wire: Wire) => Promise<void>) {
    this.name = name;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const wire = new Wire(socket);
      this.connections.push(wire);
      onConnection(this, wire).catch((error: Error) => {
        this.errors.push(error);
        wire.destroy();
      });
    });
  }

  async listen(port = 0, host = "127.0.0.1"): Promise<this> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, 4096, resolve);
    });
    this.port = (this.#server.address() as { port: number }).port;
    return this;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Connections that are not closed yet. */
  get openConnections(): number {
    return this.connections.filter((wire) => !wire.isClosed).length;
  }

  /** Stops listening and cuts what is left. */
  async stop(): Promise<void> {
    for (const wire of this.connections) wire.destroy();
    if (!this.#server.listening) return;
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export interface OriginOptions {
  readonly name?: string;
  readonly port?: number;
  /** Another loopback address, so that several origins share a port. */
  readonly host?: string;
  /** How bodies of requests are kept, by head. */
  readonly read?: ReadOptions;
}

/** An HTTP/1 origin. After the handler, an unread body is read, and the connection stays open unless the request says close. */
export function startOrigin(handler: OriginHandler, options: OriginOptions = {}): Promise<Origin> {
  const origin = new Origin(options.name ?? "origin", async (self, wire) => {
    for (;;) {
      const reader = await wire.readRequestHead(options.read);
      if (reader === null) break;
      const exchange = new OriginExchange(self, wire, reader);
      self.requests.push(exchange.request);
      await handler(exchange);
      if (wire.socket.destroyed || wire.socket.writableEnded) return;
      if (!exchange.isBodyRead) await exchange.body();
      if (/^close$/im.test(exchange.request.headers.find(([name]) => name.toLowerCase() === "connection")?.[1] ?? "")) break;
    }
    wire.endWrite();
  });
  return origin.listen(options.port, options.host);
}

/** An origin whose connections the test scripts byte by byte. */
export function startRawOrigin(onConnection: (wire: Wire) => Promise<void> | void, options: OriginOptions = {}): Promise<Origin> {
  return new Origin(options.name ?? "raw", async (_, wire) => onConnection(wire)).listen(options.port, options.host);
}
