// The contract between any downstream and any upstream codec (ADR 0001). Types only.
//
// An exchange is one request and its response on their way through Weft. Each side is a codec (HTTP/1 today,
// HTTP/2 next); neither knows what the other is. All calls are synchronous and re-entrancy is forbidden: a side
// that is called may write, but calls back only from its own socket's events.

import type { Buffer } from "node:buffer";
import type { Framing, MessageHead } from "./head.ts";

/**
 * Memory that a body chunk lives in. `null` in its place means: borrowed, valid only during the call, copy what you
 * keep. With a lease the receiver may hand the bytes to the kernel and `retain`s until the kernel is done with them.
 */
export interface Lease {
  retain(): void;
  release(): void;
}

/** Trailer fields, serialised as `Name: value CRLF` lines without the final empty line; validated, never framing fields. */
export interface Trailers {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

/** Why a side ended early. The other side maps it to its own protocol (RST, RST_STREAM code, close). */
export const ResetReason = {
  /** The client went away. */
  downstreamClosed: 1,
  /** The upstream connection broke or closed in the middle. */
  upstreamClosed: 2,
  /** The upstream sent what HTTP does not allow. */
  upstreamProtocol: 3,
  /** The client's body is malformed (bad chunk). */
  downstreamProtocol: 4,
  /** A deadline passed (slow reader, slow body, idle). */
  deadline: 5,
  /** The drain's grace period is over. */
  drained: 6,
  /** A bug of ours: guarded, counted, that connection only. */
  internal: 7,
  /** The upstream has surely not processed the request (REFUSED_STREAM, GOAWAY): it may be sent elsewhere, whatever its method. */
  refused: 8,
  /** The upstream ended this one exchange (RST_STREAM), not the connection. */
  upstreamReset: 9,
} as const;
export type ResetReason = (typeof ResetReason)[keyof typeof ResetReason];

/**
 * Receives one message's body. `wire` chunks are chunked coding as read from an HTTP/1 peer (size lines and CRLFs
 * included, without the last chunk); they are delivered only by a source whose head says `isChunked`, and only to a side that
 * took the offer when it got the head. Every other body is payload, whatever its framing.
 */
export interface BodySink {
  /** Takes bytes [start, end) of `buffer`. They are accepted always; `isCongested` says whether to send more. */
  sendBody(buffer: Buffer, start: number, end: number, lease: Lease | null): void;
  /** Wire form only: the size line of the chunk whose data follows has to be written anew. */
  sendChunkSize(size: number): void;
  /** The message is complete. */
  sendEnd(trailers: Trailers | null): void;
  /** Writes out what this turn gathered. A source calls it once at the end of each of its read events. */
  flush(): void;
  /** True while the side wants no more bytes; it calls its peer's `resume...` when that changes. */
  readonly isCongested: boolean;
}

/** What a request gets on its way to an endpoint, beyond what its codec does by itself. */
export interface RequestEdits {
  /** Host for a request that has none (HTTP/1.0). */
  readonly hostFallback: Buffer;
  /** Added to X-Forwarded-For, null: leave it alone. */
  readonly forwardedFor: Buffer | null;
  /** Added to Via, null: leave it alone. */
  readonly via: Buffer | null;
  /** Who the client is, proven by mesh TLS: `l5d-client-id`. Null: nobody, and the field is never there. What a client says itself is dropped. */
  readonly clientId: Buffer | null;
}

/** The side that talks to the client: gets the response. */
export interface DownstreamStream extends BodySink {
  /** A 1xx other than 101, forwarded as it came. Ignored by a side whose client cannot read it (HTTP/1.0). */
  sendInformational(head: MessageHead): void;
  /** The final response's head. Returns true when the side takes the body in wire form (it was offered: `head.isChunked`). */
  sendResponseHead(head: MessageHead, framing: Framing): boolean;
  /** 101 was sent: bytes both ways from here on, through `sendBody`, until `sendEnd`. */
  becomeTunnel(): void;
  /** Both directions of the tunnel have ended. */
  endTunnel(): void;
  /** An answer of Weft's own; only while nothing of a final response was sent. */
  sendError(code: number, detail: string): void;
  /** The response cannot be completed: the client must be able to see that. */
  resetDownstream(reason: ResetReason): void;
  pauseRequestBody(): void;
  resumeRequestBody(): void;
}

/** The side that talks to the service: gets the request. */
export interface UpstreamStream extends BodySink {
  /** The request's head. Returns true when the side takes the body in wire form (it was offered: `head.isChunked`). */
  sendRequestHead(head: MessageHead, edits: RequestEdits): boolean;
  /** Both directions of the tunnel have ended. */
  endTunnel(): void;
  /** The exchange is over for this side before its end: cancel, never pool. */
  resetUpstream(reason: ResetReason): void;
  pauseResponseBody(): void;
  resumeResponseBody(): void;
  /**
   * The other end may have been leaving before the request came: the connection had carried an exchange before, or was reset without an answer.
   * Decides whether a failure may be tried again.
   */
  readonly mayBeStale: boolean;
}

/** The exchange as its downstream codec sees it: the request goes in here. */
export interface ExchangeRequestSide {
  requestBody(buffer: Buffer, start: number, end: number, lease: Lease | null): void;
  requestChunkSize(size: number): void;
  requestEnd(trailers: Trailers | null): void;
  /** Once at the end of each of the client's read events. */
  flushRequest(): void;
  /** The client is gone, its body is malformed, or too slow: cancel the upstream side. */
  onDownstreamReset(reason: ResetReason): void;
  /** The client took bytes: the response may go on. */
  onDownstreamWritable(): void;
  /** The request's body can be taken now; before an upstream is there it cannot. */
  readonly canTakeBody: boolean;
  /** The upstream side takes chunked bodies in wire form. Valid once `canTakeBody`. */
  readonly takesWireBody: boolean;
}

/** The exchange as its upstream codec sees it: the response goes in here. */
export interface ExchangeResponseSide {
  /** An interim response other than 101. */
  onInformational(head: MessageHead): void;
  /** 101: from here on bytes are a tunnel's. False: nobody asked for it. */
  onSwitchingProtocols(head: MessageHead): boolean;
  /** Final head. Returns true when the client's side takes chunked bodies in wire form. */
  onResponseHead(head: MessageHead, framing: Framing): boolean;
  responseBody(buffer: Buffer, start: number, end: number, lease: Lease | null): void;
  responseChunkSize(size: number): void;
  responseEnd(trailers: Trailers | null): void;
  /** Once at the end of each of the upstream's read events. */
  flushResponse(): void;
  /**
   * The upstream side ended before its response did. `errorId` is a row of core/errors; `receivedBytes` says whether anything
   * of a response had arrived, which rules a second try out.
   */
  onUpstreamReset(reason: ResetReason, errorId: number, receivedBytes: boolean): void;
  /** The upstream took bytes: the request may go on. */
  onUpstreamWritable(): void;
}
