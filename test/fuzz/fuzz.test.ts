// The fuzzer in CI: a short run of every target with a fixed seed, every input of a past finding, and the proof that each
// target finds something when something is broken.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { fuzz, regressions, TARGETS } from "./main.ts";
import { Random } from "./random.ts";
import { Tally } from "./target.ts";

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));
const SMOKE = { seed: 20_261_122, runs: 400, seconds: 60 };

function run(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    let err = "";
    child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
    child.on("close", (code) => resolve({ code, out, err }));
  });
}

describe("the fuzzer", () => {
  for (const [name, make] of Object.entries(TARGETS)) {
    it(`finds nothing with ${name}, and tries what is accepted as well as what is refused`, async () => {
      const tally = new Tally();
      const target = await make({ canary: false });
      const finding = await fuzz(target, SMOKE, tally);
      await target.close?.();
      assert.equal(finding, null, `npm run fuzz -- ${name} --seed ${finding?.seed} --runs 1\n${finding?.error.stack}`);
      assert.equal(tally.get("runs"), SMOKE.runs);
      assert.ok(tally.get("accepted") > SMOKE.runs / 10, "too few inputs are accepted");
      assert.ok(tally.get("accepted") < SMOKE.runs * 0.9, "too few inputs are refused");
    });

    it(`finds the canary with ${name}`, async () => {
      const target = await make({ canary: true });
      const finding = await fuzz(target, SMOKE, new Tally());
      await target.close?.();
      assert.notEqual(finding, null, "a fuzzer that does not find the canary finds nothing");
    });
  }

  it("finds nothing any more in the inputs of past findings", async () => {
    let replayed = 0;
    for (const [name, make] of Object.entries(TARGETS)) {
      const target = await make({ canary: false });
      for (const { input, seed } of regressions(name)) {
        const random = new Random(seed);
        target.generate(random);
        await target.check(input, random, new Tally());
        replayed++;
      }
      await target.close?.();
    }
    assert.ok(replayed > 0);
  });

  it("makes the same input of the same seed", async () => {
    const target = await TARGETS["request-head"]!({ canary: false });
    const inputs = [1, 2, 3, 1].map((seed) => target.generate(new Random(seed)).toString("latin1"));
    assert.equal(inputs[3], inputs[0]);
    assert.notEqual(inputs[1], inputs[0]);
  });

  it("exits with 0 when it finds nothing", async () => {
    const { code, out } = await run("chunked", "--seed", "7", "--runs", "20");
    assert.equal(code, 0);
    assert.match(out, /^chunked: seed 7, runs 20/);
  });

  it("exits with 1 on a finding and prints the command that repeats it", async () => {
    const first = await run("all", "--seed", "7", "--runs", "500", "--canary");
    assert.equal(first.code, 1);
    const command = /repeat: npm run fuzz -- (.+)/.exec(first.err)?.[1];
    assert.match(command ?? "", /^[a-z-]+ --seed \d+ --runs 1 --canary$/);
    const again = await run(...command!.split(" "));
    assert.equal(again.code, 1);
    assert.equal(/AssertionError.*/.exec(again.err)?.[0], /AssertionError.*/.exec(first.err)?.[0], "the same finding");
  });

  it("exits with 2 on a target that does not exist", async () => {
    const { code, err } = await run("nothing");
    assert.equal(code, 2);
    assert.match(err, /no target 'nothing'/);
  });
});
