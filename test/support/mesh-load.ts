// What a test keeps up through two proxies while it shakes them: keep-alive requests, one opaque connection, one WebSocket; and what came of it.
//
// Counted at three places that know nothing of each other: at the clients, at the services, and by the proxies' own metrics.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { setTimeout } from "node:timers/promises";
import { WebSocket, WebSocketServer } from "ws";
import { connect, request } from "./client.ts";
import { text } from "./http-lite.ts";
import { type Origin, startRawOrigin } from "./origin.ts";
import { startApp } from "./origin-app.ts";
import type { ProxyProcess } from "./proxy-process.ts";
import { waitUntil } from "./wait.ts";
import type { Wire } from "./wire.ts";

const CLIENTS = 4;
/** Between an answer and the next request: steady, and a machine with two cores still has room for what it is about. */
const PAUSE_MS = 10;
/** A machine under load may let one answer wait for so long. */
const ANSWER_MS = 60_000;

/** The services: HTTP, an opaque one that says everything back, and one for WebSockets that does. */
export class LoadServices {
  readonly web: Origin;
  readonly echo: Origin;
  readonly #http: Server;
  socketsOpened = 0;
  socketsClosed = 0;

  private constructor(web: Origin, echo: Origin, http: Server) {
    this.web = web;
    this.echo = echo;
    this.#http = http;
    new WebSocketServer({ server: http }).on("connection", (socket) => {
      this.socketsOpened++;
      socket.on("close", () => this.socketsClosed++).on("message", (data) => socket.send(String(data)));
    });
  }

  static async start(): Promise<LoadServices> {
    const web = await startApp({ name: "web" });
    const echo = await startRawOrigin(async (wire) => {
      while (!wire.isEnded && !wire.isClosed) {
        await wire.until("bytes", () => wire.buffered > 0 || wire.isEnded || wire.isClosed, 600_000);
        if (wire.buffered > 0) await wire.send(wire.take());
      }
      wire.endWrite();
    });
    const http = createServer();
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    return new LoadServices(web, echo, http);
  }

  /** Targets of inbound ports, by name. */
  get targets(): Readonly<Record<"web" | "echo" | "sockets", { readonly target: string; readonly protocol?: string }>> {
    const { port } = this.#http.address() as { port: number };
    return {
      web: { target: this.web.address },
      echo: { target: this.echo.address, protocol: "opaque" },
      sockets: { target: `127.0.0.1:${port}` },
    };
  }

  /** No connection on which a service was spoken to was closed. (One that was dialled for a client that took long to say who it is, is.) */
  assertNoneClosed(): void {
    for (const origin of [this.web, this.echo]) {
      const used = origin.connections.filter(({ bytesReceived }) => bytesReceived > 0);
      assert.ok(used.length > 0);
      assert.equal(used.filter(({ isClosed, isEnded }) => isClosed || isEnded).length, 0, `connections to ${origin.name} were closed`);
      assert.deepEqual(origin.errors, []);
    }
    assert.deepEqual([this.socketsOpened, this.socketsClosed], [1, 0], "WebSockets at the service");
  }

  async stop(): Promise<void> {
    this.#http.closeAllConnections();
    this.#http.close();
    await Promise.all([this.web.stop(), this.echo.stop()]);
  }
}

export class MeshLoad {
  answered = 0;
  pings = 0;
  messages = 0;
  readonly failures: string[] = [];
  readonly #wires: readonly Wire[];
  readonly #opaque: Wire;
  readonly #socket: WebSocket;
  #isOver = false;
  #socketClosed = 0;
  #running: Promise<unknown> = Promise.resolve();

  private constructor(wires: readonly Wire[], opaque: Wire, socket: WebSocket) {
    this.#wires = wires;
    this.#opaque = opaque;
    this.#socket = socket;
  }

  /** `proxy`: has `web` as its default, a listener `to-echo`, a service `sockets`. */
  static async start(proxy: ProxyProcess): Promise<MeshLoad> {
    const wires = await Promise.all(Array.from({ length: CLIENTS }, () => connect(proxy.port)));
    const opaque = await connect(proxy.listener("to-echo"));
    const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/`, { headers: { Host: "sockets" }, perMessageDeflate: false });
    await once(socket, "open");
    const load = new MeshLoad(wires, opaque, socket);
    load.#running = Promise.all([...wires.map((wire) => load.#ask(wire)), load.#ping(), load.#talk()]);
    return load;
  }

  /** Waits until everything has come through once more. */
  async goesOn(): Promise<void> {
    const { answered, pings, messages } = this;
    await waitUntil(
      "answers on all three ways",
      () => {
        assert.deepEqual(this.failures, []);
        return this.answered > answered + CLIENTS && this.pings > pings && this.messages > messages;
      },
      ANSWER_MS,
    );
  }

  /** Ends it; nothing failed, and nothing was closed before. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
    assert.deepEqual(this.failures, []);
    for (const wire of [...this.#wires, this.#opaque]) assert.ok(!wire.isClosed && !wire.isEnded, "a client's connection was closed");
    assert.equal(this.#socketClosed, 0, "the WebSocket was closed");
  }

  destroy(): void {
    this.#isOver = true;
    for (const wire of [...this.#wires, this.#opaque]) wire.destroy();
    this.#socket.terminate();
  }

  async #repeat(what: string, once_: () => Promise<void>): Promise<void> {
    while (!this.#isOver) {
      try {
        await once_();
      } catch (error) {
        if (!this.#isOver) this.failures.push(`${what}: ${(error as Error).message}`);
        return;
      }
      await setTimeout(PAUSE_MS);
    }
  }

  #ask(wire: Wire): Promise<void> {
    return this.#repeat("a request", async () => {
      await wire.send(request("GET", "/name"));
      const answer = await wire.expectResponse({}, ANSWER_MS);
      assert.equal(`${answer.status} ${text(answer)}`, "200 web");
      this.answered++;
    });
  }

  #ping(): Promise<void> {
    return this.#repeat("the opaque connection", async () => {
      const sent = `ping ${this.pings}\n`;
      await this.#opaque.send(sent);
      assert.equal((await this.#opaque.expectBytes(sent.length, ANSWER_MS)).toString(), sent);
      this.pings++;
    });
  }

  #talk(): Promise<void> {
    this.#socket.on("close", () => this.#socketClosed++).on("error", (error) => this.failures.push(`the WebSocket: ${error.message}`));
    return this.#repeat("the WebSocket", async () => {
      const sent = `message ${this.messages}`;
      const answer = once(this.#socket, "message");
      this.#socket.send(sent);
      const [data] = (await answer) as [Buffer];
      assert.equal(String(data), sent);
      this.messages++;
    });
  }
}
