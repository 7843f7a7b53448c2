// From a request to its answer, the same for both backends: the guard, the routes, what a missing one gets.
//
// An answer is always there: a handler that throws is a 500 whose cause goes to `onError`, never to the client.

import type { AdminHandler, AdminRequest, AdminResponse, RouteOptions } from "./admin-server.ts";
import { isAllowedHost, isOwnOrigin, isSafeMethod } from "./request-guard.ts";

interface Route {
  readonly handler: AdminHandler;
  readonly options: RouteOptions;
}

const PLAIN = { "content-type": "text/plain; charset=utf-8" };

/** A short text answer. */
export function textResponse(status: number, text: string, headers?: Readonly<Record<string, string>>): AdminResponse {
  return { status, headers: { ...PLAIN, ...headers }, body: text };
}

export class Dispatcher {
  readonly #routes = new Map<string, Map<string, Route>>();
  readonly #topics = new Map<string, string>();
  readonly #onError: (error: unknown) => void;
  #listenHost = "";

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  route(method: string, path: string, handler: AdminHandler, options: RouteOptions): void {
    const methods = this.#routes.get(path) ?? new Map<string, Route>();
    methods.set(method, { handler, options });
    this.#routes.set(path, methods);
  }

  websocket(path: string, topic: string): void {
    this.#topics.set(path, topic);
  }

  /** All paths that upgrade, with their topics. */
  get topics(): ReadonlyMap<string, string> {
    return this.#topics;
  }

  /** The address that Weft was told to listen on is a Host that may be asked for. */
  listensOn(host: string): void {
    this.#listenHost = host;
  }

  /** The topic that a WebSocket handshake may subscribe to, or the status that refuses it. */
  topicFor(path: string, headers: Readonly<Record<string, string>>): string | 403 | 404 {
    const topic = this.#topics.get(path);
    if (topic === undefined) return 404;
    const host = headers["host"];
    return isAllowedHost(host, this.#listenHost) && isOwnOrigin(headers["origin"], host) ? topic : 403;
  }

  /** Never rejects. The body of an answer to HEAD is the backend's to leave out. */
  async answer(request: AdminRequest): Promise<AdminResponse> {
    try {
      return await this.#answer(request);
    } catch (error) {
      this.#onError(error);
      return textResponse(500, "internal error\n");
    }
  }

  #answer(request: AdminRequest): AdminResponse | Promise<AdminResponse> {
    const { method, path, headers, remoteIsLoopback } = request;
    const methods = this.#routes.get(path);
    const route = methods?.get(method) ?? (method === "HEAD" ? methods?.get("GET") : undefined) ?? methods?.get("*");
    const isOpen = route?.options.openToNames === true && !remoteIsLoopback;
    if (!isOpen && !isAllowedHost(headers["host"], this.#listenHost)) {
      return textResponse(403, "this Host may not be asked for here; use the IP address or localhost\n");
    }
    if (!isSafeMethod(method) && !isOwnOrigin(headers["origin"], headers["host"])) {
      return textResponse(403, "a page of another origin may not do this\n");
    }
    if (methods === undefined) return { status: 404, body: "" };
    if (route === undefined) {
      const allow = [...methods.keys(), ...(methods.has("GET") ? ["HEAD"] : [])];
      return textResponse(405, "method not allowed\n", { allow: allow.join(", ") });
    }
    if (route.options.loopbackOnly === true && !remoteIsLoopback) {
      return textResponse(403, "only clients on this machine may ask for this\n");
    }
    return route.handler(request);
  }
}

/** Headers of every answer. */
export function commonHeaders(response: AdminResponse): Record<string, string> {
  return { "cache-control": "no-store", "x-content-type-options": "nosniff", ...response.headers };
}
