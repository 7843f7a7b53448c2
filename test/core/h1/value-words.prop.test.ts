// Skipping values by words agrees with the table of value characters, whatever the bytes, the alignment and the buffer.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { it } from "node:test";
import fc from "fast-check";
import { VALUE_CHARS } from "../../../src/core/h1/tables.ts";
import { skipWords } from "../../../src/core/h1/value-words.ts";

/** Bytes around the borders of what is allowed, and any others. */
const byte = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0x20, max: 0x7e }) },
  fc.constantFrom(0x80, 0xff, 0x7f, 0x1f, 0, 9, 10, 13, 0xa0),
  fc.nat(255),
);

it("never skips a byte that may not stand in a value, and never passes the end", () => {
  // Large enough that each new buffer gets a view of its own at once.
  const slab = Buffer.alloc(2048, 0x61);
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 40 }), fc.nat(9), (bytes, at) => {
      slab.fill(0x61);
      slab.set(bytes, at);
      const end = at + bytes.length;
      skipWords(slab, at, slab.length);
      const p = skipWords(slab, at, end);
      assert.ok(p >= at && p <= end);
      for (let i = at; i < p; i++) assert.equal(VALUE_CHARS[slab[i]!], 1);
      // It gives up within the word that holds the first tab or refused byte, or where no whole word is left.
      let stop = at;
      while (stop < end && VALUE_CHARS[slab[stop]!] !== 0 && slab[stop] !== 9) stop++;
      assert.ok(p > stop - 4, `stopped at ${p - at}, could reach ${stop - at}`);
    }),
    { numRuns: 10_000 },
  );
});

it("judges each single byte as the table does, at each place of a word", () => {
  for (let place = 0; place < 4; place++) {
    for (let value = 0; value < 256; value++) {
      const buf = Buffer.alloc(1024, 0x20);
      buf[place] = value;
      const skipped = skipWords(buf, 0, buf.length) === buf.length;
      assert.equal(skipped, VALUE_CHARS[value] === 1 && value !== 9, `byte ${value} at ${place}`);
    }
  }
});

it("sees what a buffer holds now, not what it held", () => {
  const buf = Buffer.alloc(1024, 0x61);
  assert.equal(skipWords(buf, 0, buf.length), 1024);
  buf[5] = 0;
  assert.equal(skipWords(buf, 0, buf.length), 4);
});

it("respects where a view begins in its memory", () => {
  const memory = new ArrayBuffer(4096);
  const whole = Buffer.from(memory).fill(0);
  const part = Buffer.from(memory, 1001, 1024).fill(0x61);
  assert.equal(skipWords(part, 0, part.length), 1024);
  assert.equal(skipWords(whole, 1001, 1001 + 1024), 1001 + 1024);
  assert.equal(skipWords(whole, 0, whole.length), 0);
});
