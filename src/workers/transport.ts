// One TCP connection on a native handle: reads into the worker's buffers, writes gathered per turn, back-pressure.
//
// Rules that hold here and nowhere else has to think of:
//   - bytes of the shared receive buffer are copied before they are written (they come without a lease);
//   - leased bytes are handed to the kernel as they are, and the lease is held until the kernel took them;
//   - one write per turn: small pieces gather in a chunk, `flush` writes it;
//   - the owner is never called back from inside one of its own calls: failures of writes are told after the event;
//   - after `onClosed` nothing is called any more. It is called exactly once.
// Long because reading, writing and closing of one handle share their state, and no part is of use without the others.

import { Buffer } from "node:buffer";
import type { Lease } from "../core/http/exchange.ts";
import { type ClientPeer, STRANGER } from "./client-peer.ts";
import { UV_ECONNRESET, UV_ETIMEDOUT } from "./errno.ts";
import { GatheredWrite } from "./gathered-write.ts";
import { lastWriteWasAsync, ShutdownWrap, type StreamHandle, type TcpHandle, UV_EOF, type WriteRequest } from "./native-handles.ts";
import { COPY_MAX, type OutChunk } from "./out-chunk.ts";
import { type ReadBuffer, ReadMode } from "./read-buffer.ts";
import type { TlsStream } from "./tls-stream.ts";
import { onRead, onShut, onWritten } from "./transport-events.ts";
import type { WorkerLoop } from "./worker-loop.ts";

const NOTHING = Buffer.alloc(0);

const UV_ECANCELED = -125;
const UV_EPROTO = -71;

/** Who owns a transport: a codec's connection, a relay, a detector. */
export interface TransportOwner {
  /** Bytes arrived. `lease` null: valid during the call. */
  onBytes(buffer: Buffer, start: number, end: number, lease: Lease | null): void;
  /** FIN: no more bytes will come. */
  onEnd(): void;
  /** Unsent bytes fell below the mark: sources may go on. */
  onWritable(): void;
  /** `deadlineAt` has passed; it was cleared. */
  onDeadline(): void;
  /** The connection is gone; errno 0 when it was closed by us or cleanly, negative otherwise. */
  onClosed(errno: number): void;
}

/** Owner of a transport that has none yet, or whose end is nobody's business any more. */
export const NOBODY: TransportOwner = { onBytes() {}, onEnd() {}, onWritable() {}, onDeadline() {}, onClosed() {} };

export class Transport {
  owner: TransportOwner;
  /** Of a client's connection: who is there. */
  peer: ClientPeer = STRANGER;
  readonly loop: WorkerLoop;
  #handle: StreamHandle;
  /** The handle while it is TLS: it completes every write later and takes one at a time, and its reads are records. */
  #tls: TlsStream | null = null;
  /** A flush waits for the TLS write before it. */
  #isHeld = false;
  readonly #tcp: TcpHandle;
  #readBuffer: ReadBuffer | null = null;
  #chunk: OutChunk | null = null;
  /** Bytes of the chunk that stand in `#gathered` already. */
  #chunkFrom = 0;
  #gathered: GatheredWrite | null = null;
  /** Leased payload waits with its frame headers for the turn's one write, instead of being written on its own. */
  gathers = false;
  /** Grows whenever the chunk leaves: who remembers a place in it knows whether it is still there. */
  flushCount = 0;
  #isReading = false;
  /** Set by who dials it. */
  isConnecting = false;
  #isEnded = false;
  #isShut = false;
  /** libuv has not yet done what `shutdown` asked of it. */
  isShutting = false;
  #wantsShutdown = false;
  #isClosed = false;
  #isAnnounced = false;
  #isFlushQueued = false;
  #errno = 0;
  /** Index in the loop's table, for O(1) removal. */
  tableIndex = -1;
  /** Bytes given to the kernel's write queue and not yet taken. */
  unsentBytes = 0;
  /** For the minimum rate of bodies. */
  bytesRead = 0;
  /** What the next read is likely to be; the owner knows. */
  readMode: ReadMode = ReadMode.head;
  /** Milliseconds of the loop's clock when `onDeadline` is due; 0: none. */
  deadlineAt = 0;
  /** For the write deadline: libuv's queue at the last look, the kernel's (-1: not asked yet) when the present window began, and when. */
  stalledQueue = 0;
  stalledKernelQueue = -1;
  stalledSince = 0;
  #readSlot = -1;
  #writeSlot = -1;
  readonly #congestionMark: number;
  /** Its peer may answer before it has read everything and close: a failed write is told only when what it said is read. */
  readsAfterWriteError = false;
  #writeErrno = 0;

  /** Of `handle`, which is not read before `begin`. See transport-open.ts. */
  constructor(loop: WorkerLoop, handle: TcpHandle, owner: TransportOwner) {
    this.loop = loop;
    this.#handle = handle;
    this.#tcp = handle;
    this.owner = owner;
    this.#congestionMark = loop.limits.writeBufferBytesMax;
    handle.weft = this;
    loop.add(this);
  }

  /** It is connected: reads begin. */
  begin(): void {
    this.#readBuffer = this.loop.readBuffers.shared;
    this.#handle.onread = onRead;
    this.#handle.useUserBuffer(this.#readBuffer.bytes);
    this.resume();
  }

  /** TLS begins: what `wrap` makes stands in the place of the TCP handle. Nothing is read until `endHandshake`; deadlines and `close` go on. */
  beginHandshake(wrap: (tcp: TcpHandle) => TlsStream): void {
    this.pause();
    this.#readBuffer = null;
    this.#tls = this.#handle = wrap(this.#tcp);
    this.#tls.weft = this;
    this.#tls.onBroken = () => this.loop.run(() => this.#fail(UV_EPROTO));
  }

  /** The stream is secure: plaintext is read and written from now on. */
  endHandshake(): void {
    if (!this.#isClosed) this.begin();
  }

  /** Bytes are counted here from now on. */
  setMeter(meter: { readonly readSlot: number; readonly writeSlot: number }): void {
    this.#readSlot = meter.readSlot;
    this.#writeSlot = meter.writeSlot;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** More is queued than a source should add to. */
  get isCongested(): boolean {
    return this.unsentBytes > this.#congestionMark;
  }

  get isReading(): boolean {
    return this.#isReading;
  }

  /** Bytes still in libuv's queue, for the write deadline. */
  get queueSize(): number {
    return this.#isClosed ? 0 : this.#handle.writeQueueSize;
  }

  /** For system calls; negative when closed. */
  get fd(): number {
    return this.#tcp.fd;
  }

  /** Stops reading; the kernel's buffer fills and the peer is slowed down. */
  pause(): void {
    if (this.#isReading && !this.#isClosed) {
      this.#isReading = false;
      this.#handle.readStop();
    }
  }

  resume(): void {
    if (!this.#isReading && !this.#isEnded && !this.#isClosed && this.#readBuffer !== null) {
      this.#isReading = true;
      const error = this.#handle.readStart();
      if (error !== 0) this.#fail(error);
    }
  }

  /** Called by `onRead`: handles one read result, returns the buffer for the next when it is another one. */
  handleRead(count: number): Uint8Array | undefined {
    const buffer = this.#readBuffer;
    if (this.#isClosed || buffer === null) return undefined;
    const loop = this.loop;
    loop.beginEvent();
    try {
      if (count > 0) {
        this.bytesRead += count;
        if (this.#readSlot >= 0) loop.slots[this.#readSlot]! += count;
        this.owner.onBytes(buffer.bytes, 0, count, buffer.isShared ? null : buffer);
      } else if (count === UV_EOF) {
        this.#isEnded = true;
        this.#isReading = false;
        this.#handle.readStop();
        if (this.#writeErrno !== 0) this.#fail(this.#writeErrno);
        else if (this.#hasReset()) this.#fail(UV_ECONNRESET);
        else this.owner.onEnd();
      } else if (count < 0) {
        this.#fail(count);
      }
    } catch (error) {
      this.#guard(error);
    }
    loop.endEvent();
    if (this.#isClosed) return undefined;
    // Bodies stand in line when a turn becomes long, so that small requests between them never wait for many.
    if (count > COPY_MAX && this.readMode !== ReadMode.head && this.#isReading && loop.isTurnLong) {
      this.#handle.readStop();
      loop.yieldRead(this);
    }
    return this.#nextReadBuffer(buffer, count);
  }

  /** The loop: the turn that was too long is over. */
  readOn(): void {
    if (this.#isReading && !this.#isClosed) this.#handle.readStart();
  }

  /**
   * Is this end of file a reset in disguise? When RST comes together with the last bytes, libuv delivers those and then reports
   * the hang-up as EOF, without asking the socket. A write of nothing asks: it fails with the pending error.
   */
  #hasReset(): boolean {
    return this.unsentBytes === 0 && this.#probe() === UV_ECONNRESET;
  }

  /** The error that a write would meet, found by writing nothing, below TLS. Only while nothing is being written. */
  #probe(): number {
    if (this.#tcp.writeQueueSize > 0) return 0;
    const request = this.loop.takeWriteRequest();
    const error = this.#tcp.writeBuffer(request, NOTHING);
    this.loop.giveWriteRequest(request);
    return error;
  }

  #nextReadBuffer(current: ReadBuffer, count: number): Uint8Array | undefined {
    const next = this.loop.readBuffers.next(current, count, this.readMode, this.#isReading, this.#tls !== null);
    if (next === current) return undefined;
    this.#readBuffer = next;
    return next.bytes;
  }

  /** Room for `size` bytes in the chunk that the next flush writes. Use `chunkBytes`/`chunkLength`, then `advance`. */
  reserve(size: number): OutChunk {
    let chunk = this.#chunk;
    if (chunk !== null && chunk.length + size <= chunk.bytes.length) return chunk;
    if (chunk !== null) this.#flush();
    chunk = this.loop.outChunks.take(size);
    this.#chunk = chunk;
    this.#chunkFrom = 0;
    return chunk;
  }

  /** Takes bytes; small or unleased ones are copied, leased ones written as they are. Never fails; see `isCongested`. */
  write(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    if (this.#isClosed || this.#writeErrno !== 0) return;
    const size = end - start;
    const { slots } = this.loop;
    slots[this.loop.bodySlot]! += size;
    if (lease === null || size <= COPY_MAX) {
      slots[this.loop.copiedSlot]! += size;
      this.#copy(buffer, start, end);
      return;
    }
    const chunk = this.#chunk;
    if (this.gathers || this.#gathered?.isEmpty === false) {
      this.#gather(buffer.subarray(start, end), lease);
      return;
    }
    if (chunk === null) {
      this.#submit(buffer.subarray(start, end), size, lease, null);
      return;
    }
    this.#chunk = null;
    this.#submitPair(chunk, buffer.subarray(start, end), lease);
  }

  #copy(buffer: Buffer, start: number, end: number): void {
    let from = start;
    while (from < end) {
      const chunk = this.#chunk !== null && this.#chunk.length < this.#chunk.bytes.length ? this.#chunk : this.reserve(1);
      const size = Math.min(end - from, chunk.bytes.length - chunk.length);
      buffer.copy(chunk.bytes, chunk.length, from, from + size);
      chunk.length += size;
      from += size;
    }
  }

  /** Behind what the chunk holds so far; the chunk goes on behind it. */
  #gather(payload: Buffer, lease: Lease): void {
    this.#gathered ??= new GatheredWrite();
    this.#gatherChunk(this.#gathered);
    this.#gathered.add(payload, lease);
    if (this.#gathered.isFull) this.flush();
  }

  #gatherChunk(gathered: GatheredWrite): void {
    const chunk = this.#chunk;
    if (chunk === null || chunk.length === this.#chunkFrom) return;
    gathered.add(chunk.bytes.subarray(this.#chunkFrom, chunk.length), null);
    this.#chunkFrom = chunk.length;
  }

  /** Writes what was gathered when the turn ends: many streams of one connection are then one write. */
  flushSoon(): void {
    if (this.#isFlushQueued || this.#isClosed) return;
    this.#isFlushQueued = true;
    this.loop.flushAtTurnEnd(this);
  }

  /** The loop: the turn is over. */
  flushNow(): void {
    this.#isFlushQueued = false;
    this.flush();
  }

  #flushGathered(gathered: GatheredWrite): void {
    const chunk = this.#chunk;
    this.#gatherChunk(gathered);
    this.#chunk = null;
    this.#gathered = null;
    if (this.#isClosed || this.#writeErrno !== 0) {
      gathered.release();
      if (chunk !== null) this.loop.outChunks.give(chunk);
      return;
    }
    const request = this.loop.takeWriteRequest();
    request.buffer = gathered.pieces;
    const error = this.#handle.writev(request, gathered.pieces, true);
    const isDone = error !== 0 || (this.#tls === null && !lastWriteWasAsync());
    this.#submitted(request, error, gathered.bytes, gathered, chunk);
    if (isDone) gathered.release();
  }

  /** Writes what was gathered. */
  flush(): void {
    // TLS takes one write at a time: what is small gathers behind it and leaves when that is done (handleWritten).
    this.#isHeld = this.#tls !== null && this.unsentBytes > 0 && this.#gathered === null && this.#chunk !== null;
    if (!this.#isHeld) this.#flush();
  }

  #flush(): void {
    this.flushCount++;
    if (this.#gathered !== null && !this.#gathered.isEmpty) {
      this.#flushGathered(this.#gathered);
      return;
    }
    const chunk = this.#chunk;
    if (chunk === null) return;
    this.#chunk = null;
    if (this.#isClosed || this.#writeErrno !== 0 || chunk.length === 0) {
      this.loop.outChunks.give(chunk);
      return;
    }
    this.#submit(chunk.bytes.subarray(0, chunk.length), chunk.length, null, chunk);
  }

  #submit(bytes: Buffer, size: number, lease: Lease | null, chunk: OutChunk | null): void {
    const request = this.loop.takeWriteRequest();
    request.buffer = bytes;
    this.#submitted(request, this.#handle.writeBuffer(request, bytes), size, lease, chunk);
  }

  #submitPair(chunk: OutChunk, bytes: Buffer, lease: Lease): void {
    const size = chunk.length + bytes.length;
    const buffers = [chunk.bytes.subarray(0, chunk.length), bytes];
    const request = this.loop.takeWriteRequest();
    request.buffer = buffers;
    this.#submitted(request, this.#handle.writev(request, buffers, true), size, lease, chunk);
  }

  #submitted(request: WriteRequest, error: number, size: number, lease: Lease | null, chunk: OutChunk | null): void {
    if (this.#writeSlot >= 0) this.loop.slots[this.#writeSlot]! += size;
    if (error === 0 && (this.#tls !== null || lastWriteWasAsync())) {
      if (this.unsentBytes === 0) this.stalledQueue = 0;
      this.unsentBytes += size;
      if (lease !== null) lease.retain();
      request.transport = this;
      request.lease = lease;
      request.chunk = chunk;
      request.bytes = size;
      request.oncomplete = onWritten;
      return;
    }
    this.loop.giveWriteRequest(request);
    if (chunk !== null) this.loop.outChunks.give(chunk);
    if (error !== 0) this.#failWrite(error);
  }

  /** Called by `onWritten`. */
  handleWritten(size: number, status: number): void {
    this.unsentBytes -= size;
    if (this.#isClosed) return;
    if (status < 0 && status !== UV_ECANCELED) {
      this.#failWrite(status);
      return;
    }
    this.stalledKernelQueue = -1;
    if (this.#isHeld && this.unsentBytes === 0) this.flush();
    if (this.unsentBytes <= this.#congestionMark >> 1) this.owner.onWritable();
    if (this.unsentBytes === 0 && this.#wantsShutdown && !this.#isClosed) this.#shut();
  }

  /** Writes nothing: fails, and so closes, when the peer has answered an earlier write with RST. */
  touchWrite(): void {
    if (this.#isClosed || this.unsentBytes > 0) return;
    const error = this.#probe();
    if (error !== 0) this.#failWrite(error);
  }

  /** FIN after everything written so far. */
  shutdown(): void {
    if (this.#isClosed || this.#isShut || this.#wantsShutdown) return;
    this.flush();
    if (this.unsentBytes > 0 || this.isConnecting) this.#wantsShutdown = true;
    else this.#shut();
  }

  get isShut(): boolean {
    return this.#isShut || this.#wantsShutdown;
  }

  #shut(): void {
    this.#wantsShutdown = false;
    this.#isShut = true;
    const request = Object.assign(new ShutdownWrap(), { owner: this, oncomplete: onShut });
    // A failure (ENOTCONN) means that the peer is gone; the read side says so.
    this.isShutting = this.#handle.shutdown(request) === 0;
  }

  /** For a connection in the making: what was asked before it was there. */
  finishConnect(): void {
    if (this.#wantsShutdown && this.unsentBytes === 0) this.#shut();
  }

  /** Closes now. Queued bytes are lost; `isAbort`: with RST, so that the peer sees that the message is not complete. */
  close(isAbort: boolean): void {
    if (this.#isClosed) return;
    // Had it been TCP, these bytes would be the kernel's already.
    if (this.#isHeld && !isAbort) this.#flush();
    this.#isClosed = true;
    this.#isReading = false;
    this.loop.remove(this);
    if (this.#chunk !== null) {
      this.loop.outChunks.give(this.#chunk);
      this.#chunk = null;
    }
    this.#gathered?.release();
    this.#gathered = null;
    if (this.#readBuffer !== null && !this.#readBuffer.isShared) this.#readBuffer.release();
    this.#readBuffer = null;
    // During a shutdown libuv refuses a reset, and Node's handle then takes no close: the descriptor would stay, the thread never end.
    if (!isAbort || this.isShutting || this.#handle.reset() !== 0) this.#handle.close();
    this.loop.deferClosed(this);
  }

  /** The peer was slower than writeMinBytesPerSecond for writeDeadlineMs. The owner hears ETIMEDOUT. */
  failStalled(): void {
    if (this.#isClosed) return;
    this.#errno = UV_ETIMEDOUT;
    this.close(true);
  }

  #fail(errno: number): void {
    if (this.#isClosed) return;
    this.#errno = errno;
    this.close(false);
  }

  /** Nothing more is written. Reading goes on to the end, which the kernel has already: it fails there. */
  #failWrite(errno: number): void {
    if (!this.readsAfterWriteError || this.#isEnded || this.isConnecting) this.#fail(errno);
    else if (this.#writeErrno === 0) this.#writeErrno = errno;
  }

  get isWriteBroken(): boolean {
    return this.#writeErrno !== 0;
  }

  #guard(error: unknown): void {
    this.loop.reportBug(error);
    this.#errno = 0;
    this.close(true);
  }

  /** Called by the loop at the end of the event in which it was closed. */
  announceClosed(): void {
    if (this.#isAnnounced) return;
    this.#isAnnounced = true;
    try {
      this.owner.onClosed(this.#errno);
    } catch (error) {
      this.loop.reportBug(error);
    }
  }

  /** For logs and X-Forwarded-For; asks the kernel. An IPv4 client at an IPv6 listener has its IPv4 address. */
  peerAddress(): { address: string; port: number } {
    const out: { address?: string; port?: number } = {};
    if (this.#isClosed || this.#handle.getpeername(out) !== 0) return { address: "unknown", port: 0 };
    return { address: out.address?.replace(/^::ffff:(?=[0-9.]+$)/, "") ?? "unknown", port: out.port ?? 0 };
  }

  /** The owner's guard around calls that come from timers and not from the kernel. */
  checkDeadline(now: number): void {
    if (this.deadlineAt === 0 || now < this.deadlineAt || this.#isClosed) return;
    this.deadlineAt = 0;
    try {
      this.owner.onDeadline();
    } catch (error) {
      this.#guard(error);
    }
  }
}
