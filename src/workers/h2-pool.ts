// The HTTP/2 connections of one endpoint: few, shared by many requests, each of which is a stream of its own.
//
// A request goes to the first connection that has a stream to give; another connection is dialled when all are full. A connection
// that was told to go away (GOAWAY) gets no more requests and closes with its last one.
//
// To another proxy of the mesh one connection is kept warm, as long as requests went there within meshIdleTimeoutMs: it stays open while it is idle, and when
// it is lost, another is dialled before a request asks for it, later each time that it is lost unused (reconnectBackoffMinMs to MaxMs).

import { ERRORS } from "../core/errors/error-codes.ts";
import type { PoolOwner } from "./pool-owner.ts";
import type { Transport, TransportOwner } from "./transport.ts";
import { UpstreamH2, type UpstreamH2Owner } from "./upstream-h2.ts";
import { type Waiter, WaiterQueue } from "./waiter-queue.ts";

export class H2Pool implements UpstreamH2Owner {
  readonly #owner: PoolOwner;
  /** Established, and not going away. */
  readonly #open: UpstreamH2[] = [];
  readonly #waiters: WaiterQueue;
  #connections = 0;
  #connecting = 0;
  /** When the last request that got a stream began or ended, in milliseconds of the loop's clock. */
  #usedAt = Number.NEGATIVE_INFINITY;
  /** Connections lost since one of them carried a request. */
  #lost = 0;
  #redialTimer: NodeJS.Timeout | null = null;

  constructor(owner: PoolOwner) {
    this.#owner = owner;
    this.#waiters = new WaiterQueue(owner.context.loop, (late) => {
      for (const waiter of late) waiter.onUnavailable(ERRORS.WEFT_FAIL_FAST.id, owner.address);
    });
  }

  /** Gives the waiter a stream, at once or later. `isFresh`: of a connection that carried nothing yet. */
  acquire(waiter: Waiter, isFresh: boolean): void {
    if (!isFresh && this.#giveTo(waiter)) return;
    const { limits } = this.#owner.context.shared;
    waiter.needsFresh = isFresh;
    if (!this.#waiters.add(waiter, limits)) {
      waiter.onUnavailable(ERRORS.WEFT_LOAD_SHED.id, this.#owner.address);
      return;
    }
    this.#dialIfUseful();
  }

  #giveTo(waiter: Waiter): boolean {
    for (const connection of this.#open) {
      const stream = connection.openStream(waiter);
      if (stream === null) continue;
      this.#used();
      waiter.onUpstream(stream);
      return true;
    }
    return false;
  }

  /** One connection in the making at a time: it will serve a hundred who wait. */
  #dialIfUseful(): void {
    const { context } = this.#owner;
    if (this.#connecting > 0 || this.#connections >= context.shared.limits.upstreamConnectionsMax) return;
    // An endpoint that allows no stream now would not on another connection either.
    if (this.#open.some((connection) => connection.streamsMax === 0)) return;
    this.#connections++;
    this.#connecting++;
    UpstreamH2.connect(context, this);
  }

  dial(owner: TransportOwner, onConnected: (status: number) => void): Transport {
    return this.#owner.dialHttp2(owner, onConnected);
  }

  onEstablished(connection: UpstreamH2): void {
    this.#owner.connected(connection.transport);
  }

  onConnected(connection: UpstreamH2): void {
    this.#connecting--;
    if (this.#owner.isRemoved && this.#waiters.isEmpty) {
      connection.retire();
      return;
    }
    this.#open.push(connection);
    this.#serve(connection);
  }

  onConnectFailed(_connection: UpstreamH2, errno: number): void {
    this.#connecting--;
    this.#owner.failWaiters(this.#waiters.takeAll(), errno);
  }

  /** What a proxy of the mesh takes has to be known before a request goes: its SETTINGS say whether Upgrade can cross. */
  get canTrust(): boolean {
    return this.#owner.speaksHttp2 && !this.#owner.isMesh;
  }

  get isMesh(): boolean {
    return this.#owner.isMesh;
  }

  onSpoke(): void {
    this.#owner.spokeHttp2();
  }

  /** Nothing of any request was sent on it: whoever waited for it may go by HTTP/1, or waits for the next one. */
  onUnspoken(isCertain: boolean): void {
    const owner = this.#owner;
    this.#connecting--;
    if (owner.isMesh) {
      owner.refusedUs(this.#waiters.takeAll());
      return;
    }
    owner.endedUnspoken(isCertain);
    if (!owner.isHttp1) return;
    for (const waiter of this.#waiters.takeAll()) {
      if (waiter.takesHttp1) owner.acquire(waiter, false);
      else waiter.onUnavailable(ERRORS.WEFT_UPSTREAM_PROTOCOL.id, owner.address);
    }
  }

  /** A stream ended, or the peer allows more of them. */
  onRoom(connection: UpstreamH2): void {
    if (!this.#waiters.isEmpty) this.#serve(connection);
  }

  #serve(connection: UpstreamH2): void {
    while (connection.hasRoom) {
      const waiter = this.#waiters.take(connection.isFresh);
      if (waiter === null) return;
      const stream = connection.openStream(waiter);
      if (stream === null) {
        // It said that it had room: then it closed within this event.
        this.acquire(waiter, false);
        return;
      }
      this.#used();
      waiter.onUpstream(stream);
    }
    this.dialForWaiters();
  }

  onGoingAway(connection: UpstreamH2): void {
    const index = this.#open.indexOf(connection);
    if (index >= 0) this.#open.splice(index, 1);
    if (!this.#owner.isReady) return;
    this.dialForWaiters();
    if (!connection.isUnused) this.#redialSoon();
  }

  // --- one that is kept warm ----------------------------------------------------------------------------------------

  #used(): void {
    this.#lost = 0;
    this.#usedAt = this.#owner.context.loop.now;
  }

  onIdle(): void {
    this.#usedAt = this.#owner.context.loop.now;
  }

  warmMs(connection: UpstreamH2): number {
    const isLast = this.#open.length === 1 && this.#open[0] === connection;
    return isLast && this.#mayKeepWarm ? this.#warmMsLeft : 0;
  }

  get #mayKeepWarm(): boolean {
    const { context, isMesh, isRemoved } = this.#owner;
    return isMesh && !isRemoved && !context.isDraining;
  }

  get #warmMsLeft(): number {
    const { loop, shared } = this.#owner.context;
    return this.#usedAt + shared.limits.meshIdleTimeoutMs - loop.now;
  }

  onSilent(connection: UpstreamH2): void {
    this.#owner.silent(this.#waiters.takeAll());
    this.onGoingAway(connection);
  }

  #redialSoon(): void {
    const { context } = this.#owner;
    if (this.#redialTimer !== null || this.#connecting > 0 || this.#open.length > 0 || !this.#mayKeepWarm || this.#warmMsLeft <= 0) return;
    const { reconnectBackoffMinMs, reconnectBackoffMaxMs } = context.shared.limits;
    const pause = Math.min(reconnectBackoffMinMs * 2 ** this.#lost, reconnectBackoffMaxMs);
    this.#lost++;
    const jittered = pause * (0.9 + 0.2 * context.random());
    this.#redialTimer = setTimeout(() => {
      this.#redialTimer = null;
      context.loop.run(() => {
        if (this.#owner.isReady) this.warm();
      });
    }, jittered);
  }

  /** Sees to it that there is a connection, where requests went lately. True: one is being made, and the owner will hear of it. */
  warm(): boolean {
    if (this.#open.length > 0 || !this.#mayKeepWarm || this.#warmMsLeft <= 0) return false;
    this.#dialIfUseful();
    return this.#connecting > 0;
  }

  // --- the end ------------------------------------------------------------------------------------------------------

  onGone(connection: UpstreamH2, errno: number): void {
    this.#connections--;
    if (connection.wasConnected) this.#owner.disconnected(errno);
    this.onGoingAway(connection);
  }

  dialForWaiters(): void {
    if (this.#waiters.count > 0) this.#dialIfUseful();
  }

  /** The endpoint is gone: connections close when their last stream ends. */
  retire(): void {
    if (this.#redialTimer !== null) clearTimeout(this.#redialTimer);
    this.#redialTimer = null;
    for (const connection of this.#open.splice(0)) connection.retire();
    for (const waiter of this.#waiters.takeAll()) waiter.onUnavailable(ERRORS.WEFT_UPSTREAM_REFUSED.id, this.#owner.address);
  }

  get stats(): { connections: number; streams: number; waiting: number } {
    let streams = 0;
    for (const connection of this.#open) streams += connection.streams;
    return { connections: this.#connections, streams, waiting: this.#waiters.count };
  }
}
