import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeResult, RESULT_FORMAT } from "../../bench/result.ts";

test("a document of this format is read", () => {
  assert.equal(decodeResult(JSON.stringify({ format: RESULT_FORMAT, title: "one" })).title, "one");
});

test("what is no document, or one of another format, is refused with what to do", () => {
  assert.throws(() => decodeResult("<html>"), /not even JSON/);
  assert.throws(() => decodeResult("null"), /format is undefined/);
  assert.throws(() => decodeResult('{"format":"weft-bench/0"}'), /"weft-bench\/0", not "weft-bench\/1"; run the benchmark again/);
});
