// The admin surface on node:http and ws: the fallback where uWebSockets.js has no binary (Node 24 and 26, musl).

import { createServer, type IncomingMessage, type Server, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { finished } from "node:stream/promises";
import { WebSocketServer, type WebSocket } from "ws";
import {
  type AdminHandler,
  type AdminRequest,
  type AdminResponse,
  type AdminServer,
  BODY_BYTES_MAX,
  MESSAGE_BYTES_MAX,
  PUBLISH_BACKLOG_BYTES_MAX,
  type RouteOptions,
} from "./admin-server.ts";
import { commonHeaders, Dispatcher, textResponse } from "./dispatcher.ts";
import { isLoopbackText } from "./request-guard.ts";

/** A client that sends its request slower than this is a mistake or an attack. */
const REQUEST_TIMEOUT_MS = 10_000;

/** A connection without a byte in either direction for so long is closed: a scraper that hangs holds nothing for ever. */
const IDLE_TIMEOUT_MS = 60_000;

/** Admin clients are few; descriptors belong to the data path. */
const CONNECTIONS_MAX = 256;

export class NodeAdminServer implements AdminServer {
  readonly backend = "node";
  readonly #dispatcher: Dispatcher;
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #subscribers = new Map<string, Set<WebSocket>>();

  /** `onError` hears of exceptions in handlers and streams; the client gets a 500 or a cut connection. */
  constructor(onError: (error: unknown) => void) {
    this.#dispatcher = new Dispatcher(onError);
    this.#sockets = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES_MAX, perMessageDeflate: false, clientTracking: false });
    this.#server = createServer({ headersTimeout: REQUEST_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS, noDelay: true });
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.setTimeout(IDLE_TIMEOUT_MS);
    this.#server.on("request", (message, response) => {
      this.#serve(message, response).catch((error: unknown) => {
        // The head is out: all that is left to say is that the body is not complete.
        response.destroy();
        if (!isClientGone(error)) onError(error);
      });
    });
    this.#server.on("upgrade", (message, socket, head) => this.#upgrade(message, socket as Socket, head));
  }

  route(method: string, path: string, handler: AdminHandler, options: RouteOptions = {}): void {
    this.#dispatcher.route(method, path, handler, options);
  }

  websocket(path: string, topic: string): void {
    this.#dispatcher.websocket(path, topic);
  }

  publish(topic: string, message: string): void {
    for (const client of this.#subscribers.get(topic) ?? []) {
      if (client.bufferedAmount > PUBLISH_BACKLOG_BYTES_MAX) client.terminate();
      else client.send(message);
    }
  }

  subscribers(topic: string): number {
    return this.#subscribers.get(topic)?.size ?? 0;
  }

  listen(host: string, port: number): Promise<number> {
    this.#dispatcher.listensOn(host);
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host, port, exclusive: true }, () => {
        this.#server.removeListener("error", reject);
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
      for (const clients of this.#subscribers.values()) for (const client of clients) client.terminate();
    });
  }

  async #serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(message);
    if (body === null) await send(response, textResponse(413, "the body is too large\n", { connection: "close" }), false);
    else await send(response, await this.#dispatcher.answer(requestOf(message, body)), message.method === "HEAD");
  }

  #upgrade(message: IncomingMessage, socket: Socket, head: Buffer): void {
    socket.on("error", () => socket.destroy());
    const request = requestOf(message, "");
    const isWebSocket = request.headers["upgrade"]?.toLowerCase() === "websocket";
    const topic = isWebSocket ? this.#dispatcher.topicFor(request.path, request.headers) : 404;
    if (topic === 403) {
      this.#refuseUpgrade(message, socket, { status: 403, body: "" });
    } else if (topic === 404) {
      // An upgrade that is not ours to make (curl and Java offer h2c everywhere) is an ordinary request (RFC 9110 7.8).
      this.#dispatcher
        .answer(request)
        .then((answer) => this.#refuseUpgrade(message, socket, answer))
        .catch(() => socket.destroy());
    } else {
      this.#accept(message, socket, head, topic);
    }
  }

  #refuseUpgrade(message: IncomingMessage, socket: Socket, answer: AdminResponse): void {
    const response = new ServerResponse(message);
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    response.on("finish", () => socket.end());
    send(response, answer, message.method === "HEAD").catch(() => socket.destroy());
  }

  #accept(message: IncomingMessage, socket: Socket, head: Buffer, topic: string): void {
    // A dashboard that only listens is idle by the server's measure.
    socket.setTimeout(0);
    this.#sockets.handleUpgrade(message, socket, head, (client) => {
      const clients = this.#subscribers.get(topic) ?? new Set();
      this.#subscribers.set(topic, clients.add(client));
      client.on("error", () => client.terminate());
      client.on("close", () => clients.delete(client));
    });
  }
}

/** The body as text; null when it is over the limit. */
async function readBody(message: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= BODY_BYTES_MAX) chunks.push(chunk);
    // What follows is read and dropped, so that the answer arrives; leaving the loop cuts a client that does not stop.
    else if (size > 16 * BODY_BYTES_MAX) break;
  }
  return size > BODY_BYTES_MAX ? null : Buffer.concat(chunks).toString("utf8");
}

function requestOf(message: IncomingMessage, body: string): AdminRequest {
  const url = message.url ?? "/";
  const mark = url.indexOf("?");
  return {
    method: message.method ?? "",
    path: mark < 0 ? url : url.slice(0, mark),
    query: mark < 0 ? "" : url.slice(mark + 1),
    headers: joinedHeaders(message),
    body,
    remoteIsLoopback: isLoopbackText(message.socket.remoteAddress ?? ""),
  };
}

function joinedHeaders(message: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = Object.create(null);
  for (const [name, values] of Object.entries(message.headersDistinct)) headers[name] = (values ?? []).join(", ");
  return headers;
}

async function send(response: ServerResponse, answer: AdminResponse, isHead: boolean): Promise<void> {
  const headers = commonHeaders(answer);
  if (typeof answer.body === "string") {
    if (answer.status !== 204) headers["content-length"] = String(Buffer.byteLength(answer.body));
    response.writeHead(answer.status, headers);
    response.end(isHead ? "" : answer.body);
    return;
  }
  response.writeHead(answer.status, headers);
  if (isHead) {
    response.end();
    return;
  }
  const gone = finished(response);
  gone.catch(() => {});
  for await (const chunk of answer.body) {
    if (response.destroyed) return;
    if (!response.write(chunk)) await Promise.race([new Promise((resolve) => response.once("drain", resolve)), gone]);
  }
  response.end();
}

/** Clients may leave at any time; that is not our error. */
function isClientGone(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "ECONNRESET" || code === "EPIPE" || code === "ERR_STREAM_PREMATURE_CLOSE" || code === "ERR_STREAM_DESTROYED";
}
