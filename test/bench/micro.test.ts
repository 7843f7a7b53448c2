// Every micro benchmark still runs and still measures what it says: each case is called a few times, none is timed.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { MICRO_BENCHMARKS, microFile } from "../../bench/micro/support/run-files.ts";
import { check } from "../../bench/micro/support/micro.ts";

const run = promisify(execFile);

for (const name of MICRO_BENCHMARKS) {
  test(`the micro benchmark '${name}' does what it says`, async () => {
    const { stdout } = await run(process.execPath, ["--no-deprecation", microFile(name), "--moment"]);
    assert.match(stdout, /^(ok {2}.+\n)+$/, "its cases must be made with support/micro.ts, which knows --moment");
  });
}

test("the pieces that every request passes are all there", () => {
  for (const name of ["chunked", "head-parser", "histogram", "pickers", "route", "serialize"])
    assert.ok(MICRO_BENCHMARKS.includes(name), name);
});

test("a case that answers wrongly stops the benchmark", () => {
  const wrong = { name: "wrong", work: () => -1, isRight: (answer: unknown) => answer === 1 };
  assert.throws(() => check(wrong), /'wrong' answers -1: it no longer measures what it says/);
});
