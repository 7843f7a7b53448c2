import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Detected, DETECT_BYTES_MAX, detectProtocol } from "../../../src/core/tcp/detect.ts";

const piece = fc.oneof(
  fc.constantFrom(
    "GET",
    "PRI",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "POST",
    "frob",
    " ",
    "\t",
    "/",
    "/x",
    "\r\n",
    "\r",
    "\n",
    " HTTP/1.1",
    " HTTP/2.0",
    "\x16\x03\x01",
  ),
  fc.string({ unit: "binary-ascii", maxLength: 3 }),
  fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
);
const stream = fc.array(piece, { minLength: 1, maxLength: 12 }).map((pieces) => Buffer.from(pieces.join(""), "latin1"));

describe("detection, properties", () => {
  it("never changes a verdict when more bytes come", () => {
    fc.assert(
      fc.property(stream, (bytes) => {
        let verdict: Detected = Detected.undecided;
        for (let size = 0; size <= bytes.length; size++) {
          const next = detectProtocol(bytes, 0, size);
          if (verdict !== Detected.undecided) assert.equal(next, verdict);
          verdict = next;
        }
      }),
      { numRuns: 3000 },
    );
  });

  it("never reads outside of its range", () => {
    fc.assert(
      fc.property(stream, stream, stream, (before, bytes, after) => {
        const inside = Buffer.concat([before, bytes, after]);
        const start = before.length;
        assert.equal(detectProtocol(inside, start, start + bytes.length), detectProtocol(bytes, 0, bytes.length));
      }),
    );
  });

  it("decides after so many bytes at the latest", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary-ascii", minLength: 1 }), (text) => {
        const bytes = Buffer.alloc(DETECT_BYTES_MAX + 8, text);
        assert.notEqual(detectProtocol(bytes, 0, bytes.length), Detected.undecided);
      }),
    );
  });
});
