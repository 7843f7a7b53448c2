// The body of a client's HTTP/1 request: where it ends, how long it may be, how slow (RFC 9112 sections 6.2 and 7.1).
//
// Passes on to the exchange what belongs to it and tells its connection of the end, before the last bytes are passed on: an answer may
// come from inside of that. Refuses what is over bodyBytesMax (by Content-Length before a byte of it is read), malformed chunks, and
// through its connection's deadline what comes slower than bodyMinBytesPerSecond. One object for all requests of a connection.

import type { Buffer } from "node:buffer";
import { ERRORS } from "../core/errors/error-codes.ts";
import { ChunkEvent, ChunkScanner } from "../core/h1/chunked.ts";
import type { Lease } from "../core/http/exchange.ts";
import { Framing, type MessageHead } from "../core/http/head.ts";
import { BodyRate } from "./body-rate.ts";
import type { Exchange } from "./exchange.ts";
import type { ForwarderContext } from "./forwarder-context.ts";
import { ReadMode } from "./read-buffer.ts";
import type { Transport } from "./transport.ts";

/** Bodies, and rests of bodies, from this size on are read into memory of their own. */
const STREAM_FROM_BYTES = 16 * 1024;

/** The connection whose request it is. */
export interface RequestBodyOwner {
  /** The body is still wanted: it is not complete, and its request neither refused nor its connection closed. */
  readonly isUploading: boolean;
  /** It is complete. */
  onRequestRead(): void;
  onBodyRefused(errorId: number): void;
}

export class RequestBody {
  readonly #context: ForwarderContext;
  readonly #transport: Transport;
  readonly #owner: RequestBodyOwner;
  readonly #rate: BodyRate;
  #isChunked = false;
  #scanner: ChunkScanner | null = null;
  /** Of the request with this body. */
  #head: MessageHead | null = null;
  #isScanning = false;
  /** Something of a chunked body was passed on: all of it goes in that form, also when another upstream gets it. */
  #isFormFixed = false;
  /** Of a Content-Length. */
  #remaining = 0;
  /** Of chunks, so far. */
  #bytes = 0;

  constructor(context: ForwarderContext, transport: Transport, owner: RequestBodyOwner) {
    this.#context = context;
    this.#transport = transport;
    this.#owner = owner;
    this.#rate = new BodyRate(context, transport);
  }

  /** The next request has one. False: it is refused. */
  begin(head: MessageHead): boolean {
    const { framing, contentLength } = head;
    this.#head = head;
    this.#isChunked = framing === Framing.chunked;
    this.#isScanning = false;
    this.#isFormFixed = false;
    this.#remaining = contentLength;
    this.#bytes = 0;
    if (this.#isChunked) this.#transport.readMode = ReadMode.adaptive;
    else if (this.#isOverLimit(contentLength)) return false;
    else this.#transport.readMode = contentLength > STREAM_FROM_BYTES ? ReadMode.body : ReadMode.head;
    this.#rate.begin();
    return true;
  }

  #isOverLimit(bytes: number): boolean {
    const max = this.#context.shared.limits.bodyBytesMax;
    if (max === 0 || bytes <= max) return false;
    this.#owner.onBodyRefused(ERRORS.WEFT_BODY_TOO_LARGE.id);
    return true;
  }

  /** Reads on, while `exchange` can take it. Returns where it stopped, or -1 when nothing is left to read now. */
  read(exchange: Exchange, buffer: Buffer, start: number, end: number, lease: Lease | null): number {
    return this.#isChunked ? this.#readChunks(exchange, buffer, start, end, lease) : this.#readCounted(exchange, buffer, start, end, lease);
  }

  #readCounted(exchange: Exchange, buffer: Buffer, start: number, end: number, lease: Lease | null): number {
    const size = Math.min(this.#remaining, end - start);
    this.#remaining -= size;
    const isDone = this.#remaining === 0;
    if (isDone) this.#owner.onRequestRead();
    else if (this.#remaining <= STREAM_FROM_BYTES) this.#transport.readMode = ReadMode.head;
    exchange.requestBody(buffer, start, start + size, lease);
    if (isDone) exchange.requestEnd(null);
    return start + size;
  }

  #readChunks(exchange: Exchange, buffer: Buffer, start: number, end: number, lease: Lease | null): number {
    this.#scanner ??= new ChunkScanner(this.#context.shared.limits);
    const scanner = this.#scanner;
    if (!this.#isScanning) {
      this.#isScanning = true;
      scanner.reset(false);
    }
    if (!this.#isFormFixed) {
      const takesWire = exchange.takesWireBody;
      scanner.deliverAs(takesWire);
      this.#head!.isDecoded = !takesWire;
    }
    let at = start;
    while (this.#owner.isUploading) {
      const event = scanner.next(buffer, at, end);
      if (event !== ChunkEvent.more) this.#isFormFixed = true;
      at = scanner.pos;
      switch (event) {
        case ChunkEvent.more:
          return end;
        case ChunkEvent.wire:
        case ChunkEvent.data:
          this.#bytes += scanner.to - scanner.from;
          exchange.requestBody(buffer, scanner.from, scanner.to, lease);
          if (this.#owner.isUploading && this.#isOverLimit(this.#bytes)) return -1;
          break;
        case ChunkEvent.sizeLine:
          exchange.requestChunkSize(scanner.size);
          break;
        case ChunkEvent.end:
          this.#owner.onRequestRead();
          exchange.requestEnd(scanner.trailers);
          return at;
        default:
          this.#owner.onBodyRefused(scanner.error);
          return -1;
      }
    }
    return at;
  }

  /** Weft itself keeps the client from sending. */
  holdBack(): void {
    this.#rate.holdBack();
  }

  /** The connection's deadline has passed: was the client too slow? If not, the next window begins. */
  isTooSlow(exchange: Exchange): boolean {
    return this.#rate.isTooSlow(!exchange.canTakeBody || exchange.awaitsContinue);
  }
}
