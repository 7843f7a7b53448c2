// Runs the bytes of one HTTP/1 connection through the codec as a connection would: head, body, next message. What comes out
// is compared by the corpus, by the fuzzer and by nothing else.
//
// The bytes arrive in pieces of the caller's choice. Each call of the codec gets them in memory of its own, at another offset,
// between guards that look like the end of a message: who reads past the end, or keeps a position of the last call, is found
// out. Bodies are scanned twice, for their content and in wire form; both must see the same.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { errorCode } from "../../src/core/errors/error-codes.ts";
import { MessageHead } from "../../src/core/http/head.ts";
import { ChunkEvent, ChunkScanner } from "../../src/core/h1/chunked.ts";
import type { HeadLimits } from "../../src/core/h1/head-parser.ts";
import { writeChunkSize, writeLastChunk } from "../../src/core/h1/serialize.ts";
import type { ExpectedMessage, Stage } from "./corpus.ts";

/** What the codec made of a connection's bytes. */
export interface Outcome {
  readonly messages: readonly ExpectedMessage[];
  /** What goes on to the other side. */
  readonly forward: Buffer;
  /** Code of the error that ended it, '' without one; and where it was. */
  readonly error: string;
  readonly stage: Stage | null;
  /** Inside of what the bytes end; `null`: between two messages. */
  readonly incomplete: Stage | null;
  /** Bytes behind the last message of the connection. */
  readonly surplus: number;
}

const GUARDS = [Buffer.from("\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"), Buffer.alloc(24, 0x41), Buffer.alloc(24, 0)];
/** Above it the bytes stay where they are: moving a head of 32 KB for each of its bytes is 0.5 GB of copies. */
const MOVED_BYTES_MAX = 2048;

export const State = { head: 0, length: 1, chunked: 2, untilClose: 3, tunnel: 4, closed: 5, failed: 6 } as const;
export type State = (typeof State)[keyof typeof State];

/** What both directions share: pieces in, bodies, what goes on. */
export abstract class Driver {
  protected state: State = State.head;
  protected readonly messages: ExpectedMessage[] = [];
  protected readonly head = new MessageHead();
  #forward: Buffer[] = [];
  #payload: Buffer[] = [];
  /** Bytes of the head in progress. */
  #kept: Buffer = Buffer.alloc(0);
  #rest = 0;
  #error = "";
  #stage: Stage | null = null;
  #turn = 0;
  #surplus = 0;
  readonly #wire: ChunkScanner;
  readonly #data: ChunkScanner;
  /** The chunked body goes on without its coding. */
  protected decodes = false;

  constructor(limits: HeadLimits) {
    this.#wire = new ChunkScanner(limits);
    this.#data = new ChunkScanner(limits);
  }

  /** Parses the bytes of a head so far: > 0 its size, 0 incomplete, < 0 minus an error id. */
  protected abstract parseHead(buffer: Buffer, start: number, end: number): number;
  /** Takes the complete head: records the message, writes it on, says what follows. */
  protected abstract takeHead(): State;
  /** What follows a complete message. */
  protected abstract afterMessage(): State;

  protected write(bytes: Buffer): void {
    this.#forward.push(Buffer.from(bytes));
  }

  /** Writes a head with exactly the promised room, and proves that no byte beyond it was touched. */
  protected writeHead(room: number, writer: (out: Buffer, at: number) => number): void {
    const out = Buffer.alloc(room + 16, 0xaa);
    const end = writer(out, 8);
    assert.ok(end <= 8 + room, "a writer used more than the room it asked for");
    assert.ok(out.subarray(0, 8).every((byte) => byte === 0xaa) && out.subarray(8 + room).every((byte) => byte === 0xaa));
    this.write(out.subarray(8, end));
  }

  /** More bytes of the connection. */
  push(piece: Buffer): void {
    let bytes = piece;
    while (bytes.length > 0) {
      if (this.state === State.head) bytes = this.#pushHead(bytes);
      else if (this.state === State.length) bytes = this.#pushLength(bytes);
      else if (this.state === State.chunked) bytes = this.#pushChunked(bytes);
      else {
        if (this.state === State.untilClose) this.#deliver(bytes);
        else if (this.state !== State.failed) this.#surplus += bytes.length;
        return;
      }
    }
  }

  /** The outcome; the connection ends here. */
  outcome(): Outcome {
    let incomplete: Stage | null = null;
    if (this.state === State.head && this.#kept.length > 0) incomplete = this.isBetween() ? null : "head";
    if (this.state === State.length || this.state === State.chunked) incomplete = "body";
    this.#endPayload();
    return {
      messages: this.messages,
      forward: Buffer.concat(this.#forward),
      error: this.#error,
      stage: this.#stage,
      incomplete,
      surplus: this.#surplus,
    };
  }

  /** True while the bytes of the head in progress are nothing of a message. */
  protected abstract isBetween(): boolean;

  #fail(error: number, stage: Stage): Buffer {
    this.#error = errorCode(error);
    this.#stage = stage;
    this.state = State.failed;
    return Buffer.alloc(0);
  }

  #pushHead(piece: Buffer): Buffer {
    const all = this.#kept.length === 0 ? piece : Buffer.concat([this.#kept, piece]);
    const { buffer, start } = this.#moved(all);
    const size = this.parseHead(buffer, start, start + all.length);
    if (size < 0) return this.#fail(-size, "head");
    if (size === 0) {
      this.#kept = all;
      return Buffer.alloc(0);
    }
    assert.ok(size <= all.length, "a head that is larger than the bytes there are");
    assert.ok(size > this.#kept.length, "a head that had been complete before");
    this.#kept = Buffer.alloc(0);
    this.#endPayload();
    this.decodes = false;
    const next = this.takeHead();
    if (next === State.length) this.#rest = this.head.contentLength;
    if (next === State.chunked) {
      this.#wire.reset(true);
      this.#data.reset(false);
    }
    this.state = next === State.head || next === State.closed ? this.afterMessage() : next;
    return all.subarray(size);
  }

  /** The bytes in other memory, between other guards than last time. */
  #moved(bytes: Buffer): { buffer: Buffer; start: number } {
    if (bytes.length > MOVED_BYTES_MAX) return { buffer: bytes, start: 0 };
    const guard = GUARDS[this.#turn % GUARDS.length]!;
    const start = 1 + (this.#turn++ % 7);
    return { buffer: Buffer.concat([guard.subarray(0, start), bytes, guard]), start };
  }

  #pushLength(piece: Buffer): Buffer {
    const taken = Math.min(this.#rest, piece.length);
    this.#rest -= taken;
    this.#deliver(piece.subarray(0, taken));
    if (this.#rest === 0) this.state = this.afterMessage();
    return piece.subarray(taken);
  }

  #deliver(bytes: Buffer): void {
    this.write(bytes);
    this.#payload.push(Buffer.from(bytes));
  }

  #pushChunked(piece: Buffer): Buffer {
    const { buffer, start } = this.#moved(piece);
    const end = start + piece.length;
    const wire = this.#scan(this.#wire, buffer, start, end, !this.decodes);
    const data = this.#scan(this.#data, buffer, start, end, this.decodes);
    assert.deepEqual(data, wire, "content and wire form must see the same end or error");
    if (wire.event === ChunkEvent.error) return this.#fail(wire.error, "body");
    if (wire.event === ChunkEvent.more) return Buffer.alloc(0);
    const message = this.messages.at(-1)!;
    const { trailers } = this.#wire;
    if (trailers !== null) message.trailers = Buffer.from(trailers.buffer.subarray(trailers.start, trailers.end));
    if (!this.decodes) {
      const out = Buffer.alloc(message.trailers.length + 16);
      this.write(out.subarray(0, writeLastChunk(out, 0, trailers)));
    }
    this.state = this.afterMessage();
    return Buffer.from(buffer.subarray(wire.pos, end));
  }

  #scan(
    scanner: ChunkScanner,
    buffer: Buffer,
    start: number,
    end: number,
    forwards: boolean,
  ): { event: number; pos: number; error: number } {
    let pos = start;
    for (;;) {
      const event = scanner.next(buffer, pos, end);
      if (event === ChunkEvent.error) return { event, pos: 0, error: scanner.error };
      assert.ok(scanner.pos >= pos && scanner.pos <= end, "the scanner left its range");
      pos = scanner.pos;
      if (event === ChunkEvent.more || event === ChunkEvent.end) return { event, pos, error: 0 };
      if (event === ChunkEvent.sizeLine) {
        const out = Buffer.alloc(16);
        if (forwards) this.write(out.subarray(0, writeChunkSize(out, 0, scanner.size)));
        continue;
      }
      assert.ok(scanner.from >= start && scanner.from < scanner.to && scanner.to <= end, "a range outside of the bytes");
      const bytes = buffer.subarray(scanner.from, scanner.to);
      if (forwards) this.write(bytes);
      if (event === ChunkEvent.data) this.#payload.push(Buffer.from(bytes));
    }
  }

  #endPayload(): void {
    const message = this.messages.at(-1);
    if (message !== undefined && this.#payload.length > 0) message.payload = Buffer.concat(this.#payload);
    this.#payload = [];
  }
}

/** The bytes in pieces, cut at the given positions. */
export function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    if (cut > from) pieces.push(bytes.subarray(from, cut));
    from = cut;
  }
  return pieces;
}

/** Every position between two bytes. */
export function everyCut(size: number): number[] {
  return Array.from({ length: Math.max(size - 1, 0) }, (_, i) => i + 1);
}
