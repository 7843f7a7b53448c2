// Server-side TLS with one certificate in one thread: an unlistened tls.Server that is fed with sockets (design, section 4).
//
// Never a bare TLSSocket: the server is what checks clients' certificates. node:tls is loaded by the first context, so that
// a proxy without TLS does not pay for it (1.6 MB). TLS 1.2 and 1.3; groups and ciphers are Node's, post-quantum key exchange included.
// No renegotiation (RFC 9325 section 4.5). Tickets: all threads of a process have the same keys, and a session of one listener is worth
// nothing at another, because another may ask for more.

import type { Buffer } from "node:buffer";
import type { Socket, SocketConstructorOpts } from "node:net";
import type { Server, TLSSocket } from "node:tls";
import { createHash } from "node:crypto";
import type { Protocol } from "../config/snapshot.ts";
import type { TcpHandle } from "./native-handles.ts";
import { TlsStream, type TlsWrap } from "./tls-stream.ts";

/**
 * What is offered by ALPN at a listener that speaks `protocol`, best first; nothing at an opaque one. A client that offers other
 * protocols only is refused (RFC 7301 section 3.2).
 */
export function alpnOf(protocol: Protocol): readonly string[] {
  switch (protocol) {
    case "detect":
      return ["h2", "http/1.1", "http/1.0"];
    case "http1":
      return ["http/1.1", "http/1.0"];
    case "http2":
    case "grpc":
      return ["h2"];
    default:
      return [];
  }
}

/** Node's own handshake timer must never be first: tlsHandshakeMs is kept by the transport's deadline. */
const NODE_HANDSHAKE_MS = 0x7fff_ffff;

/** A certificate with its key, as PEM. From files or from memory: who makes it does not matter here. */
export interface TlsIdentity {
  readonly cert: string;
  readonly key: string;
}

export interface TlsContextOptions {
  /** Sessions are resumed within one scope only. */
  readonly scope: string;
  readonly alpn: readonly string[];
  readonly ticketKeys: Uint8Array | null;
}

/** What a handshake came to. Called once, as an event of its own. */
export interface HandshakeSink {
  /** @param protocol negotiated by ALPN, "" without */
  onSecure(stream: TlsStream, protocol: string, isResumed: boolean): void;
  /** @param reason OpenSSL's or Node's code and words */
  onFailed(reason: string): void;
}

interface Builtins {
  readonly tls: typeof import("node:tls");
  readonly net: typeof import("node:net");
  readonly constants: { readonly SSL_OP_NO_RENEGOTIATION?: number };
}

/** OpenSSL's flag, where node:crypto does not name it. */
const NO_RENEGOTIATION = 0x4000_0000;

let builtins: Builtins | null = null;

/** Loaded when the first context is made, in the middle of an update: that cannot wait for an import. */
function load(): Builtins {
  builtins ??= {
    tls: process.getBuiltinModule("node:tls"),
    net: process.getBuiltinModule("node:net"),
    constants: process.getBuiltinModule("node:crypto").constants as Builtins["constants"],
  };
  return builtins;
}

interface Handshake {
  readonly stream: TlsStream;
  readonly sink: HandshakeSink;
}

/** The parts of Node's TLS socket that are no public interface. */
interface TlsSocketInside extends TLSSocket {
  readonly _handle: TlsWrap | null;
  /** The socket below. */
  readonly _parent: Socket;
}

export class TlsContext {
  readonly #server: Server;
  readonly #handshakes = new Map<Socket, Handshake>();

  /** Throws when certificate and key are no pair that OpenSSL takes. */
  constructor(identity: TlsIdentity, options: TlsContextOptions) {
    const { tls, constants } = load();
    this.#server = new tls.Server({
      cert: identity.cert,
      key: identity.key,
      minVersion: "TLSv1.2",
      maxVersion: "TLSv1.3",
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION ?? NO_RENEGOTIATION,
      handshakeTimeout: NODE_HANDSHAKE_MS,
      sessionIdContext: createHash("sha256").update(options.scope).digest("hex").slice(0, 32),
      ...(options.alpn.length > 0 && { ALPNProtocols: [...options.alpn] }),
      ...(options.ticketKeys !== null && { ticketKeys: options.ticketKeys as Buffer }),
    });
    this.#server.on("secureConnection", (socket) => this.#onSecure(socket as TlsSocketInside));
    this.#server.on("tlsClientError", (error, socket) => this.#onFailed(error, socket as TlsSocketInside));
  }

  /** Handshakes that have begun and not ended. */
  get inProgress(): number {
    return this.#handshakes.size;
  }

  /** Begins a handshake on a connection of which `received` was read already; those bytes are kept. */
  accept(tcp: TcpHandle, received: Buffer, sink: HandshakeSink): TlsStream {
    const { net } = load();
    const socket = new net.Socket({ handle: tcp } as SocketConstructorOpts);
    socket.on("error", ignore);
    socket.unshift(received);
    const stream = new TlsStream(tcp, socket);
    this.#handshakes.set(socket, { stream, sink });
    this.#server.emit("connection", socket);
    return stream;
  }

  /** The connection was closed before its handshake ended: nobody is told. */
  forget(stream: TlsStream): void {
    this.#handshakes.delete(stream.socket);
  }

  /** New connections get tickets under these keys; tickets under the old ones are worth nothing from now on. */
  setTicketKeys(keys: Uint8Array): void {
    this.#server.setTicketKeys(keys as Buffer);
  }

  #take(socket: TlsSocketInside): Handshake | null {
    const handshake = this.#handshakes.get(socket._parent);
    if (handshake === undefined) return null;
    this.#handshakes.delete(socket._parent);
    return handshake;
  }

  #onSecure(socket: TlsSocketInside): void {
    socket.on("error", ignore);
    const handshake = this.#take(socket);
    if (handshake === null || socket._handle === null) {
      socket.destroy();
      return;
    }
    handshake.stream.secured(socket._handle);
    const { alpnProtocol } = socket;
    handshake.sink.onSecure(handshake.stream, typeof alpnProtocol === "string" ? alpnProtocol : "", socket.isSessionReused());
  }

  #onFailed(error: Error & { code?: string; reason?: string }, socket: TlsSocketInside): void {
    this.#take(socket)?.sink.onFailed(error.reason ?? error.message);
  }
}

function ignore(): void {}
