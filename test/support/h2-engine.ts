// The HTTP/2 engine without a socket: an output that keeps bytes as a transport would, owners that write down what they are told, and a
// harness that speaks frames with one engine (h2-frames.ts, h2-hpack.ts), or joins two of them.

import { Buffer } from "node:buffer";
import type { Lease, RequestEdits, Trailers } from "../../src/core/http/exchange.ts";
import type { MessageHead } from "../../src/core/http/head.ts";
import { H2Connection } from "../../src/core/h2/connection.ts";
import type { H2Chunk, H2ConnectionOptions, H2ConnectionOwner, H2Output, H2Stream, H2StreamOwner } from "../../src/core/h2/contract.ts";
import { DEFAULT_H2_LIMITS, type H2Limits } from "../../src/core/h2/limits.ts";
import { H2Scratch } from "../../src/core/h2/scratch.ts";
import {
  describeFrame,
  errorCodeOf,
  errorName,
  type Frame,
  FrameSplitter,
  FrameType,
  PREFACE,
  settings,
  settingsAck,
} from "./h2-frames.ts";
import { HpackDecoder } from "./h2-hpack.ts";

const CHUNK_BYTES = 16 * 1024;
/** As a transport does: what is smaller is copied, the rest written as it is. */
const COPY_MAX = 4 * 1024;

/** A lease that counts. */
export class CountingLease implements Lease {
  held = 0;
  retained = 0;

  retain(): void {
    this.held++;
    this.retained++;
  }

  release(): void {
    if (--this.held < 0) throw new Error("released more often than retained");
  }
}

/** Keeps what is written until `take`. A chunk that left is poisoned: who still writes to it is found out. */
export class BufferOutput implements H2Output {
  flushCount = 0;
  #chunk: { bytes: Buffer; length: number } | null = null;
  #left: Buffer[] = [];
  readonly chunkBytes: number;

  constructor(chunkBytes = CHUNK_BYTES) {
    this.chunkBytes = chunkBytes;
  }

  reserve(size: number): H2Chunk {
    if (this.#chunk !== null && this.#chunk.length + size <= this.#chunk.bytes.length) return this.#chunk;
    this.flush();
    this.#chunk = { bytes: Buffer.alloc(Math.max(size, this.chunkBytes), 0xee), length: 0 };
    return this.#chunk;
  }

  write(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    if (lease !== null && end - start > COPY_MAX) {
      this.flush();
      this.flushCount++;
      this.#left.push(Buffer.from(buffer.subarray(start, end)));
      return;
    }
    for (let p = start; p < end; ) {
      const chunk = this.reserve(1);
      const size = Math.min(end - p, chunk.bytes.length - chunk.length);
      buffer.copy(chunk.bytes, chunk.length, p, p + size);
      chunk.length += size;
      p += size;
    }
  }

  flush(): void {
    const chunk = this.#chunk;
    if (chunk === null) return;
    this.#chunk = null;
    this.flushCount++;
    if (chunk.length > chunk.bytes.length) throw new Error("a chunk was overrun");
    this.#left.push(Buffer.from(chunk.bytes.subarray(0, chunk.length)));
    chunk.bytes.fill(0xdd);
  }

  /** All bytes so far. */
  take(): Buffer {
    this.flush();
    const all = Buffer.concat(this.#left);
    this.#left = [];
    return all;
  }
}

/** The head as an HTTP/1.1 parser would have to read it. */
export function headText(head: MessageHead): string {
  return head.buffer.toString("latin1", head.start, head.start + head.size);
}

export function trailersOf(text: string): Trailers {
  const buffer = Buffer.from(`\n\n${text}\n`, "latin1");
  return { buffer, start: 2, end: 2 + text.length };
}

export const NO_EDITS: RequestEdits = { hostFallback: Buffer.from("fallback"), forwardedFor: null, via: null, clientId: null };

/** Writes down what a stream is told, one line per call; bodies are joined. */
export class RecordingStream implements H2StreamOwner {
  readonly events: string[];
  readonly stream: H2Stream;
  body = Buffer.alloc(0);
  isEnded = false;
  /** Bytes are drained as they come. */
  drains = true;
  releasesAtEnd = true;
  onEvent: (event: string) => void = () => {};
  lastHead = "";

  constructor(stream: H2Stream, events: string[]) {
    this.stream = stream;
    this.events = events;
  }

  /** Its number, also when the stream has been given back. */
  get idText(): string {
    if (this.stream.id !== 0) this.#id = String(this.stream.id);
    return this.#id;
  }

  #id = "";

  #say(event: string): void {
    void this.idText;
    this.events.push(`${this.stream.id} ${event}`);
    this.onEvent(event);
  }

  onHead(head: MessageHead, isEnd: boolean): void {
    this.lastHead = headText(head);
    this.isEnded = isEnd;
    this.#say(`head ${JSON.stringify(this.lastHead)}${isEnd ? " end" : ""}`);
  }

  onHeadRefused(errorId: number, isEnd: boolean): void {
    this.isEnded = isEnd;
    this.#say(`refused ${errorId}${isEnd ? " end" : ""}`);
  }

  onData(buffer: Buffer, start: number, end: number, _lease: Lease | null): void {
    this.body = Buffer.concat([this.body, buffer.subarray(start, end)]);
    if (this.drains) this.stream.drained(end - start);
  }

  onEnd(trailers: Trailers | null): void {
    this.isEnded = true;
    const text = trailers === null ? "" : ` ${JSON.stringify(trailers.buffer.toString("latin1", trailers.start, trailers.end))}`;
    this.#say(`body ${JSON.stringify(this.body.toString("latin1"))}`);
    this.#say(`end${text}`);
  }

  onReset(h2code: number, isRemote: boolean, wasProcessed: boolean): void {
    this.events.push(`reset ${errorName(h2code)} ${isRemote ? "remote" : "local"}${wasProcessed ? "" : " unprocessed"}`);
    this.onEvent("reset");
    if (this.releasesAtEnd) this.stream.release();
  }

  onWritable(): void {
    this.#say("writable");
  }
}

/** A connection's owner that keeps its streams and what it was told. */
export class RecordingConnection implements H2ConnectionOwner {
  readonly events: string[] = [];
  readonly streams: RecordingStream[] = [];
  onStream: (stream: RecordingStream) => void = () => {};
  closedStreams = 0;

  acceptStream(stream: H2Stream): H2StreamOwner {
    const owner = new RecordingStream(stream, this.events);
    this.streams.push(owner);
    this.onStream(owner);
    return owner;
  }

  onPeerSettings(): void {}

  onGoaway(lastStreamId: number, h2code: number): void {
    this.events.push(`goaway ${lastStreamId} ${errorName(h2code)}`);
  }

  onConnectionError(h2code: number, why: string): void {
    this.events.push(`error ${errorName(h2code)}: ${why}`);
  }

  onStreamClosed(): void {
    this.closedStreams++;
  }

  onPong(): void {
    this.events.push("pong");
  }
}

export interface EngineOptions {
  readonly isServer?: boolean;
  readonly limits?: Partial<H2Limits>;
  readonly takesExtendedConnect?: boolean;
  readonly isHttps?: boolean;
  readonly isMesh?: boolean;
  readonly chunkBytes?: number;
  readonly scratch?: H2Scratch;
  /** Makes the connection, if it is to be a special one. */
  readonly make?: (options: H2ConnectionOptions) => H2Connection;
}

/** One engine; the test is its peer. */
export class Engine {
  readonly owner = new RecordingConnection();
  readonly output: BufferOutput;
  readonly connection: H2Connection;
  readonly limits: H2Limits;
  nowMs = 1000;
  readonly #splitter = new FrameSplitter();
  readonly #decoder = new HpackDecoder();

  constructor(options: EngineOptions = {}) {
    this.limits = Object.freeze({ ...DEFAULT_H2_LIMITS, ...options.limits });
    this.output = new BufferOutput(options.chunkBytes);
    const make = options.make ?? ((all: H2ConnectionOptions) => new H2Connection(all));
    this.connection = make({
      isServer: options.isServer ?? true,
      owner: this.owner,
      output: this.output,
      limits: this.limits,
      scratch: options.scratch ?? new H2Scratch(this.limits),
      isHttps: options.isHttps ?? false,
      isMesh: options.isMesh ?? false,
      takesExtendedConnect: options.takesExtendedConnect ?? false,
    });
    this.connection.begin();
  }

  /** A server behind its handshake: what it sent so far is dropped. */
  static server(options: Omit<EngineOptions, "isServer"> = {}): Engine {
    const engine = new Engine({ ...options, isServer: true });
    engine.feed(PREFACE, settings(), settingsAck());
    engine.frames();
    return engine;
  }

  /** A client behind its handshake. */
  static client(options: Omit<EngineOptions, "isServer"> = {}, ...pairs: readonly (readonly [id: number, value: number])[]): Engine {
    const engine = new Engine({ ...options, isServer: false });
    engine.output.take();
    engine.feed(settings(...pairs), settingsAck());
    engine.frames();
    return engine;
  }

  get events(): string[] {
    return this.owner.events;
  }

  /** Gives the engine bytes, in memory of their own that is poisoned afterwards. */
  feed(...parts: readonly Buffer[]): this {
    const bytes = Buffer.concat([Buffer.from("guard"), ...parts, Buffer.from("guard")]);
    this.connection.receive(bytes, 5, bytes.length - 5, null, this.nowMs);
    bytes.fill(0xaa);
    return this;
  }

  /** The frames that the engine has sent since the last call. */
  frames(): Frame[] {
    return this.#splitter.push(this.output.take());
  }

  /** The same as words: `DATA 1 "..." END`, `HEADERS 1 :status=200 ... END`, `RST_STREAM 1 CANCEL`. */
  sent(): string[] {
    return words(this.frames(), this.#decoder);
  }

  /** Events since the last call. */
  told(): string[] {
    return this.owner.events.splice(0);
  }

  stream(index: number): RecordingStream {
    const stream = this.owner.streams[index];
    if (stream === undefined) throw new Error(`there is no stream ${index}`);
    return stream;
  }

  /** Client: opens a stream with an owner that writes down. */
  open(): RecordingStream {
    const { owner } = this;
    let recording: RecordingStream | null = null;
    // The owner needs the stream, and the stream its owner.
    const late: H2StreamOwner = {
      onHead: (head, isEnd) => recording!.onHead(head, isEnd),
      onHeadRefused: (id, isEnd) => recording!.onHeadRefused(id, isEnd),
      onData: (buffer, start, end, lease) => recording!.onData(buffer, start, end, lease),
      onEnd: (trailers) => recording!.onEnd(trailers),
      onReset: (code, isRemote, was) => recording!.onReset(code, isRemote, was),
      onWritable: () => recording!.onWritable(),
    };
    const stream = this.connection.openStream(late);
    if (stream === null) throw new Error("no stream to be had");
    recording = new RecordingStream(stream, owner.events);
    owner.streams.push(recording);
    return recording;
  }
}

const NAMES = new Map<number, string>(Object.entries(FrameType).map(([name, type]) => [type, name]));

/** Frames as words; blocks are decoded in order, so every frame has to go through here. */
export function words(frames: readonly Frame[], decoder: HpackDecoder): string[] {
  let block: Buffer[] = [];
  return frames.map((one) => {
    const end = (one.flags & 1) !== 0 ? " END" : "";
    const name = NAMES.get(one.type) ?? `type ${one.type}`;
    switch (one.type) {
      case FrameType.DATA:
        return `DATA ${one.streamId} ${JSON.stringify(one.payload.toString("latin1"))}${end}`;
      case FrameType.HEADERS:
      case FrameType.CONTINUATION: {
        block.push(one.payload);
        if ((one.flags & 4) === 0) return `${name} ${one.streamId} ...${one.type === FrameType.HEADERS ? end : ""}`;
        const fields = decoder.decode(Buffer.concat(block)).map(([field, value]) => `${field}=${value}`);
        block = [];
        return `${name} ${one.streamId} ${fields.join(" ")}${one.type === FrameType.HEADERS ? end : ""}`;
      }
      case FrameType.RST_STREAM:
        return `RST_STREAM ${one.streamId} ${errorName(errorCodeOf(one))}`;
      case FrameType.GOAWAY:
        return `GOAWAY ${one.payload.readUInt32BE(0)} ${errorName(errorCodeOf(one))}`;
      case FrameType.WINDOW_UPDATE:
        return `WINDOW_UPDATE ${one.streamId} ${one.payload.readUInt32BE(0)}`;
      case FrameType.SETTINGS:
        return (one.flags & 1) !== 0 ? "SETTINGS ack" : "SETTINGS";
      case FrameType.PING:
        return `PING${(one.flags & 1) !== 0 ? " ack" : ""}`;
      default:
        return describeFrame(one);
    }
  });
}
