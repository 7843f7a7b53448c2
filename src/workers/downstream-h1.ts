// An HTTP/1.x client connection: reads requests, writes responses, one exchange at a time, in order (ADR 0001).
//
//   head --> body --> wait --> head                       (keep-alive: the next request, perhaps already received)
//     |       |        |
//     |       +--------+--> tunnel                         (101)
//     +--(error, early answer)--> linger --> closed        (our side shut, the client's upload read and dropped)
//                                  closing --> closed      (answer complete, its last bytes not yet taken by the kernel)
//
// The client is read while its request is in flight (up to pipelinedBytesMax), so that its departure is noticed. A FIN after
// a whole request is a half-close: the answer is still sent. Since a FIN does not tell a half-close from a departure, an HTTP/1.1
// client that is silent so is sent one `100 Continue` after a while: a departed one answers it with RST.
// Long because the states of one client connection and their transitions belong together.

import type { Buffer } from "node:buffer";
import { ERRORS, errorRow } from "../core/errors/error-codes.ts";
import type { RequestHeadParser } from "../core/h1/head-parser.ts";
import { type DownstreamStream, type Lease, ResetReason, type Trailers } from "../core/http/exchange.ts";
import { Framing, type MessageHead, Method } from "../core/http/head.ts";
import { recordAccess } from "./access-log.ts";
import { ClientAccess } from "./client-access.ts";
import type { ClientConnection, ClientOwner } from "./client-connection.ts";
import { UV_ETIMEDOUT } from "./errno.ts";
import { Exchange } from "./exchange.ts";
import type { ForwarderContext, ListenerState } from "./forwarder-context.ts";
import { RequestBody, type RequestBodyOwner } from "./h1-request-body.ts";
import { ResponseWriter } from "./h1-response-writer.ts";
import type { HeadSlot } from "./h1-shared.ts";
import { isIdleForLong } from "./idle-drain.ts";
import { KeptBytes } from "./kept-bytes.ts";
import { ReadMode } from "./read-buffer.ts";
import type { Transport, TransportOwner } from "./transport.ts";

const Phase = { head: 0, body: 1, wait: 2, tunnel: 3, linger: 4, closing: 5, closed: 6 } as const;

/** An answer so large may still be on its way when Weft has written it all: what the client sends then must not reset it. */
const UNREAD_FROM_BYTES = 64 * 1024;
/** A half-closed client is asked so long after its FIN whether it is still there. */
const PROBE_AFTER_MS = 400;

export class DownstreamH1 implements TransportOwner, DownstreamStream, ClientConnection, RequestBodyOwner {
  readonly #context: ForwarderContext;
  readonly #listener: ListenerState;
  readonly #owner: ClientOwner;
  readonly #transport: Transport;
  readonly #writer: ResponseWriter;
  readonly #access: ClientAccess;
  #exchange: Exchange | null = null;
  /** Of requests that have one: made for the first. */
  #body: RequestBody | null = null;
  #phase: number = Phase.head;
  #slot: HeadSlot | null = null;
  /** Set while a head is incomplete: it knows how far it got. */
  #parser: RequestHeadParser | null = null;
  #hasHeadDeadline = false;
  readonly #kept = new KeptBytes();
  #requests = 0;
  #isLast = false;
  #isHalfClosed = false;
  #isProbed = false;
  #lingered = 0;

  constructor(context: ForwarderContext, listener: ListenerState, owner: ClientOwner, transport: Transport) {
    this.#context = context;
    this.#listener = listener;
    this.#owner = owner;
    this.#transport = transport;
    this.#writer = new ResponseWriter(context, transport);
    this.#access = new ClientAccess(context, listener, transport);
    transport.owner = this;
    transport.deadlineAt = context.loop.now + context.shared.limits.idleTimeoutMs;
  }

  // --- requests -----------------------------------------------------------------------------------------------------

  onBytes(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    if (this.#kept.isEmpty) {
      this.#process(buffer, start, end, lease);
    } else {
      this.#kept.keep(buffer, start, end);
      this.#processKept();
    }
    this.#exchange?.flushRequest();
  }

  #processKept(): void {
    this.#kept.use((buffer, start, end) => this.#process(buffer, start, end, null));
  }

  #process(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    let at = start;
    while (at < end) {
      switch (this.#phase) {
        case Phase.head:
          // Answers that the client does not read must not pile up: no next request before they are taken.
          if (this.#parser === null && this.#transport.isCongested) {
            this.#keep(buffer, at, end);
            this.#transport.pause();
            return;
          }
          at = this.#readHead(buffer, at, end);
          if (at < 0) return;
          break;
        case Phase.body:
          if (!this.#exchange!.canTakeBody) {
            this.#keep(buffer, at, end);
            return;
          }
          at = this.#body!.read(this.#exchange!, buffer, at, end, lease);
          if (at < 0) return;
          break;
        case Phase.wait:
          this.#keep(buffer, at, end);
          return;
        case Phase.tunnel:
          this.#touchTunnel();
          this.#exchange!.requestBody(buffer, at, end, lease);
          return;
        case Phase.linger:
          this.#lingered += end - at;
          if (this.#lingered > this.#context.shared.limits.lingerBytesMax) this.#close(false);
          return;
        default:
          // An accepted CONNECT: what came behind its head is the tunnel's.
          if (this.#transport.owner !== this) this.#transport.owner.onBytes(buffer, at, end, null);
          return;
      }
    }
  }

  /** Bytes for later. Over the limit the client is not read until there is room again. */
  #keep(buffer: Buffer, at: number, end: number): void {
    this.#kept.keep(buffer, at, end);
    if (this.#phase !== Phase.head && this.#kept.size >= this.#context.shared.limits.pipelinedBytesMax) this.#transport.pause();
  }

  /** Returns where the head ended, or -1 when there is nothing more to read now. */
  #readHead(buffer: Buffer, at: number, end: number): number {
    const { shared, loop } = this.#context;
    const isFresh = this.#parser === null;
    const parser = this.#parser ?? shared.requestParser;
    this.#slot ??= shared.takeSlot();
    const slot = this.#slot;
    if (isFresh) parser.reset();
    const size = parser.parse(buffer, at, end, slot.head);
    if (size === 0) {
      if (isFresh) this.#parser = shared.lendRequestParser();
      // Empty lines between requests are no head yet: the connection is still idle.
      if (!this.#hasHeadDeadline && !parser.isBlank) {
        this.#hasHeadDeadline = true;
        this.#transport.deadlineAt = loop.now + shared.limits.headerDeadlineMs;
      }
      this.#keep(buffer, at, end);
      return -1;
    }
    this.#parser = null;
    this.#hasHeadDeadline = false;
    this.#transport.deadlineAt = 0;
    if (size < 0) {
      this.#refuse(-size, "");
      return -1;
    }
    slot.retain();
    this.#begin(slot.head);
    return at + size;
  }

  #begin(head: MessageHead): void {
    this.#requests++;
    this.#writer.expect(head, head.method === Method.head);
    const requestsMax = this.#context.shared.limits.requestsPerConnectionMax;
    this.#isLast = !head.isPersistent || this.#context.isDraining || (requestsMax > 0 && this.#requests >= requestsMax);
    this.#isProbed = false;
    if (head.method === Method.connect && this.#access.admitsRequest()) {
      this.#onConnect(head);
      return;
    }
    if (head.framing === Framing.length && head.contentLength === 0) head.framing = Framing.none;
    if (head.framing === Framing.length || head.framing === Framing.chunked) {
      this.#phase = Phase.body;
      this.#body ??= new RequestBody(this.#context, this.#transport, this);
      if (!this.#body.begin(head)) return;
    } else {
      this.#phase = Phase.wait;
    }
    this.#exchange ??= new Exchange(this.#context, this, this.#access);
    this.#exchange.begin(head, this.#access.route(head));
  }

  /** CONNECT: the proxy itself is the other end; a tunnel to the service's endpoint follows. */
  #onConnect(head: MessageHead): void {
    const service = this.#context.allowConnect ? this.#context.router.named(head) : null;
    if (service === null) {
      this.#phase = Phase.wait;
      const isAllowed = this.#context.allowConnect;
      this.#refuse(isAllowed ? ERRORS.WEFT_NO_ROUTE.id : ERRORS.WEFT_CONNECT_REFUSED.id, head.text(head.authorityStart, head.authorityEnd));
      return;
    }
    this.#phase = Phase.closed;
    this.#giveBackSlot();
    this.#owner.becomeRelay(this, this.#transport, this.#listener, service);
  }

  /** The request is complete; what comes now is the next one. */
  onRequestRead(): void {
    this.#phase = Phase.wait;
    this.#transport.readMode = ReadMode.head;
    this.#transport.deadlineAt = 0;
  }

  pauseRequestBody(): void {
    this.#body?.holdBack();
    this.#transport.pause();
  }

  resumeRequestBody(): void {
    // Deferred: this is called from inside the upstream's or the exchange's own work.
    this.#context.loop.defer(() => this.#resume());
  }

  #resume(): void {
    if (this.#phase === Phase.closed || this.#phase === Phase.closing) return;
    this.#processKept();
    this.#exchange?.flushRequest();
    if (!this.#endsTruncated()) this.#resumeReading();
  }

  /** After a FIN: what is left is part of a request that will never be complete. */
  #endsTruncated(): boolean {
    if (!this.#isHalfClosed) return false;
    if (this.#isHeld) return false;
    const isTruncated = this.#phase === Phase.head || (this.isUploading && this.#kept.isEmpty);
    if (isTruncated) this.#closeWhenSent();
    return isTruncated;
  }

  /** Whole requests wait until the client has taken earlier answers. */
  get #isHeld(): boolean {
    return this.#phase === Phase.head && !this.#kept.isEmpty && this.#parser === null;
  }

  /** Not while what is kept already is over its limit; the beginning of a head has a limit of its own. */
  #resumeReading(): void {
    if (this.#isHeld) return;
    if (this.#phase === Phase.head || this.#kept.size < this.#context.shared.limits.pipelinedBytesMax) this.#transport.resume();
  }

  // --- responses ----------------------------------------------------------------------------------------------------

  get isCongested(): boolean {
    return this.#transport.isCongested;
  }

  sendInformational(head: MessageHead): void {
    this.#writer.informational(head);
  }

  sendResponseHead(head: MessageHead, framing: Framing): boolean {
    const writer = this.#writer;
    if (head.status === 101) {
      writer.switchingProtocols(head);
      return false;
    }
    writer.choose(head, framing);
    if (writer.endsByClose || this.isUploading || this.#context.isDraining) this.#isLast = true;
    if (this.#isHalfClosed && this.#kept.isEmpty) this.#isLast = true;
    return writer.head(head, this.#isLast);
  }

  /** The request's body is not complete. */
  get isUploading(): boolean {
    return this.#phase === Phase.body;
  }

  sendBody(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    if (this.#phase === Phase.tunnel) this.#touchTunnel();
    this.#writer.body(buffer, start, end, lease);
  }

  sendChunkSize(size: number): void {
    this.#writer.chunkSize(size);
  }

  sendEnd(trailers: Trailers | null): void {
    if (this.#phase === Phase.tunnel) {
      this.#transport.shutdown();
      this.#touchTunnel();
      return;
    }
    this.#writer.end(trailers);
    this.#finish();
  }

  flush(): void {
    this.#transport.flush();
  }

  /** The answer is complete: log it, then close, linger, or be ready for the next request. */
  #finish(): void {
    if (this.#context.accessLog !== null) recordAccess(this.#context, this.#exchange, this.#slot, this.#transport);
    const mayAskMore = this.#slot?.head.isPersistent === true || (this.#exchange?.responseBytes ?? 0) > UNREAD_FROM_BYTES;
    const mayStillSend = this.isUploading || !this.#kept.isEmpty || mayAskMore;
    this.#giveBackSlot();
    if (this.#phase === Phase.closed) return;
    if (!this.#isLast) this.#awaitNext();
    else if (mayStillSend) this.#linger();
    else this.#closeWhenSent();
  }

  #awaitNext(): void {
    this.#phase = Phase.head;
    // A head that is refused or late from here on gets an answer of its own.
    this.#writer.hasBegun = false;
    const { loop, shared } = this.#context;
    this.#transport.deadlineAt = loop.now + (this.#context.isDraining ? shared.limits.drainIdleMs : shared.limits.idleTimeoutMs);
    // Not from inside the upstream's event: the next request may already be here, or the client be paused since its last body.
    if (!this.#kept.isEmpty || this.#isHalfClosed || !this.#transport.isReading) loop.defer(() => this.#next());
  }

  #next(): void {
    if (this.#phase !== Phase.head) return;
    this.#processKept();
    this.#exchange?.flushRequest();
    if (this.#transport.owner !== this) {
      if (this.#isHalfClosed) this.#transport.owner.onEnd();
      return;
    }
    if (!this.#endsTruncated()) this.#resumeReading();
  }

  #giveBackSlot(): void {
    if (this.#slot !== null) this.#context.shared.giveSlot(this.#slot);
    this.#slot = null;
  }

  #closeWhenSent(): void {
    if (this.#transport.unsentBytes === 0) {
      this.#close(false);
      return;
    }
    this.#phase = Phase.closing;
    this.#transport.deadlineAt = 0;
  }

  /** Shuts our side and reads on for a while, so that the answer is not lost to a reset. */
  #linger(): void {
    this.#phase = Phase.linger;
    this.#kept.clear();
    this.#transport.readMode = ReadMode.head;
    this.#transport.deadlineAt = this.#context.loop.now + this.#context.shared.limits.lingerMs;
    this.#transport.shutdown();
    if (this.#isHalfClosed) this.#closeWhenSent();
    else this.#transport.resume();
  }

  onBodyRefused(errorId: number): void {
    this.#refuse(errorId, "");
  }

  /** Refuses what the client sent: nothing more of it is read as HTTP. */
  #refuse(errorId: number, detail: string): void {
    const exchange = this.#exchange;
    if (exchange !== null && !exchange.isIdle) exchange.onDownstreamReset(ResetReason.downstreamProtocol);
    this.#access.countError(errorRow(errorId).label);
    if (this.#writer.hasBegun) this.#close(true);
    else this.sendError(errorId, detail);
  }

  sendError(errorId: number, detail: string): void {
    if (this.#phase === Phase.closed) return;
    const row = errorRow(errorId);
    if (row.status === 0 || row.status === 499) {
      this.#close(true);
      return;
    }
    if (row.close || this.isUploading || this.#phase === Phase.head || this.#context.isDraining) this.#isLast = true;
    this.#writer.error(errorId, detail, this.#isLast);
    if (this.#context.accessLog !== null) recordAccess(this.#context, this.#exchange, this.#slot, this.#transport, row.status);
    this.#giveBackSlot();
    // A close with unread bytes would be a reset, and the answer lost with it.
    if (this.#isLast) this.#linger();
    else this.#awaitNext();
  }

  resetDownstream(_reason: ResetReason): void {
    this.#transport.flush();
    // A message that ends by close would look complete: only a reset tells.
    this.#close(this.#writer.endsByClose || this.#phase === Phase.tunnel);
  }

  // --- tunnel -------------------------------------------------------------------------------------------------------

  becomeTunnel(): void {
    this.#phase = Phase.tunnel;
    if (!this.#access.mayStay()) this.#context.loop.defer(() => this.#close(true)); // the policy changed while the service was asked
    this.#transport.readMode = ReadMode.adaptive;
    this.#touchTunnel();
    if (!this.#kept.isEmpty || this.#isHalfClosed) {
      this.#context.loop.defer(() => {
        this.#processKept();
        this.#exchange?.flushRequest();
        if (this.#isHalfClosed) this.#exchange?.requestEnd(null);
      });
    }
    this.#transport.resume();
  }

  #touchTunnel(): void {
    const { limits } = this.#context.shared;
    const isHalfOpen = this.#isHalfClosed || this.#transport.isShut;
    this.#transport.deadlineAt = this.#context.loop.now + (isHalfOpen ? limits.halfClosedIdleMs : limits.tunnelIdleTimeoutMs);
  }

  endTunnel(): void {
    if (this.#context.accessLog !== null) recordAccess(this.#context, this.#exchange, this.#slot, this.#transport);
    this.#giveBackSlot();
    this.#closeWhenSent();
  }

  // --- the connection -----------------------------------------------------------------------------------------------

  onEnd(): void {
    this.#isHalfClosed = true;
    const exchange = this.#exchange;
    switch (this.#phase) {
      case Phase.wait:
        this.#transport.deadlineAt = this.#context.loop.now + PROBE_AFTER_MS;
        return;
      case Phase.tunnel:
        this.#touchTunnel();
        exchange!.requestEnd(null);
        return;
      case Phase.closing:
        return;
      case Phase.body:
        // Its rest may be here already and wait for an upstream; `endsTruncated` decides when it is used up.
        if (this.#kept.isEmpty) this.#close(false);
        return;
      default:
        // Idle, an incomplete message, or lingering: nothing can come of it. What it has not read yet it still gets.
        if (!this.#isHeld) this.#closeWhenSent();
    }
  }

  onWritable(): void {
    if (this.#phase === Phase.closing) this.#closeWhenSent();
    else if (this.#isHeld) this.#next();
    else this.#exchange?.onDownstreamWritable();
  }

  onDeadline(): void {
    switch (this.#phase) {
      case Phase.head:
        if (this.#hasHeadDeadline) this.#refuse(ERRORS.WEFT_HEADER_DEADLINE.id, "");
        else this.#closeWhenSent();
        return;
      case Phase.body:
        if (this.#body!.isTooSlow(this.#exchange!)) this.#refuse(ERRORS.WEFT_BODY_TOO_SLOW.id, "");
        return;
      case Phase.wait:
        if (this.#isHalfClosed) this.#probe();
        return;
      case Phase.tunnel:
        this.#close(true);
        return;
      default:
        this.#closeWhenSent();
    }
  }

  /** Is a half-closed client still there? The first write asks, the answer (RST) shows in the ones after it. */
  #probe(): void {
    if (this.#writer.version !== 11 || this.#writer.hasBegun) return;
    if (this.#isProbed) this.#transport.touchWrite();
    else this.#writer.continue();
    this.#isProbed = true;
    if (!this.#transport.isClosed) this.#transport.deadlineAt = this.#context.loop.now + 1;
  }

  onClosed(errno: number): void {
    this.#phase = Phase.closed;
    if (this.#exchange?.isTunnel === true && this.#context.accessLog !== null)
      recordAccess(this.#context, this.#exchange, this.#slot, this.#transport);
    if (errno === UV_ETIMEDOUT) this.#access.countError(ERRORS.WEFT_WRITE_DEADLINE.label);
    const exchange = this.#exchange;
    if (exchange !== null && !exchange.isIdle) exchange.onDownstreamReset(ResetReason.downstreamClosed);
    this.#giveBackSlot();
    this.#kept.clear();
    this.#owner.onConnectionClosed(this, errno);
  }

  #close(isAbort: boolean): void {
    if (this.#phase === Phase.closed) return;
    this.#phase = Phase.closed;
    this.#transport.close(isAbort);
  }

  // --- drain --------------------------------------------------------------------------------------------------------

  /** No keep-alive any more. A client that asked lately gets a moment: its next request may be on its way already. */
  drain(): void {
    if (this.#phase !== Phase.head || !(this.#parser === null ? this.#kept.isEmpty : this.#parser.isBlank)) return;
    if (isIdleForLong(this.#context, this.#transport)) this.#closeWhenSent();
  }

  recheck(): void {
    if (this.#phase === Phase.tunnel && !this.#access.mayStay()) this.#close(true);
  }

  /** The grace period is over: who waits for an answer gets one. */
  cut(): void {
    const exchange = this.#exchange;
    if (exchange !== null && !exchange.isIdle) {
      exchange.onDownstreamReset(ResetReason.drained);
      this.#access.countError(ERRORS.WEFT_DRAINED.label);
      if (!this.#writer.hasBegun) {
        this.#writer.error(ERRORS.WEFT_DRAINED.id, "", true);
        this.#close(false);
        return;
      }
    }
    this.#close(true);
  }
}
