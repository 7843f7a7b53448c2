// What stands around an HTTP/2 connection: the output it writes to and the owners it calls. Types only.
//
// The engine does no I/O and reads no clock. All calls are synchronous. Owners are called only from inside `receive`,
// `setOutputCongested(false)`, `close` and `transportClosed` (and `onStreamClosed` also from whatever closes a released stream): a call that sends never calls back. From
// inside a callback every method of a stream or connection may be called, except `receive`.

import type { Buffer } from "node:buffer";
import type { Lease, RequestEdits, Trailers } from "../http/exchange.ts";
import type { MessageHead } from "../http/head.ts";
import type { H2Limits } from "./limits.ts";
import type { H2Scratch } from "./scratch.ts";

/** Memory in which the small writes of one turn gather. */
export interface H2Chunk {
  readonly bytes: Buffer;
  /** Bytes written so far; whoever writes advances it. */
  length: number;
}

/** Where a connection's bytes go. The owner flushes, once per turn. */
export interface H2Output {
  /** A chunk with room for `size` bytes behind its `length`. A fuller one before it is flushed. */
  reserve(size: number): H2Chunk;
  /** Takes payload behind what was written so far: with a lease it may be kept (retained) until the kernel took it, without it is copied. */
  write(buffer: Buffer, start: number, end: number, lease: Lease | null): void;
  /** Grows whenever a chunk leaves: what was written before it can no longer be changed in place. */
  readonly flushCount: number;
}

/** Who owns one stream: one side of an exchange. */
export interface H2StreamOwner {
  /**
   * Server: the request's head. Client: heads of 1xx (`isEnd` false), then the final one. The head and its bytes are valid during the
   * call. `isEnd`: nothing follows, and `onEnd` is not called.
   */
  onHead(head: MessageHead, isEnd: boolean): void;
  /**
   * The head came whole but is over a limit or asks for what Weft does not do: `errorId` is a row of core/errors (431, 400). The
   * server's owner answers or resets, a client's resets. Whatever follows on the stream is dropped by the engine; `onReset` may follow.
   */
  onHeadRefused(errorId: number, isEnd: boolean): void;
  /** A piece of body. `lease` null: valid during the call. Tell `stream.drained` when the bytes have left, or the window stays shut. */
  onData(buffer: Buffer, start: number, end: number, lease: Lease | null): void;
  /** The peer's side is complete: all of Content-Length came. Trailers are valid during the call. */
  onEnd(trailers: Trailers | null): void;
  /**
   * The stream is over, before its end. `isRemote`: the peer reset it (or its connection ended); otherwise the engine did, because of
   * what the peer sent. `wasProcessed` false: the peer has surely not looked at the request (REFUSED_STREAM, GOAWAY).
   */
  onReset(h2code: number, isRemote: boolean, wasProcessed: boolean): void;
  /** `isCongested` was found true, and no longer is. */
  onWritable(): void;
}

/** Who owns a connection: the socket's side in the worker. */
export interface H2ConnectionOwner {
  /** Server: a new request; its `onHead` or `onHeadRefused` follows at once. Never called by a client. */
  acceptStream(stream: H2Stream): H2StreamOwner;
  /** The peer's SETTINGS were applied: `peerStreamsMax` and the like may have changed. */
  onPeerSettings(): void;
  /** Client: no more streams. Those above `lastStreamId` were reset with `wasProcessed` false before this call. */
  onGoaway(lastStreamId: number, h2code: number): void;
  /** GOAWAY is written and every stream was reset: flush and close. `why` is constant text for logs. */
  onConnectionError(h2code: number, why: string): void;
  /** The stream's slot is free: it is closed and released. The object will be used again: forget it. */
  onStreamClosed(stream: H2Stream): void;
  /** The answer to the last `ping`. */
  onPong(): void;
}

/** A stream as its owner sees it. Sends are ignored once the stream is over (reset by either side, or the connection failed). */
export interface H2Stream {
  /** 1 to 2^31 - 1; 0 before a client's request is sent (numbers go out in order), and once the object is free again. */
  readonly id: number;
  /**
   * Client: the request. Hop-by-hop and l5d fields go, names become lower case, Host becomes :authority, edits are applied. `isUpgrade`:
   * an Upgrade becomes an extended CONNECT (RFC 8441); ask `peerTakesExtendedConnect` before. From a proxy of the mesh its answer may be a 101.
   */
  sendRequestHead(head: MessageHead, edits: RequestEdits, isEnd: boolean, isUpgrade: boolean): void;
  /** Server: a 1xx other than 101. */
  sendInformational(head: MessageHead): void;
  /** Server: the final head. `isUpgrade`: it answers an extended CONNECT, so 101 becomes 200. `via`: added to Via, null: nothing. */
  sendResponseHead(head: MessageHead, via: Buffer | null, isEnd: boolean, isUpgrade: boolean): void;
  /** Server: a final head of Weft's own: the status and `name: value CRLF` lines (lower-case names). */
  sendOwnHead(status: number, fields: Trailers | null, isEnd: boolean): void;
  /** Takes bytes always. What the windows do not allow waits, copied. See `isCongested`. */
  sendData(buffer: Buffer, start: number, end: number, lease: Lease | null): void;
  /** Our side is complete once what waits has gone. */
  sendEnd(trailers: Trailers | null): void;
  /**
   * RST_STREAM: what waits is dropped, no callback follows but `onStreamClosed` (after `release`). NO_ERROR behind an end of ours says "send no
   * more" (RFC 9113 section 8.1): it goes out when what waits has gone.
   */
  reset(h2code: number): void;
  /** So many bytes that `onData` delivered have left: the window may open. */
  drained(bytes: number): void;
  /**
   * The owner is done with the stream: it gets no more calls. The slot is free once the stream is closed, too. What waits before an end still
   * goes; a stream that is not over is then reset: NO_ERROR by a server that has answered, otherwise CANCEL.
   */
  release(): void;
  /** Something waits, a window is shut, or the output is congested. After an answer of true `onWritable` (or `onReset`) follows. */
  readonly isCongested: boolean;
  /** Bytes that wait for a window. */
  readonly queuedBytes: number;
  /** Both directions are over, or it was reset. */
  readonly isClosed: boolean;
}

/** A connection as its owner sees it; `H2Connection` (connection.ts) is it. */
export interface H2Session {
  /** Writes the client's preface (client), SETTINGS and the connection's first credit. Call it once, before `receive`. */
  begin(): void;
  /** Bytes of the peer, any split. `lease` as in `onData`. `nowMs`: a clock that does not go back. Flush afterwards. */
  receive(buffer: Buffer, start: number, end: number, lease: Lease | null, nowMs: number): void;
  /** Client: a stream, or null: the peer's MAX_CONCURRENT_STREAMS are open, or as many as we hold at once (streamsMax), numbers are used up, or the connection is ending. */
  openStream(owner: H2StreamOwner): H2Stream | null;
  /** Client: would `openStream` give one? */
  readonly hasRoom: boolean;
  /** The output holds more than it should (true), or no longer (false): streams' `isCongested` follows, and their `onWritable`. */
  setOutputCongested(isCongested: boolean): void;
  /** PING; `onPong` answers it. One at a time: another before the answer is not sent. */
  ping(): void;
  /**
   * Graceful end. Server: GOAWAY(2^31 - 1) and PING; once that is answered, GOAWAY with the last number taken, and newer streams are refused.
   * Called again before: the second GOAWAY at once. Client: no more streams, GOAWAY. Close when `openStreams` is 0.
   */
  shutdown(): void;
  /** Ends it now: GOAWAY with this code; every stream's `onReset` is called, then nothing more. Flush and close. */
  close(h2code: number): void;
  /** The transport is gone: every stream's `onReset` (isRemote, CANCEL) is called, then nothing more. */
  transportClosed(): void;
  /** Streams that are not closed, or not released. */
  readonly openStreams: number;
  /** GOAWAY was sent or received. */
  readonly isGoingAway: boolean;
  /** It failed or was closed: nothing is read or written any more. */
  readonly isDead: boolean;
  /** SETTINGS_ENABLE_CONNECT_PROTOCOL of the peer (RFC 8441). */
  readonly peerTakesExtendedConnect: boolean;
  /** SETTINGS_MAX_CONCURRENT_STREAMS of the peer; 2^31 - 1 when it said none. 100 is assumed until its SETTINGS came. */
  readonly peerStreamsMax: number;
  /** The peer's first SETTINGS have come. */
  readonly hasPeerSettings: boolean;
  /** A header block has begun and is not complete: for the deadline of heads. */
  readonly isInHeaderBlock: boolean;
}

export interface H2ConnectionOptions {
  readonly isServer: boolean;
  readonly owner: H2ConnectionOwner;
  readonly output: H2Output;
  readonly limits: H2Limits;
  /** Memory that all connections of a worker share. */
  readonly scratch: H2Scratch;
  /** Client: `:scheme` of its requests is https. Server: unused, the peer says. */
  readonly isHttps: boolean;
  /** The peer is another proxy of the mesh: HTTP/1 crosses the connection as it was (orig-proto.ts). */
  readonly isMesh: boolean;
  /** Server: announce and take extended CONNECT (RFC 8441). */
  readonly takesExtendedConnect: boolean;
}
