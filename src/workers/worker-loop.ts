// What all connections of one forwarding thread share: clock, memory, deadlines, and the end of each event.
//
// Every entry from outside (kernel event, timer, message) is bracketed by `beginEvent` and `endEvent`. Between them code
// only records and writes; what must not happen inside a caller's call (telling an owner that its connection is gone,
// beginning the next pipelined request) is deferred to `endEvent`, which runs it in order until nothing is left.

import { performance } from "node:perf_hooks";
import type { Limits } from "../config/limits.ts";
import { LoopClock } from "./loop-clock.ts";
import { WriteWrap, type WriteRequest } from "./native-handles.ts";
import { OutChunkPool } from "./out-chunk.ts";
import { ReadBufferPool } from "./read-buffer.ts";
import type { Transport } from "./transport.ts";

/** Deadlines are looked at this often: precise enough for limits of 100 ms and more, invisible in CPU. */
const SWEEP_MS = 200;

/** A turn of the loop that has lasted so long reads no more from sockets that have more to give: everybody else waits. */
const LONG_TURN_MS = 4;

/** Of the sockets that were told to wait, so many read on per turn. The others' turn comes: first in, first out. */
const READ_ON_PER_TURN = 8;

/** Something whose time inside Weft is being measured: an exchange. */
export interface Timed {
  /** Number of the event in which it was touched last: the loop's own mark. */
  touchedIn: number;
  /** Gets the time of one event in which it was touched: waiting for the loop plus the time in the callback. */
  addOverhead(ms: number): void;
}

/** Something with deadlines of its own, looked at with the connections'. */
export interface Sweepable {
  sweep(now: number): void;
}

export interface WorkerLoopOptions {
  /** The recorder's slots: transports add bytes to theirs. */
  readonly slots: Float64Array;
  /** Slots that count body bytes: all that are forwarded, and those copied in user space on the way. */
  readonly bodySlot: number;
  readonly copiedSlot: number;
  readonly recordDelay: (us: number) => void;
  readonly onBug: (error: unknown) => void;
}

export class WorkerLoop {
  limits: Limits;
  readonly slots: Float64Array;
  readonly readBuffers = new ReadBufferPool();
  readonly outChunks = new OutChunkPool();
  /** Queues in which requests wait. Empty most of the time. */
  readonly sweepables = new Set<Sweepable>();
  readonly bodySlot: number;
  readonly copiedSlot: number;

  readonly #clock: LoopClock;
  readonly #onBug: (error: unknown) => void;
  readonly #transports: Transport[] = [];
  #depth = 0;
  #eventNumber = 0;
  #spareRequest: WriteRequest | null = null;
  #closed: Transport[] = [];
  #deferred: (() => void)[] = [];
  #touched: Timed | null = null;
  #alsoTouched: Timed[] = [];
  #sweep: NodeJS.Timeout | null = null;
  #isFlushScheduled = false;
  #yielded: Transport[] = [];
  #kernelQueue: ((fd: number) => number) | null = null;
  #isLoading = false;
  #unflushed: Transport[] = [];

  constructor(limits: Limits, options: WorkerLoopOptions) {
    this.limits = limits;
    this.slots = options.slots;
    this.bodySlot = options.bodySlot;
    this.copiedSlot = options.copiedSlot;
    this.#onBug = options.onBug;
    this.#clock = new LoopClock(options.recordDelay, () => this.#flushAll());
  }

  /** Milliseconds, monotonic, of the current event's start. */
  get now(): number {
    return this.#clock.now;
  }

  /** Open transports. */
  get size(): number {
    return this.#transports.length;
  }

  beginEvent(): void {
    if (this.#depth++ > 0) return;
    this.#eventNumber++;
    this.#clock.beginEvent();
  }

  endEvent(): void {
    if (this.#depth === 1) this.#runDeferred();
    this.#depth--;
    if (this.#depth === 0 && this.#touched !== null) this.#recordOverhead();
  }

  /** Runs `work` as an event: for timers and messages. */
  run(work: () => void): void {
    this.beginEvent();
    try {
      work();
    } catch (error) {
      this.reportBug(error);
    }
    this.endEvent();
  }

  /** The exchange is being worked on in this event. */
  touch(timed: Timed): void {
    if (timed.touchedIn === this.#eventNumber) return;
    timed.touchedIn = this.#eventNumber;
    if (this.#touched === null) this.#touched = timed;
    else this.#alsoTouched.push(timed);
  }

  #recordOverhead(): void {
    const spent = performance.now() - this.#clock.now + this.#clock.delayMs;
    const first = this.#touched;
    this.#touched = null;
    first?.addOverhead(spent);
    if (this.#alsoTouched.length > 0) {
      for (const timed of this.#alsoTouched) timed.addOverhead(spent);
      this.#alsoTouched = [];
    }
  }

  /** Others have waited long enough for this turn to end. */
  get isTurnLong(): boolean {
    return this.#clock.turnMs > LONG_TURN_MS;
  }

  /** Reads on in the next turn: libuv alone would read up to 32 times from one socket before it looks at the others. */
  yieldRead(transport: Transport): void {
    if (this.#yielded.push(transport) === 1) setImmediate(() => this.#readOn());
  }

  #readOn(): void {
    for (const transport of this.#yielded.splice(0, READ_ON_PER_TURN)) transport.readOn();
    if (this.#yielded.length > 0) setImmediate(() => this.#readOn());
  }

  /** Writes when this turn's events have all been handled. */
  flushAtTurnEnd(transport: Transport): void {
    this.#unflushed.push(transport);
    if (this.#depth === 0) this.#scheduleFlush();
  }

  /** A write that fails may make others write (a reset): rounds until nobody wants to, each closes at least one transport. */
  #flushAll(): void {
    while (this.#unflushed.length > 0) {
      const unflushed = this.#unflushed;
      this.#unflushed = [];
      this.beginEvent();
      for (const transport of unflushed) transport.flushNow();
      this.endEvent();
    }
  }

  /** Runs `work` at the end of this event, or soon when there is none. */
  defer(work: () => void): void {
    this.#deferred.push(work);
    if (this.#depth === 0) this.#scheduleFlush();
  }

  deferClosed(transport: Transport): void {
    this.#closed.push(transport);
    if (this.#depth === 0) this.#scheduleFlush();
  }

  #scheduleFlush(): void {
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    setImmediate(() => {
      this.#isFlushScheduled = false;
      this.beginEvent();
      this.endEvent();
    });
  }

  #runDeferred(): void {
    while (this.#closed.length > 0 || this.#deferred.length > 0) {
      const closed = this.#closed;
      if (closed.length > 0) {
        this.#closed = [];
        for (const transport of closed) transport.announceClosed();
      }
      const deferred = this.#deferred;
      if (deferred.length > 0) {
        this.#deferred = [];
        for (const work of deferred) this.#runOne(work);
      }
    }
  }

  #runOne(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.reportBug(error);
    }
  }

  /** A guarded exception: logged and counted, never the end of the worker. */
  reportBug(error: unknown): void {
    this.#onBug(error);
  }

  /** A write request object; the same one again and again, as long as writes complete at once. */
  takeWriteRequest(): WriteRequest {
    const spare = this.#spareRequest;
    if (spare !== null) {
      this.#spareRequest = null;
      return spare;
    }
    return new WriteWrap();
  }

  giveWriteRequest(request: WriteRequest): void {
    request.buffer = null;
    this.#spareRequest = request;
  }

  add(transport: Transport): void {
    transport.tableIndex = this.#transports.push(transport) - 1;
    if (this.#sweep === null) this.#sweep = setInterval(() => this.#sweepOnce(), SWEEP_MS);
  }

  remove(transport: Transport): void {
    const last = this.#transports.pop()!;
    if (last !== transport) {
      this.#transports[transport.tableIndex] = last;
      last.tableIndex = transport.tableIndex;
    }
    transport.tableIndex = -1;
    if (this.#transports.length === 0 && this.#sweep !== null) {
      clearInterval(this.#sweep);
      this.#sweep = null;
    }
  }

  #sweepOnce(): void {
    this.beginEvent();
    const now = this.now;
    // Backwards: closing one moves the last into its place, which was looked at already.
    for (let i = this.#transports.length - 1; i >= 0; i--) {
      const transport = this.#transports[i];
      if (transport === undefined) continue;
      if (transport.deadlineAt !== 0) transport.checkDeadline(now);
      if (transport.unsentBytes > 0) this.#checkStall(transport, now);
    }
    for (const sweepable of this.sweepables) sweepable.sweep(now);
    this.endEvent();
  }

  /**
   * The write deadline. A queue that shrinks or grows is no stall. While it stands still, what the peer acknowledges comes out of the
   * kernel's queue alone, so two looks at that one tell how fast it reads: the kernel asks for more only when a large part is gone.
   */
  #checkStall(transport: Transport, now: number): void {
    if (transport.isConnecting) return;
    const queue = transport.queueSize;
    if (queue !== transport.stalledQueue) {
      transport.stalledQueue = queue;
      transport.stalledKernelQueue = -1;
      return;
    }
    const ask = this.#kernelQueue;
    if (ask === null) {
      this.#loadKernelQueue();
      return;
    }
    const elapsedMs = now - transport.stalledSince;
    if (transport.stalledKernelQueue >= 0 && elapsedMs <= this.limits.writeDeadlineMs) return;
    const left = Math.max(0, ask(transport.fd));
    const wanted = Math.max(1, (this.limits.writeMinBytesPerSecond * elapsedMs) / 1000);
    if (transport.stalledKernelQueue >= 0 && transport.stalledKernelQueue - left < wanted) {
      transport.failStalled();
      return;
    }
    transport.stalledKernelQueue = left;
    transport.stalledSince = now;
  }

  /** Most workers never see a stall, and so never load what it takes to make system calls. */
  #loadKernelQueue(): void {
    if (this.#isLoading) return;
    this.#isLoading = true;
    import("./system-calls.ts").then(
      (calls) => {
        this.#kernelQueue = calls.kernelQueue;
      },
      (error: unknown) => {
        // Without it no progress is ever seen in the kernel: a queue that stands still is a stall.
        this.#kernelQueue = () => 0;
        this.reportBug(error);
      },
    );
  }

  /** Closes everything; returns how many. */
  closeAll(): number {
    const count = this.#transports.length;
    while (this.#transports.length > 0) this.#transports[this.#transports.length - 1]!.close(true);
    return count;
  }
}
