// An HTTP/2 connection to an endpoint: carries many requests at once, each a stream (ADR 0001).
//
//   connecting --> greeting --(SETTINGS)--> open --(GOAWAY, retire, idle)--> retiring --(last stream ended)--> closed
//       |              |                     |
//       +--------------+--(error, silence)---+--> closed
//
// Until an endpoint has sent SETTINGS once, nothing is sent to it but the preface: it may speak HTTP/1 only, and a request that it
// half understood must not be sent twice.
// The protocol is the engine's (core/h2/connection.ts); here are the socket, deadlines, and what becomes of the streams when it breaks.

import type { Buffer } from "node:buffer";
import type { H2ConnectionOwner, H2Session, H2Stream, H2StreamOwner } from "../core/h2/contract.ts";
import type { Lease } from "../core/http/exchange.ts";
import { SILENT, UV_ETIMEDOUT } from "./errno.ts";
import type { ForwarderContext } from "./forwarder-context.ts";
import { MeshPing } from "./mesh-ping.ts";
import { ReadMode } from "./read-buffer.ts";
import type { Transport, TransportOwner } from "./transport.ts";
import { UpstreamH2Stream } from "./upstream-h2-stream.ts";
import type { Waiter } from "./waiter-queue.ts";
import type { Sweepable } from "./worker-loop.ts";

const Phase = { connecting: 0, greeting: 1, open: 2, retiring: 3, closed: 4 } as const;

/** What an HTTP/1 server says to a preface begins like this. */
const HTTP1 = "HTTP/1.";

/** The pool that a connection belongs to. */
export interface UpstreamH2Owner {
  /** Begins to connect; told later, 0 or a negative number of errno.ts. */
  dial(owner: TransportOwner, onConnected: (status: number) => void): Transport;
  /** The socket is connected. */
  onEstablished(connection: UpstreamH2): void;
  /** It can carry requests. */
  onConnected(connection: UpstreamH2): void;
  onConnectFailed(connection: UpstreamH2, errno: number): void;
  /** It has room for another stream. */
  onRoom(connection: UpstreamH2): void;
  /** Another proxy of the mesh is there. */
  readonly isMesh: boolean;
  /** The endpoint is known to speak HTTP/2. */
  readonly canTrust: boolean;
  /** Its SETTINGS came. */
  onSpoke(): void;
  /** It ended, or is silent, before its SETTINGS came, and carried nothing. `isCertain`: it spoke HTTP/1. */
  onUnspoken(isCertain: boolean): void;
  /** Its last request is over. */
  onIdle(): void;
  /** So many milliseconds more it stays open without a request, beyond upstreamIdleTimeoutMs; 0: not at all. */
  warmMs(connection: UpstreamH2): number;
  /** PING got no answer; it is closed next. */
  onSilent(connection: UpstreamH2): void;
  /** It takes no more streams. */
  onGoingAway(connection: UpstreamH2): void;
  /** Closed, from whatever phase. */
  onGone(connection: UpstreamH2, errno: number): void;
}

export class UpstreamH2 implements TransportOwner, H2ConnectionOwner, Sweepable {
  readonly context: ForwarderContext;
  readonly #owner: UpstreamH2Owner;
  readonly #h2: H2Session;
  readonly #streams: UpstreamH2Stream[] = [];
  /** Stream objects that are used again. */
  readonly #spare: UpstreamH2Stream[] = [];
  #transport: Transport;
  #phase: number = Phase.connecting;
  /** Why it closed. */
  errno = 0;
  #opened = 0;
  #resets = 0;
  #wasConnected = false;
  /** Nobody had a use for it: no other takes its place. */
  isUnused = false;
  /** Of connections to other proxies of the mesh. */
  #ping: MeshPing | null = null;

  private constructor(context: ForwarderContext, owner: UpstreamH2Owner) {
    this.context = context;
    this.#owner = owner;
    const { loop, shared } = context;
    this.#transport = owner.dial(this, (status) => this.#onConnect(status));
    this.#transport.deadlineAt = loop.now + shared.limits.connectTimeoutMs;
    this.#transport.gathers = true;
    this.#transport.readMode = ReadMode.adaptive;
    this.#h2 = context.h2.client(this, this.#transport, owner.isMesh);
  }

  /** Begins to connect. The owner hears `onConnected` or `onConnectFailed`, later. */
  static connect(context: ForwarderContext, owner: UpstreamH2Owner): void {
    new UpstreamH2(context, owner);
  }

  #onConnect(status: number): void {
    if (status !== 0) {
      this.#fail(status);
      return;
    }
    this.#wasConnected = true;
    this.#owner.onEstablished(this);
    this.#transport.readsAfterWriteError = true;
    this.#h2.begin();
    this.flush();
    this.context.loop.sweepables.add(this);
    if (this.#owner.canTrust) {
      this.#becomeOpen();
    } else {
      this.#phase = Phase.greeting;
      this.#transport.deadlineAt = this.context.loop.now + this.context.shared.limits.connectTimeoutMs;
    }
  }

  #becomeOpen(): void {
    this.#phase = Phase.open;
    this.#transport.deadlineAt = 0;
    if (this.#owner.isMesh) this.#ping = new MeshPing(this.#h2, this.context.loop.now);
    this.#watchIdle();
    this.#owner.onConnected(this);
  }

  /** The endpoint did not greet. Told once; the pool's own books are those of a connect that failed without being one. */
  #endUnspoken(isCertain: boolean): void {
    this.#phase = Phase.closed;
    this.#transport.close(false);
    this.#owner.onUnspoken(isCertain);
  }

  #fail(errno: number): void {
    this.#phase = Phase.closed;
    this.#transport.close(false);
    this.#owner.onConnectFailed(this, errno);
  }

  get transport(): Transport {
    return this.#transport;
  }

  /** It was more than an attempt to connect. */
  get wasConnected(): boolean {
    return this.#wasConnected;
  }

  get isClosed(): boolean {
    return this.#phase === Phase.closed;
  }

  /** No request was sent on it yet. */
  get isFresh(): boolean {
    return this.#opened === 0;
  }

  /** Requests under way. */
  get streams(): number {
    return this.#streams.length;
  }

  /** Streams that the endpoint allows at once. */
  get streamsMax(): number {
    return this.#h2.peerStreamsMax;
  }

  get hasRoom(): boolean {
    return this.#phase === Phase.open && this.#h2.hasRoom;
  }

  get isMesh(): boolean {
    return this.#owner.isMesh;
  }

  /** It is a proxy of the mesh that takes Upgrade as extended CONNECT. */
  get takesUpgrade(): boolean {
    return this.#owner.isMesh && this.#h2.peerTakesExtendedConnect;
  }

  /** A stream for the waiter, null when there is none to have. */
  openStream(waiter: Waiter): UpstreamH2Stream | null {
    if (!this.hasRoom) return null;
    const side = this.#spare.pop() ?? new UpstreamH2Stream(this);
    const stream = this.#h2.openStream(side);
    if (stream === null) {
      this.#spare.push(side);
      return null;
    }
    side.begin(stream, waiter, this.#opened > 0, this.#streams.length);
    this.#streams.push(side);
    this.#opened++;
    this.#transport.deadlineAt = 0;
    return side;
  }

  /** A stream's exchange is over. */
  forget(side: UpstreamH2Stream): void {
    const last = this.#streams.pop()!;
    if (last !== side) {
      this.#streams[side.index] = last;
      last.index = side.index;
    }
    this.#spare.push(side);
    if (this.#streams.length === 0) this.#onLastStream();
  }

  #onLastStream(): void {
    if (this.#phase === Phase.retiring) {
      this.#closeGracefully();
      return;
    }
    this.#owner.onIdle();
    this.#watchIdle();
  }

  #watchIdle(): void {
    if (this.#phase !== Phase.open || this.#streams.length > 0) return;
    this.#transport.deadlineAt = this.context.loop.now + this.context.shared.limits.upstreamIdleTimeoutMs;
  }

  /** A stream was reset by us. Endpoints count that, and throw out whom they take for an attacker: all of our requests with him. */
  countReset(): void {
    if (++this.#resets >= this.context.shared.limits.http2UpstreamResetsMax) this.leave();
  }

  /** Gets no more requests from its pool; closes when those under way are done. */
  leave(): void {
    if (this.#phase !== Phase.open) return;
    this.#owner.onGoingAway(this);
    this.retire();
  }

  /** No more requests; closes when those under way are done. */
  retire(): void {
    if (this.#phase !== Phase.open) return;
    this.#phase = Phase.retiring;
    if (this.#streams.length === 0) this.#closeGracefully();
  }

  #closeGracefully(): void {
    this.#h2.shutdown();
    this.#transport.flush();
    this.#close(false);
  }

  #close(isAbort: boolean): void {
    if (this.#phase === Phase.closed) return;
    this.#phase = Phase.closed;
    this.#transport.close(isAbort);
  }

  /** The socket took less than was written: streams hear of it as soon as they ask. */
  noticeCongestion(): void {
    if (this.#transport.isCongested) this.#h2.setOutputCongested(true);
  }

  /** Writes at the end of the turn what its streams have to say. */
  flush(): void {
    this.#transport.flushSoon();
  }

  // --- the socket ---------------------------------------------------------------------------------------------------

  onBytes(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    if (this.#phase === Phase.greeting && buffer.toString("latin1", start, Math.min(end, start + HTTP1.length)) === HTTP1) {
      this.#endUnspoken(true);
      return;
    }
    const { now } = this.context.loop;
    this.#ping?.heard(now);
    this.#h2.receive(buffer, start, end, lease, now);
    for (const side of this.#streams) side.flushReceived();
    this.flush();
  }

  onEnd(): void {
    if (this.#phase === Phase.greeting) this.#endUnspoken(false);
    else this.#close(false);
  }

  onWritable(): void {
    this.#h2.setOutputCongested(false);
    this.flush();
  }

  onDeadline(): void {
    if (this.#phase === Phase.connecting) {
      this.#fail(UV_ETIMEDOUT);
      return;
    }
    if (this.#phase === Phase.greeting) this.#endUnspoken(true);
    else this.#onUnused();
  }

  /** Without a request for upstreamIdleTimeoutMs, or as long as it was kept warm. */
  #onUnused(): void {
    if (this.#phase !== Phase.open) return;
    const warmMs = this.#owner.warmMs(this);
    if (warmMs > 0) {
      this.#transport.deadlineAt = this.context.loop.now + warmMs;
      return;
    }
    this.isUnused = true;
    this.leave();
  }

  #onSilent(): void {
    this.errno = SILENT;
    this.#owner.onSilent(this);
    this.#close(true);
  }

  onClosed(errno: number): void {
    const before = this.#phase;
    this.#phase = Phase.closed;
    if (this.errno === 0) this.errno = errno;
    this.context.loop.sweepables.delete(this);
    if (before === Phase.connecting) this.#owner.onConnectFailed(this, errno);
    else if (before === Phase.greeting) this.#owner.onUnspoken(false);
    this.#h2.transportClosed();
    this.#owner.onGone(this, this.errno);
  }

  sweep(now: number): void {
    if (this.#ping?.isDead(now, this.context.shared.limits) === true) {
      this.#onSilent();
      return;
    }
    for (let i = this.#streams.length - 1; i >= 0; i--) this.#streams[i]?.sweep(now);
    this.flush();
  }

  // --- the engine ---------------------------------------------------------------------------------------------------

  acceptStream(_stream: H2Stream): H2StreamOwner {
    throw new Error("a server does not open streams: PUSH_PROMISE is refused by the engine");
  }

  onPeerSettings(): void {
    this.#owner.onSpoke();
    if (this.#phase === Phase.greeting) this.#becomeOpen();
    else if (this.hasRoom) this.#owner.onRoom(this);
  }

  onGoaway(): void {
    this.leave();
  }

  onConnectionError(h2code: number, why: string): void {
    this.context.log("warn", "[WEFT_UPSTREAM_PROTOCOL] an upstream broke HTTP/2; that connection was closed", { why, h2code });
    if (this.#phase === Phase.greeting) {
      this.#endUnspoken(true);
      return;
    }
    this.#owner.onGoingAway(this);
    this.#transport.flush();
    this.#close(false);
  }

  onStreamClosed(): void {
    if (this.hasRoom) this.#owner.onRoom(this);
  }

  onPong(): void {}
}
