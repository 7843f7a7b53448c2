// An HTTP/2 server for tests whose connections are scripts on H2Peer: each `(peer) => ...` gets one connection, before its SETTINGS.

import { readFileSync } from "node:fs";
import { createServer as createTcpServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { H2Peer, type PeerOptions } from "./h2-peer.ts";

const FIXTURES = new URL("../fixtures/h2/", import.meta.url);

/** A key and a certificate for localhost that nobody trusts; made for these tests alone. */
export function testCertificate(): { key: Buffer; cert: Buffer } {
  return { key: readFileSync(new URL("localhost.key", FIXTURES)), cert: readFileSync(new URL("localhost.crt", FIXTURES)) };
}

export interface H2ServerOptions extends PeerOptions {
  readonly tls?: boolean;
  readonly port?: number;
}

export class H2Server {
  /** Every connection ever accepted, in order. */
  readonly peers: H2Peer[] = [];
  /** What scripts threw; a test that expects none looks here. */
  readonly errors: Error[] = [];
  port = 0;
  readonly #server: Server;

  private constructor(script: (peer: H2Peer) => Promise<void>, options: H2ServerOptions) {
    const onSocket = (socket: Socket): void => {
      const peer = new H2Peer(socket, "server", options);
      this.peers.push(peer);
      script(peer).catch((error: Error) => {
        this.errors.push(error);
        peer.destroy();
      });
    };
    this.#server = options.tls
      ? createTlsServer({ ...testCertificate(), ALPNProtocols: ["h2"] }, onSocket)
      : createTcpServer({ noDelay: true }, onSocket);
  }

  static async start(script: (peer: H2Peer) => Promise<void>, options: H2ServerOptions = {}): Promise<H2Server> {
    const server = new H2Server(script, options);
    await new Promise<void>((resolve, reject) => {
      server.#server.once("error", reject);
      server.#server.listen(options.port ?? 0, "127.0.0.1", resolve);
    });
    server.port = (server.#server.address() as { port: number }).port;
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Stops listening and cuts what is left. */
  async stop(): Promise<void> {
    for (const peer of this.peers) peer.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
