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
} as const;
export type ResetReason = (typeof ResetReason)[keyof typeof ResetReason];

/**
 * Receives one message's body. `wire` chunks are chunked coding as read from an HTTP/1 peer (size lines and CRLFs
 * included, without the last chunk); they are delivered only to a side that said so when it got the head.
 */
export interface BodySink {
  /** Takes bytes [start, end) of `buffer`. They are accepted always; `isCongested` says whether to send more. */
  sendBody(buffer: Buffer, start: number, end: number, lease: Lease | null): void;
  /** The message is complete. */
  sendEnd(trailers: Trailers | null): void;
  /** Writes out what this turn gathered. A source calls it once at the end of each of its read events. */
  flush(): void;
  /** True while the side wants no more bytes; it calls its peer's `resume...` when that changes. */
  readonly isCongested: boolean;
}

/** The side that talks to the client: gets the response. */
export interface DownstreamStream extends BodySink {
  /** A 1xx other than 101, forwarded as it came. Ignored by a side whose client cannot read it (HTTP/1.0). */
  sendInformational(head: MessageHead): void;
  /** The final response's head. Returns true when the side takes chunked bodies in wire form. */
  sendResponseHead(head: MessageHead, framing: Framing): boolean;
  /** 101 was sent: bytes both ways from here on, through `sendBody`, until `sendEnd`. */
  becomeTunnel(): void;
  /** An answer of Weft's own; only while nothing of a final response was sent. */
  sendError(code: number, detail: string): void;
  /** The response cannot be completed: the client must be able to see that. */
  resetDownstream(reason: ResetReason): void;
  pauseRequestBody(): void;
  resumeRequestBody(): void;
}

/** The side that talks to the service: gets the request. */
export interface UpstreamStream extends BodySink {
  /** The request's head. Returns true when the side takes chunked bodies in wire form. */
  sendRequestHead(head: MessageHead): boolean;
  /** The exchange is over for this side before its end: cancel, never pool. */
  resetUpstream(reason: ResetReason): void;
  pauseResponseBody(): void;
  resumeResponseBody(): void;
  /** This connection had carried an exchange before: decides whether a failure may be tried again. */
  readonly isReused: boolean;
}
