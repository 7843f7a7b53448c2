// The HTTP/2 engine on a plain socket, for tests against other implementations: a small stand-in for the worker's transport.
//
// It copies everything and sets no deadlines; the worker's own transport is tested by the scenarios.

import type { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { H2Connection } from "../../src/core/h2/connection.ts";
import type { H2ConnectionOwner, H2Stream, H2StreamOwner } from "../../src/core/h2/contract.ts";
import { DEFAULT_H2_LIMITS, type H2Limits } from "../../src/core/h2/limits.ts";
import { H2Scratch } from "../../src/core/h2/scratch.ts";
import { BufferOutput } from "./h2-engine.ts";

export class EngineSocket implements H2ConnectionOwner {
  readonly socket: Socket;
  readonly connection: H2Connection;
  readonly output = new BufferOutput();
  readonly errors: string[] = [];
  readonly #accept: (stream: H2Stream) => H2StreamOwner;
  pongs = 0;
  onSettled: () => void = () => {};

  constructor(socket: Socket, isServer: boolean, limits: H2Limits, accept: (stream: H2Stream) => H2StreamOwner) {
    this.socket = socket;
    this.#accept = accept;
    const scratch = new H2Scratch(limits);
    const shared = { limits, scratch, isHttps: false, isMesh: false, takesExtendedConnect: true };
    this.connection = new H2Connection({ isServer, owner: this, output: this.output, ...shared });
    socket.on("data", (bytes: Buffer) => {
      this.connection.receive(bytes, 0, bytes.length, null, performance.now());
      this.flush();
    });
    socket.on("drain", () => {
      this.connection.setOutputCongested(false);
      this.flush();
    });
    socket.on("close", () => this.connection.transportClosed());
    socket.on("error", () => socket.destroy());
    this.connection.begin();
    this.flush();
  }

  flush(): void {
    const bytes = this.output.take();
    if (bytes.length > 0 && !this.socket.write(bytes)) this.connection.setOutputCongested(true);
    if (this.connection.isDead) this.socket.end(() => this.socket.destroySoon());
  }

  acceptStream(stream: H2Stream): H2StreamOwner {
    return this.#accept(stream);
  }

  onPeerSettings(): void {
    this.onSettled();
  }

  onGoaway(): void {}

  onConnectionError(_h2code: number, why: string): void {
    this.errors.push(why);
  }

  onStreamClosed(): void {}

  onPong(): void {
    this.pongs++;
  }
}

export interface EngineServer {
  readonly server: Server;
  readonly port: number;
  readonly connections: readonly EngineSocket[];
  close(): void;
}

/** A server whose streams get owners from `accept`. */
export async function serveEngine(accept: (stream: H2Stream) => H2StreamOwner, limits = DEFAULT_H2_LIMITS): Promise<EngineServer> {
  const connections: EngineSocket[] = [];
  const server = createServer({ noDelay: true }, (socket) => connections.push(new EngineSocket(socket, true, limits, accept)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = (): void => {
    for (const { socket } of connections) socket.destroy();
    server.close();
  };
  return { server, port: (server.address() as AddressInfo).port, connections, close };
}

/** A client whose SETTINGS exchange is over. */
export async function connectEngine(port: number, limits = DEFAULT_H2_LIMITS): Promise<EngineSocket> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  return new Promise((resolve) => {
    const client = new EngineSocket(socket, false, limits, () => {
      throw new Error("a client accepts no streams");
    });
    client.onSettled = () => resolve(client);
  });
}
