// An HTTP/1.1 connection to an endpoint: writes requests, reads responses, one exchange at a time (ADR 0001).
//
//   connecting --> idle <--------------------+
//                   | sendRequestHead        | response complete, request complete, both sides persistent, nothing left over
//                   v                        |
//                  head -(1xx)-> head --> length | chunked | untilClose
//                   | 101
//                   v
//                  tunnel                      any other end: closed, never pooled
//
// Refused: bytes on an idle connection (they would answer the next request), anything that the strict parser refuses,
// a 101 that nobody asked for. What was received when the connection breaks decides whether the exchange may try again.
// Long because the states of one connection to an endpoint and their transitions belong together.

import type { Buffer } from "node:buffer";
import { ChunkEvent, ChunkScanner } from "../core/h1/chunked.ts";
import { responseFraming } from "../core/h1/framing.ts";
import { ResponseHeadParser } from "../core/h1/head-parser.ts";
import {
  addChunkedField,
  CHUNK_SIZE_ROOM,
  lastChunkRoom,
  requestHeadRoom,
  writeChunkEnd,
  writeChunkSize,
  writeLastChunk,
  writeRequestHead,
} from "../core/h1/serialize.ts";
import { ERRORS } from "../core/errors/error-codes.ts";
import {
  type ExchangeResponseSide,
  type Lease,
  type RequestEdits,
  ResetReason,
  type Trailers,
  type UpstreamStream,
} from "../core/http/exchange.ts";
import { Framing, MessageHead } from "../core/http/head.ts";
import { UV_ETIMEDOUT } from "./errno.ts";
import type { H1Shared } from "./h1-shared.ts";
import { Stash } from "./stash.ts";
import { ReadMode } from "./read-buffer.ts";
import type { Transport, TransportOwner } from "./transport.ts";
import { dialConnection } from "./transport-open.ts";
import type { WorkerLoop } from "./worker-loop.ts";

const Phase = { connecting: 0, idle: 1, head: 2, length: 3, chunked: 4, untilClose: 5, tunnel: 6, closing: 7, closed: 8 } as const;

/** Interim responses per exchange: more is a server gone wrong. */
const INFORMATIONAL_MAX = 64;
/** From this many body bytes on, reads go into stream buffers. */
const STREAM_FROM_BYTES = 16 * 1024;

/** The pool that a connection belongs to. */
export interface UpstreamOwner {
  onConnected(upstream: UpstreamH1): void;
  onConnectFailed(upstream: UpstreamH1, errno: number): void;
  /** It answered with something that is not HTTP/1. */
  onProtocolError(): void;
  /** Free for the next exchange. */
  onIdle(upstream: UpstreamH1): void;
  /** Closed, from whatever phase. */
  onGone(upstream: UpstreamH1, errno: number): void;
}

export class UpstreamH1 implements TransportOwner, UpstreamStream {
  readonly #loop: WorkerLoop;
  readonly #shared: H1Shared;
  readonly #owner: UpstreamOwner;
  #transport: Transport;
  #exchange: ExchangeResponseSide | null = null;
  #phase: number = Phase.connecting;
  #exchanges = 0;
  #wasConnected = false;
  /**
   * Broken off, not ended. A process that has read a request and dies ends its connection; a reset comes where it was not read: of connections that
   * wait to be accepted, when their listener closes.
   */
  #wasReset = false;
  #requestMethod = 0;
  #requestFraming: Framing = Framing.none;
  /** The request's body comes as payload and gets chunked coding here. */
  #encodes = false;
  #isRequestDone = true;
  #isUpgrade = false;
  #remaining = 0;
  #isPersistent = true;
  #informational = 0;
  #scanner: ChunkScanner | null = null;
  /** A response head that came in pieces: its bytes, and the parser that knows how far it got. */
  #stash: Stash | null = null;
  #ownParser: ResponseHeadParser | null = null;
  #ownHead: MessageHead | null = null;

  private constructor(loop: WorkerLoop, shared: H1Shared, owner: UpstreamOwner) {
    this.#loop = loop;
    this.#shared = shared;
    this.#owner = owner;
    this.#transport = null as unknown as Transport;
  }

  /** Begins to connect. The owner hears `onConnected` or `onConnectFailed`, later. */
  static connect(loop: WorkerLoop, shared: H1Shared, owner: UpstreamOwner, host: string, port: number, isIpv6: boolean): UpstreamH1 {
    const self = new UpstreamH1(loop, shared, owner);
    self.#transport = dialConnection(loop, host, port, isIpv6, self, (status) => self.#onConnect(status));
    self.#transport.deadlineAt = loop.now + shared.limits.connectTimeoutMs;
    return self;
  }

  /** Makes a pooled connection of one that was dialled before the protocol was known. */
  static fromTransport(loop: WorkerLoop, shared: H1Shared, owner: UpstreamOwner, transport: Transport): UpstreamH1 {
    const self = new UpstreamH1(loop, shared, owner);
    self.#transport = transport;
    transport.readsAfterWriteError = true;
    transport.owner = self;
    self.#phase = Phase.idle;
    self.#wasConnected = true;
    // It has waited for its request, so the server may have closed it meanwhile: as with a reused one, that may be tried again.
    self.#exchanges = 1;
    transport.resume();
    return self;
  }

  #onConnect(status: number): void {
    if (status !== 0) {
      this.#fail(status);
      return;
    }
    this.#phase = Phase.idle;
    this.#wasConnected = true;
    this.#transport.readsAfterWriteError = true;
    this.#transport.deadlineAt = 0;
    this.#owner.onConnected(this);
  }

  #fail(errno: number): void {
    this.#phase = Phase.closed;
    this.#transport.close(false);
    this.#owner.onConnectFailed(this, errno);
  }

  get mayBeStale(): boolean {
    return this.#exchanges > 1 || this.#wasReset;
  }

  get isClosed(): boolean {
    return this.#phase === Phase.closed;
  }

  get isCongested(): boolean {
    return this.#transport.isCongested;
  }

  get transport(): Transport {
    return this.#transport;
  }

  /** It was more than an attempt to connect. */
  get wasConnected(): boolean {
    return this.#wasConnected;
  }

  /** Milliseconds of the loop's clock after which the pool does not want it any more. */
  setIdleDeadline(at: number): void {
    this.#transport.deadlineAt = at;
  }

  /** The pool hands the connection to an exchange. */
  assign(exchange: ExchangeResponseSide): void {
    this.#exchange = exchange;
    this.#exchanges++;
    this.#transport.deadlineAt = 0;
  }

  sendRequestHead(head: MessageHead, edits: RequestEdits): boolean {
    this.#phase = Phase.head;
    this.#requestMethod = head.method;
    this.#requestFraming = head.framing;
    this.#isRequestDone = false;
    this.#isPersistent = true;
    this.#informational = 0;
    this.#isUpgrade = head.hasUpgrade && head.saysUpgrade && head.version !== 10;
    const takesWire = head.isChunked && !head.isDecoded;
    this.#encodes = head.framing === Framing.chunked && !takesWire;
    // An HTTP/2 body comes in frames of 16 KiB: one write for all of a turn.
    this.#transport.gathers = head.version === 20;
    const chunk = this.#transport.reserve(requestHeadRoom(head));
    const options = this.#shared.requestOptions;
    options.upgrade = this.#isUpgrade;
    options.hostFallback = edits.hostFallback;
    options.forwardedFor = edits.forwardedFor;
    options.clientId = edits.clientId;
    options.via = edits.via;
    chunk.length = writeRequestHead(head, chunk.bytes, chunk.length, options);
    if (this.#encodes && !head.isChunked) chunk.length = addChunkedField(chunk.bytes, chunk.length);
    return takesWire;
  }

  sendBody(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    if (!this.#encodes) {
      this.#transport.write(buffer, start, end, lease);
      return;
    }
    // A chunk of nothing would be the last one.
    if (start === end) return;
    this.sendChunkSize(end - start);
    this.#transport.write(buffer, start, end, lease);
    const chunk = this.#transport.reserve(CHUNK_SIZE_ROOM);
    chunk.length = writeChunkEnd(chunk.bytes, chunk.length);
  }

  /** A chunk whose size line has to be written anew; its data follows through `sendBody`. */
  sendChunkSize(size: number): void {
    const chunk = this.#transport.reserve(CHUNK_SIZE_ROOM);
    chunk.length = writeChunkSize(chunk.bytes, chunk.length, size);
  }

  sendEnd(trailers: Trailers | null): void {
    if (this.#phase === Phase.tunnel) {
      this.#transport.shutdown();
      return;
    }
    if (this.#requestFraming === Framing.chunked) {
      const chunk = this.#transport.reserve(lastChunkRoom(trailers));
      chunk.length = writeLastChunk(chunk.bytes, chunk.length, trailers);
    }
    this.#isRequestDone = true;
    const timeout = this.#shared.limits.responseTimeoutMs;
    if (timeout > 0 && this.#phase === Phase.head) this.#transport.deadlineAt = this.#loop.now + timeout;
    this.#transport.flush();
  }

  flush(): void {
    this.#transport.flush();
  }

  pauseResponseBody(): void {
    this.#transport.pause();
  }

  resumeResponseBody(): void {
    this.#transport.resume();
  }

  resetUpstream(_reason: ResetReason): void {
    this.#exchange = null;
    this.#close(!this.#isRequestDone || this.#phase === Phase.tunnel);
  }

  endTunnel(): void {
    this.#exchange = null;
    // The client's last bytes may still be on their way.
    if (this.#transport.unsentBytes === 0) this.#close(false);
    else this.#phase = Phase.closing;
  }

  /** Closes an idle connection, or one whose exchange was told already. */
  close(): void {
    this.#exchange = null;
    this.#close(false);
  }

  #close(isAbort: boolean): void {
    if (this.#phase === Phase.closed) return;
    this.#phase = Phase.closed;
    this.#transport.close(isAbort);
  }

  onBytes(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    const exchange = this.#exchange;
    if (exchange === null) {
      // Nobody asked: an answer to nothing would become the answer to the next request.
      this.#close(true);
      return;
    }
    if (this.#phase === Phase.head) {
      const stash = this.#stash;
      if (stash === null) {
        this.#readHeads(buffer, start, end, lease);
      } else {
        stash.append(buffer, start, end);
        this.#readHeads(stash.bytes, stash.start, stash.end, null);
      }
    } else {
      this.#readBody(buffer, start, end, lease);
    }
    // The exchange that this event began with: if it is over, its side flushed at the end of the message.
    if (this.#exchange === exchange) exchange.flushResponse();
  }

  #readHeads(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    let at = start;
    const exchange = this.#exchange!;
    while (this.#phase === Phase.head && at < end) {
      const parser = this.#ownParser ?? this.#shared.responseParser;
      const head = this.#ownHead ?? this.#shared.responseHead;
      if (this.#ownParser === null) parser.reset();
      const size = parser.parse(buffer, at, end, head);
      if (size === 0) {
        this.#keepPartial(buffer, at, end, parser, head);
        return;
      }
      if (size < 0) {
        this.#protocolError();
        return;
      }
      at += size;
      this.#dropPartial();
      if (head.status >= 200) {
        this.#onFinalHead(head, buffer, at, end, lease);
        return;
      }
      if (head.status === 101) {
        if (!this.#isUpgrade || !exchange.onSwitchingProtocols(head)) {
          this.#protocolError();
          return;
        }
        this.#phase = Phase.tunnel;
        this.#transport.readMode = ReadMode.adaptive;
        this.#isRequestDone = true;
        this.#transport.deadlineAt = 0;
        if (at < end) exchange.responseBody(buffer, at, end, lease);
        return;
      }
      if (++this.#informational > INFORMATIONAL_MAX) {
        this.#protocolError();
        return;
      }
      exchange.onInformational(head);
      if (this.#exchange !== exchange) return;
    }
  }

  /** Keeps the bytes of an incomplete head, and the parser that has read them. */
  #keepPartial(buffer: Buffer, at: number, end: number, parser: ResponseHeadParser, head: MessageHead): void {
    const stash = this.#stash;
    if (stash !== null) {
      stash.start = at;
      return;
    }
    this.#stash = new Stash();
    this.#stash.append(buffer, at, end);
    this.#ownParser = parser;
    this.#ownHead = head;
    this.#shared.responseParser = new ResponseHeadParser(this.#shared.limits);
    this.#shared.responseHead = new MessageHead();
  }

  #dropPartial(): void {
    // The memory stays alive through the caller's variables until this event ends.
    this.#stash = null;
    this.#ownParser = null;
    this.#ownHead = null;
  }

  #onFinalHead(head: MessageHead, buffer: Buffer, at: number, end: number, lease: Lease | null): void {
    const exchange = this.#exchange!;
    const framing = responseFraming(head, this.#requestMethod);
    head.framing = framing;
    this.#isPersistent = head.isPersistent && framing !== Framing.untilClose;
    this.#transport.deadlineAt = 0;
    const length = head.contentLength;
    const takesWire = exchange.onResponseHead(head, framing);
    if (this.#exchange !== exchange) return;
    switch (framing) {
      case Framing.none:
        this.#finish(null, at === end);
        return;
      case Framing.length:
        this.#remaining = length;
        this.#phase = Phase.length;
        if (length === 0) {
          this.#finish(null, at === end);
          return;
        }
        this.#transport.readMode = length - (end - at) > STREAM_FROM_BYTES ? ReadMode.body : ReadMode.head;
        break;
      case Framing.chunked:
        this.#phase = Phase.chunked;
        this.#transport.readMode = ReadMode.adaptive;
        this.#scanner ??= new ChunkScanner(this.#shared.limits);
        this.#scanner.reset(takesWire);
        break;
      default:
        this.#phase = Phase.untilClose;
        this.#transport.readMode = ReadMode.adaptive;
    }
    if (at < end) this.#readBody(buffer, at, end, lease);
  }

  #readBody(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    const exchange = this.#exchange!;
    switch (this.#phase) {
      case Phase.length: {
        const size = Math.min(this.#remaining, end - start);
        exchange.responseBody(buffer, start, start + size, lease);
        if (this.#exchange !== exchange) return;
        this.#remaining -= size;
        if (this.#remaining === 0) this.#finish(null, start + size === end);
        else if (this.#remaining <= STREAM_FROM_BYTES) this.#transport.readMode = ReadMode.head;
        return;
      }
      case Phase.chunked:
        this.#readChunks(exchange, buffer, start, end, lease);
        return;
      case Phase.untilClose:
      case Phase.tunnel:
        exchange.responseBody(buffer, start, end, lease);
        return;
      default:
        this.#protocolError();
    }
  }

  #readChunks(exchange: ExchangeResponseSide, buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    const scanner = this.#scanner!;
    let at = start;
    for (;;) {
      const event = scanner.next(buffer, at, end);
      at = scanner.pos;
      switch (event) {
        case ChunkEvent.more:
          return;
        case ChunkEvent.wire:
        case ChunkEvent.data:
          exchange.responseBody(buffer, scanner.from, scanner.to, lease);
          break;
        case ChunkEvent.sizeLine:
          exchange.responseChunkSize(scanner.size);
          break;
        case ChunkEvent.end:
          this.#finish(scanner.trailers, at === end);
          return;
        default:
          this.#protocolError();
          return;
      }
      if (this.#exchange !== exchange) return;
    }
  }

  #protocolError(): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    this.#close(true);
    this.#owner.onProtocolError();
    exchange?.onUpstreamReset(ResetReason.upstreamProtocol, ERRORS.WEFT_UPSTREAM_PROTOCOL.id, true);
  }

  /** The response is complete. `isExact`: nothing came after it. */
  #finish(trailers: Trailers | null, isExact: boolean): void {
    const exchange = this.#exchange!;
    this.#exchange = null;
    this.#transport.readMode = ReadMode.head;
    const isReusable =
      this.#isPersistent && this.#isRequestDone && isExact && this.#transport.unsentBytes === 0 && !this.#transport.isWriteBroken;
    if (isReusable) this.#phase = Phase.idle;
    exchange.responseEnd(trailers);
    if (!isReusable) {
      this.#close(!this.#isRequestDone);
      return;
    }
    // The response may have been paused by a slow client; an idle connection is always read, so that its end is noticed.
    this.#transport.resume();
    this.#owner.onIdle(this);
  }

  onEnd(): void {
    const exchange = this.#exchange;
    if (exchange !== null && this.#phase === Phase.untilClose) {
      this.#finish(null, true);
      return;
    }
    if (exchange !== null && this.#phase === Phase.tunnel) {
      exchange.responseEnd(null);
      return;
    }
    this.#broken(0);
  }

  #broken(errno: number): void {
    const exchange = this.#exchange;
    const hasBytes = this.#phase !== Phase.head || this.#stash !== null || this.#informational > 0;
    this.#exchange = null;
    this.#wasReset = errno !== 0;
    this.#close(false);
    if (errno === UV_ETIMEDOUT) exchange?.onUpstreamReset(ResetReason.deadline, ERRORS.WEFT_WRITE_STALLED.id, hasBytes);
    else exchange?.onUpstreamReset(ResetReason.upstreamClosed, ERRORS.WEFT_UPSTREAM_CLOSED.id, hasBytes);
  }

  onWritable(): void {
    if (this.#phase === Phase.closing && this.#transport.unsentBytes === 0) this.#close(false);
    else this.#exchange?.onUpstreamWritable();
  }

  onDeadline(): void {
    if (this.#phase === Phase.connecting) {
      this.#fail(UV_ETIMEDOUT);
      return;
    }
    const exchange = this.#exchange;
    this.#exchange = null;
    this.#close(exchange !== null);
    exchange?.onUpstreamReset(ResetReason.deadline, ERRORS.WEFT_RESPONSE_TIMEOUT.id, true);
  }

  onClosed(errno: number): void {
    if (this.#phase === Phase.connecting) {
      this.#phase = Phase.closed;
      this.#owner.onConnectFailed(this, errno);
    } else if (this.#exchange !== null) {
      this.#broken(errno);
    } else {
      this.#phase = Phase.closed;
    }
    this.#owner.onGone(this, errno);
  }
}
