// A client connection that asks for this proxy by its name in the mesh, until its handshake is done and its peer is known.
//
//   handshake --(secured, peer verified or anonymous)--> another ClientConnection takes its place
//      +--(secured, its certificate is refused; alert; tlsHandshakeMs; its end)--> closed, counted by the reason
//
// Nothing that the client sends is delivered before that: who is refused has reached nobody. A client that has shown a certificate is
// never anonymous.

import type { Buffer } from "node:buffer";
import { ERRORS } from "../core/errors/error-codes.ts";
import { checkPeer } from "../core/identity/peer-check.ts";
import { TRANSPORT_ALPN } from "../core/tcp/transport-header.ts";
import type { ClientConnection, ClientOwner } from "./client-connection.ts";
import { ANONYMOUS_CLIENT, type ClientPeer, verifiedClient } from "./client-peer.ts";
import type { ForwarderContext, ListenerState } from "./forwarder-context.ts";
import { MeshHeaderConnection } from "./mesh-header-connection.ts";
import type { MeshHandshakeResult } from "./mesh-tls.ts";
import type { HandshakeSink, Secured, TlsContext } from "./tls-context.ts";
import type { TlsStream } from "./tls-stream.ts";
import type { Transport, TransportOwner } from "./transport.ts";

export class MeshConnection implements TransportOwner, ClientConnection, HandshakeSink {
  readonly #context: ForwarderContext;
  readonly #listener: ListenerState;
  readonly #owner: ClientOwner;
  readonly #transport: Transport;
  readonly #tls: TlsContext;
  #stream: TlsStream | null = null;

  constructor(context: ForwarderContext, listener: ListenerState, owner: ClientOwner, transport: Transport) {
    this.#context = context;
    this.#listener = listener;
    this.#owner = owner;
    this.#transport = transport;
    this.#tls = context.mesh.server;
    transport.owner = this;
    transport.deadlineAt = context.loop.now + context.shared.limits.tlsHandshakeMs;
  }

  /** Takes what the client has sent so far: a copy of its own. */
  begin(received: Buffer): void {
    const { mesh, shared } = this.#context;
    if (mesh.inProgress >= shared.limits.tlsHandshakesMax) {
      this.#count("too_many", "");
      this.#transport.close(true);
      return;
    }
    this.#transport.beginHandshake((tcp) => {
      this.#stream = this.#tls.accept(tcp, received, this);
      return this.#stream;
    });
  }

  onSecure(_stream: TlsStream, secured: Secured): void {
    this.#context.loop.run(() => {
      if (this.#transport.isClosed) return;
      this.#stream = null;
      const peer = this.#peerOf(secured);
      if (peer === null) return;
      this.#count("full", "");
      this.#transport.deadlineAt = 0;
      if (secured.protocol === TRANSPORT_ALPN) {
        new MeshHeaderConnection(this.#context, this.#listener, this.#owner, this.#transport, peer).begin(this);
      } else {
        const listener = this.#owner.identified(this, this.#transport, this.#listener, peer);
        this.#owner.secured(this, this.#transport, listener, secured.protocol);
      }
      this.#transport.endHandshake();
    });
  }

  /** Null: refused, and closed. */
  #peerOf({ peer }: Secured): ClientPeer | null {
    if (peer === null) return ANONYMOUS_CLIENT;
    const verdict = checkPeer("client", peer, this.#context.mesh.controlNamespace);
    if ("identity" in verdict) return verifiedClient(verdict.identity);
    const { code, detail } = verdict;
    const { direction, id } = this.#listener.snapshot;
    const client = this.#transport.peerAddress().address;
    this.#context.mesh.refusedClient(direction, code, client, { listener: id, detail });
    this.#context.counters.tcpError(direction, ERRORS[code].label);
    this.cut();
    return null;
  }

  onFailed(reason: string): void {
    this.#context.loop.run(() => {
      if (this.#transport.isClosed) return;
      this.#stream = null;
      this.#fail("failed", reason);
    });
  }

  #fail(result: "failed" | "timeout", detail: string): void {
    const { label, cause } = ERRORS.WEFT_TLS_HANDSHAKE;
    this.#count(result, label);
    this.#context.counters.tcpError(this.#listener.snapshot.direction, label);
    this.#context.log("debug", `[WEFT_TLS_HANDSHAKE] ${cause}`, { listener: this.#listener.snapshot.id, detail });
    this.cut();
  }

  #count(result: MeshHandshakeResult, error: string): void {
    this.#context.mesh.count(this.#listener.snapshot.direction, result, error);
  }

  // --- the connection -----------------------------------------------------------------------------------------------

  onBytes(): void {}

  onEnd(): void {
    this.cut();
  }

  onWritable(): void {}

  onDeadline(): void {
    this.#fail("timeout", "tlsHandshakeMs is over");
  }

  onClosed(errno: number): void {
    if (this.#stream !== null) {
      this.#tls.forget(this.#stream);
      this.#stream = null;
    }
    this.#owner.onConnectionClosed(this, errno);
  }

  /** A handshake under way may finish: what follows it is told to close. */
  drain(): void {}

  /** Nothing of it has gone anywhere. */
  recheck(): void {}

  cut(): void {
    this.#transport.close(false);
  }
}
