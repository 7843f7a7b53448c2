// One stream: what its owner sends becomes frames here; what comes for it is dealt out by the receiver.
//
// Bytes that the windows allow are framed at once, straight into the chunk that leaves. The rest waits in the stream's queue. An end that
// follows a frame which is still in the chunk becomes a flag of that frame; otherwise it is an empty DATA frame. Objects are used again
// once they are closed and released.

import { Buffer } from "node:buffer";
import type { Lease, RequestEdits, Trailers } from "../http/exchange.ts";
import { type MessageHead, Method } from "../http/head.ts";
import { BLOCK_ROOM, FIELD_ROOM } from "../hpack/encoder.ts";
import type { ConnectionCore } from "./connection-core.ts";
import type { H2Chunk, H2Stream, H2StreamOwner } from "./contract.ts";
import { ReceiveWindow, SendWindow } from "./flow-window.ts";
import { FRAME_HEADER_BYTES, FrameType, Flag, H2Error } from "./frame-types.ts";
import { writeFrameHeader } from "./frame-writer.ts";
import { encodeRequestHead, encodeResponseHead, requestBlockRoom, responseBlockRoom } from "./head-encoder.ts";
import { frameBlock, framesRoom } from "./head-frames.ts";
import { SendQueue } from "./send-queue.ts";
import { isSending, nextState, StreamEvent, StreamState } from "./stream-state.ts";
import { linesRoom, writeLines } from "./trailers.ts";

/** A DATA frame that a window cut to less is no work. */
const DRIBBLE_BYTES = 256;

/** Owner of a stream whose end is nobody's business any more. */
export const NOBODY: H2StreamOwner = { onHead() {}, onHeadRefused() {}, onData() {}, onEnd() {}, onReset() {}, onWritable() {} };

export class Stream implements H2Stream {
  id = 0;
  core: ConnectionCore;
  owner: H2StreamOwner = NOBODY;
  state: StreamState = StreamState.idle;
  isReleased = false;

  /** Receiving: the final head came; Content-Length that is still to come, -1 unknown. */
  hasHead = false;
  remaining = -1;
  /** Heads of 1xx so far. */
  interims = 0;
  /** What comes is dropped: its head was refused. */
  isDiscarding = false;
  /** The request was HEAD, or CONNECT: what its response may have. */
  isHead = false;
  isTunnel = false;
  /** Client: the request was an Upgrade. Server: another proxy got the request in HTTP/1. */
  isUpgrade = false;
  isOriginal = false;
  readonly receiveWindow = new ReceiveWindow(0);
  /** Size of that window before it grew. */
  windowAtBegin = 0;

  readonly sendWindow = new SendWindow(0);
  readonly #queue = new SendQueue();
  /** An end was asked for while bytes waited, with copies of its trailers. */
  #isEndQueued = false;
  #queuedTrailers: Trailers | null = null;
  /** Once that end has gone, the peer is told to send no more. */
  #stopsBehindEnd = false;
  /** Where the header of the last HEADERS or DATA frame is, while it is in the chunk that has not left. */
  #lastChunk: H2Chunk | null = null;
  #lastAt = 0;
  #lastFlush = -1;
  /** `isCongested` was found true. */
  isWaiting = false;

  /** Links of the list of those who wait. */
  previous: Stream | null = null;
  next: Stream | null = null;
  isListed = false;

  /** RFC 9218: 0 (most urgent) to 7, and whether parts of it are of use. Kept, not acted on. */
  urgency = 3;
  isIncremental = false;

  constructor(core: ConnectionCore) {
    this.core = core;
  }

  /** Begins anew on a connection. */
  begin(core: ConnectionCore, owner: H2StreamOwner): void {
    this.core = core;
    this.owner = owner;
    this.id = 0;
    this.state = StreamState.idle;
    this.isReleased = false;
    this.hasHead = false;
    this.remaining = -1;
    this.interims = 0;
    this.isDiscarding = false;
    this.isHead = false;
    this.isTunnel = false;
    this.isUpgrade = false;
    this.isOriginal = false;
    this.#isEndQueued = false;
    this.#queuedTrailers = null;
    this.#stopsBehindEnd = false;
    this.#lastChunk = null;
    this.#lastFlush = -1;
    this.isWaiting = false;
    this.urgency = 3;
    this.isIncremental = false;
    this.sendWindow.available = core.peer.initialWindowSize;
    this.windowAtBegin = core.local.initialWindow;
    this.receiveWindow.reset(this.windowAtBegin);
  }

  get isClosed(): boolean {
    return this.state === StreamState.closed;
  }

  get queuedBytes(): number {
    return this.#queue.size;
  }

  get isCongested(): boolean {
    const isCongested = this.isBlocked;
    if (isCongested) {
      this.isWaiting = true;
      this.core.waiting.push(this);
    }
    return isCongested;
  }

  /** The same, without a promise. */
  get isBlocked(): boolean {
    if (!isSending(this.state)) return false;
    if (this.#queue.size > 0) return true;
    const { core } = this;
    return core.isOutputCongested || this.sendWindow.available <= 0 || core.sendWindow.available <= 0;
  }

  // Heads

  sendRequestHead(head: MessageHead, edits: RequestEdits, isEnd: boolean, isUpgrade: boolean): void {
    const { core } = this;
    if (this.state !== StreamState.idle || this.id !== 0) return;
    core.assignId(this);
    this.isHead = head.method === Method.head;
    this.isUpgrade = isUpgrade;
    // Between two proxies an answer of 2xx to an Upgrade may be an ordinary one; a switch is told apart from it (orig-proto.ts).
    this.isTunnel = isUpgrade ? !core.isMesh : head.method === Method.connect;
    const chunk = core.output.reserve(framesRoom(requestBlockRoom(head), core.frameSizeMax));
    const at = chunk.length;
    const end = encodeRequestHead(core.encoder, head, edits, core.isHttps, isUpgrade, core.isMesh, chunk.bytes, at + FRAME_HEADER_BYTES);
    this.#sendBlock(chunk, at, end, isEnd);
  }

  sendInformational(head: MessageHead): void {
    this.#sendResponse(head, null, false, false);
  }

  sendResponseHead(head: MessageHead, via: Buffer | null, isEnd: boolean, isUpgrade: boolean): void {
    this.#sendResponse(head, via, isEnd, isUpgrade);
  }

  #sendResponse(head: MessageHead, via: Buffer | null, isEnd: boolean, isUpgrade: boolean): void {
    if (!isSending(this.state) || this.#isEndQueued) return;
    const { core } = this;
    const chunk = core.output.reserve(framesRoom(responseBlockRoom(head), core.frameSizeMax));
    const at = chunk.length;
    const end = encodeResponseHead(core.encoder, head, via, isUpgrade, this.isOriginal, chunk.bytes, at + FRAME_HEADER_BYTES);
    this.#sendBlock(chunk, at, end, isEnd);
  }

  sendOwnHead(status: number, fields: Trailers | null, isEnd: boolean): void {
    if (!isSending(this.state) || this.#isEndQueued) return;
    const { core } = this;
    const room = BLOCK_ROOM + 2 * FIELD_ROOM + (fields === null ? 0 : linesRoom(fields));
    const chunk = core.output.reserve(framesRoom(room, core.frameSizeMax));
    const at = chunk.length;
    let p = core.encoder.begin(chunk.bytes, at + FRAME_HEADER_BYTES);
    p = core.encoder.status(chunk.bytes, p, status);
    if (fields !== null) p = writeLines(core.encoder, fields, chunk.bytes, p);
    this.#sendBlock(chunk, at, p, isEnd);
  }

  /** The block is written behind room for its frame's header. */
  #sendBlock(chunk: H2Chunk, at: number, end: number, isEnd: boolean): void {
    const { core } = this;
    chunk.length = frameBlock(chunk.bytes, at, end, this.id, isEnd ? Flag.endStream : 0, core.frameSizeMax);
    this.#remember(chunk, at);
    this.state = nextState(this.state, StreamEvent.sendHead) as StreamState;
    if (isEnd) this.#ended();
  }

  // Bodies

  sendData(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    if (!isSending(this.state) || this.#isEndQueued || start === end) return;
    const from = this.#queue.size > 0 ? start : this.#frameData(buffer, start, end, lease);
    if (from === end) return;
    this.#queue.push(buffer, from, end);
    this.core.waiting.push(this);
  }

  /** Frames what the windows allow of [start, end). Returns where it stopped. */
  #frameData(buffer: Buffer, start: number, end: number, lease: Lease | null): number {
    const { core, sendWindow } = this;
    const { output, frameSizeMax } = core;
    let p = start;
    while (p < end) {
      const size = Math.min(end - p, frameSizeMax, sendWindow.available, core.sendWindow.available);
      if (size <= 0) break;
      const chunk = output.reserve(FRAME_HEADER_BYTES);
      this.#remember(chunk, chunk.length);
      chunk.length = writeFrameHeader(chunk.bytes, chunk.length, size, FrameType.data, 0, this.id);
      output.write(buffer, p, p + size, lease);
      sendWindow.available -= size;
      core.sendWindow.available -= size;
      // A peer that opens its window byte by byte (CVE-2019-9511) shall not be paid for it with room for more updates.
      if (size === end - p || size >= DRIBBLE_BYTES) core.guard.sent++;
      p += size;
    }
    return p;
  }

  /** A window opened: sends what waits, up to `bytes`, and the end behind it. True: something was sent. */
  pump(bytes: number): boolean {
    const queue = this.#queue;
    let left = bytes;
    while (left > 0) {
      const { first } = queue;
      if (first === null) break;
      const { start } = first;
      const next = this.#frameData(first.buffer, start, Math.min(first.end, start + left), first.lease);
      if (next === start) break;
      left -= next - start;
      queue.advance(next - start);
    }
    if (this.#isEndQueued && queue.size === 0) {
      const trailers = this.#queuedTrailers;
      this.#isEndQueued = false;
      this.#queuedTrailers = null;
      this.#frameEnd(trailers);
    }
    return left < bytes;
  }

  sendEnd(trailers: Trailers | null): void {
    if (!isSending(this.state) || this.#isEndQueued) return;
    if (this.#queue.size === 0) {
      this.#frameEnd(trailers);
      return;
    }
    this.#isEndQueued = true;
    if (trailers === null || trailers.start === trailers.end) return;
    const copy = Buffer.allocUnsafeSlow(trailers.end - trailers.start);
    trailers.buffer.copy(copy, 0, trailers.start, trailers.end);
    this.#queuedTrailers = { buffer: copy, start: 0, end: copy.length };
  }

  #frameEnd(trailers: Trailers | null): void {
    const { core } = this;
    const { output } = core;
    if (trailers !== null && trailers.start < trailers.end) {
      const chunk = output.reserve(framesRoom(BLOCK_ROOM + linesRoom(trailers), core.frameSizeMax));
      const at = chunk.length;
      const p = core.encoder.begin(chunk.bytes, at + FRAME_HEADER_BYTES);
      const end = writeLines(core.encoder, trailers, chunk.bytes, p);
      chunk.length = frameBlock(chunk.bytes, at, end, this.id, Flag.endStream, core.frameSizeMax);
    } else if (this.#lastFlush === output.flushCount && this.#lastChunk !== null) {
      const flags = this.#lastAt + 4;
      this.#lastChunk.bytes[flags] = this.#lastChunk.bytes[flags]! | Flag.endStream;
    } else {
      const chunk = output.reserve(FRAME_HEADER_BYTES);
      chunk.length = writeFrameHeader(chunk.bytes, chunk.length, 0, FrameType.data, Flag.endStream, this.id);
    }
    this.#ended();
  }

  #ended(): void {
    this.#lastChunk = null;
    this.#lastFlush = -1;
    this.state = nextState(this.state, StreamEvent.sendEnd) as StreamState;
    if (this.state === StreamState.closed) this.core.streamClosed(this);
    else if (this.#stopsBehindEnd) this.core.resetStream(this, H2Error.noError);
  }

  #remember(chunk: H2Chunk, at: number): void {
    this.#lastChunk = chunk;
    this.#lastAt = at;
    this.#lastFlush = this.core.output.flushCount;
  }

  // The end

  reset(h2code: number): void {
    if (this.state === StreamState.closed) return;
    // "Send no more" (RFC 9113 section 8.1) is no reason to cut off what was answered.
    if (h2code === H2Error.noError && this.#isEndQueued) this.#stopsBehindEnd = true;
    else this.core.resetStream(this, h2code);
  }

  drained(bytes: number): void {
    this.core.drained(this, bytes);
  }

  release(): void {
    if (this.isReleased) return;
    const { core } = this;
    this.isReleased = true;
    this.owner = NOBODY;
    this.isWaiting = false;
    if (this.state === StreamState.closed) {
      core.free(this);
      return;
    }
    if (this.receiveWindow.undrained > 0) core.drained(this, this.receiveWindow.undrained);
    if (this.#isEndQueued) this.#stopsBehindEnd = true;
    else if (this.state === StreamState.halfClosedLocal && core.isServer) core.resetStream(this, H2Error.noError);
    else core.resetStream(this, H2Error.cancel);
  }

  /** Closed: whatever waits will not be sent. */
  dropQueue(): void {
    this.#queue.clear();
    this.#isEndQueued = false;
    this.#queuedTrailers = null;
    this.#lastChunk = null;
    this.#lastFlush = -1;
  }
}
