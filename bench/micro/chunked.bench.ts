// Scanning chunked bodies: framing forwarded as it is (wire), payload taken out, and framing written anew.
//
//   npm run bench -- micro chunked
//
// The scanner touches framing bytes only, so the time depends on the number of chunks and not on their size.

import { Buffer } from "node:buffer";
import { ChunkEvent, ChunkScanner } from "../../src/core/h1/chunked.ts";
import { HEAD_LIMITS } from "./support/messages.ts";
import { type MicroCase, runMicro } from "./support/micro.ts";

const CHUNKS = 32;

function body(size: number, extension: string): Buffer {
  const chunk = `${size.toString(16)}${extension}\r\n${"x".repeat(size)}\r\n`;
  return Buffer.from(`${chunk.repeat(CHUNKS)}0\r\n\r\n`);
}

const SMALL = body(16, "");
const MIDDLE = body(1024, "");
const LARGE = body(16 * 1024, "");
const EXTENDED = body(1024, ";name=value");

const scanner = new ChunkScanner(HEAD_LIMITS);

/** Scans a whole body; returns its length, 0 when the scanner did not come to the end. */
function scan(bytes: Buffer, wantsWire: boolean): number {
  scanner.reset(wantsWire);
  let pos = 0;
  for (;;) {
    const event = scanner.next(bytes, pos, bytes.length);
    pos = scanner.pos;
    if (event === ChunkEvent.end) return pos;
    if (event === ChunkEvent.error || event === ChunkEvent.more) return 0;
  }
}

function caseOf(name: string, bytes: Buffer, wantsWire: boolean): MicroCase {
  return { name: `${CHUNKS} chunks of ${name}`, work: () => scan(bytes, wantsWire), isRight: (length) => length === bytes.length };
}

await runMicro([
  [
    caseOf("16 bytes: wire", SMALL, true),
    caseOf("1 KiB: wire", MIDDLE, true),
    caseOf("16 KiB: wire", LARGE, true),
    caseOf("1 KiB: payload", MIDDLE, false),
    caseOf("1 KiB with extensions: wire, size lines written anew", EXTENDED, true),
  ],
]);
