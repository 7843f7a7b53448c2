// An HTTP/2 connection, server or client (RFC 9113): bytes in by `receive`, bytes out into an H2Output. No I/O, no clock.
//
//   receive --> FrameReader --> Receiver (messages), ControlFrames --> owners          floors: frames, rules, heads, connection
//   streams, settings, windows --> frames in the output's chunk
//
// What the parts share is in connection-core.ts. Contract and re-entrancy: contract.ts. Limits: limits.ts.

import type { Buffer } from "node:buffer";
import type { Lease } from "../http/exchange.ts";
import { ConnectionCore, Goaway, PingKind } from "./connection-core.ts";
import type { H2ConnectionOptions, H2Session, H2Stream, H2StreamOwner } from "./contract.ts";
import { FrameReader, PREFACE, PREFACE_BYTES } from "./frame-reader.ts";
import { H2Error, MAX_31_BITS, WINDOW_DEFAULT } from "./frame-types.ts";
import { Receiver } from "./receiver.ts";
import { SETTINGS_ROOM } from "./settings.ts";

/** A header block may be so many times larger than the head that it may stand for, and is still decoded, to be answered with 431. */
const BLOCK_FACTOR = 2;

export class H2Connection implements H2Session {
  readonly #core: ConnectionCore;
  readonly #reader: FrameReader;

  constructor(options: H2ConnectionOptions) {
    const { limits } = options;
    const core = new ConnectionCore(options);
    const readerLimits = { maxFrameSizeBytes: limits.maxFrameSizeBytes, blockBytesMax: limits.headerBytesMax * BLOCK_FACTOR };
    const reader = new FrameReader(new Receiver(core), readerLimits, options.isServer);
    core.reader = reader;
    this.#core = core;
    this.#reader = reader;
  }

  begin(): void {
    const core = this.#core;
    const chunk = core.output.reserve(PREFACE_BYTES + SETTINGS_ROOM);
    if (!core.isServer) chunk.length += PREFACE.copy(chunk.bytes, chunk.length);
    chunk.length = core.local.write(chunk.bytes, chunk.length);
    const credit = core.limits.connectionWindowBytes - WINDOW_DEFAULT;
    if (credit > 0) core.writeWindowUpdate(0, credit);
  }

  receive(buffer: Buffer, start: number, end: number, lease: Lease | null, nowMs: number): void {
    const core = this.#core;
    if (core.isDead) return;
    core.nowMs = nowMs;
    core.enter();
    this.#reader.read(buffer, start, end, lease);
    core.leave();
  }

  get hasRoom(): boolean {
    const core = this.#core;
    if (core.isDead || core.isServer || core.goawayReceived >= 0 || core.goawaySent !== Goaway.none) return false;
    return (
      core.openCount < Math.min(core.peer.maxConcurrentStreams, core.limits.streamsMax) &&
      core.nextId + 2 * core.unsent.length <= MAX_31_BITS
    );
  }

  openStream(owner: H2StreamOwner): H2Stream | null {
    if (!this.hasRoom) return null;
    const core = this.#core;
    const stream = core.takeStream(owner);
    core.unsent.push(stream);
    return stream;
  }

  setOutputCongested(isCongested: boolean): void {
    const core = this.#core;
    if (core.isOutputCongested === isCongested) return;
    core.isOutputCongested = isCongested;
    if (!isCongested && !core.isDead) core.serveWaiting();
  }

  ping(): void {
    const core = this.#core;
    if (core.isDead || core.probe >= 0) return;
    core.probe = core.writePing(PingKind.probe);
  }

  shutdown(): void {
    const core = this.#core;
    if (core.isDead || core.goawaySent === Goaway.final) return;
    if (!core.isServer || core.goawaySent === Goaway.announced) {
      core.finishShutdown();
      return;
    }
    core.goawaySent = Goaway.announced;
    core.writeGoaway(MAX_31_BITS, H2Error.noError, "");
    core.writePing(PingKind.shutdown);
  }

  close(h2code: number): void {
    const core = this.#core;
    if (core.isDead) return;
    core.writeGoaway(core.lastPeerId, h2code, "");
    core.end(h2code, false);
  }

  transportClosed(): void {
    if (!this.#core.isDead) this.#core.end(H2Error.cancel, true);
  }

  get openStreams(): number {
    return this.#core.slotCount;
  }

  get isGoingAway(): boolean {
    return this.#core.goawayReceived >= 0 || this.#core.goawaySent !== Goaway.none;
  }

  get isDead(): boolean {
    return this.#core.isDead;
  }

  /** A header block has begun and is not complete: for the deadline of heads. */
  get isInHeaderBlock(): boolean {
    return this.#reader.isInBlock;
  }

  get peerTakesExtendedConnect(): boolean {
    return this.#core.peer.takesExtendedConnect;
  }

  get peerStreamsMax(): number {
    return this.#core.peer.maxConcurrentStreams;
  }

  get hasPeerSettings(): boolean {
    return this.#core.peer.hasCome;
  }
}
