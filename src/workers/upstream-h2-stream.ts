// One request on an HTTP/2 connection to an endpoint (ADR 0001). Used again for the next one when it is over.

import type { Buffer } from "node:buffer";
import { ERRORS } from "../core/errors/error-codes.ts";
import type { H2Stream, H2StreamOwner } from "../core/h2/contract.ts";
import { H2Error } from "../core/h2/frame-types.ts";
import {
  type ExchangeResponseSide,
  type Lease,
  type RequestEdits,
  ResetReason,
  type Trailers,
  type UpstreamStream,
} from "../core/http/exchange.ts";
import { type MessageHead, Method } from "../core/http/head.ts";
import { SILENT, UV_ETIMEDOUT } from "./errno.ts";
import type { UpstreamH2 } from "./upstream-h2.ts";

/** 1xx responses before the final one, as for HTTP/1. */
const INFORMATIONAL_MAX = 64;

export class UpstreamH2Stream implements UpstreamStream, H2StreamOwner {
  readonly #connection: UpstreamH2;
  /** Place in the connection's list. */
  index = 0;
  mayBeStale = false;
  #stream: H2Stream | null = null;
  #exchange: ExchangeResponseSide | null = null;
  #isPaused = false;
  /** Bytes delivered to the exchange whose credit is held back while it is paused. */
  #undrained = 0;
  #hasHead = false;
  #informational = 0;
  #isRequestDone = false;
  /** A tunnel was asked for; what the request is, is not known to be over before the answer. */
  #asksTunnel = false;
  #isTunnel = false;
  #isConnect = false;
  #isTouched = false;
  /** Of the response's head; 0: none. */
  #deadlineAt = 0;
  #stalledSince = 0;
  #stalledBytes = 0;

  constructor(connection: UpstreamH2) {
    this.#connection = connection;
  }

  begin(stream: H2Stream, exchange: ExchangeResponseSide, mayBeStale: boolean, index: number): void {
    this.#stream = stream;
    this.#exchange = exchange;
    this.mayBeStale = mayBeStale;
    this.index = index;
    this.#isPaused = false;
    this.#undrained = 0;
    this.#hasHead = false;
    this.#informational = 0;
    this.#isRequestDone = false;
    this.#asksTunnel = false;
    this.#isTunnel = false;
    this.#isConnect = false;
    this.#isTouched = false;
    this.#deadlineAt = 0;
    this.#stalledBytes = 0;
  }

  // --- UpstreamStream -----------------------------------------------------------------------------------------------

  sendRequestHead(head: MessageHead, edits: RequestEdits): boolean {
    const isUpgrade = head.hasUpgrade && head.saysUpgrade && this.#connection.takesUpgrade;
    this.#isConnect = head.method === Method.connect;
    this.#asksTunnel = isUpgrade || this.#isConnect;
    this.#stream!.sendRequestHead(head, edits, false, isUpgrade);
    return false;
  }

  sendBody(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    this.#stream?.sendData(buffer, start, end, lease);
  }

  sendChunkSize(): void {
    throw new Error("wire form was not taken");
  }

  sendEnd(trailers: Trailers | null): void {
    const stream = this.#stream;
    if (stream === null) return;
    if (this.#asksTunnel && !this.#isTunnel && !this.#hasHead) {
      // The end of a head alone: what follows, if anything does, is the tunnel's.
      this.#connection.flush();
      return;
    }
    stream.sendEnd(trailers);
    this.#isRequestDone = true;
    const timeout = this.#connection.context.shared.limits.responseTimeoutMs;
    if (timeout > 0 && !this.#hasHead) this.#deadlineAt = this.#connection.context.loop.now + timeout;
    this.#connection.flush();
  }

  flush(): void {
    this.#connection.flush();
  }

  get isCongested(): boolean {
    this.#connection.noticeCongestion();
    return this.#stream?.isCongested ?? false;
  }

  pauseResponseBody(): void {
    this.#isPaused = true;
  }

  resumeResponseBody(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    const bytes = this.#undrained;
    this.#undrained = 0;
    if (bytes > 0) this.#stream?.drained(bytes);
    this.#connection.flush();
  }

  resetUpstream(_reason: ResetReason): void {
    const stream = this.#stream;
    if (stream === null) return;
    const wasOver = stream.isClosed;
    stream.reset(H2Error.cancel);
    this.#finish();
    if (!wasOver) this.#connection.countReset();
    this.#connection.flush();
  }

  endTunnel(): void {
    this.#finish();
  }

  /** The exchange is over: the stream object is free for another one. */
  #finish(): void {
    const stream = this.#stream!;
    this.#stream = null;
    this.#exchange = null;
    if (this.#undrained > 0) stream.drained(this.#undrained);
    this.#undrained = 0;
    stream.release();
    this.#connection.forget(this);
  }

  // --- H2StreamOwner ------------------------------------------------------------------------------------------------

  onHead(head: MessageHead, isEnd: boolean): void {
    const exchange = this.#exchange;
    if (exchange === null) return;
    if (head.status < 200 && head.status !== 101) {
      if (++this.#informational > INFORMATIONAL_MAX) this.#protocolError();
      else exchange.onInformational(head);
      return;
    }
    this.#hasHead = true;
    this.#deadlineAt = 0;
    this.#isTouched = true;
    if (head.status === 101 || (this.#isConnect && head.status < 300)) {
      this.#onSwitched(exchange, head, isEnd);
      return;
    }
    if (this.#asksTunnel) {
      // An ordinary answer: there is no tunnel, and the request is over.
      this.#stream!.sendEnd(null);
      this.#isRequestDone = true;
    }
    exchange.onResponseHead(head, head.framing);
    if (isEnd && this.#exchange === exchange) this.#end(null);
  }

  /** Bytes of the tunnel from here on, until both ends have come. */
  #onSwitched(exchange: ExchangeResponseSide, head: MessageHead, isEnd: boolean): void {
    this.#isTunnel = true;
    if (!exchange.onSwitchingProtocols(head)) {
      this.#protocolError();
      return;
    }
    if (isEnd && this.#exchange === exchange) exchange.responseEnd(null);
  }

  onHeadRefused(): void {
    this.#protocolError();
  }

  onData(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    const exchange = this.#exchange;
    const stream = this.#stream;
    if (exchange === null || stream === null) return;
    this.#isTouched = true;
    this.#undrained += end - start;
    exchange.responseBody(buffer, start, end, lease);
    if (this.#stream !== stream || this.#isPaused) return;
    const bytes = this.#undrained;
    this.#undrained = 0;
    stream.drained(bytes);
  }

  onEnd(trailers: Trailers | null): void {
    if (this.#exchange === null) return;
    if (this.#isTunnel) this.#exchange.responseEnd(null);
    else this.#end(trailers);
  }

  #end(trailers: Trailers | null): void {
    const exchange = this.#exchange!;
    // The server answered without waiting for the rest of the request: nothing more of it goes, and nothing waits for its credit.
    const stream = this.#stream!;
    if (!this.#isRequestDone || stream.queuedBytes > 0) stream.reset(H2Error.cancel);
    this.#finish();
    exchange.responseEnd(trailers);
  }

  onReset(h2code: number, isRemote: boolean, wasProcessed: boolean): void {
    const exchange = this.#exchange;
    if (exchange === null) return;
    const hasHead = this.#hasHead || this.#informational > 0;
    this.#finish();
    if (this.#connection.isClosed) {
      if (this.#connection.errno === SILENT) exchange.onUpstreamReset(ResetReason.upstreamClosed, ERRORS.WEFT_MESH_SILENT.id, hasHead);
      else if (this.#connection.errno === UV_ETIMEDOUT)
        exchange.onUpstreamReset(ResetReason.deadline, ERRORS.WEFT_WRITE_STALLED.id, hasHead);
      else exchange.onUpstreamReset(ResetReason.upstreamClosed, ERRORS.WEFT_UPSTREAM_CLOSED.id, hasHead);
      return;
    }
    if (isRemote && wasProcessed && !hasHead && h2code === H2Error.enhanceYourCalm) {
      // The endpoint has had enough of this connection, whoever's fault that was: as when it closes one that was used before.
      this.#connection.leave();
      exchange.onUpstreamReset(ResetReason.upstreamClosed, ERRORS.WEFT_UPSTREAM_RESET.id, false);
      return;
    }
    if (!wasProcessed) exchange.onUpstreamReset(ResetReason.refused, ERRORS.WEFT_UPSTREAM_REFUSED.id, false);
    else if (isRemote) exchange.onUpstreamReset(ResetReason.upstreamReset, ERRORS.WEFT_UPSTREAM_RESET.id, hasHead);
    else exchange.onUpstreamReset(ResetReason.upstreamProtocol, ERRORS.WEFT_UPSTREAM_PROTOCOL.id, true);
  }

  onWritable(): void {
    this.#exchange?.onUpstreamWritable();
  }

  #protocolError(): void {
    const exchange = this.#exchange!;
    this.#stream!.reset(H2Error.protocolError);
    this.#finish();
    exchange.onUpstreamReset(ResetReason.upstreamProtocol, ERRORS.WEFT_UPSTREAM_PROTOCOL.id, true);
  }

  // --- the connection -----------------------------------------------------------------------------------------------

  /** Once at the end of each of the connection's read events. */
  flushReceived(): void {
    if (!this.#isTouched) return;
    this.#isTouched = false;
    this.#exchange?.flushResponse();
  }

  /** Deadlines: the response's head, and a window that stays shut over bytes that wait. */
  sweep(now: number): void {
    const stream = this.#stream;
    if (stream === null) return;
    if (this.#deadlineAt !== 0 && now >= this.#deadlineAt) {
      this.#expire(ERRORS.WEFT_RESPONSE_TIMEOUT.id);
      return;
    }
    const queued = stream.queuedBytes;
    if (queued === 0 || queued !== this.#stalledBytes) {
      this.#stalledBytes = queued;
      this.#stalledSince = now;
      return;
    }
    const { context, isMesh } = this.#connection;
    const { meshWriteDeadlineMs, writeDeadlineMs } = context.shared.limits;
    // Another proxy has the application's deadline, and gives credit when that has read: it is waited for, not for ever.
    if (now - this.#stalledSince > (isMesh ? meshWriteDeadlineMs : writeDeadlineMs)) this.#expire(ERRORS.WEFT_WRITE_STALLED.id);
  }

  #expire(errorId: number): void {
    const exchange = this.#exchange;
    this.#stream!.reset(H2Error.cancel);
    this.#finish();
    exchange?.onUpstreamReset(ResetReason.deadline, errorId, true);
  }
}
