// Server-side TLS for one listener in one thread: an unlistened tls.Server that is fed with sockets (design, section 4).
//
// Never a bare TLSSocket: the server is what asks for clients' certificates and has OpenSSL check them. For listeners: TLS 1.2 and 1.3; groups
// and ciphers are Node's, post-quantum key exchange included. For the mesh: mesh-tls-options.ts; a client's certificate is
// asked for and may be absent, and what it is worth is told to the sink, which decides.
// No renegotiation (RFC 9325 section 4.5). Tickets: all threads of a process have the same keys, and a session of one listener is worth
// nothing at another, because another may ask for more.

import type { Buffer } from "node:buffer";
import type { Socket, SocketConstructorOpts } from "node:net";
import type { SecureContextOptions, Server, TLSSocket } from "node:tls";
import { createHash } from "node:crypto";
import type { MeshIdentity, NamedCertificate, Protocol } from "../config/snapshot.ts";
import type { PeerEvidence } from "../core/identity/peer-check.ts";
import { meshContextOptions } from "./mesh-tls-options.ts";
import type { TcpHandle } from "./native-handles.ts";
import { type EvidenceSource, peerEvidence } from "./peer-evidence.ts";
import { serverNameCallback } from "./server-name-contexts.ts";
import { loadTls } from "./tls-builtins.ts";
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
  /** DNS names in it; they count where there are `others`. */
  readonly names?: readonly string[];
  /** For clients that ask for their names. */
  readonly others?: readonly NamedCertificate[];
}

export interface TlsContextOptions {
  /** Sessions are resumed within one scope only. */
  readonly scope: string;
  readonly alpn: readonly string[];
  readonly ticketKeys: Uint8Array | null;
}

/** How a handshake ended well. */
export interface Secured {
  /** Negotiated by ALPN, "" without. */
  readonly protocol: string;
  readonly isResumed: boolean;
  /** In the mesh: of the certificate that the peer has shown; null: it has shown none. */
  readonly peer: PeerEvidence | null;
}

/** What a handshake came to. Called once, as an event of its own. */
export interface HandshakeSink {
  onSecure(stream: TlsStream, secured: Secured): void;
  /** @param reason OpenSSL's or Node's code and words */
  onFailed(reason: string): void;
}

interface Handshake {
  readonly stream: TlsStream;
  readonly sink: HandshakeSink;
}

/** The parts of Node's TLS socket that are no public interface. */
interface TlsSocketInside extends TLSSocket {
  readonly _handle: (TlsWrap & NonNullable<EvidenceSource["_handle"]>) | null;
  /** The socket below. */
  readonly _parent: Socket;
}

export class TlsContext {
  readonly #server: Server;
  readonly #isMesh: boolean;
  readonly #handshakes = new Map<Socket, Handshake>();

  private constructor(server: Server, isMesh: boolean) {
    this.#server = server;
    this.#isMesh = isMesh;
    this.#server.on("secureConnection", (socket) => this.#onSecure(socket as TlsSocketInside));
    this.#server.on("tlsClientError", (error, socket) => this.#onFailed(error, socket as TlsSocketInside));
  }

  /** For a listener's certificates. Throws when a certificate and its key are no pair that OpenSSL takes. */
  static forListener(identity: TlsIdentity, options: TlsContextOptions): TlsContext {
    const { tls, noRenegotiation } = loadTls();
    const { names = [], others = [] } = identity;
    const common: SecureContextOptions = {
      minVersion: "TLSv1.2",
      maxVersion: "TLSv1.3",
      secureOptions: noRenegotiation,
      sessionIdContext: createHash("sha256").update(options.scope).digest("hex").slice(0, 32),
    };
    const server = new tls.Server({
      ...common,
      cert: identity.cert,
      key: identity.key,
      handshakeTimeout: NODE_HANDSHAKE_MS,
      ...(others.length > 0 && { SNICallback: serverNameCallback(tls, names, others, common) }),
      ...(options.alpn.length > 0 && { ALPNProtocols: [...options.alpn] }),
      ...(options.ticketKeys !== null && { ticketKeys: options.ticketKeys as Buffer }),
    });
    return new TlsContext(server, false);
  }

  /** For other proxies of the mesh. Throws when OpenSSL does not take the identity. */
  static forMesh(identity: MeshIdentity, alpn: readonly string[]): TlsContext {
    const builtins = loadTls();
    const server = new builtins.tls.Server({
      ...meshContextOptions(builtins, identity),
      handshakeTimeout: NODE_HANDSHAKE_MS,
      requestCert: true,
      // Who has shown none is let in, and who has shown a bad one is refused by the sink, with the reason.
      rejectUnauthorized: false,
      ...(alpn.length > 0 && { ALPNProtocols: [...alpn] }),
    });
    return new TlsContext(server, true);
  }

  /** Handshakes that have begun and not ended. */
  get inProgress(): number {
    return this.#handshakes.size;
  }

  /** Begins a handshake on a connection of which `received` was read already; those bytes are kept. */
  accept(tcp: TcpHandle, received: Buffer, sink: HandshakeSink): TlsStream {
    const { net } = loadTls();
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
    const { alpnProtocol } = socket;
    const protocol = typeof alpnProtocol === "string" ? alpnProtocol : "";
    const peer = this.#isMesh ? peerEvidence(socket) : null;
    handshake.stream.secured(socket._handle);
    handshake.sink.onSecure(handshake.stream, { protocol, isResumed: socket.isSessionReused(), peer });
  }

  #onFailed(error: Error & { code?: string; reason?: string }, socket: TlsSocketInside): void {
    this.#take(socket)?.sink.onFailed(error.reason ?? error.message);
  }
}

function ignore(): void {}
