// One request of an HTTP/2 client (ADR 0001): feeds the exchange and takes its response. Used again for later requests.
//
// Credit for body bytes is given to the client when the exchange has passed them on and is not paused: so a slow upstream slows down its
// own stream and no other. Bytes that came before the upstream was there wait here, at most a stream's window of them.
// Long because the states of one request and its response, and their transitions, belong together.

import { Buffer } from "node:buffer";
import { ERRORS, errorCode, errorRow } from "../core/errors/error-codes.ts";
import type { H2Stream, H2StreamOwner } from "../core/h2/contract.ts";
import { H2Error } from "../core/h2/frame-types.ts";
import { type DownstreamStream, type Lease, ResetReason, type Trailers } from "../core/http/exchange.ts";
import { grpcStatusFor, isGrpc } from "../core/http/grpc.ts";
import { FIELD_STRIDE, type Framing, type MessageHead, Method } from "../core/http/head.ts";
import { recordAccess } from "./access-log.ts";
import { mayHearReason } from "./client-peer.ts";
import type { DownstreamH2 } from "./downstream-h2.ts";
import { Exchange } from "./exchange.ts";
import type { HeadSlot } from "./h1-shared.ts";
import { KeptBytes } from "./kept-bytes.ts";

/** A detail in an answer of Weft's own may quote what a peer sent: cut here. */
const DETAIL_CHARACTERS_MAX = 256;

/**
 * So long the rest of a request that is answered already is read and dropped, before its client is told to stop (RFC 9113 section 8.1):
 * curl 7.88 and Node 22 lose an answer that the reset comes together with, and most of what is on its way is there by then.
 */
const STOP_AFTER_MS = 200;

export class DownstreamH2Stream implements DownstreamStream, H2StreamOwner {
  readonly #connection: DownstreamH2;
  readonly #exchange: Exchange;
  /** Place in the connection's list. */
  index = 0;
  #stream: H2Stream | null = null;
  #slot: HeadSlot | null = null;
  readonly #kept = new KeptBytes();
  /** The request is complete, but what is kept of it was not passed on yet. */
  #endsBehindKept = false;
  #keptTrailers: Trailers | null = null;
  #isRequestRead = false;
  /** An extended CONNECT (RFC 8441): nothing of its stream goes anywhere before the upstream has switched. */
  #isUpgrade = false;
  /** Of the port that a CONNECT was for; null: the connection's own counts. */
  #gate: DownstreamH2["access"]["tunnelGate"] = null;
  #isTunnel = false;
  /** When a byte passed through the tunnel last. */
  #tunnelAt = 0;
  /** The upstream's side of the tunnel has ended. */
  #isHalfClosed = false;
  /** The exchange begins when this read event has been looked at to its end. */
  #beginsLater = false;
  #isPaused = false;
  #undrained = 0;
  #bodyBytes = 0;
  #isTouched = false;
  #hasBegun = false;
  /** The response is complete; the stream lives on until its last bytes have left. */
  #isAnswered = false;
  /** When the response had left and the request was not complete; 0: not so. */
  #answeredAt = 0;
  #rateSince = 0;
  #rateBytes = 0;
  #wasHeldBack = false;
  #stalledSince = 0;
  #stalledBytes = 0;

  constructor(connection: DownstreamH2) {
    this.#connection = connection;
    this.#exchange = new Exchange(connection.context, this, connection.access);
  }

  begin(stream: H2Stream, index: number): void {
    this.#stream = stream;
    this.index = index;
    this.#kept.clear();
    this.#endsBehindKept = false;
    this.#keptTrailers = null;
    this.#isRequestRead = false;
    this.#isUpgrade = false;
    this.#isTunnel = false;
    this.#isHalfClosed = false;
    this.#beginsLater = false;
    this.#isPaused = false;
    this.#undrained = 0;
    this.#bodyBytes = 0;
    this.#isTouched = false;
    this.#hasBegun = false;
    this.#isAnswered = false;
    this.#answeredAt = 0;
    this.#stalledBytes = 0;
  }

  // --- the request --------------------------------------------------------------------------------------------------

  onHead(borrowed: MessageHead, isEnd: boolean): void {
    const { context } = this.#connection;
    const slot = context.shared.takeSlot();
    this.#slot = slot;
    slot.copy(borrowed);
    const { head } = slot;
    this.#isRequestRead = isEnd;
    if (head.method === Method.connect && !this.#connection.isMesh) {
      this.sendError(ERRORS.WEFT_CONNECT_REFUSED.id, head.text(head.authorityStart, head.authorityEnd));
      return;
    }
    this.#isUpgrade = head.hasUpgrade || head.method === Method.connect;
    if (head.hasUpgrade && head.originalVersion === 0 && !addWebSocketKey(slot, context.random)) {
      this.sendError(ERRORS.WEFT_H1_TOO_MANY_FIELDS.id, "");
      return;
    }
    if (this.#isOverBodyLimit(head.contentLength)) return;
    if (!isEnd) this.#beginRate();
    if (this.#connection.isSuspect) this.#beginsLater = true;
    else this.#beginExchange(head);
  }

  #beginExchange(head: MessageHead): void {
    const { access } = this.#connection;
    const route = head.method === Method.connect ? access.tunnelRoute(head) : access.route(head);
    this.#gate = head.method === Method.connect ? access.tunnelGate : null;
    this.#exchange.begin(head, route);
  }

  onHeadRefused(errorId: number, isEnd: boolean): void {
    this.#isRequestRead = isEnd;
    this.#connection.access.countError(errorRow(errorId).label);
    this.sendError(errorId, "");
  }

  onData(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    const stream = this.#stream;
    if (stream === null) return;
    const size = end - start;
    this.#bodyBytes += size;
    this.#rateBytes += size;
    if (this.#isAnswered) {
      stream.drained(size);
      return;
    }
    if (this.#isOverBodyLimit(this.#bodyBytes)) return;
    this.#undrained += size;
    if (!this.#canPassOn) {
      this.#kept.keep(buffer, start, end);
      return;
    }
    this.#isTouched = true;
    if (this.#isTunnel) this.#tunnelAt = this.#connection.context.loop.now;
    this.#exchange.requestBody(buffer, start, end, lease);
    if (this.#stream === stream && !this.#isPaused) this.#drained(stream);
  }

  get #canPassOn(): boolean {
    return this.#kept.isEmpty && this.#exchange.canTakeBody && (this.#isTunnel || !this.#isUpgrade);
  }

  #drained(stream: H2Stream): void {
    const bytes = this.#undrained;
    if (bytes === 0) return;
    this.#undrained = 0;
    stream.drained(bytes);
  }

  onEnd(trailers: Trailers | null): void {
    if (this.#stream === null) return;
    this.#isRequestRead = true;
    if (this.#isAnswered) {
      this.#finishWhenSent();
      return;
    }
    if (this.#canPassOn) {
      this.#exchange.requestEnd(this.#isTunnel ? null : trailers);
      return;
    }
    this.#endsBehindKept = true;
    if (trailers !== null) {
      const bytes = Buffer.from(trailers.buffer.subarray(trailers.start, trailers.end));
      this.#keptTrailers = { buffer: bytes, start: 0, end: bytes.length };
    }
  }

  #isOverBodyLimit(bytes: number): boolean {
    const max = this.#connection.context.shared.limits.bodyBytesMax;
    if (max === 0 || bytes <= max) return false;
    this.#refuse(ERRORS.WEFT_BODY_TOO_LARGE.id);
    return true;
  }

  /** Nothing more of this request is wanted. */
  #refuse(errorId: number): void {
    if (!this.#exchange.isIdle) this.#exchange.onDownstreamReset(ResetReason.downstreamProtocol);
    this.#connection.access.countError(errorRow(errorId).label);
    if (this.#hasBegun) this.resetDownstream(ResetReason.downstreamProtocol);
    else this.sendError(errorId, "");
  }

  onReset(_h2code: number, isRemote: boolean): void {
    if (this.#stream === null) return;
    const { context } = this.#connection;
    this.#connection.isSuspect = true;
    this.#isAnswered = true;
    if (!this.#exchange.isIdle) {
      this.#exchange.onDownstreamReset(isRemote ? ResetReason.downstreamClosed : ResetReason.downstreamProtocol);
      if (context.accessLog !== null) this.#record(0);
    }
    this.#finish();
  }

  pauseRequestBody(): void {
    this.#isPaused = true;
    this.#wasHeldBack = true;
  }

  resumeRequestBody(): void {
    // Deferred: this is called from inside the upstream's or the exchange's own work.
    const stream = this.#stream;
    this.#connection.context.loop.defer(() => {
      if (this.#stream === stream && stream !== null) this.#resume(stream);
    });
  }

  #resume(stream: H2Stream): void {
    const exchange = this.#exchange;
    if (!exchange.canTakeBody || this.#isAnswered || (this.#isUpgrade && !this.#isTunnel)) return;
    this.#isPaused = false;
    this.#kept.use((buffer, start, end) => exchange.requestBody(buffer, start, end, null));
    if (this.#stream !== stream || this.#isAnswered) return;
    if (!this.#isPaused) this.#drained(stream);
    if (this.#endsBehindKept && this.#kept.isEmpty) {
      this.#endsBehindKept = false;
      exchange.requestEnd(this.#keptTrailers);
    }
    exchange.flushRequest();
    this.#connection.flush();
  }

  /** Once at the end of each of the client's read events. */
  flushReceived(): void {
    if (this.#beginsLater) {
      this.#beginsLater = false;
      this.#beginExchange(this.#slot!.head);
      return;
    }
    if (!this.#isTouched) return;
    this.#isTouched = false;
    this.#exchange.flushRequest();
  }

  // --- the response -------------------------------------------------------------------------------------------------

  sendInformational(head: MessageHead): void {
    this.#stream?.sendInformational(head);
    this.#connection.flush();
  }

  sendResponseHead(head: MessageHead, _framing: Framing): boolean {
    this.#hasBegun = true;
    this.#stream?.sendResponseHead(head, this.#connection.context.via, false, head.status === 101);
    return false;
  }

  becomeTunnel(): void {
    this.#isTunnel = true;
    this.#tunnelAt = this.#connection.context.loop.now;
    this.#connection.flush();
    this.resumeRequestBody();
    const stream = this.#stream;
    // The policy changed while the service was asked.
    if (!this.mayStay())
      this.#connection.context.loop.defer(() => {
        if (this.#stream === stream) this.cutTunnel();
      });
  }

  endTunnel(): void {
    this.#answered(0);
  }

  sendBody(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    if (this.#isTunnel) this.#tunnelAt = this.#connection.context.loop.now;
    this.#stream?.sendData(buffer, start, end, lease);
  }

  sendChunkSize(): void {
    throw new Error("wire form was not taken");
  }

  sendEnd(trailers: Trailers | null): void {
    this.#stream?.sendEnd(trailers);
    if (!this.#isTunnel) {
      this.#answered(0);
      return;
    }
    this.#isHalfClosed = true;
    this.#connection.flush();
  }

  flush(): void {
    this.#connection.flush();
  }

  get isCongested(): boolean {
    this.#connection.noticeCongestion();
    return this.#stream?.isCongested ?? false;
  }

  onWritable(): void {
    if (this.#isAnswered) this.#finishWhenSent();
    else this.#exchange.onDownstreamWritable();
  }

  /** Weft's own answer: for gRPC its status in a head without anything behind it, else a status and the reason. */
  sendError(errorId: number, detail: string): void {
    const stream = this.#stream;
    if (stream === null || this.#isAnswered) return;
    const row = errorRow(errorId);
    if (row.status === 0 || row.status === 499) {
      this.resetDownstream(ResetReason.internal);
      return;
    }
    const reason = visible(detail === "" ? row.cause : `${row.cause} (${detail})`);
    const isTold = mayHearReason(errorId, this.#connection.transport.peer);
    const lines = [`date: ${new Date().toUTCString()}`];
    if (isTold) lines.push(`l5d-proxy-error: [${errorCode(errorId)}] ${reason}`);
    const isCall = this.#slot !== null && isGrpc(this.#slot.head);
    if (isCall) {
      lines.push("content-type: application/grpc", `grpc-status: ${grpcStatusFor(row.status)}`);
      if (isTold) lines.push(`grpc-message: ${percent(reason)}`);
    } else {
      lines.push("content-length: 0");
    }
    stream.sendOwnHead(isCall ? 200 : row.status, fieldLines(lines), true);
    this.#hasBegun = true;
    this.#answered(row.status);
  }

  resetDownstream(reason: ResetReason): void {
    const stream = this.#stream;
    if (stream === null) return;
    stream.reset(reason === ResetReason.downstreamClosed ? H2Error.cancel : H2Error.internalError);
    if (this.#connection.context.accessLog !== null) this.#record(0);
    this.#finish();
    this.#connection.flush();
  }

  #record(refusedStatus: number): void {
    const { context, transport } = this.#connection;
    recordAccess(context, this.#exchange, this.#slot, transport, refusedStatus);
  }

  #answered(refusedStatus: number): void {
    if (this.#connection.context.accessLog !== null) this.#record(refusedStatus);
    this.#isAnswered = true;
    this.#giveBackSlot();
    this.#connection.flush();
    this.#finishWhenSent();
  }

  #giveBackSlot(): void {
    if (this.#slot !== null) this.#connection.context.shared.giveSlot(this.#slot);
    this.#slot = null;
  }

  /** The response waits for the client's window: its bytes have an owner, and a deadline, until they have left. */
  #finishWhenSent(): void {
    const stream = this.#stream;
    if (stream === null || (stream.queuedBytes > 0 && stream.isCongested)) return;
    if (this.#isRequestRead) {
      this.#finish();
      return;
    }
    this.#answeredAt = this.#connection.context.loop.now;
    this.#kept.clear();
    this.#drained(stream);
  }

  /** Answered without waiting for the rest of the request (RFC 9113 section 8.1). */
  #stopRequest(): void {
    this.#stream!.reset(H2Error.noError);
    this.#finish();
    this.#connection.flush();
  }

  #finish(): void {
    const stream = this.#stream!;
    this.#stream = null;
    this.#beginsLater = false;
    this.#giveBackSlot();
    this.#kept.clear();
    this.#keptTrailers = null;
    if (this.#undrained > 0) stream.drained(this.#undrained);
    this.#undrained = 0;
    stream.release();
    this.#connection.forget(this);
  }

  // --- deadlines and ends -------------------------------------------------------------------------------------------

  #beginRate(): void {
    this.#rateSince = this.#connection.context.loop.now;
    this.#rateBytes = 0;
    this.#wasHeldBack = false;
  }

  sweep(now: number): void {
    const stream = this.#stream;
    if (stream === null) return;
    if (this.#answeredAt !== 0) {
      if (now - this.#answeredAt >= STOP_AFTER_MS) this.#stopRequest();
      return;
    }
    const { limits } = this.#connection.context.shared;
    const { isMesh } = this.#connection;
    const queued = stream.queuedBytes;
    if (queued === 0 || queued !== this.#stalledBytes) {
      this.#stalledBytes = queued;
      this.#stalledSince = now;
      // Another proxy gives credit when its client has read; who is too slow, it finds out itself, and nearer. It is waited for, not for ever.
    } else if (now - this.#stalledSince > (isMesh ? limits.meshWriteDeadlineMs : limits.writeDeadlineMs)) {
      this.#connection.access.countError(ERRORS.WEFT_WRITE_DEADLINE.label);
      if (!this.#exchange.isIdle) this.#exchange.onDownstreamReset(ResetReason.deadline);
      this.resetDownstream(ResetReason.downstreamClosed);
      return;
    }
    if (this.#isTunnel) {
      const idleMs = this.#isHalfClosed || this.#isRequestRead ? limits.halfClosedIdleMs : limits.tunnelIdleTimeoutMs;
      if (now - this.#tunnelAt > idleMs) this.cutTunnel();
      return;
    }
    if (isMesh || this.#isRequestRead || this.#isAnswered || this.#isUpgrade || limits.bodyMinBytesPerSecond === 0) return;
    if (now - this.#rateSince < limits.bodyRateWindowMs) return;
    const isSlow = this.#rateBytes < (limits.bodyMinBytesPerSecond * limits.bodyRateWindowMs) / 1000;
    // gRPC streams are silent for hours, and both sides know it.
    const isWaiting = this.#wasHeldBack || this.#hasBegun || !this.#exchange.canTakeBody || this.#exchange.awaitsContinue;
    if (isSlow && !isWaiting && this.#slot !== null && !isGrpc(this.#slot.head)) this.#refuse(ERRORS.WEFT_BODY_TOO_SLOW.id);
    else this.#beginRate();
  }

  get isTunnel(): boolean {
    return this.#isTunnel;
  }

  /** After a change of policies: may this tunnel go on? */
  mayStay(): boolean {
    return this.#gate === null ? this.#connection.access.mayStay() : this.#connection.access.mayStay(this.#gate);
  }

  cutTunnel(): void {
    this.#exchange.onDownstreamReset(ResetReason.deadline);
    this.resetDownstream(ResetReason.downstreamClosed);
  }

  onConnectionClosed(): void {
    if (this.#stream === null) return;
    const { context } = this.#connection;
    this.#isAnswered = true;
    if (!this.#exchange.isIdle) {
      this.#exchange.onDownstreamReset(ResetReason.downstreamClosed);
      if (context.accessLog !== null) this.#record(0);
    }
    this.#finish();
  }

  /** The drain's grace period is over. */
  cut(): void {
    if (!this.#exchange.isIdle) {
      this.#exchange.onDownstreamReset(ResetReason.drained);
      this.#connection.access.countError(ERRORS.WEFT_DRAINED.label);
    }
    if (this.#stream === null) return;
    if (this.#answeredAt !== 0) this.#stopRequest();
    else if (this.#hasBegun) this.resetDownstream(ResetReason.drained);
    else this.sendError(ERRORS.WEFT_DRAINED.id, "");
  }
}

function fieldLines(lines: readonly string[]): Trailers {
  const buffer = Buffer.from(`${lines.join("\r\n")}\r\n`, "latin1");
  return { buffer, start: 0, end: buffer.length };
}

/** Field values are visible ASCII and spaces. */
function visible(text: string): string {
  return text.slice(0, DETAIL_CHARACTERS_MAX).replace(/[^\x20-\x7e]/g, " ");
}

/** grpc-message is percent-encoded. */
function percent(text: string): string {
  return text.replaceAll("%", "%25");
}

/** WebSocket over HTTP/2 has no key; the HTTP/1 server wants one (RFC 8441 section 5, RFC 6455 section 4.1). False: no room for it. */
function addWebSocketKey(slot: HeadSlot, random: () => number): boolean {
  if (hasField(slot.head, "sec-websocket-key")) return true;
  const key = Buffer.alloc(16);
  for (let i = 0; i < key.length; i++) key[i] = Math.floor(random() * 256);
  return slot.addField("Sec-WebSocket-Key", key.toString("base64"));
}

function hasField(head: MessageHead, name: string): boolean {
  for (let i = 0; i < head.count; i++) {
    const row = i * FIELD_STRIDE;
    if (head.text(head.fields[row]!, head.fields[row + 1]!) === name) return true;
  }
  return false;
}
