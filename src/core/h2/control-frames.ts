// Frames that carry no message: RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, PRIORITY (RFC 9113 section 6), PRIORITY_UPDATE (RFC 9218).
//
// Each costs its sender little and us an answer or a look: all are counted (flood-guard.ts). PUSH_PROMISE is always an error: a client
// cannot push, and a server was told not to. Lengths were checked by the reader, but for PRIORITY's, which is the stream's error.

import type { Buffer } from "node:buffer";
import { type ConnectionCore, Goaway, PingKind } from "./connection-core.ts";
import { Flood } from "./flood-guard.ts";
import { GATHER_BYTES_MAX } from "./frame-reader.ts";
import { Flag, FrameType, H2Error, MAX_31_BITS } from "./frame-types.ts";
import { CONTROL_FRAME_ROOM, writePingAck, writeSettingsAck } from "./frame-writer.ts";
import { readPriority } from "./priority.ts";
import type { Stream } from "./stream.ts";

const PRIORITY_BYTES = 5;

export class ControlFrames {
  readonly #core: ConnectionCore;

  constructor(core: ConnectionCore) {
    this.#core = core;
  }

  /** A frame with its payload (or its beginning) at [start, end). */
  receive(type: number, flags: number, streamId: number, length: number, buffer: Buffer, start: number, end: number): void {
    switch (type) {
      case FrameType.windowUpdate:
        this.#windowUpdate(streamId, read31(buffer, start));
        return;
      case FrameType.rstStream:
        this.#reset(streamId, read32(buffer, start));
        return;
      case FrameType.settings:
        if ((flags & Flag.ack) !== 0) this.#settingsAck();
        else this.#settings(length, buffer, start, end);
        return;
      case FrameType.ping:
        this.#ping(flags, buffer, start);
        return;
      case FrameType.goaway:
        this.#goaway(read31(buffer, start), read32(buffer, start + 4));
        return;
      case FrameType.priority:
        this.#priority(streamId, length, buffer, start);
        return;
      case FrameType.priorityUpdate:
        this.#priorityUpdate(buffer, start, end);
        return;
      default:
        this.#core.fail(H2Error.protocolError, "PUSH_PROMISE, which nobody may send here");
    }
  }

  /** Has nobody used this number yet (RFC 9113 section 5.1.1)? */
  isIdle(streamId: number): boolean {
    const core = this.#core;
    if ((streamId & 1) === 0) return true;
    return core.isServer ? streamId > core.lastPeerId : streamId >= core.nextId;
  }

  #windowUpdate(streamId: number, increment: number): void {
    const core = this.#core;
    if (core.countFlood(Flood.windowUpdate)) return;
    if (streamId === 0) {
      const wasShut = core.sendWindow.available <= 0;
      if (increment === 0) core.fail(H2Error.protocolError, "WINDOW_UPDATE of 0");
      else if (!core.sendWindow.add(increment)) core.fail(H2Error.flowControlError, "the connection's window is above 2^31 - 1");
      else if (wasShut) core.serveWaiting();
      return;
    }
    const stream = core.table.get(streamId);
    if (stream === null) {
      // For a stream that has just ended: may happen (5.1).
      if (this.isIdle(streamId)) core.fail(H2Error.protocolError, "WINDOW_UPDATE on an idle stream");
      return;
    }
    if (increment === 0) core.failStream(stream, H2Error.protocolError);
    else if (!stream.sendWindow.add(increment)) core.failStream(stream, H2Error.flowControlError);
    else if (stream.isListed) core.serve(stream, MAX_31_BITS);
  }

  #reset(streamId: number, h2code: number): void {
    const core = this.#core;
    const stream = core.table.get(streamId);
    if (stream === null) {
      if (this.isIdle(streamId)) core.fail(H2Error.protocolError, "RST_STREAM on an idle stream");
      else core.countFlood(Flood.refusal);
      return;
    }
    core.peerReset(stream, h2code);
    // A server may refuse as many of our streams as it likes; a client's resets have cost us work.
    if (core.isServer) core.countFlood(Flood.reset);
  }

  #settings(length: number, buffer: Buffer, start: number, end: number): void {
    const core = this.#core;
    const { peer } = core;
    if (core.countFlood(Flood.settings)) return;
    if (length > GATHER_BYTES_MAX) {
      core.fail(H2Error.enhanceYourCalm, "too many values in one SETTINGS frame");
      return;
    }
    const windowBefore = peer.initialWindowSize;
    const tableBefore = peer.headerTableSize;
    const error = peer.apply(buffer, start, end);
    if (error !== H2Error.noError) {
      core.fail(error, "SETTINGS has a value that is not allowed");
      return;
    }
    core.updateFrameSize();
    if (peer.headerTableSize !== tableBefore) core.encoder.setPeerTableSize(peer.headerTableSize);
    const delta = peer.initialWindowSize - windowBefore;
    if (delta !== 0 && !this.#moveWindows(delta)) return;
    const chunk = core.output.reserve(CONTROL_FRAME_ROOM);
    chunk.length = writeSettingsAck(chunk.bytes, chunk.length);
    if (delta > 0) core.serveWaiting();
    if (!core.isDead) core.owner.onPeerSettings();
  }

  /** SETTINGS_INITIAL_WINDOW_SIZE moves the windows of all streams, also below 0 (RFC 9113 section 6.9.2). */
  #moveWindows(delta: number): boolean {
    const core = this.#core;
    for (const stream of core.unsent) stream.sendWindow.add(delta);
    for (const stream of core.table.list()) {
      if (stream.sendWindow.add(delta)) continue;
      core.fail(H2Error.flowControlError, "SETTINGS_INITIAL_WINDOW_SIZE takes a window above 2^31 - 1");
      return false;
    }
    return true;
  }

  #settingsAck(): void {
    const core = this.#core;
    const { local, limits } = core;
    if (local.isAcknowledged) {
      core.fail(H2Error.protocolError, "an acknowledgement of SETTINGS that were not sent");
      return;
    }
    const before = local.initialWindow;
    local.isAcknowledged = true;
    core.decoder.setTableLimit(limits.headerTableBytes);
    // Ours is smaller than the default: what was allowed too much so far is taken back.
    const delta = local.initialWindow - before;
    if (delta >= 0) return;
    for (const { receiveWindow } of core.table.list()) {
      receiveWindow.available += delta;
      receiveWindow.size += delta;
    }
  }

  #ping(flags: number, buffer: Buffer, start: number): void {
    const core = this.#core;
    if ((flags & Flag.ack) === 0) {
      if (core.countFlood(Flood.ping)) return;
      const chunk = core.output.reserve(CONTROL_FRAME_ROOM);
      chunk.length = writePingAck(chunk.bytes, chunk.length, buffer, start);
      return;
    }
    const kind = read32(buffer, start);
    const number = read32(buffer, start + 4);
    if (kind === PingKind.probe && number === core.probe) {
      core.probe = -1;
      core.owner.onPong();
    } else if (kind === PingKind.shutdown && core.goawaySent === Goaway.announced) core.finishShutdown();
    else core.countFlood(Flood.ping);
  }

  #goaway(lastStreamId: number, h2code: number): void {
    const core = this.#core;
    if (core.countFlood(Flood.unknown)) return;
    if (core.goawayReceived >= 0 && lastStreamId > core.goawayReceived) {
      core.fail(H2Error.protocolError, "a GOAWAY takes more streams than the one before");
      return;
    }
    core.goawayReceived = lastStreamId;
    if (!core.isServer) core.endUnprocessed(lastStreamId);
    if (!core.isDead) core.owner.onGoaway(lastStreamId, h2code);
  }

  #priority(streamId: number, length: number, buffer: Buffer, start: number): void {
    const core = this.#core;
    if (core.countFlood(Flood.priority)) return;
    if (length !== PRIORITY_BYTES) this.#streamError(streamId, H2Error.frameSizeError, "PRIORITY is not 5 bytes long");
    else if (read31(buffer, start) === streamId) {
      this.#streamError(streamId, H2Error.protocolError, "a stream depends on itself");
    }
  }

  /** An error of a stream that may not be open; RST_STREAM on an idle stream would be an error of ours. */
  #streamError(streamId: number, h2code: number, why: string): void {
    const core = this.#core;
    const stream: Stream | null = core.table.get(streamId);
    if (stream !== null) core.failStream(stream, h2code);
    else if (this.isIdle(streamId)) core.fail(h2code, why);
    else core.refuseStream(streamId, h2code, Flood.fault);
  }

  #priorityUpdate(buffer: Buffer, start: number, end: number): void {
    const core = this.#core;
    if (core.countFlood(Flood.priority)) return;
    const streamId = read31(buffer, start);
    if (streamId === 0 || !core.isServer) {
      core.fail(H2Error.protocolError, "PRIORITY_UPDATE for stream 0, or from a server");
      return;
    }
    const stream = core.table.get(streamId);
    if (stream === null) return;
    const priority = readPriority(buffer, start + 4, end);
    stream.urgency = priority & 7;
    stream.isIncremental = priority > 7;
  }
}

function read31(buffer: Buffer, at: number): number {
  return ((buffer[at]! & 0x7f) << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!;
}

function read32(buffer: Buffer, at: number): number {
  return read31(buffer, at) + (buffer[at]! >>> 7) * 0x8000_0000;
}
