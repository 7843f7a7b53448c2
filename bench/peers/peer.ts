// What the benchmarks know about a proxy: what it can do, how it is had, how it is started, and which process to look at.
//
// Adding one is one file here that exports a PeerKind, and its line in list.ts. Fair means: as many workers as Weft has, connections
// to the upstream kept, no access log, bodies streamed, nothing else switched on that Weft does not do as well.

import type { Child } from "../support/child.ts";

/** The usual tiny page: as long as a small JSON answer. */
export const SMALL_BODY_BYTES = 248;

/** Connections that any of them must be able to hold; with one upstream each it still fits an ordinary limit of descriptors. */
export const CONNECTIONS_MAX = 8_192;

/**
 * `http`: HTTP/1 from clients; `http2`: HTTP/2 from them; `to-http2`: HTTP/2 to upstreams; `tls`: clients' TLS ends at the proxy.
 * `balance`: several upstreams, and picks by what it sees of them.
 */
export type Ability = "http" | "http2" | "to-http2" | "tls" | "websocket" | "tcp" | "balance";

type Version = "http1" | "http2";

/** Who speaks what. HTTP/2 without TLS is spoken with prior knowledge. Nothing of it matters where bytes are forwarded. */
export interface Protocols {
  /** Of clients, with the proxy. */
  readonly downstream: Version;
  /** Of the proxy, with its upstreams; never with TLS. */
  readonly upstream: Version;
  /** Clients' TLS ends at the proxy. */
  readonly tls: boolean;
}

export const PLAIN_HTTP1: Protocols = { downstream: "http1", upstream: "http1", tls: false };

export type MeshPlace = "outbound" | "inbound";

export interface StartRequest {
  /** `tcp`: bytes are forwarded and not looked at. */
  readonly mode: "http" | "tcp";
  /** Absent: HTTP/1 without TLS. */
  readonly protocols?: Protocols;
  /** Ports on this machine, at least one. */
  readonly upstreams: readonly number[];
  /** A place in a pair of Weft's: before the client, or before the origin. Absent: in no mesh. */
  readonly mesh?: MeshPlace;
  /** Threads or processes that forward; 0 means 1 to those who have nothing less. */
  readonly workers: number;
}

export interface Peer {
  readonly name: string;
  readonly port: number;
  readonly child: Child;
  /** Weft's admin port; null for the others. */
  readonly adminPort: number | null;
}

export interface PeerKind {
  readonly name: string;
  readonly abilities: readonly Ability[];
  /** It differs from another one only in how it handles large bodies, and takes part only where there are some. */
  readonly bodiesOnly?: boolean;
  /** Commands that install it. */
  readonly install: string;
  /** One line; null when it is not installed. */
  version(): string | null;
  /** Why it cannot do what its abilities promise on this machine; absent or null: it can. */
  missing?(ability: Ability): string | null;
  start(request: StartRequest): Promise<Peer>;
}

export function protocolsOf(request: StartRequest): Protocols {
  return request.protocols ?? PLAIN_HTTP1;
}

/** Of those who need at least one. */
export function workersOf(request: StartRequest): number {
  return Math.max(1, request.workers);
}
