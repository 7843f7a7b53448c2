import assert from "node:assert/strict";
import { test } from "node:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpuBetween, processTree, readCpu, readMemory } from "../../bench/support/proc.ts";

test("CPU time that this process spends is seen, within what the clock says", () => {
  const before = readCpu(process.pid);
  const began = performance.now();
  while (performance.now() - began < 50);
  const used = cpuBetween(before, readCpu(process.pid));
  assert.ok(used.total > 1_000, `${used.total} us of 50 ms`);
});

test("a child's CPU time and memory count with its parent's", async () => {
  const child = spawn(process.execPath, ["-e", "process.stdin.resume()"], { stdio: ["pipe", "ignore", "ignore"] });
  await once(child, "spawn");
  assert.ok(processTree(process.pid).includes(child.pid!));
  assert.ok(readMemory(process.pid).rss > readMemory(child.pid!).rss);
  child.stdin.end();
  await once(child, "exit");
  assert.ok(!processTree(process.pid).includes(child.pid!));
});

test("a reading in which a thread ended falls back to the kernel's ticks", () => {
  const before = {
    user: 0,
    system: 0,
    threads: new Map([
      ["1/1", 5_000],
      ["1/2", 9_000],
    ]),
  };
  const after = { user: 20_000, system: 10_000, threads: new Map([["1/1", 8_000]]) };
  assert.deepEqual(cpuBetween(before, after), { user: 20_000, system: 10_000, total: 30_000 });
});

test("with all threads still there the nanoseconds count", () => {
  const before = { user: 0, system: 0, threads: new Map([["1/1", 5_000]]) };
  const after = {
    user: 20_000,
    system: 10_000,
    threads: new Map([
      ["1/1", 8_000],
      ["1/2", 4_000],
    ]),
  };
  assert.equal(cpuBetween(before, after).total, 7);
});
