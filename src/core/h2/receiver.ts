// What frames do to a connection: the rules of RFC 9113 sections 5, 6 and 8.1, frame by frame. Calls the owners of streams.
//
// Every callback may reset, release or send on any stream, and end the connection: state is settled before a callback, and nothing is
// assumed behind it. A header block is decoded before anything else is asked of its frame, so that the table stays in step.

import type { Buffer } from "node:buffer";
import type { Lease } from "../http/exchange.ts";
import { HpackCode } from "../hpack/hpack-codes.ts";
import { type ConnectionCore, Goaway } from "./connection-core.ts";
import { ControlFrames } from "./control-frames.ts";
import { MALFORMED, messageCode, WELL_FORMED } from "./field-rules.ts";
import { Flood } from "./flood-guard.ts";
import type { FrameSink } from "./frame-reader.ts";
import { Flag, H2Error } from "./frame-types.ts";
import { readRequestHead } from "./request-head.ts";
import { ResetBy } from "./reset-memory.ts";
import { readResponseHead } from "./response-head.ts";
import { FRONT_ROOM } from "./scratch.ts";
import { NOBODY, type Stream } from "./stream.ts";
import { isReceiving, nextState, StreamEvent, StreamState } from "./stream-state.ts";
import { readTrailers } from "./trailers.ts";

/** DATA of less is tiny: a gRPC message has a prefix of five bytes, a WebSocket frame of a client six. */
const TINY_BYTES_MAX = 4;

/** Heads of 1xx before the final one: servers send one or two. */
const INTERIMS_MAX = 32;

/** Bytes of a late DATA frame that is not counted: it cost its sender as much as us. Smaller ones may be a flood. */
const LATE_BYTES_MIN = 256;

export class Receiver implements FrameSink {
  readonly #core: ConnectionCore;
  readonly #control: ControlFrames;

  constructor(core: ConnectionCore) {
    this.#core = core;
    this.#control = new ControlFrames(core);
  }

  onFrameError(h2code: number, why: string): void {
    this.#core.fail(h2code, why);
  }

  onUnknownFrame(): void {
    this.#core.countFlood(Flood.unknown);
  }

  onControlFrame(type: number, flags: number, streamId: number, length: number, buffer: Buffer, start: number, end: number): void {
    this.#control.receive(type, flags, streamId, length, buffer, start, end);
  }

  // DATA

  onDataFrame(streamId: number, flags: number, size: number, dataSize: number): void {
    const core = this.#core;
    core.dataStream = null;
    if (!core.receiveWindow.receive(size)) {
      core.fail(H2Error.flowControlError, "DATA beyond the connection's window");
      return;
    }
    const stream = core.table.get(streamId);
    if (stream === null || !this.#admit(stream, flags, size, dataSize)) {
      if (stream === null) this.#late(streamId, size);
      core.drainConnection(size);
      return;
    }
    core.announceCredit();
    // A flood may have ended it.
    if (stream.state === StreamState.closed) return;
    core.dataStream = stream;
    if (size > dataSize) core.drained(stream, size - dataSize);
  }

  /** May the stream have this DATA? Otherwise it has failed, and the bytes are the connection's alone. */
  #admit(stream: Stream, flags: number, size: number, dataSize: number): boolean {
    const core = this.#core;
    const isEnd = (flags & Flag.endStream) !== 0;
    if (!isReceiving(stream.state)) return this.#failStream(stream, H2Error.streamClosed);
    if (!stream.hasHead) return this.#failStream(stream, H2Error.protocolError);
    if (stream.remaining >= 0) {
      stream.remaining -= dataSize;
      if (stream.remaining < 0 || (isEnd && stream.remaining > 0)) return this.#failStream(stream, H2Error.protocolError);
    }
    if (!stream.receiveWindow.receive(size)) return this.#failStream(stream, H2Error.flowControlError);
    // Tunnels of the mesh carry what applications write, and many share a connection; their bytes cost the other proxy as much.
    if (dataSize <= TINY_BYTES_MAX && !isEnd && !(core.isMesh && dataSize > 0))
      core.countFlood(dataSize === 0 ? Flood.emptyData : Flood.tinyData);
    return true;
  }

  #failStream(stream: Stream, h2code: number): false {
    this.#core.failStream(stream, h2code);
    return false;
  }

  onDataPiece(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    const stream = this.#core.dataStream;
    if (stream === null) return;
    if (stream.isDiscarding || stream.isReleased) this.#core.drained(stream, end - start);
    else stream.owner.onData(buffer, start, end, lease);
  }

  onDataFrameEnd(flags: number): void {
    const stream = this.#core.dataStream;
    this.#core.dataStream = null;
    if (stream === null || (flags & Flag.endStream) === 0) return;
    const owner = stream.isDiscarding ? NOBODY : stream.owner;
    this.#endReceiving(stream);
    owner.onEnd(null);
  }

  #endReceiving(stream: Stream): void {
    stream.state = nextState(stream.state, StreamEvent.receiveEnd) as StreamState;
    if (stream.state === StreamState.closed) this.#core.streamClosed(stream);
  }

  // HEADERS

  onHeaderBlock(streamId: number, flags: number, dependency: number, buffer: Buffer, start: number, end: number): void {
    const core = this.#core;
    const { scratch } = core;
    const code = core.decoder.decode(buffer, start, end, scratch.block, scratch.lines, FRONT_ROOM);
    if (code < 0) {
      const h2code = code === HpackCode.tooMuchWork ? H2Error.enhanceYourCalm : H2Error.compressionError;
      core.fail(h2code, "a header block cannot be decoded");
      return;
    }
    const stream = core.table.get(streamId);
    const isEnd = (flags & Flag.endStream) !== 0;
    if (stream !== null) {
      if (dependency === streamId) core.failStream(stream, H2Error.protocolError);
      else if (!isReceiving(stream.state)) core.failStream(stream, H2Error.streamClosed);
      else if (stream.hasHead) this.#receiveTrailers(stream, code, isEnd);
      else this.#receiveResponse(stream, code, isEnd);
    } else if (!core.isServer) {
      if (this.#control.isIdle(streamId)) core.fail(H2Error.protocolError, "HEADERS on a stream that nobody opened");
      else this.#late(streamId, 0);
    } else if ((streamId & 1) === 0) core.fail(H2Error.protocolError, "a client's stream has an even number");
    else if (streamId <= core.lastPeerId) this.#late(streamId, 0);
    else this.#receiveRequest(streamId, code, isEnd, dependency === streamId);
  }

  #receiveRequest(streamId: number, code: HpackCode, isEnd: boolean, dependsOnItself: boolean): void {
    const core = this.#core;
    core.lastPeerId = streamId;
    if (core.slotCount >= core.limits.streamsMax || core.goawaySent === Goaway.final) {
      core.refuseStream(streamId, H2Error.refusedStream, Flood.refusal);
      return;
    }
    let result = dependsOnItself ? MALFORMED : messageCode(code);
    if (result === WELL_FORMED) result = readRequestHead(core.scratch, isEnd, core.local.takesExtendedConnect, core.isMesh);
    if (result === MALFORMED) {
      core.refuseStream(streamId, H2Error.protocolError, Flood.fault);
      return;
    }
    core.guard.opened++;
    const { head } = core.scratch;
    const stream = core.takeStream(NOBODY);
    stream.id = streamId;
    stream.state = isEnd ? StreamState.halfClosedRemote : StreamState.open;
    stream.hasHead = true;
    stream.isOriginal = head.originalVersion !== 0;
    core.table.add(stream);
    const owner = core.owner.acceptStream(stream);
    if (!stream.isReleased) stream.owner = owner;
    if (result < 0) {
      stream.isDiscarding = true;
      owner.onHeadRefused(-result, isEnd);
      return;
    }
    if (!isEnd) stream.remaining = head.contentLength;
    owner.onHead(head, isEnd);
  }

  #receiveResponse(stream: Stream, code: HpackCode, isEnd: boolean): void {
    const core = this.#core;
    const { owner } = stream;
    let result = messageCode(code);
    if (result === WELL_FORMED) result = readResponseHead(core.scratch, isEnd, stream.isHead, core.isMesh, stream.isUpgrade);
    if (result === MALFORMED) {
      core.failStream(stream, H2Error.protocolError);
      return;
    }
    const { head } = core.scratch;
    if (result === WELL_FORMED && head.status < 200 && head.status !== 101) {
      if (++stream.interims > INTERIMS_MAX) core.failStream(stream, H2Error.enhanceYourCalm);
      else owner.onHead(head, false);
      return;
    }
    stream.hasHead = true;
    if (result < 0) stream.isDiscarding = true;
    else if (stream.isHead || head.status === 204 || head.status === 304) stream.remaining = 0;
    else stream.remaining = stream.isTunnel && head.status < 300 ? -1 : head.contentLength;
    if (isEnd) this.#endReceiving(stream);
    if (result < 0) owner.onHeadRefused(-result, isEnd);
    else owner.onHead(head, isEnd);
  }

  #receiveTrailers(stream: Stream, code: HpackCode, isEnd: boolean): void {
    const core = this.#core;
    let result = messageCode(code);
    if (result < 0) {
      core.failStream(stream, H2Error.enhanceYourCalm);
      return;
    }
    if (!isEnd || stream.remaining > 0) result = MALFORMED;
    if (result === WELL_FORMED) result = readTrailers(core.scratch);
    if (result === MALFORMED) {
      core.failStream(stream, H2Error.protocolError);
      return;
    }
    const { trailers } = core.scratch;
    const owner = stream.isDiscarding ? NOBODY : stream.owner;
    this.#endReceiving(stream);
    owner.onEnd(trailers.start === trailers.end ? null : trailers);
  }

  /** DATA of `size` bytes or HEADERS (0) for a stream that is not open. */
  #late(streamId: number, size: number): void {
    const core = this.#core;
    if (this.#control.isIdle(streamId)) {
      core.fail(H2Error.protocolError, "a frame on an idle stream");
      return;
    }
    switch (core.resets.whoReset(streamId)) {
      case ResetBy.us:
        if (size < LATE_BYTES_MIN) core.countFlood(Flood.unknown);
        return;
      case ResetBy.peer:
        core.refuseStream(streamId, H2Error.streamClosed, Flood.fault);
        return;
      default:
        core.fail(H2Error.streamClosed, "a frame on a closed stream");
    }
  }
}
