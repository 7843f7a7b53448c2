// Byte helpers that parsers and writers share.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { it } from "node:test";
import { asciiBytes, copyBytes, copyRange, equalsRange, equalsWord, lowerByte, writeDecimal } from "../../../src/core/bytes/ascii.ts";

it("lowers letters and nothing else", () => {
  for (let byte = 0; byte < 256; byte++) {
    const expected = byte >= 65 && byte <= 90 ? byte + 32 : byte;
    assert.equal(lowerByte(byte), expected);
  }
});

it("compares a word without case, whole", () => {
  const buf = Buffer.from("xxClose-xx");
  assert.equal(equalsWord(buf, 2, 7, asciiBytes("close")), true);
  assert.equal(equalsWord(buf, 2, 8, asciiBytes("close")), false);
  assert.equal(equalsWord(buf, 2, 6, asciiBytes("close")), false);
});

it("takes no other visible byte for one of a word's", () => {
  for (const letter of "abcdefghijklmnopqrstuvwxyz0123456789-./:") {
    for (let byte = 0x21; byte < 256; byte++) {
      const expected = String.fromCharCode(byte).toLowerCase() === letter && byte < 0x80;
      assert.equal(equalsWord(Buffer.from([byte]), 0, 1, asciiBytes(letter)), expected, `${byte} for ${letter}`);
    }
  }
});

it("compares two ranges without case", () => {
  const buf = Buffer.from("abC-ABc");
  assert.equal(equalsRange(buf, 0, 3, 4, 7), true);
  assert.equal(equalsRange(buf, 0, 2, 4, 7), false);
  assert.equal(equalsRange(buf, 0, 3, 3, 6), false);
});

it("copies ranges of every size, exactly", () => {
  const source = Buffer.from(Array.from({ length: 300 }, (_, i) => (i % 250) + 1));
  for (let size = 0; size <= 250; size++) {
    const out = Buffer.alloc(300);
    assert.equal(copyRange(source, 7, 7 + size, out, 5), 5 + size);
    assert.deepEqual(out.subarray(5, 5 + size), source.subarray(7, 7 + size));
    assert.ok(out.subarray(0, 5).every((byte) => byte === 0));
    assert.ok(out.subarray(5 + size).every((byte) => byte === 0));
  }
});

it("copies constants", () => {
  const out = Buffer.alloc(6);
  assert.equal(copyBytes(asciiBytes("abc"), out, 2), 5);
  assert.equal(out.toString("latin1"), "\0\0abc\0");
});

it("writes decimal numbers", () => {
  for (const value of [0, 7, 9, 10, 99, 100, 65535, 4294967296, Number.MAX_SAFE_INTEGER]) {
    const out = Buffer.alloc(20, "#");
    assert.equal(out.toString("latin1", 1, writeDecimal(out, 1, value)), String(value));
  }
});
