// A bare TCP connection to an endpoint, for an opaque connection that came through another proxy of the mesh (ADR 0008).
//
//   connecting --(connected: the tunnel is open)--> open --(both ends)--> closing (last bytes leave) --> closed
//
// Bytes as they are: FIN is the end of the stream, RST its reset. Nothing is dialled before the policy has admitted the other proxy.

import type { Buffer } from "node:buffer";
import { ERRORS } from "../core/errors/error-codes.ts";
import { ResponseHeadParser } from "../core/h1/head-parser.ts";
import { asciiBytes } from "../core/bytes/ascii.ts";
import { type ExchangeResponseSide, type Lease, ResetReason, type UpstreamStream } from "../core/http/exchange.ts";
import { MessageHead } from "../core/http/head.ts";
import type { Endpoint } from "./endpoint.ts";
import { UV_ETIMEDOUT } from "./errno.ts";
import type { RelayEnd } from "./relay-end.ts";
import { ReadMode } from "./read-buffer.ts";
import type { TransportOwner } from "./transport.ts";
import type { Waiter } from "./waiter-queue.ts";

const Phase = { connecting: 0, open: 1, closing: 2, closed: 3 } as const;

/** What the other proxy is told when the connection is there (RFC 9113 section 8.5). */
const CONNECTED = new MessageHead();
const CONNECTED_BYTES = asciiBytes("HTTP/1.1 200 OK\r\n\r\n");
new ResponseHeadParser({ headerBytesMax: CONNECTED_BYTES.length, headerCountMax: 1 }).parse(
  CONNECTED_BYTES,
  0,
  CONNECTED_BYTES.length,
  CONNECTED,
);

export class UpstreamRaw implements UpstreamStream, TransportOwner {
  readonly #endpoint: Endpoint;
  readonly #waiter: Waiter;
  /** Which of the waiter's waits this is: it may have gone and wait for something else. */
  readonly #ticket: number;
  readonly #transport: RelayEnd;
  #exchange: ExchangeResponseSide | null = null;
  #phase: number = Phase.connecting;
  #wasConnected = false;
  /** The end of the CONNECT itself, which has no content, has come. */
  #isHeadDone = false;
  readonly mayBeStale = false;

  /** Begins to connect; the waiter hears `onUpstream` or `onUnavailable`, later. */
  constructor(endpoint: Endpoint, waiter: Waiter) {
    this.#endpoint = endpoint;
    this.#waiter = waiter;
    waiter.isWaiting = true;
    this.#ticket = ++waiter.waitTicket;
    this.#transport = endpoint.dialRaw(this, (status) => this.#onConnect(status));
  }

  get #isWanted(): boolean {
    return this.#waiter.isWaiting && this.#waiter.waitTicket === this.#ticket;
  }

  #onConnect(status: number): void {
    if (status !== 0) {
      this.#fail(status);
      return;
    }
    const waiter = this.#waiter;
    const transport = this.#transport;
    this.#phase = Phase.open;
    this.#wasConnected = true;
    this.#endpoint.relayOpened(transport);
    if (!this.#isWanted) {
      this.#close(true);
      return;
    }
    waiter.isWaiting = false;
    transport.deadlineAt = 0;
    transport.readMode = ReadMode.adaptive;
    this.#exchange = waiter;
    waiter.onUpstream(this);
    if (this.#exchange === waiter) waiter.onSwitchingProtocols(CONNECTED);
  }

  #fail(errno: number): void {
    this.#close(false);
    if (!this.#isWanted) {
      this.#endpoint.connectFailed(errno);
      return;
    }
    this.#waiter.isWaiting = false;
    this.#endpoint.failWaiters([this.#waiter], errno);
  }

  // --- UpstreamStream -----------------------------------------------------------------------------------------------

  sendRequestHead(): boolean {
    return false;
  }

  sendBody(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    this.#transport.write(buffer, start, end, lease);
  }

  sendChunkSize(): void {
    throw new Error("wire form was not taken");
  }

  sendEnd(): void {
    if (this.#isHeadDone) this.#transport.shutdown();
    this.#isHeadDone = true;
  }

  flush(): void {
    this.#transport.flush();
  }

  get isCongested(): boolean {
    return this.#transport.isCongested;
  }

  pauseResponseBody(): void {
    this.#transport.pause();
  }

  resumeResponseBody(): void {
    this.#transport.resume();
  }

  resetUpstream(): void {
    this.#exchange = null;
    this.#close(true);
  }

  endTunnel(): void {
    this.#exchange = null;
    if (this.#transport.unsentBytes === 0) this.#close(false);
    else this.#phase = Phase.closing;
  }

  #close(isAbort: boolean): void {
    if (this.#phase === Phase.closed) return;
    this.#phase = Phase.closed;
    this.#transport.close(isAbort);
  }

  // --- the socket ---------------------------------------------------------------------------------------------------

  onBytes(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    const exchange = this.#exchange;
    exchange?.responseBody(buffer, start, end, lease);
    if (this.#exchange === exchange) exchange?.flushResponse();
  }

  onEnd(): void {
    this.#exchange?.responseEnd(null);
  }

  onWritable(): void {
    if (this.#phase === Phase.closing && this.#transport.unsentBytes === 0) this.#close(false);
    else this.#exchange?.onUpstreamWritable();
  }

  onDeadline(): void {
    if (this.#phase === Phase.connecting) this.#fail(UV_ETIMEDOUT);
  }

  onClosed(errno: number): void {
    const wasConnecting = this.#phase === Phase.connecting;
    const exchange = this.#exchange;
    this.#exchange = null;
    this.#phase = Phase.closed;
    if (wasConnecting) this.#fail(errno);
    if (this.#wasConnected) this.#endpoint.relayClosed(errno);
    exchange?.onUpstreamReset(ResetReason.upstreamClosed, ERRORS.WEFT_UPSTREAM_CLOSED.id, true);
  }
}
