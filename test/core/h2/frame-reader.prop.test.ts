// The frame reader alone: whatever the frames and the splits, the sink hears the same, data as ranges of the buffer that was read.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import type { Lease } from "../../../src/core/http/exchange.ts";
import { FrameReader, type FrameSink } from "../../../src/core/h2/frame-reader.ts";
import { clientBytes } from "../../fuzz/h2-input.ts";
import { Random } from "../../fuzz/random.ts";
import { cutAt, everyCut } from "../../support/h1-driver-base.ts";
import { CountingLease } from "../../support/h2-engine.ts";
import { continuation, data, frame, FrameType, headers, PREFACE, settings } from "../../support/h2-frames.ts";

const LIMITS = { maxFrameSizeBytes: 16_384, blockBytesMax: 4096 };

/** Writes down what it hears; pieces of data are joined. */
class Notes implements FrameSink {
  readonly lines: string[] = [];
  reader: FrameReader | null = null;
  lease: Lease | null = null;
  /** The buffer that is being read, and the last ranges that pointed into it. */
  buffer: Buffer | null = null;
  blocksInPlace = 0;
  #data = "";

  onDataFrame(streamId: number, flags: number, size: number, dataSize: number): void {
    this.lines.push(`data ${streamId} ${flags} ${size} ${dataSize}`);
    this.#data = "";
  }

  onDataPiece(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    assert.equal(buffer, this.buffer, "data is a range of what was read");
    assert.equal(lease, this.lease);
    assert.ok(end > start);
    this.#data += buffer.toString("latin1", start, end);
  }

  onDataFrameEnd(flags: number): void {
    this.lines.push(`data end ${flags} ${this.#data}`);
  }

  onHeaderBlock(streamId: number, flags: number, dependency: number, buffer: Buffer, start: number, end: number): void {
    if (buffer === this.buffer) this.blocksInPlace++;
    this.lines.push(`block ${streamId} ${flags} ${dependency} ${buffer.toString("hex", start, end)}`);
  }

  onControlFrame(type: number, flags: number, streamId: number, length: number, buffer: Buffer, start: number, end: number): void {
    this.lines.push(`control ${type} ${flags} ${streamId} ${length} ${buffer.toString("hex", start, Math.min(end, start + 384))}`);
  }

  onUnknownFrame(): void {
    this.lines.push("unknown");
  }

  onFrameError(h2code: number, why: string): void {
    this.lines.push(`error ${h2code} ${why}`);
  }
}

function read(pieces: readonly Buffer[]): Notes {
  const notes = new Notes();
  const reader = new FrameReader(notes, LIMITS, true);
  notes.lease = new CountingLease();
  for (const piece of pieces) {
    const buffer = Buffer.concat([Buffer.from("\xff\xff"), piece, Buffer.from("\xff\xff")]);
    notes.buffer = buffer;
    reader.read(buffer, 4, buffer.length - 4, notes.lease);
    buffer.fill(0xaa);
  }
  return notes;
}

describe("the frame reader", () => {
  it("says the same of 1500 inputs however they are split", () => {
    for (let seed = 1; seed <= 1500; seed++) {
      const random = new Random(seed);
      const input = clientBytes(random);
      const { lines } = read([input]);
      for (const cuts of [random.cuts(input.length, 1), random.cuts(input.length, 12), everyCut(input.length)]) {
        assert.deepEqual(read(cutAt(input, cuts)).lines, lines, `seed ${seed}`);
      }
    }
  });

  it("delivers a block in place when it came whole", () => {
    const block = Buffer.from("block");
    const whole = Buffer.concat([PREFACE, settings(), headers(1, block), headers(3, block, { padding: 4, priority: { dependsOn: 1 } })]);
    assert.equal(read([whole]).blocksInPlace, 2);
    assert.equal(read([whole.subarray(0, -3), whole.subarray(-3)]).blocksInPlace, 1);
  });

  it("keeps nothing of a frame that is too large, and not more of a block than it may", () => {
    const tooLarge = read([PREFACE, settings(), frame(FrameType.HEADERS, 4, 1, "", 16_385), Buffer.alloc(16_385)]);
    assert.deepEqual(tooLarge.lines.at(-1), "error 6 a frame is larger than SETTINGS_MAX_FRAME_SIZE");
    const part = Buffer.alloc(1000);
    const parts = Array.from({ length: 5 }, () => continuation(1, part, { endHeaders: false }));
    assert.deepEqual(
      read([PREFACE, settings(), headers(1, part, { endHeaders: false }), ...parts]).lines.at(-1),
      "error 11 a header block is too large",
    );
  });

  it("skips what is behind the part of a frame that it keeps", () => {
    const debug = Buffer.alloc(3000, "d");
    const long = frame(FrameType.GOAWAY, 0, 0, Buffer.concat([Buffer.alloc(8), debug]));
    const input = Buffer.concat([PREFACE, settings(), long, data(1, "x")]);
    for (const cuts of [[], [40, 60, 500], everyCut(input.length)]) {
      const { lines } = read(cutAt(input, cuts));
      assert.match(lines[1]!, /^control 7 0 0 3008 /);
      assert.deepEqual(lines.slice(2), ["data 1 0 1 1", "data end 0 x"]);
    }
  });

  it("reads nothing behind an error", () => {
    const { lines } = read([PREFACE, settings(), data(0, "x"), data(1, "y")]);
    assert.equal(lines.length, 2);
  });
});
