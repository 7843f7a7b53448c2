// The HTTP surface that people and tools look at: routes, and topics published over WebSocket. Types only.
//
// Two backends implement it (uws-server.ts, node-server.ts) and one contract test runs against both. What a request is
// and what may be asked by whom is decided once, in dispatcher.ts, never in a backend.

/** A request, complete: the body was read (at most BODY_BYTES_MAX). */
export interface AdminRequest {
  /** Upper case, as sent. */
  readonly method: string;
  /** Raw path without the query. */
  readonly path: string;
  /** Raw text behind `?`, "" without one. */
  readonly query: string;
  /** Names in lower case; several fields of one name are joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** The client is on this machine: 127.0.0.0/8, ::1, or ::ffff:127.0.0.0/104. */
  readonly remoteIsLoopback: boolean;
}

type AdminBody = string | AsyncIterable<string | Uint8Array>;

export interface AdminResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** "" for none. A stream is sent in chunks, with back-pressure; it is ended (`return`) when the client leaves. */
  readonly body: AdminBody;
}

export type AdminHandler = (request: AdminRequest) => AdminResponse | Promise<AdminResponse>;

export interface RouteOptions {
  /** Only clients on this machine; others get 403. */
  readonly loopbackOnly?: boolean;
  /** Remote clients may ask by any Host: scrapers and probes that know the proxy by a name. Read-only routes only. */
  readonly openToNames?: boolean;
}

export interface AdminServer {
  /** Which backend this is, for logs. */
  readonly backend: "uws" | "node";
  /** `method`: in upper case, or "*" for any. `path`: exact. Before `listen`. */
  route(method: string, path: string, handler: AdminHandler, options?: RouteOptions): void;
  /** Clients that open a WebSocket at `path` get what is published to `topic`. What they send is ignored. Before `listen`. */
  websocket(path: string, topic: string): void;
  /** Sends a text message to every subscriber. One that does not read is closed when PUBLISH_BACKLOG_BYTES_MAX wait for it. */
  publish(topic: string, message: string): void;
  /** Subscribers now: who publishes can save the work when it is 0. */
  subscribers(topic: string): number;
  /** Resolves to the port (useful with 0). Rejects with an Error whose `code` is EADDRINUSE, EACCES... or WEFT_ADMIN_LISTEN. */
  listen(host: string, port: number): Promise<number>;
  /** Stops listening and closes every connection. */
  close(): Promise<void>;
}

/** Request bodies: a log level or a small document; over it 413. */
export const BODY_BYTES_MAX: number = 64 * 1024;

/** Unsent bytes per WebSocket client: several seconds of a busy dashboard. */
export const PUBLISH_BACKLOG_BYTES_MAX: number = 1024 * 1024;

/** What a WebSocket client may send at once; nothing of it is used. */
export const MESSAGE_BYTES_MAX: number = 1024;
