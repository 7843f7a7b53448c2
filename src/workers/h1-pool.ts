// The HTTP/1 connections of one endpoint: idle ones, those in the making, and who waits for one.
//
// An idle connection is always read: it leaves the pool the moment the server closes it or says something unasked, so that a
// request is given only connections that are known good. One exchange at a time has a connection to itself.

import { ERRORS } from "../core/errors/error-codes.ts";
import type { Transport } from "./transport.ts";
import { UpstreamH1, type UpstreamOwner } from "./upstream-h1.ts";
import type { PoolOwner } from "./pool-owner.ts";
import { type Waiter, WaiterQueue } from "./waiter-queue.ts";

/**
 * A connection that was dialled for a request which another one served meanwhile is soon of no use: kept for long, it would hold up the end of an
 * application that waits for clients which have not asked yet, as Node's servers do.
 */
const UNUSED_IDLE_MS = 1_000;

export class H1Pool implements UpstreamOwner {
  readonly #owner: PoolOwner;
  readonly #idle: UpstreamH1[] = [];
  readonly #waiters: WaiterQueue;
  #connections = 0;
  #connecting = 0;

  constructor(owner: PoolOwner) {
    this.#owner = owner;
    this.#waiters = new WaiterQueue(owner.context.loop, (late) => {
      for (const waiter of late) waiter.onUnavailable(ERRORS.WEFT_FAIL_FAST.id, owner.address);
    });
  }

  /** Gives the waiter a connection: a pooled one at once, or a new one later. `isFresh`: only a new one will do. */
  acquire(waiter: Waiter, isFresh: boolean): void {
    if (!isFresh) {
      let idle = this.#idle.pop();
      // Closed earlier in this event, and its pool not told yet.
      while (idle?.isClosed === true) idle = this.#idle.pop();
      if (idle !== undefined) {
        give(idle, waiter);
        return;
      }
    }
    const { limits } = this.#owner.context.shared;
    waiter.needsFresh = isFresh;
    if (!this.#waiters.add(waiter, limits)) {
      waiter.onUnavailable(ERRORS.WEFT_LOAD_SHED.id, this.#owner.address);
      return;
    }
    if (this.#connections < limits.upstreamConnectionsMax) this.#dial();
  }

  #dial(): void {
    this.#connections++;
    this.#connecting++;
    const { context, target } = this.#owner;
    UpstreamH1.connect(context.loop, context.shared, this, target.host, target.port, target.isIpv6);
  }

  /** A bare connection turned out to be for HTTP: it joins the pool. */
  adopt(transport: Transport): void {
    this.#connections++;
    const { loop, shared } = this.#owner.context;
    this.onIdle(UpstreamH1.fromTransport(loop, shared, this, transport));
  }

  onConnected(upstream: UpstreamH1): void {
    this.#connecting--;
    this.#owner.connected(upstream.transport);
    if (this.#owner.isRemoved && this.#waiters.isEmpty) upstream.close();
    else this.#offer(upstream, true);
  }

  onConnectFailed(_upstream: UpstreamH1, errno: number): void {
    this.#connecting--;
    // Those whom no other connect in progress can serve.
    const failed = this.#waiters.takeAll(this.#waiters.count - this.#connecting);
    this.#owner.failWaiters(failed, errno);
  }

  onProtocolError(): void {
    this.#owner.brokeHttp1();
  }

  onIdle(upstream: UpstreamH1): void {
    this.#offer(upstream, false);
  }

  #offer(upstream: UpstreamH1, isFresh: boolean): void {
    const waiter = this.#waiters.take(isFresh);
    if (waiter !== null) {
      give(upstream, waiter);
      return;
    }
    const { loop, shared } = this.#owner.context;
    const { limits } = shared;
    if (this.#owner.isRemoved || this.#idle.length >= limits.upstreamIdleMax) {
      upstream.close();
      return;
    }
    const idleMs = limits.upstreamIdleTimeoutMs;
    upstream.setIdleDeadline(loop.now + (isFresh ? Math.min(UNUSED_IDLE_MS, idleMs) : idleMs));
    this.#idle.push(upstream);
  }

  onGone(upstream: UpstreamH1, errno: number): void {
    this.#connections--;
    const index = this.#idle.indexOf(upstream);
    if (index >= 0) this.#idle.splice(index, 1);
    if (upstream.wasConnected) this.#owner.disconnected(errno);
    if (this.#owner.isReady) this.dialForWaiters();
  }

  /** A connection for everybody who waits, as far as the limit allows. */
  dialForWaiters(): void {
    const max = this.#owner.context.shared.limits.upstreamConnectionsMax;
    let missing = this.#waiters.count - this.#connecting;
    while (missing-- > 0 && this.#connections < max) this.#dial();
  }

  /** The endpoint is gone: idle connections go, busy ones finish. */
  closeIdle(): void {
    for (const upstream of this.#idle.splice(0)) upstream.close();
  }

  get stats(): { connections: number; idle: number; waiting: number } {
    return { connections: this.#connections, idle: this.#idle.length, waiting: this.#waiters.count };
  }
}

function give(upstream: UpstreamH1, waiter: Waiter): void {
  upstream.assign(waiter);
  waiter.onUpstream(upstream);
}
