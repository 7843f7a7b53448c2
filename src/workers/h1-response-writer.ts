// Writes responses to an HTTP/1.x client: heads, bodies in the form that the client can read, ends, and Weft's own answers.
//
// Until-close bodies are chunked for HTTP/1.1 clients, so that the connection stays and a broken body is seen; chunked ones
// are decoded for HTTP/1.0 clients and end by close. Knows nothing of requests: what follows is the connection's business.

import { Buffer } from "node:buffer";
import { errorCode, errorRow } from "../core/errors/error-codes.ts";
import {
  addChunkedField,
  CHUNK_SIZE_ROOM,
  ConnectionOption,
  ERROR_RESPONSE_ROOM,
  lastChunkRoom,
  responseHeadRoom,
  writeChunkEnd,
  writeChunkSize,
  writeErrorResponse,
  writeLastChunk,
  writeResponseHead,
} from "../core/h1/serialize.ts";
import type { Lease, Trailers } from "../core/http/exchange.ts";
import { Framing, type MessageHead } from "../core/http/head.ts";
import { mayHearReason } from "./client-peer.ts";
import type { ForwarderContext } from "./forwarder-context.ts";
import type { Transport } from "./transport.ts";

/** How a response's body is written. */
const BodyMode = { raw: 0, wire: 1, encode: 2 } as const;

const CONTINUE = Buffer.from("HTTP/1.1 100 Continue\r\n\r\n", "latin1");

export class ResponseWriter {
  readonly #context: ForwarderContext;
  readonly #transport: Transport;
  #version = 11;
  #isHeadRequest = false;
  #asksKeepAlive = false;
  #bodyMode: number = BodyMode.raw;
  /** A final head was written. */
  hasBegun = false;
  /** The body has no other end than the connection's: a broken one must be a reset. */
  endsByClose = false;

  constructor(context: ForwarderContext, transport: Transport) {
    this.#context = context;
    this.#transport = transport;
  }

  get version(): number {
    return this.#version;
  }

  /** A request whose answer comes next. */
  expect(request: MessageHead, isHeadRequest: boolean): void {
    this.#version = request.version;
    this.#isHeadRequest = isHeadRequest;
    this.#asksKeepAlive = request.saysKeepAlive;
    this.#bodyMode = BodyMode.raw;
    this.hasBegun = false;
    this.endsByClose = false;
  }

  /** HTTP/1.0 knows no interim responses, and behind a final head there is none. */
  informational(head: MessageHead): void {
    if (this.#version === 10 || this.hasBegun) return;
    this.#writeHead(head, ConnectionOption.none, false);
    this.#transport.flush();
  }

  /** An interim response of Weft's own. */
  continue(): void {
    this.#transport.write(CONTINUE, 0, CONTINUE.length, null);
    this.#transport.flush();
  }

  switchingProtocols(head: MessageHead): void {
    this.hasBegun = true;
    this.#bodyMode = BodyMode.raw;
    this.#writeHead(head, ConnectionOption.none, true);
    this.#transport.flush();
  }

  /** What `head` will need to end: called before it, because it decides about the connection. */
  choose(head: MessageHead, framing: Framing): void {
    this.#bodyMode = BodyMode.raw;
    this.endsByClose = false;
    if (framing !== Framing.chunked && framing !== Framing.untilClose) return;
    if (this.#version === 10) this.endsByClose = true;
    else this.#bodyMode = head.isChunked ? BodyMode.wire : BodyMode.encode;
  }

  /** The final head. Returns true when the body is taken in wire form. */
  head(head: MessageHead, isLast: boolean): boolean {
    this.hasBegun = true;
    // An HTTP/2 body comes in frames of 16 KiB: one write for all of a turn.
    this.#transport.gathers = head.version === 20;
    const kept = this.#asksKeepAlive ? ConnectionOption.keepAlive : ConnectionOption.none;
    this.#writeHead(head, isLast ? ConnectionOption.close : kept, false);
    if (this.#bodyMode === BodyMode.encode) {
      const chunk = this.#transport.reserve(0);
      chunk.length = addChunkedField(chunk.bytes, chunk.length);
    }
    return this.#bodyMode === BodyMode.wire;
  }

  #writeHead(head: MessageHead, connection: ConnectionOption, isUpgrade: boolean): void {
    const { shared, via } = this.#context;
    const chunk = this.#transport.reserve(responseHeadRoom(head));
    const options = shared.responseOptions;
    options.connection = connection;
    options.dropTransferEncoding = this.endsByClose;
    options.upgrade = isUpgrade;
    options.via = via;
    chunk.length = writeResponseHead(head, chunk.bytes, chunk.length, options);
  }

  body(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    const transport = this.#transport;
    if (this.#bodyMode !== BodyMode.encode) {
      transport.write(buffer, start, end, lease);
      return;
    }
    // A chunk of nothing would be the last one.
    if (start === end) return;
    this.chunkSize(end - start);
    transport.write(buffer, start, end, lease);
    const chunk = transport.reserve(CHUNK_SIZE_ROOM);
    chunk.length = writeChunkEnd(chunk.bytes, chunk.length);
  }

  chunkSize(size: number): void {
    const chunk = this.#transport.reserve(CHUNK_SIZE_ROOM);
    chunk.length = writeChunkSize(chunk.bytes, chunk.length, size);
  }

  end(trailers: Trailers | null): void {
    if (this.#bodyMode !== BodyMode.raw) {
      const chunk = this.#transport.reserve(lastChunkRoom(trailers));
      chunk.length = writeLastChunk(chunk.bytes, chunk.length, trailers);
    }
    this.#transport.flush();
  }

  /** A whole answer of Weft's own. */
  error(errorId: number, detail: string, isLast: boolean): void {
    const row = errorRow(errorId);
    this.hasBegun = true;
    this.#bodyMode = BodyMode.raw;
    const chunk = this.#transport.reserve(ERROR_RESPONSE_ROOM);
    chunk.length = writeErrorResponse(chunk.bytes, chunk.length, {
      status: row.status,
      code: mayHearReason(errorId, this.#transport.peer) ? errorCode(errorId) : "",
      detail: detail === "" ? row.cause : `${row.cause} (${detail})`,
      close: isLast,
      isHead: this.#isHeadRequest,
      now: new Date().toUTCString(),
    });
    this.#transport.flush();
  }
}
