// One address of a service, as one worker sees it: is it ready, how fast is it, and its pools of connections.
//
// A connect that fails makes the endpoint not ready for a pause that doubles (from reconnectBackoffMinMs, jittered); then it is ready again,
// and the next request is the probe. How long the pause may become depends on what trying costs: `#pauseMax`.
//
// A reload may bring thousands of endpoints, most of which are never used, and requests wait while they are made: until its first use
// an endpoint is what a picker needs and no more.

import type { Buffer } from "node:buffer";
import { EWMA_DECAY_MS, EWMA_DEFAULT_RTT_MS, PeakEwma } from "../core/balance/ewma.ts";
import { NOT_MEMBER, type PickableEndpoint } from "../core/balance/picker.ts";
import { ERRORS } from "../core/errors/error-codes.ts";
import type { EndpointMetrics } from "../core/telemetry/endpoint-metrics.ts";
import type { TransportMetrics } from "../core/telemetry/transport-metrics.ts";
import type { ClientPeer } from "./client-peer.ts";
import type { ForwarderContext } from "./forwarder-context.ts";
import { ANSWERED_PLAIN, connectErrorId, errnoName, errnoOf, UV_ECONNREFUSED, UV_ETIMEDOUT } from "./errno.ts";
import { H1Pool } from "./h1-pool.ts";
import { H2Pool } from "./h2-pool.ts";
import { dialMesh } from "./mesh-dial.ts";
import { peerErrorCode, peerReason } from "./mesh-peer-error.ts";
import { WEFT_ALPN } from "./mesh-tls.ts";
import { PeerMetrics } from "./peer-metrics.ts";
import type { PoolOwner } from "./pool-owner.ts";
import type { MessageHead } from "../core/http/head.ts";
import { MeshTunnel, tunnelHead } from "./mesh-tunnel.ts";
import type { RelayEnd, TunnelRefusal } from "./relay-end.ts";
import { Transport, type TransportOwner } from "./transport.ts";
import { dialConnection } from "./transport-open.ts";
import { UpstreamRaw } from "./upstream-raw.ts";
import type { Waiter } from "./waiter-queue.ts";

/** Errors of this host rather than of the endpoint: EMFILE, ENFILE, EADDRNOTAVAIL, ENOBUFS, ENOMEM, no identity yet. */
const LOCAL_ERRORS = new Set([-24, -23, -99, -105, -12, errnoOf(ERRORS.WEFT_NO_IDENTITY.id)]);

/** An endpoint that does not speak HTTP/2 is asked again after so long: it may have been replaced. */
const HTTP1_MARK_MS = 60_000;

/** A connection that only closes proves nothing: a server that restarts does that, too. Two in a row are believed. */
const UNSPOKEN_MAX = 2;

/** An application that its proxy reached for so long behind a pause has come back: the next failure is the first of another row. */
const RECOVERED_MS = 1_000;

const NO_CONNECTIONS: H1Pool["stats"] = { connections: 0, idle: 0, waiting: 0 };

/** What an endpoint needs of its service. */
export interface EndpointOwner {
  readonly key: string;
  readonly name: string;
  readonly namespace: string;
  /** Who must be at an address; null: anybody. */
  identityOf(address: string): string | null;
  setReady(endpoint: Endpoint, isReady: boolean): void;
  /** It has one endpoint. */
  readonly hasOnlyOne: boolean;
  /** Is another one ready than this? */
  hasReadyBeside(endpoint: Endpoint): boolean;
  /** Not ready, because connecting to it failed: `reason` as in ECONNREFUSED. */
  connectFailed(endpoint: Endpoint, reason: string): void;
}

/** What an endpoint has from its first use on. */
export interface EndpointParts {
  readonly host: string;
  readonly port: number;
  readonly isIpv6: boolean;
  /** It is the proxy itself: forwarding there would be a loop. */
  readonly isOwnListener: boolean;
  /** Host for requests that have none. */
  readonly hostFallback: Buffer;
  /** Another proxy of the mesh is there: everything goes to it as HTTP/2. */
  readonly isMesh: boolean;
  /** The client chose this address itself: there is no other to go to, and it may try as often as it likes. */
  readonly isStraight: boolean;
  /** It is what stands behind this proxy, not before it: the application. */
  readonly isInbound: boolean;
  /** Mesh TLS carries it; false only in tests of what is within. */
  readonly isSecure: boolean;
  readonly metrics: EndpointMetrics;
  readonly transportMetrics: TransportMetrics;
}

export class Endpoint implements PickableEndpoint, PoolOwner {
  readonly address: string;
  /** Who must be there, by mesh TLS; null: anybody, and connections are plain. */
  readonly identity: string | null;
  readonly ewma: PeakEwma;
  inFlight = 0;
  isReady = true;
  readyIndex = NOT_MEMBER;
  isRemoved = false;
  readonly context: ForwarderContext;

  readonly #owner: EndpointOwner;
  #parts: EndpointParts | null = null;
  #byPeer: PeerMetrics | null = null;
  /** Each is made for the first request that wants it. */
  #h1: H1Pool | null = null;
  #h2: H2Pool | null = null;
  /** It has sent SETTINGS once: later connections are used without waiting for theirs. */
  speaksHttp2 = false;
  /** Until then (milliseconds of the loop's clock) it is taken for one that speaks HTTP/1 only; 0: nobody knows. */
  #isHttp1Until = 0;
  /** Connections in a row that ended before they had said anything. */
  #unspoken = 0;
  /** In a row, for the same reason. */
  #failures = 0;
  #lastErrno = 0;
  /** The last connect, to a proxy of the mesh, met plain bytes. */
  #hasAnsweredPlain = false;
  /** When the last pause was over, in milliseconds of the loop's clock. */
  #resumedAt = Number.NEGATIVE_INFINITY;
  #readyTimer: NodeJS.Timeout | null = null;
  #tunnelHead: MessageHead | null = null;

  /** @param address `ip:port` or `[ip6]:port` */
  constructor(context: ForwarderContext, owner: EndpointOwner, address: string) {
    this.context = context;
    this.#owner = owner;
    this.address = address;
    this.identity = owner.identityOf(address);
    this.ewma = new PeakEwma(EWMA_DECAY_MS, EWMA_DEFAULT_RTT_MS, context.loop.now);
  }

  get #used(): EndpointParts {
    return (this.#parts ??= this.context.endpointParts(this.#owner, this.address));
  }

  get #http1(): H1Pool {
    return (this.#h1 ??= new H1Pool(this));
  }

  get target(): PoolOwner["target"] {
    return this.#used;
  }

  get isOwnListener(): boolean {
    return this.#used.isOwnListener;
  }

  get isMesh(): boolean {
    return this.#used.isMesh;
  }

  get isStraight(): boolean {
    return this.#used.isStraight;
  }

  get hostFallback(): Buffer {
    return this.#used.hostFallback;
  }

  get metrics(): EndpointMetrics {
    return this.#used.metrics;
  }

  /** Of an inbound endpoint in the mesh: what one peer's requests are counted as. */
  metricsFor({ labels }: ClientPeer): EndpointMetrics {
    this.#byPeer ??= new PeerMetrics((peer) => this.context.endpointMetrics(this.#owner, this.address, peer));
    return this.#byPeer.get(labels);
  }

  /** Gives the waiter a connection, or a stream of one: at once or later. `isFresh`: only a new one will do. */
  acquire(waiter: Waiter, isFresh: boolean): void {
    if (waiter.wantsRaw) {
      new UpstreamRaw(this, waiter);
      return;
    }
    const isHttp2 = this.isMesh || (waiter.wantsHttp2 && !(waiter.takesHttp1 && this.isHttp1));
    if (isHttp2) (this.#h2 ??= new H2Pool(this)).acquire(waiter, isFresh);
    else this.#http1.acquire(waiter, isFresh);
  }

  /**
   * For relays: a bare connection, not pooled, or a tunnel through the other proxy. `owner.onDeadline` tells that it took longer than
   * connectTimeoutMs; `onConnected` is called later. The caller owns it and counts it with `relayOpened` and `relayClosed`.
   */
  dialRaw(owner: TransportOwner, onConnected: (status: number) => void): RelayEnd {
    if (this.isMesh) return new MeshTunnel(this, owner, onConnected);
    const { host, port, isIpv6 } = this.target;
    const { loop, shared } = this.context;
    const transport = dialConnection(loop, host, port, isIpv6, owner, onConnected);
    transport.deadlineAt = loop.now + shared.limits.connectTimeoutMs;
    return transport;
  }

  /** For the pool of HTTP/2. */
  dialHttp2(owner: TransportOwner, onConnected: (status: number) => void): Transport {
    const { host, port, isIpv6, isSecure } = this.#used;
    const { address, context, identity } = this;
    if (identity === null || !isSecure) return dialConnection(context.loop, host, port, isIpv6, owner, onConnected);
    return dialMesh(context, { host, port, isIpv6, address, identity }, WEFT_ALPN, owner, onConnected);
  }

  /** A tunnel is a part of a connection that the pool has counted. */
  relayOpened(end: RelayEnd): void {
    if (end instanceof Transport) this.connected(end);
  }

  relayClosed(errno: number): void {
    if (!this.isMesh) this.disconnected(errno);
  }

  /** A bare connection turned out to be for HTTP/1: it joins the pool. A tunnel cannot. */
  adopt(end: RelayEnd): void {
    if (end instanceof Transport) this.#http1.adopt(end);
    else end.close(false);
  }

  /** Asks the other proxy for a tunnel to what is behind the port that it is reached at. */
  get tunnelHead(): MessageHead {
    return (this.#tunnelHead ??= tunnelHead(this.address));
  }

  /** A stream of a connection to the other proxy. */
  acquireTunnel(waiter: Waiter): void {
    (this.#h2 ??= new H2Pool(this)).acquire(waiter, false);
  }

  connected(transport: Transport): void {
    this.#failures = 0;
    this.#hasAnsweredPlain = false;
    const { transportMetrics } = this.#used;
    transportMetrics.opened();
    transport.setMeter(transportMetrics);
    if (!this.isReady) this.#becomeReady();
  }

  disconnected(errno: number): void {
    this.#used.transportMetrics.closed(errnoName(errno));
  }

  /** A response: where the other proxy made it itself, its reason is noted and counted. The id of its error, 0 for none that is known. */
  peerAnswered(head: MessageHead): number {
    const detail = peerReason(head);
    if (detail === null) return 0;
    const code = peerErrorCode(detail);
    const { key, name, namespace } = this.#owner;
    this.context.counters.peerError(name, namespace, code === null ? "other" : ERRORS[code].label);
    this.context.mesh.noteAnswer(this.address, { service: key, status: head.status, detail });
    return code === null ? 0 : ERRORS[code].id;
  }

  failWaiters(waiters: readonly Waiter[], errno: number): void {
    this.connectFailed(errno);
    const errorId = connectErrorId(errno);
    for (const waiter of waiters) waiter.onUnavailable(errorId, `${this.address}: ${errnoName(errno)}`);
  }

  get isHttp1(): boolean {
    return !this.isMesh && this.#isHttp1Until > this.context.loop.now;
  }

  spokeHttp2(): void {
    this.speaksHttp2 = true;
    this.#unspoken = 0;
    this.#isHttp1Until = 0;
    // A connection that was there already when the endpoint's pause was over.
    if (!this.isReady && this.#readyTimer === null) this.#becomeReady();
  }

  endedUnspoken(isCertain: boolean): void {
    this.#unspoken++;
    if (isCertain || this.#unspoken >= UNSPOKEN_MAX) this.#isHttp1Until = this.context.loop.now + HTTP1_MARK_MS;
  }

  /** A proxy of the mesh closed before its SETTINGS came: it may have refused us, and would again. These are told, who no longer wait. */
  refusedUs(waiters: readonly Waiter[]): void {
    this.context.mesh.failed(this.address, this.identity ?? "", "it closed before it said anything");
    this.failWaiters(waiters, errnoOf(ERRORS.WEFT_MESH_HANDSHAKE.id));
  }

  silent(waiters: readonly Waiter[]): void {
    this.context.mesh.noteSilent(this.address, this.identity ?? "");
    this.context.counters.tcpError("outbound", ERRORS.WEFT_MESH_SILENT.label);
    this.failWaiters(waiters, UV_ETIMEDOUT);
  }

  /** It broke HTTP/1: whoever was taken for an HTTP/1 server may be an HTTP/2 one. */
  brokeHttp1(): void {
    this.#isHttp1Until = 0;
    this.#unspoken = 0;
  }

  /** A connect failed, ours or a relay's: not ready for a while. */
  connectFailed(errno: number): void {
    if (LOCAL_ERRORS.has(errno) || this.#isFirstPlain(errno)) {
      // What was dialled to find out whether it is back has found out nothing.
      if (!this.isReady && this.#readyTimer === null) this.#becomeReady();
      return;
    }
    this.brokeHttp1();
    this.context.onConnectFailed(this.#owner.key, this.address, errno);
    this.#owner.connectFailed(this, errnoName(errno));
    this.#pause(errno);
  }

  /**
   * A proxy takes whoever is silent for detectTimeoutMs for a client of a service that speaks first: a handshake that was late meets that service's
   * greeting. Once it is no reason to stay away.
   */
  #isFirstPlain(errno: number): boolean {
    if (errno !== ANSWERED_PLAIN || this.#hasAnsweredPlain) return false;
    this.#hasAnsweredPlain = true;
    return true;
  }

  /**
   * The other proxy is there and cannot reach its application. While others are ready, requests go to those; the last one is asked on: the proxy
   * there hears first that its application is back.
   */
  applicationGone(): void {
    if (!this.#owner.hasReadyBeside(this)) return;
    // The connection stands, so no connect will tell that all is well.
    if (this.context.loop.now - this.#resumedAt > RECOVERED_MS) this.#failures = 0;
    this.#owner.setReady(this, false);
    this.#pause(UV_ECONNREFUSED);
  }

  /** A relay's connection could not be made. `refusal`: what another proxy has said, null for nothing. */
  relayFailed(errno: number, refusal: TunnelRefusal | null): void {
    // That of plain bytes the pool has told.
    if (errno === ANSWERED_PLAIN) return;
    if (refusal === null || !refusal.isAnswer) this.connectFailed(errno);
    else if (!refusal.isFinal) this.applicationGone();
  }

  #pause(errno: number): void {
    // Connects that failed together are one failure.
    if (this.#readyTimer !== null) return;
    // Something has changed there: a process that was away and listens now, say.
    if (errno !== this.#lastErrno) this.#failures = 0;
    this.#lastErrno = errno;
    this.#failures++;
    const pause = Math.min(this.context.shared.limits.reconnectBackoffMinMs * 2 ** (this.#failures - 1), this.#pauseMax(errno));
    const jittered = pause * (0.9 + 0.2 * this.context.random());
    this.#readyTimer = setTimeout(() => this.context.loop.run(() => this.#tryAgain()), jittered);
  }

  /** A refusal comes at once and costs nobody anything; a connect that times out costs a request a second. */
  #pauseMax(errno: number): number {
    const { reconnectBackoffMinMs, reconnectBackoffMaxMs, reconnectQuickMaxMs } = this.context.shared.limits;
    if (this.isStraight || this.#used.isInbound) return reconnectBackoffMinMs;
    if (errno !== UV_ECONNREFUSED && !this.#owner.hasOnlyOne) return reconnectBackoffMaxMs;
    return Math.max(reconnectBackoffMinMs, Math.min(reconnectQuickMaxMs, reconnectBackoffMaxMs));
  }

  /** The next request is the probe. For a proxy of the mesh that requests went to lately it is a connection: none of them has to try. */
  #tryAgain(): void {
    this.#readyTimer = null;
    this.#resumedAt = this.context.loop.now;
    if (this.#h2?.warm() !== true) this.#becomeReady();
  }

  #becomeReady(): void {
    if (this.#readyTimer !== null) clearTimeout(this.#readyTimer);
    this.#readyTimer = null;
    if (this.isRemoved) return;
    this.#owner.setReady(this, true);
    this.#h1?.dialForWaiters();
    this.#h2?.dialForWaiters();
  }

  /** The configuration or DNS no longer has it: idle connections go, busy ones finish. */
  remove(): void {
    this.isRemoved = true;
    if (this.#readyTimer !== null) clearTimeout(this.#readyTimer);
    this.#readyTimer = null;
    this.#h1?.closeIdle();
    this.#h2?.retire();
  }

  /** For /stats.json. */
  stats(): object {
    return {
      address: this.address,
      ready: this.isReady,
      ewmaMs: Number(this.ewma.estimate(this.context.loop.now).toFixed(3)),
      inFlight: this.inFlight,
      ...(this.#h1?.stats ?? NO_CONNECTIONS),
      ...(this.#h2 === null ? {} : { http2: this.#h2.stats }),
    };
  }
}
