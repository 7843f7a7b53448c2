// An HTTP/2 origin without TLS, by Node's own implementation: counts sessions and streams, and answers as a handler says.

import { once } from "node:events";
import { createServer, type Http2Server, type Http2Session, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";

/** What a session may hold: Node resets streams beyond 10 MB. */
const SESSION_MEMORY_MB = 1_000;

export type H2Handler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, origin: H2cOrigin) => void;

export class H2cOrigin {
  readonly name: string;
  readonly sessions = new Set<Http2Session>();
  /** Of every request that arrived, in order. */
  readonly requests: IncomingHttpHeaders[] = [];
  /** Codes of streams that were reset, in order. */
  readonly resets: number[] = [];
  sessionsEver = 0;
  port = 0;
  readonly #server: Http2Server;

  private constructor(name: string, handler: H2Handler) {
    this.name = name;
    this.#server = createServer({ settings: { maxConcurrentStreams: 100 }, maxSessionMemory: SESSION_MEMORY_MB });
    this.#server.on("session", (session) => {
      this.sessionsEver++;
      this.sessions.add(session);
      session.once("close", () => this.sessions.delete(session));
      session.on("error", () => undefined);
    });
    this.#server.on("stream", (stream, headers) => {
      this.requests.push(headers);
      stream.on("error", () => undefined);
      stream.once("close", () => {
        if (stream.rstCode !== 0) this.resets.push(stream.rstCode);
      });
      handler(stream, headers, this);
    });
  }

  static async start(name: string, handler: H2Handler): Promise<H2cOrigin> {
    const origin = new H2cOrigin(name, handler);
    origin.#server.listen(0, "127.0.0.1");
    await once(origin.#server, "listening");
    origin.port = (origin.#server.address() as AddressInfo).port;
    return origin;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async stop(): Promise<void> {
    for (const session of this.sessions) session.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
