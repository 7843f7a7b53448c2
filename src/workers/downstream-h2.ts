// An HTTP/2 client connection: many requests at once, each a stream with an exchange of its own (ADR 0001).
//
//   open --(drain, idle)--> draining (GOAWAY; streams finish) --> closing (last bytes leave) --> closed
//     +--(connection error: GOAWAY with its code)--> closing
//
// The protocol is the engine's (core/h2/connection.ts); here are the socket and the deadlines: a first request within idleTimeoutMs,
// a head that began within headerDeadlineMs, bodies at their minimum rate, windows that open within writeDeadlineMs.

import type { Buffer } from "node:buffer";
import { ERRORS } from "../core/errors/error-codes.ts";
import type { H2ConnectionOwner, H2Session, H2Stream, H2StreamOwner } from "../core/h2/contract.ts";
import type { Lease } from "../core/http/exchange.ts";
import { ClientAccess } from "./client-access.ts";
import { isProxy } from "./client-peer.ts";
import type { ClientConnection, ClientOwner } from "./client-connection.ts";
import { DownstreamH2Stream } from "./downstream-h2-stream.ts";
import { UV_ETIMEDOUT } from "./errno.ts";
import { MeshPing } from "./mesh-ping.ts";
import type { ForwarderContext, ListenerState } from "./forwarder-context.ts";
import { ReadMode } from "./read-buffer.ts";
import type { Transport, TransportOwner } from "./transport.ts";
import type { Sweepable } from "./worker-loop.ts";

const Phase = { open: 0, draining: 1, closing: 2, closed: 3 } as const;

/** Bytes still read and dropped behind our GOAWAY, so that it is not lost to a reset. */
const LINGER_BYTES_MAX = 256 * 1024;

/** A client that has sent FIN and waits for answers is asked so often whether it is still there. */
const PROBE_AFTER_MS = 400;

/** Another proxy of the mesh closes what it does not use any more itself: it has so many times meshIdleTimeoutMs for that. */
const MESH_IDLE_FACTOR = 2;

/** Stream objects kept for later requests of the connection. */
const SPARE_MAX = 16;

export class DownstreamH2 implements TransportOwner, ClientConnection, H2ConnectionOwner, Sweepable {
  readonly context: ForwarderContext;
  readonly transport: Transport;
  readonly access: ClientAccess;
  /** The client is another proxy of the mesh. */
  readonly isMesh: boolean;
  readonly #owner: ClientOwner;
  readonly #h2: H2Session;
  readonly #streams: DownstreamH2Stream[] = [];
  readonly #spare: DownstreamH2Stream[] = [];
  #phase: number = Phase.open;
  /** FIN came. */
  #hasEnded = false;
  /** GOAWAY came. */
  #isLeaving = false;
  /** When the last GOAWAY is due, also without an answer to the PING behind the first one; 0: not draining, or it was sent. */
  #lastGoawayAt = 0;
  /** When the header block that is incomplete began; 0: none is. */
  #blockSince = 0;
  /**
   * A stream was reset: requests of this connection begin at the end of the read event that they came in, so that those which are
   * reset in the same breath (rapid reset) never reach an endpoint. Who never resets is not slowed down.
   */
  isSuspect = false;
  /** Bytes dropped since the end began. */
  #lingered = 0;
  readonly #ping: MeshPing | null;

  constructor(context: ForwarderContext, listener: ListenerState, owner: ClientOwner, transport: Transport) {
    this.context = context;
    this.transport = transport;
    this.access = new ClientAccess(context, listener, transport);
    this.#owner = owner;
    transport.owner = this;
    transport.gathers = true;
    transport.readMode = ReadMode.adaptive;
    this.isMesh = listener.isMesh || isProxy(transport.peer);
    this.#h2 = context.h2.server(this, transport, this.isMesh);
    this.#ping = this.isMesh ? new MeshPing(this.#h2, context.loop.now) : null;
    this.#h2.begin();
    this.flush();
    this.#watchIdle();
    context.loop.sweepables.add(this);
  }

  // --- streams ------------------------------------------------------------------------------------------------------

  acceptStream(stream: H2Stream): H2StreamOwner {
    const side = this.#spare.pop() ?? new DownstreamH2Stream(this);
    side.begin(stream, this.#streams.length);
    this.#streams.push(side);
    this.transport.deadlineAt = 0;
    return side;
  }

  /** A stream is over for its exchange and for the client. */
  forget(side: DownstreamH2Stream): void {
    const last = this.#streams.pop()!;
    if (last !== side) {
      this.#streams[side.index] = last;
      last.index = side.index;
    }
    if (this.#spare.length < SPARE_MAX) this.#spare.push(side);
    if (this.#streams.length > 0 || this.#phase >= Phase.closing) return;
    if (this.#hasEnded || this.#isLeaving) this.#closeWhenSent();
    else this.#watchIdle();
  }

  /** A client that was told GOAWAY may have sent a request before it heard of it: that one is still waited for. */
  #watchIdle(): void {
    const { loop, shared } = this.context;
    const { drainIdleMs, idleTimeoutMs, meshIdleTimeoutMs } = shared.limits;
    const idleMs = this.isMesh ? MESH_IDLE_FACTOR * meshIdleTimeoutMs : idleTimeoutMs;
    this.transport.deadlineAt = loop.now + (this.#phase === Phase.open ? idleMs : drainIdleMs);
  }

  onPeerSettings(): void {}

  /** The client opens no more streams. Some then wait for the server to close. */
  onGoaway(): void {
    this.#isLeaving = true;
    if (this.#streams.length === 0) this.#closeWhenSent();
  }

  onStreamClosed(): void {}

  onPong(): void {}

  onConnectionError(h2code: number, why: string): void {
    this.access.countError(ERRORS.WEFT_H2_PROTOCOL.label);
    this.context.log("debug", "[WEFT_H2_PROTOCOL] a client broke HTTP/2; its connection was closed", { why, h2code });
    this.#closeWhenSent();
  }

  /** The socket took less than was written: streams hear of it as soon as they ask. */
  noticeCongestion(): void {
    if (this.transport.isCongested) this.#h2.setOutputCongested(true);
  }

  /** Writes at the end of the turn what its streams have to say. */
  flush(): void {
    this.transport.flushSoon();
  }

  // --- the socket ---------------------------------------------------------------------------------------------------

  onBytes(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    if (this.#phase >= Phase.closing) {
      this.#lingered += end - start;
      if (this.#lingered > LINGER_BYTES_MAX) this.#close(true);
      return;
    }
    const { loop } = this.context;
    this.#ping?.heard(loop.now);
    this.#h2.receive(buffer, start, end, lease, loop.now);
    for (let i = this.#streams.length - 1; i >= 0; i--) this.#streams[i]?.flushReceived();
    if (!this.#h2.isInHeaderBlock) this.#blockSince = 0;
    else if (this.#blockSince === 0) this.#blockSince = loop.now;
    this.flush();
  }

  /** FIN: nothing more will come. Who has sent whole requests still gets the answers. */
  onEnd(): void {
    this.#hasEnded = true;
    if (this.#phase >= Phase.closing) {
      if (this.transport.unsentBytes === 0) this.#close(false);
    } else if (this.#streams.length === 0) {
      this.#closeWhenSent();
    } else {
      // A FIN does not tell who still listens from who is gone. The first write asks, the answer (RST) shows in the ones after it.
      this.#h2.ping();
      this.flush();
      this.transport.deadlineAt = this.context.loop.now + PROBE_AFTER_MS;
    }
  }

  onWritable(): void {
    if (this.#phase === Phase.closing) {
      if (this.#hasEnded && this.transport.unsentBytes === 0) this.#close(false);
      return;
    }
    this.#h2.setOutputCongested(false);
    this.flush();
  }

  /** Idle, half-closed, or what was left to send did not leave. */
  onDeadline(): void {
    if (this.#phase >= Phase.closing) {
      this.#close(false);
    } else if (this.#streams.length > 0) {
      this.transport.touchWrite();
      if (!this.transport.isClosed) this.transport.deadlineAt = this.context.loop.now + PROBE_AFTER_MS;
    } else if (this.#phase === Phase.open) {
      this.#drain();
    } else {
      this.#h2.shutdown();
      this.#closeWhenSent();
    }
  }

  onClosed(errno: number): void {
    this.#phase = Phase.closed;
    this.context.loop.sweepables.delete(this);
    if (errno === UV_ETIMEDOUT) this.access.countError(ERRORS.WEFT_WRITE_DEADLINE.label);
    this.#h2.transportClosed();
    for (const side of [...this.#streams]) side.onConnectionClosed();
    this.#owner.onConnectionClosed(this, errno);
  }

  sweep(now: number): void {
    if (this.#ping !== null && this.#phase < Phase.closing && !this.#hasEnded && this.#isSilent(this.#ping, now)) return;
    if (this.#blockSince !== 0 && now - this.#blockSince > this.context.shared.limits.headerDeadlineMs) {
      this.access.countError(ERRORS.WEFT_HEADER_DEADLINE.label);
      this.#close(true);
      return;
    }
    if (this.#lastGoawayAt !== 0 && now >= this.#lastGoawayAt) {
      this.#lastGoawayAt = 0;
      this.#h2.shutdown();
      this.flush();
    }
    for (let i = this.#streams.length - 1; i >= 0; i--) this.#streams[i]?.sweep(now);
  }

  /** Is the other proxy gone without a word? Then its connection is closed. */
  #isSilent(ping: MeshPing, now: number): boolean {
    if (!ping.isDead(now, this.context.shared.limits)) {
      this.flush();
      return false;
    }
    const { label } = ERRORS.WEFT_MESH_SILENT;
    this.context.counters.tcpError(this.access.direction, label);
    this.context.log("info", `[WEFT_MESH_SILENT] ${ERRORS.WEFT_MESH_SILENT.cause}`, {
      client: this.transport.peerAddress().address,
      ...(this.transport.peer.identity !== null && { identity: this.transport.peer.identity }),
    });
    this.#close(true);
    return true;
  }

  #drain(): void {
    if (this.#phase !== Phase.open) return;
    const { loop, shared } = this.context;
    this.#phase = Phase.draining;
    // Who neither answers the PING nor stops asking would be served until the grace period is over.
    this.#lastGoawayAt = loop.now + shared.limits.drainIdleMs;
    this.#h2.shutdown();
    this.flush();
    if (this.#streams.length === 0) this.#watchIdle();
  }

  /** FIN behind what is written; the client's own end, or a deadline, closes: a close with unread bytes would be a reset. */
  #closeWhenSent(): void {
    if (this.#phase >= Phase.closing) return;
    this.#phase = Phase.closing;
    const { loop, shared } = this.context;
    this.transport.shutdown();
    if (this.#hasEnded && this.transport.unsentBytes === 0) this.#close(false);
    else this.transport.deadlineAt = loop.now + shared.limits.lingerMs;
  }

  #close(isAbort: boolean): void {
    if (this.#phase === Phase.closed) return;
    this.#phase = Phase.closed;
    this.transport.close(isAbort);
  }

  // --- drain --------------------------------------------------------------------------------------------------------

  /** GOAWAY: no new streams. What is under way finishes; what the client sent before it heard of it is still taken. */
  drain(): void {
    this.#drain();
  }

  recheck(): void {
    for (const side of this.#streams.filter(({ isTunnel }) => isTunnel)) {
      if (!side.mayStay()) side.cutTunnel();
    }
  }

  cut(): void {
    for (const side of [...this.#streams]) side.cut();
    this.transport.flush();
    this.#close(false);
  }
}
