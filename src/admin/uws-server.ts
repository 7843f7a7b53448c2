// The admin surface on uWebSockets.js (docs/adr/0003-uwebsockets-repack.md). HTTP/1.1 only: it answers 1.0 with 505.
//
// Its objects are views of C++ memory: a request is valid during its callback only, a response until it was ended or
// aborted, and using one after that throws. So everything is copied out at once, and `Reply` alone touches the response.

import { createServer } from "node:net";
import type { HttpRequest, HttpResponse, TemplatedApp } from "uWebSockets.js";
import {
  type AdminHandler,
  type AdminResponse,
  type AdminServer,
  BODY_BYTES_MAX,
  MESSAGE_BYTES_MAX,
  PUBLISH_BACKLOG_BYTES_MAX,
  type RouteOptions,
} from "./admin-server.ts";
import { commonHeaders, Dispatcher, textResponse } from "./dispatcher.ts";
import { isLoopbackBytes } from "./request-guard.ts";

/** The declaration lacks the constant, which the binary has. */
type Uws = typeof import("uWebSockets.js") & { readonly LIBUS_LISTEN_EXCLUSIVE_PORT: number };

/** Reason phrases of what the admin port answers; a client that sees another status gets no phrase of note. */
const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  204: "No Content",
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  406: "Not Acceptable",
  413: "Content Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

export class UwsAdminServer implements AdminServer {
  readonly backend = "uws";
  readonly #uws: Uws;
  readonly #app: TemplatedApp;
  readonly #dispatcher: Dispatcher;
  readonly #onError: (error: unknown) => void;

  private constructor(uws: Uws, onError: (error: unknown) => void) {
    this.#uws = uws;
    this.#app = uws.App();
    this.#dispatcher = new Dispatcher(onError);
    this.#onError = onError;
  }

  /** Loads the binary; rejects where there is none for this Node (24, 26, musl). */
  static async load(onError: (error: unknown) => void): Promise<UwsAdminServer> {
    return new UwsAdminServer((await import("uWebSockets.js")) as unknown as Uws, onError);
  }

  route(method: string, path: string, handler: AdminHandler, options: RouteOptions = {}): void {
    this.#dispatcher.route(method, path, handler, options);
  }

  websocket(path: string, topic: string): void {
    this.#dispatcher.websocket(path, topic);
  }

  publish(topic: string, message: string): void {
    this.#app.publish(topic, message);
  }

  subscribers(topic: string): number {
    return this.#app.numSubscribers(topic);
  }

  async listen(host: string, port: number): Promise<number> {
    this.#dispatcher.listensOn(host);
    for (const [path, topic] of this.#dispatcher.topics) this.#serveTopic(path, topic);
    this.#app.any("/*", (response, request) => this.#serve(response, request));
    const bound = await new Promise<number>((resolve) => {
      // Without the option two proxies could share the port (SO_REUSEPORT), and a scrape would reach either. The
      // declaration lacks this overload; the binary takes host, port, option, callback.
      const listen = this.#app.listen as unknown as (
        host: string,
        port: number,
        option: number,
        callback: (socket: object | false) => void,
      ) => void;
      listen.call(this.#app, host, port, this.#uws.LIBUS_LISTEN_EXCLUSIVE_PORT, (socket) => {
        resolve(socket === false ? -1 : this.#uws.us_socket_local_port(socket as never));
      });
    });
    if (bound < 0) throw await listenError(host, port);
    return bound;
  }

  async close(): Promise<void> {
    this.#app.close();
  }

  #serveTopic(path: string, topic: string): void {
    this.#app.ws(path, {
      maxPayloadLength: MESSAGE_BYTES_MAX,
      maxBackpressure: PUBLISH_BACKLOG_BYTES_MAX,
      closeOnBackpressureLimit: true,
      upgrade: (response, request, context) => {
        const headers = headersOf(request);
        const allowed = this.#dispatcher.topicFor(path, headers);
        if (typeof allowed === "number") {
          response.writeStatus(statusLine(allowed)).end();
          return;
        }
        const field = (name: string): string => headers[name] ?? "";
        const protocol = field("sec-websocket-protocol");
        response.upgrade({}, field("sec-websocket-key"), protocol, field("sec-websocket-extensions"), context);
      },
      open: (client) => {
        client.subscribe(topic);
      },
    });
  }

  #serve(response: HttpResponse, request: HttpRequest): void {
    const method = request.getCaseSensitiveMethod();
    const path = request.getUrl();
    const query = request.getQuery() ?? "";
    const headers = headersOf(request);
    const reply = new Reply(response, method === "HEAD", /(^|,)\s*close\s*(,|$)/i.test(headers["connection"] ?? ""));
    const remoteIsLoopback = isLoopbackBytes(new Uint8Array(response.getRemoteAddress()));
    const chunks: Buffer[] = [];
    let size = 0;
    let isAnswered = false;
    response.onData((chunk, isLast) => {
      if (isAnswered) return;
      size += chunk.byteLength;
      if (size > BODY_BYTES_MAX) {
        isAnswered = true;
        this.#send(reply, Promise.resolve(textResponse(413, "the body is too large\n", { connection: "close" })));
        return;
      }
      // The memory is taken back when this callback returns.
      chunks.push(Buffer.from(chunk.slice(0)));
      if (!isLast) return;
      isAnswered = true;
      const body = Buffer.concat(chunks).toString("utf8");
      this.#send(reply, this.#dispatcher.answer({ method, path, query, headers, body, remoteIsLoopback }));
    });
  }

  #send(reply: Reply, answer: Promise<AdminResponse>): void {
    answer
      .then((response) => reply.send(response))
      .catch((error: unknown) => {
        // The head is out: all that is left to say is that the body is not complete.
        reply.abort();
        this.#onError(error);
      });
  }
}

/** The only code that touches a response after its callback: nothing is written once the client is gone. */
class Reply {
  readonly #response: HttpResponse;
  readonly #isHead: boolean;
  /** The client asked for the end of the connection; uWebSockets.js itself notices only a lone `close`, and not always. */
  readonly #closes: boolean;
  #isGone = false;
  #wake: (() => void) | null = null;

  constructor(response: HttpResponse, isHead: boolean, closes: boolean) {
    this.#response = response;
    this.#isHead = isHead;
    this.#closes = closes;
    response.onAborted(() => {
      this.#isGone = true;
      this.#wake?.();
    });
  }

  async send(answer: AdminResponse): Promise<void> {
    if (this.#isGone) return;
    const { body, status } = answer;
    const headers = commonHeaders(answer);
    const closes = this.#closes || headers["connection"] === "close";
    this.#response.cork(() => {
      this.#response.writeStatus(statusLine(status));
      for (const [name, value] of Object.entries(headers)) this.#response.writeHeader(name, value);
      // A length given to endWithoutBody is waited for as if the bytes were still to come: the connection would hang.
      if (this.#isHead && typeof body === "string") this.#response.writeHeader("content-length", String(Buffer.byteLength(body)));
      if (this.#isHead || status === 204) this.#response.endWithoutBody();
      else if (typeof body === "string") this.#response.end(body, closes);
    });
    if (typeof body !== "string" && !this.#isHead && status !== 204) await this.#stream(body, closes);
  }

  abort(): void {
    if (!this.#isGone) this.#response.close();
  }

  async #stream(body: AsyncIterable<string | Uint8Array>, closes: boolean): Promise<void> {
    this.#response.onWritable(() => {
      this.#wake?.();
      return true;
    });
    for await (const chunk of body) {
      if (this.#isGone) return;
      // A write of nothing would end the response.
      if (chunk.length === 0) continue;
      let isTaken = true;
      const writable = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#response.cork(() => {
        isTaken = this.#response.write(chunk);
      });
      if (!isTaken) await writable;
    }
    if (!this.#isGone) this.#response.cork(() => this.#response.end("", closes));
  }
}

function statusLine(status: number): string {
  return `${status} ${REASONS[status] ?? "Unknown"}`;
}

function headersOf(request: HttpRequest): Record<string, string> {
  const headers: Record<string, string> = Object.create(null);
  request.forEach((name, value) => {
    const before = headers[name];
    headers[name] = before === undefined ? value : `${before}, ${value}`;
  });
  return headers;
}

/** uWebSockets.js only says that it failed: a second try with node:net finds the reason. */
function listenError(host: string, port: number): Promise<Error> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", resolve);
    probe.listen({ host, port, exclusive: true }, () => {
      probe.close();
      const error = new Error(`cannot listen on ${host}:${port}`) as NodeJS.ErrnoException;
      error.code = "WEFT_ADMIN_LISTEN";
      resolve(error);
    });
  });
}
