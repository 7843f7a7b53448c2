// One address of a service, as one worker sees it: its connections, who waits for one, whether it is ready.
//
// An idle connection is always read: it leaves the pool the moment the server closes it or says something unasked, so that a
// request is given only connections that are known good. A connect that fails makes the endpoint not ready for a pause
// that doubles (reconnectBackoffMinMs to MaxMs, jittered); then it is ready again, and the next request is the probe.

import { Buffer } from "node:buffer";
import { EWMA_DECAY_MS, EWMA_DEFAULT_RTT_MS, PeakEwma } from "../core/balance/ewma.ts";
import { NOT_MEMBER, type PickableEndpoint } from "../core/balance/picker.ts";
import { ERRORS } from "../core/errors/error-codes.ts";
import type { ExchangeResponseSide, UpstreamStream } from "../core/http/exchange.ts";
import type { EndpointMetrics } from "../core/telemetry/endpoint-metrics.ts";
import type { TransportMetrics } from "../core/telemetry/transport-metrics.ts";
import type { ForwarderContext } from "./forwarder-context.ts";
import { errnoName, UV_ETIMEDOUT } from "./errno.ts";
import { Transport, type TransportOwner } from "./transport.ts";
import { UpstreamH1, type UpstreamOwner } from "./upstream-h1.ts";
import type { Sweepable } from "./worker-loop.ts";

/** Errors of this host rather than of the endpoint: EMFILE, ENFILE, EADDRNOTAVAIL, ENOBUFS, ENOMEM. */
const LOCAL_ERRORS = new Set([-24, -23, -99, -105, -12]);

/** Someone who needs a connection: an exchange. */
export interface Waiter extends ExchangeResponseSide {
  isWaiting: boolean;
  /** Only a new connection will do. */
  needsFresh: boolean;
  waitDeadline: number;
  /** The service's picker chose. */
  onEndpoint(endpoint: Endpoint): void;
  onUpstream(upstream: UpstreamStream): void;
  onUnavailable(errorId: number, detail: string): void;
}

/** What an endpoint needs of its service. */
export interface EndpointOwner {
  readonly key: string;
  setReady(endpoint: Endpoint, isReady: boolean): void;
}

export interface EndpointInit {
  readonly address: string;
  readonly host: string;
  readonly port: number;
  readonly isIpv6: boolean;
  readonly isOwnListener: boolean;
  readonly metrics: EndpointMetrics;
  readonly transportMetrics: TransportMetrics;
}

export class Endpoint implements PickableEndpoint, UpstreamOwner, Sweepable {
  readonly address: string;
  readonly isOwnListener: boolean;
  readonly metrics: EndpointMetrics;
  /** Host for requests that have none. */
  readonly hostFallback: Buffer;
  readonly ewma: PeakEwma;
  inFlight = 0;
  isReady = true;
  readyIndex = NOT_MEMBER;

  readonly #context: ForwarderContext;
  readonly #owner: EndpointOwner;
  readonly #host: string;
  readonly #port: number;
  readonly #isIpv6: boolean;
  readonly #transportMetrics: TransportMetrics;
  readonly #idle: UpstreamH1[] = [];
  #waiters: Waiter[] = [];
  #connections = 0;
  #connecting = 0;
  #failures = 0;
  #readyTimer: NodeJS.Timeout | null = null;
  #isRemoved = false;

  constructor(context: ForwarderContext, owner: EndpointOwner, init: EndpointInit) {
    this.#context = context;
    this.#owner = owner;
    this.address = init.address;
    this.#host = init.host;
    this.#port = init.port;
    this.#isIpv6 = init.isIpv6;
    this.isOwnListener = init.isOwnListener;
    this.metrics = init.metrics;
    this.#transportMetrics = init.transportMetrics;
    this.hostFallback = Buffer.from(init.address, "latin1");
    this.ewma = new PeakEwma(EWMA_DECAY_MS, EWMA_DEFAULT_RTT_MS, context.loop.now);
  }

  /** Gives the waiter a connection: a pooled one at once, or a new one later. `isFresh`: only a new one will do. */
  acquire(waiter: Waiter, isFresh: boolean): void {
    if (!isFresh) {
      let idle = this.#idle.pop();
      // Closed earlier in this event, and its pool not told yet.
      while (idle?.isClosed === true) idle = this.#idle.pop();
      if (idle !== undefined) {
        this.#give(idle, waiter);
        return;
      }
    }
    const { limits } = this.#context.shared;
    if (this.#waiters.length >= limits.pendingRequestsMax) {
      waiter.onUnavailable(ERRORS.WEFT_LOAD_SHED.id, this.address);
      return;
    }
    waiter.isWaiting = true;
    waiter.needsFresh = isFresh;
    waiter.waitDeadline = this.#context.loop.now + limits.failFastTimeoutMs;
    this.#waiters.push(waiter);
    this.#context.loop.sweepables.add(this);
    if (this.#connections < limits.upstreamConnectionsMax) this.#dial();
  }

  #give(upstream: UpstreamH1, waiter: Waiter): void {
    waiter.isWaiting = false;
    upstream.assign(waiter);
    waiter.onUpstream(upstream);
  }

  #dial(): void {
    this.#connections++;
    this.#connecting++;
    const { loop, shared } = this.#context;
    UpstreamH1.connect(loop, shared, this, this.#host, this.#port, this.#isIpv6);
  }

  /** For relays: a bare connection, not pooled. The caller owns it and counts it with `relayOpened`/`relayClosed`. */
  dialRaw(owner: TransportOwner, onConnected: (status: number) => void): Transport {
    return Transport.connect(this.#context.loop, this.#host, this.#port, this.#isIpv6, owner, onConnected);
  }

  /** A bare connection turned out to be for HTTP: it joins the pool. */
  adopt(transport: Transport): void {
    this.#connections++;
    const { loop, shared } = this.#context;
    this.onIdle(UpstreamH1.fromTransport(loop, shared, this, transport));
  }

  connected(transport: Transport): void {
    this.#failures = 0;
    this.#transportMetrics.opened();
    transport.setMeter(this.#transportMetrics);
    if (!this.isReady) this.#becomeReady();
  }

  disconnected(errno: number): void {
    this.#transportMetrics.closed(errnoName(errno));
  }

  onConnected(upstream: UpstreamH1): void {
    this.#connecting--;
    this.connected(upstream.transport);
    if (this.#isRemoved && this.#waiters.length === 0) upstream.close();
    else this.#offer(upstream, true);
  }

  onConnectFailed(_upstream: UpstreamH1, errno: number): void {
    this.#connecting--;
    this.connectFailed(errno);
    const errorId = errno === UV_ETIMEDOUT ? ERRORS.WEFT_CONNECT_TIMEOUT.id : ERRORS.WEFT_CONNECT_FAILED.id;
    // Those whom no other connect in progress can serve.
    const failed = this.#waiters.splice(0, Math.max(0, this.#waiters.length - this.#connecting));
    for (const waiter of failed) {
      if (!waiter.isWaiting) continue;
      waiter.isWaiting = false;
      waiter.onUnavailable(errorId, `${this.address}: ${errnoName(errno)}`);
    }
  }

  /** A connect failed, ours or a relay's: not ready for a while. */
  connectFailed(errno: number): void {
    if (LOCAL_ERRORS.has(errno)) return;
    this.#context.onConnectFailed(this.#owner.key, this.address);
    this.#owner.setReady(this, false);
    // Connects that failed together are one failure.
    if (this.#readyTimer !== null) return;
    this.#failures++;
    const { limits } = this.#context.shared;
    const pause = Math.min(limits.reconnectBackoffMinMs * 2 ** (this.#failures - 1), limits.reconnectBackoffMaxMs);
    const jittered = pause * (0.9 + 0.2 * this.#context.random());
    this.#readyTimer = setTimeout(() => this.#context.loop.run(() => this.#becomeReady()), jittered);
  }

  #becomeReady(): void {
    if (this.#readyTimer !== null) clearTimeout(this.#readyTimer);
    this.#readyTimer = null;
    if (this.#isRemoved) return;
    this.#owner.setReady(this, true);
    this.#dialForWaiters();
  }

  onIdle(upstream: UpstreamH1): void {
    this.#offer(upstream, false);
  }

  #offer(upstream: UpstreamH1, isFresh: boolean): void {
    const waiter = this.#nextWaiter(isFresh);
    if (waiter !== null) {
      this.#give(upstream, waiter);
      return;
    }
    const { loop, shared } = this.#context;
    const { limits } = shared;
    if (this.#isRemoved || this.#idle.length >= limits.upstreamIdleMax) {
      upstream.close();
      return;
    }
    upstream.setIdleDeadline(loop.now + limits.upstreamIdleTimeoutMs);
    this.#idle.push(upstream);
  }

  #nextWaiter(isFresh: boolean): Waiter | null {
    const waiters = this.#waiters;
    for (let i = 0; i < waiters.length; i++) {
      const waiter = waiters[i]!;
      if (!waiter.isWaiting) {
        waiters.splice(i--, 1);
      } else if (isFresh || !waiter.needsFresh) {
        waiters.splice(i, 1);
        return waiter;
      }
    }
    return null;
  }

  onGone(upstream: UpstreamH1, errno: number): void {
    this.#connections--;
    const index = this.#idle.indexOf(upstream);
    if (index >= 0) this.#idle.splice(index, 1);
    if (upstream.wasConnected) this.disconnected(errno);
    if (this.isReady) this.#dialForWaiters();
  }

  /** A connection for everybody who waits, as far as the limit allows. */
  #dialForWaiters(): void {
    const max = this.#context.shared.limits.upstreamConnectionsMax;
    let missing = this.#waiters.filter((waiter) => waiter.isWaiting).length - this.#connecting;
    while (missing-- > 0 && this.#connections < max) this.#dial();
  }

  sweep(now: number): void {
    const waiters = this.#waiters;
    if (waiters.length === 0) {
      this.#context.loop.sweepables.delete(this);
      return;
    }
    const late = waiters.filter((waiter) => waiter.isWaiting && waiter.waitDeadline <= now);
    if (late.length === 0) {
      // Those who gave up would fill the queue.
      if (waiters.some((waiter) => !waiter.isWaiting)) this.#waiters = waiters.filter((waiter) => waiter.isWaiting);
      return;
    }
    this.#waiters = waiters.filter((waiter) => waiter.isWaiting && waiter.waitDeadline > now);
    for (const waiter of late) {
      waiter.isWaiting = false;
      waiter.onUnavailable(ERRORS.WEFT_FAIL_FAST.id, this.address);
    }
  }

  /** The configuration or DNS no longer has it: idle connections go, busy ones finish. */
  remove(): void {
    this.#isRemoved = true;
    if (this.#readyTimer !== null) clearTimeout(this.#readyTimer);
    this.#readyTimer = null;
    for (const upstream of this.#idle.splice(0)) upstream.close();
  }

  /** For /stats.json. */
  stats(): object {
    return {
      address: this.address,
      ready: this.isReady,
      ewmaMs: Number(this.ewma.estimate(this.#context.loop.now).toFixed(3)),
      inFlight: this.inFlight,
      connections: this.#connections,
      idle: this.#idle.length,
      waiting: this.#waiters.length,
    };
  }
}
