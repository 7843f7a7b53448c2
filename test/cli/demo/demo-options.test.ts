import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDemoOptions, parseDuration } from "../../../src/cli/demo/demo-options.ts";

test("without arguments the demo runs until Ctrl-C on the ports of the documentation", () => {
  assert.deepEqual(parseDemoOptions([]), { durationMs: null, port: 4140, adminPort: 4191, rate: 200 });
});

test("takes a duration, ports and a rate", () => {
  assert.deepEqual(parseDemoOptions(["--duration", "10s", "--port=0", "--admin-port", "9000", "--rate", "50"]), {
    durationMs: 10_000,
    port: 0,
    adminPort: 9000,
    rate: 50,
  });
});

test("help is no run", () => {
  assert.equal(parseDemoOptions(["--help"]), null);
});

test("durations have a unit, or are seconds", () => {
  assert.deepEqual(["500ms", "10s", "1.5m", "2h", "3"].map(parseDuration), [500, 10_000, 90_000, 7_200_000, 3000]);
});

for (const args of [
  ["--duration", "soon"],
  ["--duration", "0s"],
  ["--duration", "25h"],
  ["--port", "70000"],
  ["--port", "-1"],
  ["--port", "http"],
  ["--rate", "0"],
  ["--rate", "1e3"],
  ["--prot", "4140"],
  ["4140"],
]) {
  test(`refuses ${args.join(" ")} with a message`, () => {
    assert.throws(
      () => parseDemoOptions(args),
      (error: Error) => error.message.length > 10,
    );
  });
}
