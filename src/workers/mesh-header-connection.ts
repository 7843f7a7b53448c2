// A connection of one of Linkerd's proxies: mesh TLS whose ALPN says that a transport header comes first (linkerd.md 8.5).
//
//   reading --(the header is whole)--> relay | HTTP/1 | HTTP/2, to what stands behind the inbound port that it names, under that port's policy
//      +--(no header, too long, headerDeadlineMs, no such port, a client without a certificate)--> closed, counted and noted by the reason
//
// Until the header is whole nothing is dialled and nothing delivered. A name in it asks for a gateway to another cluster, which Weft is not: there
// is no such port. Opaque bytes for a port that is declared HTTP are refused, as they are in a tunnel (client-access.ts).

import type { Buffer } from "node:buffer";
import { type ErrorCode, ERRORS } from "../core/errors/error-codes.ts";
import { decodeTransportHeader, type TransportHeader } from "../core/tcp/transport-header.ts";
import type { ClientConnection, ClientOwner } from "./client-connection.ts";
import { type ClientPeer, isProxy } from "./client-peer.ts";
import { DownstreamH1 } from "./downstream-h1.ts";
import { DownstreamH2 } from "./downstream-h2.ts";
import type { ForwarderContext, ListenerState } from "./forwarder-context.ts";
import { Relay } from "./relay.ts";
import { Stash } from "./stash.ts";
import type { Transport, TransportOwner } from "./transport.ts";

export class MeshHeaderConnection implements TransportOwner, ClientConnection {
  readonly #context: ForwarderContext;
  /** Where it came in; it is counted as what it is for, once that is known. */
  readonly #listener: ListenerState;
  readonly #owner: ClientOwner;
  readonly #transport: Transport;
  readonly #peer: ClientPeer;
  readonly #bytesBefore: number;
  #stash: Stash | null = null;
  #isIdentified = false;

  constructor(context: ForwarderContext, listener: ListenerState, owner: ClientOwner, transport: Transport, peer: ClientPeer) {
    this.#context = context;
    this.#listener = listener;
    this.#owner = owner;
    this.#transport = transport;
    this.#peer = peer;
    this.#bytesBefore = transport.bytesRead;
  }

  /** Takes the place of `previous`. */
  begin(previous: ClientConnection): void {
    const { loop, shared } = this.#context;
    this.#transport.owner = this;
    this.#transport.deadlineAt = loop.now + shared.limits.headerDeadlineMs;
    this.#owner.replace(previous, this);
    if (!isProxy(this.#peer)) this.#refuse("WEFT_TRANSPORT_HEADER_ANONYMOUS", "");
  }

  onBytes(buffer: Buffer, start: number, end: number): void {
    const stash = this.#stash;
    if (stash === null) {
      this.#read(buffer, start, end);
    } else {
      stash.append(buffer, start, end);
      this.#read(stash.bytes, stash.start, stash.end);
    }
  }

  /** What is kept is less than a header: a longer one is refused at its length. */
  #read(buffer: Buffer, start: number, end: number): void {
    const decoded = decodeTransportHeader(buffer, start, end);
    if (decoded === "malformed") {
      this.#refuse("WEFT_TRANSPORT_HEADER", "");
    } else if (decoded !== "incomplete") {
      this.#serve(decoded.header, buffer, decoded.end, end);
    } else if (this.#stash === null) {
      this.#stash = new Stash();
      this.#stash.append(buffer, start, end);
    }
  }

  /** [start, end) came behind the header. */
  #serve({ port, name, sessionProtocol }: TransportHeader, buffer: Buffer, start: number, end: number): void {
    const target = name === "" ? this.#context.inboundPort(this.#listener, this.#transport, port) : null;
    const service = target === null || target.fixedService === null ? null : this.#context.router.fixed(target.fixedService);
    if (target === null || service === null) {
      this.#refuse("WEFT_NO_TARGET", name === "" ? `port ${port}` : `${name}, port ${port}: this is no gateway`);
      return;
    }
    const { protocol } = target.snapshot;
    if (sessionProtocol === "opaque" && protocol !== "opaque" && protocol !== "detect") {
      this.#refuse("WEFT_OPAQUE_NOT_ALLOWED", `port ${port}`);
      return;
    }
    const listener = this.#identify(target);
    this.#context.counters.transportHeader(sessionProtocol, port, this.#peer.identity ?? "");
    if (sessionProtocol === "opaque") {
      if (listener.gate?.current.admitConnection(this.#transport) === false) {
        this.cut();
        return;
      }
      const relay = new Relay(this.#context, listener, this.#owner, this.#transport, service, false);
      this.#owner.replace(this, relay);
      if (end > start) relay.onBytes(buffer, start, end, null);
      relay.start(null);
      return;
    }
    const Downstream = sessionProtocol === "http1" ? DownstreamH1 : DownstreamH2;
    const next = new Downstream(this.#context, listener, this.#owner, this.#transport);
    this.#owner.replace(this, next);
    if (end > start) next.onBytes(buffer, start, end, null);
  }

  /** It is counted as a connection of its peer to this listener, with all that it has sent since its handshake. */
  #identify(target: ListenerState): ListenerState {
    this.#isIdentified = true;
    const listener = this.#owner.identified(this, this.#transport, target, this.#peer);
    this.#context.loop.slots[listener.metrics.readSlot]! += this.#transport.bytesRead - this.#bytesBefore;
    return listener;
  }

  #refuse(code: ErrorCode, detail: string): void {
    const { direction, id } = this.#listener.snapshot;
    const { identity } = this.#peer;
    this.#context.counters.tcpError(direction, ERRORS[code].label);
    this.#context.mesh.noteClient(code, this.#transport.peerAddress().address, {
      listener: id,
      ...(identity !== null && { identity }),
      ...(detail !== "" && { detail }),
    });
    this.cut();
  }

  onEnd(): void {
    if (this.#stash !== null) this.#refuse("WEFT_TRANSPORT_HEADER", "it ended within");
    else this.cut();
  }

  onWritable(): void {}

  onDeadline(): void {
    if (this.#context.isDraining && this.#stash === null) this.cut();
    else this.#refuse("WEFT_TRANSPORT_HEADER_DEADLINE", "");
  }

  onClosed(errno: number): void {
    if (!this.#isIdentified) this.#identify(this.#listener);
    this.#owner.onConnectionClosed(this, errno);
  }

  /** Nobody waits for an answer yet. */
  drain(): void {
    const { loop, shared } = this.#context;
    if (this.#stash === null) this.#transport.deadlineAt = loop.now + shared.limits.drainIdleMs;
  }

  /** Nothing of it has gone anywhere. */
  recheck(): void {}

  cut(): void {
    this.#transport.close(false);
  }
}
