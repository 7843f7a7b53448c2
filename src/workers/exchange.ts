// One request and its response on their way through: route, pick, send, stream, classify, record (ADR 0001).
//
// Knows a downstream and an upstream side only by the contract. It owns the request's head (an upstream may have to be
// dialled first, and a second try sends it again), the retry rule, and every counter. One object per client connection or
// stream, used again for each request.
// Long because the phases of one exchange and their transitions belong together.
//
//   idle --begin--> assigning --(upstream there)--> sent --(final head)--> responding --> done
//                      |  ^                          |
//                      |  +-- connect failed, reused connection closed, stream refused, application not reached: once more
//                      +----> answered by Weft itself (sendError) --> done

import type { Buffer } from "node:buffer";
import type { Protocol } from "../config/snapshot.ts";
import { ERRORS, errorRow } from "../core/errors/error-codes.ts";
import {
  type DownstreamStream,
  type ExchangeRequestSide,
  type ExchangeResponseSide,
  type Lease,
  ResetReason,
  type Trailers,
  type UpstreamStream,
} from "../core/http/exchange.ts";
import { grpcStatusFor, isGrpc, NO_GRPC_STATUS } from "../core/http/grpc.ts";
import { Framing, isIdempotent, type MessageHead, Method } from "../core/http/head.ts";
import type { EndpointMetrics } from "../core/telemetry/endpoint-metrics.ts";
import type { ClientAccess } from "./client-access.ts";
import type { ClientPeer } from "./client-peer.ts";
import type { Endpoint } from "./endpoint.ts";
import type { ForwarderContext } from "./forwarder-context.ts";
import { GrpcCall } from "./grpc-call.ts";
import { isUnreached } from "./mesh-peer-error.ts";
import { RequestReplay } from "./request-replay.ts";
import type { Route } from "./router.ts";
import { CONNECT_ATTEMPTS_MAX, type Service } from "./service.ts";
import type { Waiter } from "./waiter-queue.ts";
import type { Timed } from "./worker-loop.ts";

const Phase = { idle: 0, assigning: 1, sent: 2, responding: 3, tunnel: 4, done: 5 } as const;

/** Of a service that ends, a pooled connection is closed under the request, and the new one, which it does not accept any more, is reset. */
const STALE_RETRIES_MAX = 2;

/** Streams that may be refused unprocessed: when all endpoints of a service roll at once, each connection refuses one. */
const REFUSED_ATTEMPTS_MAX = 5;

export class Exchange implements ExchangeRequestSide, ExchangeResponseSide, Waiter, Timed {
  readonly #context: ForwarderContext;
  readonly #downstream: DownstreamStream;
  readonly #access: ClientAccess;
  #phase: number = Phase.idle;
  #head: MessageHead | null = null;
  #forwardedFor: Buffer | null = null;
  #peer: ClientPeer | null = null;
  #hasInformed = false;
  #service: Service | null = null;
  #endpoint: Endpoint | null = null;
  #metrics: EndpointMetrics | null = null;
  #upstream: UpstreamStream | null = null;
  #isInFlight = false;
  #isRequestDone = false;
  #sentBody = false;
  #attempts = 0;
  #retries = 0;
  #takesWire = false;
  #startedAt = 0;
  #sentAt = 0;
  #firstByteAt = 0;
  #status = 0;
  #errorId = 0;
  #isResponseEnded = false;
  /** What is counted about a gRPC call, null for any other request and when the call is over. */
  #call: GrpcCall | null = null;
  #spareCall: GrpcCall | null = null;
  readonly #replay = new RequestReplay();
  #overheadMs = 0;
  #isRecorded = true;
  /** Body bytes of the response, for the access log. */
  responseBytes = 0;

  // Timed.
  touchedIn = 0;

  // Waiter.
  isWaiting = false;
  needsFresh = false;
  wantsHttp2 = false;
  takesHttp1 = true;
  waitDeadline = 0;
  waitTicket = 0;
  wantsRaw = false;

  constructor(context: ForwarderContext, downstream: DownstreamStream, access: ClientAccess) {
    this.#context = context;
    this.#downstream = downstream;
    this.#access = access;
  }

  get isIdle(): boolean {
    return this.#phase === Phase.idle || this.#phase === Phase.done;
  }

  get isTunnel(): boolean {
    return this.#phase === Phase.tunnel;
  }

  get canTakeBody(): boolean {
    return this.#upstream !== null;
  }

  get takesWireBody(): boolean {
    return this.#takesWire;
  }

  /** The client holds its body back until the upstream has said 100. */
  get awaitsContinue(): boolean {
    return this.#head !== null && this.#head.expectsContinue && !this.#hasInformed;
  }

  get startedAt(): number {
    return this.#startedAt;
  }

  get status(): number {
    return this.#status;
  }

  /** A request head arrived and was routed. The head stays valid until the exchange is done. */
  begin(head: MessageHead, route: Route): void {
    const loop = this.#context.loop;
    if (!this.#isRecorded) this.#recordOverhead();
    loop.touch(this);
    this.#phase = Phase.assigning;
    this.#head = head;
    this.#forwardedFor = this.#access.forwardedFor;
    this.#peer = this.#access.peer;
    this.#hasInformed = false;
    this.#service = route.service;
    this.#endpoint = null;
    this.#metrics = null;
    this.#upstream = null;
    this.#isRequestDone = false;
    this.#sentBody = false;
    this.#attempts = 0;
    this.#retries = 0;
    this.#takesWire = false;
    this.#startedAt = loop.now;
    this.#sentAt = 0;
    this.#firstByteAt = 0;
    this.#status = 0;
    this.#errorId = 0;
    this.#isResponseEnded = false;
    this.#overheadMs = 0;
    this.#isRecorded = false;
    this.responseBytes = 0;
    this.wantsRaw = head.method === Method.connect;
    this.wantsHttp2 = wantsHttp2(head, route.protocol);
    this.takesHttp1 = route.protocol === "detect";
    this.#call = head.sentVersion === 20 && route.service !== null && isGrpc(head) ? this.#beginCall(head, route.service) : null;
    if (route.service === null || route.errorId !== 0) {
      this.#answerError(route.errorId, route.detail);
      return;
    }
    route.service.assign(this);
  }

  #beginCall(head: MessageHead, service: Service): GrpcCall {
    const call = this.#spareCall ?? new GrpcCall();
    this.#spareCall = call;
    call.begin(service.grpc, head);
    return call;
  }

  // --- Waiter: endpoint and connection ------------------------------------------------------------------------------

  onEndpoint(endpoint: Endpoint): void {
    this.#endpoint = endpoint;
    // A tunnel is no request to the service: its bytes and connections are counted, as those of a relay are.
    if (!this.wantsRaw) this.#metrics = this.#peer === null ? endpoint.metrics : endpoint.metricsFor(this.#peer);
    endpoint.inFlight++;
    this.#isInFlight = true;
    this.#sentAt = this.#context.loop.now;
    if (endpoint.isOwnListener) {
      this.#answerError(ERRORS.WEFT_LOOP.id, endpoint.address);
      return;
    }
    endpoint.acquire(this, false);
  }

  /** A connection is ours: send the request. */
  onUpstream(upstream: UpstreamStream): void {
    const head = this.#head!;
    this.#context.loop.touch(this);
    this.#phase = Phase.sent;
    this.#upstream = upstream;
    this.#metrics?.requestStarted();
    if (!this.#sentBody) this.#replay.begin(this.wantsHttp2 || (this.#endpoint!.isMesh && !this.#service!.hasOnlyOne));
    const { edits } = this.#context;
    edits.hostFallback = this.#endpoint!.hostFallback;
    edits.forwardedFor = this.#forwardedFor;
    edits.via = this.#context.via;
    edits.clientId = this.#peer === null ? null : this.#peer.header;
    this.#takesWire = upstream.sendRequestHead(head, edits);
    if (this.#attempts > 0) this.#replay.sendTo(upstream);
    if (head.framing === Framing.none || this.#isRequestDone) {
      this.#isRequestDone = true;
      upstream.sendEnd(null);
    } else {
      // With `Expect: 100-continue` the client waits for an answer to the head alone.
      if (head.expectsContinue) upstream.flush();
      this.#downstream.resumeRequestBody();
    }
  }

  onUnavailable(errorId: number, detail: string): void {
    this.#context.loop.touch(this);
    this.#leaveEndpoint();
    const row = errorRow(errorId);
    if (row.retry === "if-nothing-sent" && ++this.#attempts < CONNECT_ATTEMPTS_MAX && this.#service!.hasReady) {
      this.#service!.assign(this);
      return;
    }
    this.#answerError(errorId, detail);
  }

  #leaveEndpoint(): void {
    const endpoint = this.#endpoint;
    if (endpoint === null) return;
    if (this.#isInFlight) {
      this.#isInFlight = false;
      endpoint.inFlight--;
    }
  }

  // --- request ------------------------------------------------------------------------------------------------------

  requestBody(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    const upstream = this.#upstream;
    if (upstream === null) return;
    this.#context.loop.touch(this);
    this.#sentBody = true;
    this.#replay.add(buffer, start, end);
    upstream.sendBody(buffer, start, end, lease);
    if (upstream.isCongested) this.#downstream.pauseRequestBody();
  }

  requestChunkSize(size: number): void {
    this.#sentBody = true;
    this.#upstream?.sendChunkSize(size);
  }

  requestEnd(trailers: Trailers | null): void {
    const upstream = this.#upstream;
    if (upstream === null) return;
    this.#isRequestDone = true;
    // The end of a chunked body without data is on the wire too: a second try could not send it again.
    this.#sentBody = true;
    if (trailers !== null) this.#replay.drop();
    upstream.sendEnd(trailers);
    if (this.#phase === Phase.tunnel && this.#isResponseEnded) this.#endTunnel();
  }

  flushRequest(): void {
    this.#upstream?.flush();
  }

  onDownstreamReset(reason: ResetReason): void {
    if (this.isIdle) return;
    this.#context.loop.touch(this);
    this.isWaiting = false;
    const upstream = this.#upstream;
    this.#upstream = null;
    upstream?.resetUpstream(reason);
    const call = this.#call;
    this.#call = null;
    if (reason === ResetReason.downstreamClosed) call?.cancelled();
    else call?.failed(NO_GRPC_STATUS, RESET_LABELS[reason] ?? ERRORS.WEFT_INTERNAL.label);
    // The client's doing: an error of the proxy's statistics, not a failure of the service.
    if (reason === ResetReason.downstreamClosed) {
      this.#errorId = ERRORS.WEFT_DOWNSTREAM_CLOSED.id;
      this.#access.countError(ERRORS.WEFT_DOWNSTREAM_CLOSED.label);
    }
    this.#done();
  }

  onDownstreamWritable(): void {
    this.#upstream?.resumeResponseBody();
  }

  // --- response -----------------------------------------------------------------------------------------------------

  onInformational(head: MessageHead): void {
    this.#context.loop.touch(this);
    this.#hasInformed = true;
    this.#downstream.sendInformational(head);
  }

  onSwitchingProtocols(head: MessageHead): boolean {
    this.#context.loop.touch(this);
    const request = this.#head!;
    const mayUpgrade = request.hasUpgrade && request.saysUpgrade && head.hasUpgrade && request.version !== 10;
    if (!mayUpgrade && request.method !== Method.connect) return false;
    this.#phase = Phase.tunnel;
    this.#isRequestDone = false;
    this.#isResponseEnded = false;
    this.#firstByte(head.status);
    this.#downstream.sendResponseHead(head, Framing.none);
    this.#downstream.becomeTunnel();
    return true;
  }

  onResponseHead(head: MessageHead, framing: Framing): boolean {
    this.#context.loop.touch(this);
    if (head.status < 300 && this.#head!.hasUpgrade && this.#head!.sentVersion === 20) {
      this.#refuseUnswitched(head.status);
      return false;
    }
    if (head.hasEdits && this.#endpoint!.isMesh) {
      this.#errorId = this.#endpoint!.peerAnswered(head);
      if (isUnreached(this.#errorId) && this.#leaveUnreached()) return false;
    }
    this.#phase = Phase.responding;
    this.#status = head.status;
    this.#replay.drop();
    this.#call?.onResponseHead(head);
    return this.#downstream.sendResponseHead(head, framing);
  }

  /** The other proxy did not reach its application, so nothing of the request did. True: another endpoint gets it. */
  #leaveUnreached(): boolean {
    const endpoint = this.#endpoint!;
    endpoint.applicationGone();
    if (endpoint.isReady || this.#hasInformed || !this.#mayGoElsewhere(CONNECT_ATTEMPTS_MAX)) return false;
    this.#upstream!.resetUpstream(ResetReason.refused);
    this.#goElsewhere();
    return true;
  }

  /** The service goes on with HTTP. A client of HTTP/2 would take any 2xx for the tunnel that it asked for (RFC 8441 section 5). */
  #refuseUnswitched(status: number): void {
    const row = ERRORS.WEFT_UPSTREAM_PROTOCOL;
    const { address } = this.#endpoint!;
    this.#upstream!.resetUpstream(ResetReason.upstreamProtocol);
    this.#upstream = null;
    this.#metrics?.failed(row.status, row.label);
    this.#answerError(row.id, `${address} answered ${status} and did not switch protocols`);
  }

  /** Once per exchange, at the first body byte or the end without one: the latency that balancing and histograms use. */
  #firstByte(status: number): void {
    if (this.#firstByteAt !== 0) return;
    const now = this.#context.loop.now;
    this.#firstByteAt = now;
    this.#status = status;
    const endpoint = this.#endpoint;
    if (endpoint === null) return;
    endpoint.ewma.observe(now - this.#sentAt, now);
    this.#leaveEndpoint();
    this.#metrics?.firstByte(status, (now - this.#startedAt) * 1000);
    this.#call?.firstByte(now - this.#startedAt);
  }

  responseBody(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    this.#context.loop.touch(this);
    if (this.#firstByteAt === 0) this.#firstByte(this.#status);
    this.responseBytes += end - start;
    this.#downstream.sendBody(buffer, start, end, lease);
    if (this.#downstream.isCongested) this.#upstream?.pauseResponseBody();
  }

  responseChunkSize(size: number): void {
    this.#downstream.sendChunkSize(size);
  }

  responseEnd(trailers: Trailers | null): void {
    this.#context.loop.touch(this);
    if (this.#phase === Phase.tunnel) {
      this.#isResponseEnded = true;
      this.#downstream.sendEnd(null);
      if (this.#isRequestDone) this.#endTunnel();
      return;
    }
    this.#firstByte(this.#status);
    this.#upstream = null;
    this.#recordEnd(trailers);
    this.#done();
    this.#downstream.sendEnd(trailers);
  }

  #recordEnd(trailers: Trailers | null): void {
    const metrics = this.#metrics!;
    const call = this.#call;
    if (call === null) {
      metrics.ended(this.#status, this.#status >= 500);
      return;
    }
    this.#call = null;
    call.onResponseEnd(this.#status, trailers);
    metrics.endedGrpc(this.#status, call.isFailure, call.status);
  }

  flushResponse(): void {
    this.#downstream.flush();
  }

  onUpstreamWritable(): void {
    this.#downstream.resumeRequestBody();
  }

  onUpstreamReset(reason: ResetReason, errorId: number, receivedBytes: boolean): void {
    if (this.isIdle) return;
    this.#context.loop.touch(this);
    const upstream = this.#upstream!;
    this.#upstream = null;
    const mayRetry = this.#phase === Phase.sent && !receivedBytes && !this.#sentBody && this.#retries < STALE_RETRIES_MAX;
    if (mayRetry && reason === ResetReason.upstreamClosed && upstream.mayBeStale && isIdempotent(this.#head!.method)) {
      // The server closed an idle connection while our request was on its way, the usual race of keep-alive; or it has stopped listening, and
      // the kernel has reset what it had not taken yet.
      this.#retries++;
      this.#phase = Phase.assigning;
      this.#context.counters.retried();
      this.#endpoint!.acquire(this, true);
      return;
    }
    if (reason === ResetReason.refused && this.#mayGoElsewhere(REFUSED_ATTEMPTS_MAX)) {
      this.#goElsewhere();
      return;
    }
    const row = errorRow(errorId);
    this.#errorId = errorId;
    this.#metrics?.failed(this.#phase === Phase.sent ? row.status : this.#status, row.label);
    if (this.#phase === Phase.sent) {
      this.#answerError(errorId, this.#endpoint?.address ?? "");
      return;
    }
    this.#access.countError(row.label);
    this.#failCall(NO_GRPC_STATUS, row.label);
    this.#done();
    this.#downstream.resetDownstream(reason);
  }

  /** The upstream did not process the request: may another one get it, and is all of it still here? */
  #mayGoElsewhere(attemptsMax: number): boolean {
    if (this.#phase !== Phase.sent || this.#attempts + 1 >= attemptsMax) return false;
    return (this.#replay.isWhole || !this.#sentBody) && this.#service!.hasReady;
  }

  #goElsewhere(): void {
    this.#upstream = null;
    this.#attempts++;
    this.#phase = Phase.assigning;
    this.#errorId = 0;
    this.#context.counters.retried();
    this.#leaveEndpoint();
    this.#service!.assign(this);
  }

  #endTunnel(): void {
    const upstream = this.#upstream;
    this.#upstream = null;
    this.#metrics?.ended(101, false);
    this.#done();
    upstream?.endTunnel();
    this.#downstream.endTunnel();
  }

  /** Weft's own answer; nothing of a response was sent. */
  #answerError(errorId: number, detail: string): void {
    const row = errorRow(errorId);
    this.#errorId = errorId;
    this.#status = row.status;
    this.#access.countError(row.label);
    if (this.#service !== null && this.#endpoint === null) this.#service.recordSynthesized(row.status, row.label);
    this.#failCall(grpcStatusFor(row.status), row.label);
    this.#done();
    this.#downstream.sendError(errorId, detail);
  }

  #failCall(status: number, label: string): void {
    const call = this.#call;
    this.#call = null;
    call?.failed(status, label);
  }

  #done(): void {
    this.#phase = Phase.done;
    this.isWaiting = false;
    this.#replay.drop();
    this.#leaveEndpoint();
  }

  /** Worker loop: time inside Weft in one event. */
  addOverhead(ms: number): void {
    if (this.#isRecorded) return;
    this.#overheadMs += ms;
    if (this.#phase === Phase.done) this.#recordOverhead();
  }

  #recordOverhead(): void {
    this.#isRecorded = true;
    this.#context.recordOverhead(this.#overheadMs * 1000);
  }

  /** The client's identity, `-` without. */
  get clientId(): string {
    return this.#peer?.identity ?? "-";
  }

  get serviceKey(): string {
    return this.#service?.key ?? "-";
  }

  get endpointAddress(): string {
    return this.#endpoint?.address ?? "-";
  }

  get errorId(): number {
    return this.#errorId;
  }
}

/** Labels of calls that ended because of what the client's side did or met; going away is no failure. */
const RESET_LABELS: Readonly<Partial<Record<ResetReason, string>>> = {
  [ResetReason.downstreamProtocol]: ERRORS.WEFT_H2_PROTOCOL.label,
  [ResetReason.deadline]: ERRORS.WEFT_WRITE_DEADLINE.label,
  [ResetReason.drained]: ERRORS.WEFT_DRAINED.label,
};

/** Upstreams get what the client spoke, unless the port says otherwise. An Upgrade is HTTP/1's own. */
function wantsHttp2(head: MessageHead, protocol: Protocol): boolean {
  if (head.hasUpgrade) return false;
  if (protocol === "http2" || protocol === "grpc") return true;
  return protocol !== "http1" && head.sentVersion === 20;
}
