// Target chunked: the chunk scanner against a second decoder, in content and wire form, whole and split.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { ChunkEvent, ChunkScanner } from "../../src/core/h1/chunked.ts";
import { writeChunkSize, writeLastChunk } from "../../src/core/h1/serialize.ts";
import { mayBeTrailer } from "../../src/core/h1/trailer-section.ts";
import { DEFAULT_HEAD_LIMITS } from "../support/h1-driver.ts";
import { cutAt, everyCut } from "../support/h1-driver-base.ts";
import { decodeChunked, EXTENSION_BYTES_SAFE, type ReferenceResult } from "./chunked-reference.ts";
import { chunkedBody } from "./mutate.ts";
import { corpusInputs, type FuzzTarget, generator, type TargetOptions } from "./target.ts";

/** The canary: takes a bad size for a part that is still to come. */
class PatientScanner extends ChunkScanner {
  override next(buf: Buffer, pos: number, end: number): ChunkEvent {
    const event = super.next(buf, pos, end);
    if (event !== ChunkEvent.error) return event;
    this.pos = end;
    return ChunkEvent.more;
  }
}

interface Scanned {
  verdict: ReferenceResult["verdict"];
  out: Buffer;
  trailers: string;
  size: number;
}

function scan(scanner: ChunkScanner, pieces: readonly Buffer[], isWire: boolean): Scanned {
  scanner.reset(isWire);
  const out: Buffer[] = [];
  let size = 0;
  const done = (verdict: Scanned["verdict"]): Scanned => {
    const { trailers } = scanner;
    const text = trailers === null || verdict !== "complete" ? "" : trailers.buffer.toString("latin1", trailers.start, trailers.end);
    if (isWire && verdict === "complete") {
      const last = Buffer.alloc(text.length + 16);
      out.push(last.subarray(0, writeLastChunk(last, 0, trailers)));
    }
    return { verdict, out: Buffer.concat(out), trailers: text, size };
  };
  for (const piece of pieces) {
    // Memory of its own: a view that the scanner kept would point to the last piece.
    const buffer = Buffer.concat([Buffer.from("\r\n"), piece, Buffer.from("\r\n0\r\n\r\n")]);
    let pos = 2;
    const end = 2 + piece.length;
    for (;;) {
      const event = scanner.next(buffer, pos, end);
      if (event === ChunkEvent.error) return done("refused");
      assert.ok(scanner.pos >= pos && scanner.pos <= end, "the scanner left its range");
      size += scanner.pos - pos;
      pos = scanner.pos;
      if (event === ChunkEvent.end) return done("complete");
      if (event === ChunkEvent.more) break;
      if (event === ChunkEvent.sizeLine) {
        const line = Buffer.alloc(16);
        out.push(line.subarray(0, writeChunkSize(line, 0, scanner.size)));
      } else out.push(Buffer.from(buffer.subarray(scanner.from, scanner.to)));
    }
  }
  return done("incomplete");
}

function keptTrailers(lines: readonly string[]): string {
  return lines.filter((line) => mayBeTrailer(Buffer.from(line, "latin1"), 0, line.indexOf(":"))).join("");
}

/** The extension limits are the scanner's own; the reference has none. */
function isNearLimit(input: Buffer): boolean {
  return (
    /;[^\r]{900}/.test(input.toString("latin1")) ||
    input.length > 16 * EXTENSION_BYTES_SAFE ||
    input.toString("latin1").split("\r\n").length > DEFAULT_HEAD_LIMITS.headerCountMax
  );
}

export function chunkedTarget(options: TargetOptions): FuzzTarget {
  const scanner = options.canary ? new PatientScanner(DEFAULT_HEAD_LIMITS) : new ChunkScanner(DEFAULT_HEAD_LIMITS);
  const bodies = corpusInputs("request")
    .filter((bytes) => bytes.includes("chunked"))
    .map((bytes) => bytes.subarray(bytes.indexOf("\r\n\r\n") + 4));
  return {
    generate: generator(bodies, chunkedBody),
    check(input, random, tally) {
      if (isNearLimit(input)) return;
      const expected = decodeChunked(input);
      tally.add(expected.verdict === "complete" ? "accepted" : expected.verdict);
      // The scanner waits for the LF before it says what is wrong with a line; the reference does not.
      if (expected.verdict === "refused" && input.at(-1) === 0x0d) return;
      for (const cuts of [[], random.cuts(input.length, 1), random.cuts(input.length, 6), everyCut(input.length)]) {
        const pieces = cutAt(input, cuts);
        const content = scan(scanner, pieces, false);
        assert.equal(content.verdict, expected.verdict, "verdict on the content");
        const wire = scan(scanner, pieces, true);
        assert.equal(wire.verdict, expected.verdict, "verdict in wire form");
        if (expected.verdict === "refused") continue;
        assert.equal(content.out.toString("latin1"), expected.payload, "content");
        if (expected.verdict === "incomplete") continue;
        assert.equal(content.size, expected.size, "where the body ends");
        assert.equal(wire.size, expected.size, "where the body ends, in wire form");
        assert.equal(content.trailers, keptTrailers(expected.trailers), "trailers");
        // What goes on means the same, holds no extension, and is complete.
        const again = decodeChunked(wire.out);
        assert.deepEqual(
          [again.verdict, again.payload, again.trailers.join(""), again.size],
          ["complete", expected.payload, content.trailers, wire.out.length],
        );
        assert.ok(!again.hasExtensions, "an extension went on");
      }
    },
  };
}
