// An opaque connection through another proxy of the mesh: one stream of a shared HTTP/2 connection (RFC 9113 section 8.5, ADR 0008).
//
//   waiting (for a connection) --> asking (CONNECT was sent) --(200)--> open --(both ends, or a reset)--> closed
//                                     +--(any other answer, a reset, connectTimeoutMs twice)--> refused, told once
//
// END_STREAM is FIN in either direction, RST_STREAM is RST. The stream's windows slow down whoever sends too fast.

import { Buffer } from "node:buffer";
import { ERRORS, errorRow } from "../core/errors/error-codes.ts";
import { RequestHeadParser } from "../core/h1/head-parser.ts";
import { type Lease, ResetReason, type UpstreamStream } from "../core/http/exchange.ts";
import { MessageHead } from "../core/http/head.ts";
import type { Endpoint } from "./endpoint.ts";
import { errnoOf, UV_ECONNREFUSED, UV_ECONNRESET, UV_ETIMEDOUT } from "./errno.ts";
import { peerReason } from "./mesh-peer-error.ts";
import { ReadMode } from "./read-buffer.ts";
import type { RelayEnd, TunnelRefusal } from "./relay-end.ts";
import type { TransportOwner } from "./transport.ts";
import type { Waiter } from "./waiter-queue.ts";
import type { Sweepable } from "./worker-loop.ts";

/** The other proxy has connectTimeoutMs for the application; so many times that is waited for its answer. */
const ANSWER_FACTOR = 2;

/** Connections to this one endpoint that may refuse the stream unprocessed (GOAWAY), because the other proxy ends. */
const REFUSALS_MAX = 3;

/** Bytes of the CONNECT of one endpoint. */
const HEAD_LIMITS = { headerBytesMax: 1024, headerCountMax: 8 };

/** The head that asks for a tunnel to what the other proxy has behind `authority`. */
export function tunnelHead(authority: string): MessageHead {
  const bytes = Buffer.from(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`, "latin1");
  const head = new MessageHead();
  new RequestHeadParser(HEAD_LIMITS).parse(bytes, 0, bytes.length, head);
  return head;
}

export class MeshTunnel implements RelayEnd, Waiter, Sweepable {
  owner: TransportOwner;
  /** Frames come as the connection reads them. */
  readMode: ReadMode = ReadMode.adaptive;
  /** Of the answer. The relay's own deadlines are those of its client. */
  deadlineAt = 0;
  refusal: TunnelRefusal | null = null;
  isClosed = false;

  // Waiter.
  isWaiting = false;
  waitTicket = 0;
  needsFresh = false;
  readonly wantsHttp2 = true;
  readonly wantsRaw = false;
  readonly takesHttp1 = false;
  waitDeadline = 0;

  readonly #endpoint: Endpoint;
  readonly #onConnected: (status: number) => void;
  #upstream: UpstreamStream | null = null;
  #attempts = 1;
  #isOpen = false;
  #isShut = false;
  #hasEnded = false;

  /** Asks for a stream; `onConnected(status)` is called later, 0 or a negative errno, unless it is closed before. */
  constructor(endpoint: Endpoint, owner: TransportOwner, onConnected: (status: number) => void) {
    this.#endpoint = endpoint;
    this.owner = owner;
    this.#onConnected = onConnected;
    endpoint.acquireTunnel(this);
  }

  // --- Waiter -------------------------------------------------------------------------------------------------------

  onEndpoint(): void {
    throw new Error("a tunnel has its endpoint");
  }

  onUpstream(upstream: UpstreamStream): void {
    const { context, hostFallback, tunnelHead: head } = this.#endpoint;
    const { edits, loop, shared } = context;
    this.#upstream = upstream;
    this.deadlineAt = loop.now + ANSWER_FACTOR * shared.limits.connectTimeoutMs;
    loop.sweepables.add(this);
    edits.hostFallback = hostFallback;
    edits.forwardedFor = null;
    edits.via = null;
    upstream.sendRequestHead(head, edits);
    upstream.flush();
  }

  onUnavailable(errorId: number, detail: string): void {
    this.#refuse(errnoOf(errorId), { reason: detail, isFinal: false, isAnswer: false });
  }

  sweep(now: number): void {
    if (this.deadlineAt === 0 || now < this.deadlineAt) return;
    this.#upstream?.resetUpstream(ResetReason.deadline);
    this.#upstream = null;
    this.#refuse(UV_ETIMEDOUT, { reason: "no answer to CONNECT", isFinal: false, isAnswer: false });
  }

  /** Told later: this may be inside of a call of the owner's. */
  #refuse(errno: number, refusal: TunnelRefusal): void {
    this.#isAnswered();
    this.refusal = refusal;
    this.#endpoint.context.loop.defer(() => {
      if (!this.isClosed) this.#onConnected(errno);
    });
  }

  #isAnswered(): void {
    this.deadlineAt = 0;
    this.#endpoint.context.loop.sweepables.delete(this);
  }

  // --- what the other proxy says (ExchangeResponseSide) ---------------------------------------------------------------

  onInformational(): void {}

  onSwitchingProtocols(): boolean {
    this.#isOpen = true;
    this.#isAnswered();
    this.#onConnected(0);
    return true;
  }

  /** No tunnel. What the other proxy does not take, it will not take from elsewhere; an application that is not there may come back. */
  onResponseHead(head: MessageHead): boolean {
    const { status } = head;
    const reason = `${status} ${peerReason(head) ?? "without a reason"}`;
    this.#refuse(status === 504 ? UV_ETIMEDOUT : UV_ECONNREFUSED, { reason, isFinal: status < 500, isAnswer: true });
    return false;
  }

  responseBody(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    if (this.#isOpen) this.owner.onBytes(buffer, start, end, lease);
  }

  responseChunkSize(): void {}

  responseEnd(): void {
    this.#hasEnded = true;
    if (this.#isOpen) this.owner.onEnd();
    else this.#upstream = null;
  }

  flushResponse(): void {}

  onUpstreamReset(reason: ResetReason): void {
    this.#upstream = null;
    if (this.#isOpen) {
      this.isClosed = true;
      this.owner.onClosed(UV_ECONNRESET);
    } else if (reason === ResetReason.refused && this.#attempts < REFUSALS_MAX) {
      this.#attempts++;
      this.#isAnswered();
      this.#endpoint.acquireTunnel(this);
    } else if (this.refusal === null) {
      this.#refuse(UV_ECONNRESET, { reason: errorRow(ERRORS.WEFT_UPSTREAM_RESET.id).cause, isFinal: false, isAnswer: false });
    }
  }

  onUpstreamWritable(): void {
    this.owner.onWritable();
  }

  // --- RelayEnd -----------------------------------------------------------------------------------------------------

  get isCongested(): boolean {
    return this.#upstream?.isCongested ?? false;
  }

  /** What an end stands behind leaves by itself. */
  get unsentBytes(): number {
    return 0;
  }

  write(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    this.#upstream?.sendBody(buffer, start, end, lease);
  }

  flush(): void {
    this.#upstream?.flush();
  }

  pause(): void {
    this.#upstream?.pauseResponseBody();
  }

  resume(): void {
    this.#upstream?.resumeResponseBody();
  }

  shutdown(): void {
    if (this.#isShut) return;
    this.#isShut = true;
    this.#upstream?.sendEnd(null);
  }

  finishConnect(): void {}

  close(isAbort: boolean): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.isWaiting = false;
    this.#isAnswered();
    const upstream = this.#upstream;
    this.#upstream = null;
    if (!isAbort && this.#isShut && this.#hasEnded) upstream?.endTunnel();
    else upstream?.resetUpstream(ResetReason.downstreamClosed);
  }
}
