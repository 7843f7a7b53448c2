// The state of one connection, and what its streams, its receiver and its owner's calls do to it in common.
//
// Invariants: a stream is in the table from the moment that it has a number until it is closed; its slot is taken until it is also released;
// bytes that came are counted as undrained in the connection's window until they are drained or their stream is freed; after the
// connection is dead nothing is written, and nothing but `onStreamClosed` is called.

import { HpackDecoder } from "../hpack/decoder.ts";
import { HpackEncoder } from "../hpack/encoder.ts";
import type { H2ConnectionOptions, H2ConnectionOwner, H2Output, H2StreamOwner } from "./contract.ts";
import { Flood, FloodGuard } from "./flood-guard.ts";
import { ReceiveWindow, SendWindow } from "./flow-window.ts";
import type { FrameReader } from "./frame-reader.ts";
import { FRAME_HEADER_BYTES, FRAME_SIZE_DEFAULT, H2Error, MAX_31_BITS, WINDOW_DEFAULT } from "./frame-types.ts";
import { CONTROL_FRAME_ROOM, writeGoaway, writePing, writeReset, writeWindowUpdate } from "./frame-writer.ts";
import { type H2Limits, undrainedBytesMax } from "./limits.ts";
import { ResetBy, ResetMemory } from "./reset-memory.ts";
import type { H2Scratch } from "./scratch.ts";
import { LocalSettings, PeerSettings } from "./settings.ts";
import { Stream } from "./stream.ts";
import { StreamList } from "./stream-list.ts";
import { StreamState } from "./stream-state.ts";
import { StreamTable } from "./stream-table.ts";

/** Bytes of a frame that we send at most, also where the peer takes more: others on the connection must not wait for long. */
const SEND_FRAME_BYTES_MAX = 64 * 1024;

/** Bytes that a stream sends at a time when many wait for the connection's window. */
const QUANTUM_BYTES = FRAME_SIZE_DEFAULT;

/** A PING of ours says in its first four bytes what it is for. */
export const PingKind = { probe: 0x77656674, shutdown: 0x77656678 } as const;

/** How far a graceful end has come. */
export const Goaway = { none: 0, announced: 1, final: 2 } as const;
export type Goaway = (typeof Goaway)[keyof typeof Goaway];

export class ConnectionCore {
  readonly isServer: boolean;
  readonly isHttps: boolean;
  readonly isMesh: boolean;
  readonly owner: H2ConnectionOwner;
  readonly output: H2Output;
  readonly limits: H2Limits;
  readonly scratch: H2Scratch;
  readonly local: LocalSettings;
  readonly peer: PeerSettings;
  readonly guard: FloodGuard;
  readonly decoder: HpackDecoder;
  readonly encoder: HpackEncoder;
  readonly table = new StreamTable();
  /** Streams with something that waits, or whose owner waits. */
  readonly waiting = new StreamList();
  readonly resets = new ResetMemory();
  readonly sendWindow = new SendWindow(WINDOW_DEFAULT);
  readonly receiveWindow: ReceiveWindow;

  /** Largest payload of a frame that we send. */
  frameSizeMax = FRAME_SIZE_DEFAULT;
  /** Highest number of a stream that the peer opened. */
  lastPeerId = 0;
  /** Number of the next stream that we open. */
  nextId = 1;
  /** Streams that were given to an owner and have no number yet (client). */
  readonly unsent: Stream[] = [];
  /** Streams that are not closed, those without a number included. */
  openCount = 0;
  /** Streams that are not closed, or not released. */
  slotCount = 0;
  /** Whose DATA frame is being read, null: it is dropped. A stream that closes in the middle of one is forgotten: its bytes stay in the window until it is freed. */
  dataStream: Stream | null = null;
  goawaySent: Goaway = Goaway.none;
  /** Last number that the peer takes, from its GOAWAY. */
  goawayReceived = -1;
  isOutputCongested = false;
  isDead = false;
  nowMs = 0;
  /** Number of the PING that `onPong` answers, -1: none is under way. */
  probe = -1;
  /** Set by whoever makes it. */
  reader: FrameReader | null = null;

  /** Inside of calls to owners, streams that became free are not used again yet: who called them may still hold them. */
  #depth = 0;
  readonly #freed: Stream[] = [];
  #pings = 0;
  /** Bytes by which streams' windows may still grow, together. */
  #growthLeft: number;

  constructor(options: H2ConnectionOptions) {
    const { limits, isServer } = options;
    this.isServer = isServer;
    this.isHttps = options.isHttps;
    this.isMesh = options.isMesh;
    this.owner = options.owner;
    this.output = options.output;
    this.limits = limits;
    this.scratch = options.scratch;
    this.local = new LocalSettings(limits, isServer, options.takesExtendedConnect);
    this.peer = new PeerSettings(isServer);
    this.guard = new FloodGuard(limits);
    this.decoder = new HpackDecoder({ listBytesMax: limits.headerBytesMax, fieldsMax: limits.headerCountMax });
    this.encoder = new HpackEncoder({ tableSizeMax: limits.headerTableBytes });
    this.#growthLeft = limits.windowGrowthBytes;
    this.receiveWindow = new ReceiveWindow(Math.max(limits.connectionWindowBytes, WINDOW_DEFAULT));
  }

  // Streams

  /** A stream object, idle, its slot taken. */
  takeStream(owner: H2StreamOwner): Stream {
    const stream = this.scratch.takeStream() ?? new Stream(this);
    stream.begin(this, owner);
    this.openCount++;
    this.slotCount++;
    return stream;
  }

  /** Client: the next number. Numbers are given when heads are sent, so that they go out in order. */
  assignId(stream: Stream): void {
    const { unsent } = this;
    const index = unsent.lastIndexOf(stream);
    if (index === unsent.length - 1) unsent.pop();
    else unsent.splice(index, 1);
    stream.id = this.nextId;
    this.nextId += 2;
    this.guard.opened++;
    this.table.add(stream);
  }

  /** RST_STREAM from us, for reasons of the owner's: no callback. */
  resetStream(stream: Stream, h2code: number): void {
    if (stream.id !== 0) {
      this.writeReset(stream.id, h2code);
      this.resets.remember(stream.id, ResetBy.us);
    }
    stream.state = StreamState.closed;
    this.streamClosed(stream);
  }

  /** The peer made a stream error: RST_STREAM, its owner is told, and it is counted (MadeYouReset). */
  failStream(stream: Stream, h2code: number): void {
    this.resetStream(stream, h2code);
    stream.owner.onReset(h2code, false, true);
    this.countFlood(Flood.fault);
  }

  /** The same for a stream that never had an owner. */
  refuseStream(streamId: number, h2code: number, kind: Flood): void {
    this.writeReset(streamId, h2code);
    this.resets.remember(streamId, ResetBy.us);
    this.countFlood(kind);
  }

  /** Its state has become closed. */
  streamClosed(stream: Stream): void {
    this.openCount--;
    if (this.dataStream === stream) this.dataStream = null;
    this.waiting.remove(stream);
    stream.dropQueue();
    if (stream.id !== 0) this.table.delete(stream.id);
    else {
      const index = this.unsent.indexOf(stream);
      if (index >= 0) this.unsent.splice(index, 1);
    }
    if (stream.isReleased) this.free(stream);
  }

  /** Closed and released. */
  free(stream: Stream): void {
    this.slotCount--;
    this.#growthLeft += stream.receiveWindow.size - stream.windowAtBegin;
    if (stream.receiveWindow.undrained > 0) this.drainConnection(stream.receiveWindow.drain(MAX_31_BITS));
    this.owner.onStreamClosed(stream);
    if (this.#depth > 0) this.#freed.push(stream);
    else this.scratch.giveStream(stream);
  }

  /** Before and after everything that calls owners. */
  enter(): void {
    this.#depth++;
  }

  leave(): void {
    if (--this.#depth > 0) return;
    const freed = this.#freed;
    while (freed.length > 0) this.scratch.giveStream(freed.pop()!);
  }

  // Flow control

  /** `bytes` that came for the stream have left. */
  drained(stream: Stream, bytes: number): void {
    const drained = stream.receiveWindow.drain(bytes);
    if (drained === 0) return;
    if (stream.state === StreamState.open || stream.state === StreamState.halfClosedLocal) {
      this.#growthLeft -= stream.receiveWindow.grow(this.limits.streamWindowMaxBytes, this.#growthLeft);
      const credit = stream.receiveWindow.takeCredit();
      if (credit > 0) this.writeWindowUpdate(stream.id, credit);
    }
    this.drainConnection(drained);
  }

  drainConnection(bytes: number): void {
    this.receiveWindow.drain(bytes);
    this.announceCredit();
  }

  announceCredit(): void {
    const { limits } = this;
    const credit = this.receiveWindow.takeSharedCredit(limits.connectionWindowBytes, undrainedBytesMax(limits));
    if (credit > 0) this.writeWindowUpdate(0, credit);
  }

  /** The connection's window opened, or the output has room again: those who wait get their turns. */
  serveWaiting(): void {
    const { waiting } = this;
    this.enter();
    let hasProgress = true;
    while (hasProgress && !this.isDead) {
      hasProgress = false;
      for (let left = waiting.count; left > 0 && !this.isDead; left--) {
        const stream = waiting.shift();
        if (stream === null) break;
        if (this.serve(stream, QUANTUM_BYTES)) hasProgress = true;
      }
    }
    this.leave();
  }

  /** Sends what a stream may send of what waits, up to `bytes`; then it waits on, or its owner is told. True: something was sent. */
  serve(stream: Stream, bytes: number): boolean {
    const hasSent = stream.pump(bytes);
    if (stream.queuedBytes > 0 || (stream.isWaiting && stream.isBlocked)) {
      this.waiting.push(stream);
      return hasSent;
    }
    this.waiting.remove(stream);
    if (stream.isWaiting) {
      stream.isWaiting = false;
      stream.owner.onWritable();
    }
    return hasSent;
  }

  // Frames without a stream's own state

  writeReset(streamId: number, h2code: number): void {
    if (this.isDead) return;
    const chunk = this.output.reserve(CONTROL_FRAME_ROOM);
    chunk.length = writeReset(chunk.bytes, chunk.length, streamId, h2code);
  }

  writeWindowUpdate(streamId: number, increment: number): void {
    if (this.isDead) return;
    const chunk = this.output.reserve(CONTROL_FRAME_ROOM);
    chunk.length = writeWindowUpdate(chunk.bytes, chunk.length, streamId, increment);
  }

  writeGoaway(lastStreamId: number, h2code: number, why: string): void {
    const chunk = this.output.reserve(FRAME_HEADER_BYTES + 8 + why.length);
    chunk.length = writeGoaway(chunk.bytes, chunk.length, lastStreamId, h2code, why);
  }

  /** A PING with a number of its own, which is returned. */
  writePing(kind: number): number {
    this.#pings = (this.#pings + 1) & MAX_31_BITS;
    const chunk = this.output.reserve(CONTROL_FRAME_ROOM);
    chunk.length = writePing(chunk.bytes, chunk.length, kind, this.#pings);
    return this.#pings;
  }

  // The end

  /** The last GOAWAY of a graceful end: with what was taken so far. */
  finishShutdown(): void {
    this.goawaySent = Goaway.final;
    this.writeGoaway(this.lastPeerId, H2Error.noError, "");
  }

  /** Counts an event that costs. True: it was one too many, and the connection has failed. */
  countFlood(kind: Flood): boolean {
    if (this.isDead) return true;
    if (!this.guard.isOver(kind, this.nowMs)) return false;
    this.fail(H2Error.enhanceYourCalm, this.guard.reason(kind));
    return true;
  }

  /** A connection error: GOAWAY, every stream's owner is told, then the connection's. */
  fail(h2code: number, why: string): void {
    if (this.isDead) return;
    this.writeGoaway(this.lastPeerId, h2code, why);
    this.end(h2code, false);
    this.owner.onConnectionError(h2code, why);
  }

  /** Nothing is read or written any more; every stream is over. */
  end(h2code: number, isRemote: boolean): void {
    this.isDead = true;
    this.reader?.stop();
    this.enter();
    for (const stream of [...this.table.list(), ...this.unsent]) this.#endStream(stream, h2code, isRemote, stream.id !== 0);
    this.leave();
  }

  /** GOAWAY of the peer: streams above `lastStreamId`, and those without a number, were not processed. */
  endUnprocessed(lastStreamId: number): void {
    this.enter();
    for (const stream of [...this.table.list(), ...this.unsent]) {
      if (stream.id > lastStreamId || stream.id === 0) this.#endStream(stream, H2Error.refusedStream, true, false);
    }
    this.leave();
  }

  #endStream(stream: Stream, h2code: number, isRemote: boolean, wasProcessed: boolean): void {
    // An owner may have ended it from inside of the callback of another one.
    if (stream.state === StreamState.closed) return;
    const { owner } = stream;
    stream.state = StreamState.closed;
    this.streamClosed(stream);
    owner.onReset(h2code, isRemote, wasProcessed);
  }

  /** The peer ended a stream by RST_STREAM. */
  peerReset(stream: Stream, h2code: number): void {
    this.resets.remember(stream.id, ResetBy.peer);
    this.#endStream(stream, h2code, true, h2code !== H2Error.refusedStream);
  }

  /** Applies a changed frame size of the peer's. */
  updateFrameSize(): void {
    this.frameSizeMax = Math.min(this.peer.maxFrameSize, SEND_FRAME_BYTES_MAX);
  }
}
