// Loading in a thread of its own: the same answers, frozen, and no death of the thread that anybody else notices.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { LoaderThread, loadInWorker } from "../../src/config/load-in-worker.ts";

const PROXY = "apiVersion: weft.dev/v1alpha1\nkind: Proxy\nmetadata: {name: p}\n";

function dataModule(code: string): URL {
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`);
}

test("answers with a frozen snapshot", async () => {
  const result = await loadInWorker({ text: PROXY });
  assert.ok("snapshot" in result);
  assert.equal(result.snapshot.name, "p");
  assert.ok(Object.isFrozen(result.snapshot.listeners[0]?.listen));
});

test("answers with problems", async () => {
  const result = await loadInWorker({ text: PROXY.replace("Proxy", "Prxy") });
  assert.ok("problems" in result);
  assert.equal(result.problems[0]?.hint, "did you mean Proxy?");
});

test("answers each of several loads at once with its own result", async () => {
  const names = ["a", "b", "c", "d"];
  const results = await Promise.all(names.map((name) => loadInWorker({ text: PROXY.replace("name: p", `name: ${name}`) })));
  assert.deepEqual(
    results.map((result) => ("snapshot" in result ? result.snapshot.name : null)),
    names,
  );
});

test("loads of five thousand endpoints arrive whole", async () => {
  const endpoints = Array.from({ length: 5000 }, (_, i) => `    - address: 10.1.${i >> 8}.${i & 255}:80\n`).join("");
  const text = `${PROXY}---\n${PROXY.replace("Proxy", "Service")}spec:\n  endpoints:\n${endpoints}`;
  const result = await loadInWorker({ text });
  assert.ok("snapshot" in result);
  assert.equal(result.snapshot.services[0]?.addresses.length, 5000);
});

// Elsewhere threads have no priority of their own.
if (process.platform === "linux") {
  test("only the loader's thread has a lower priority", async () => {
    await loadInWorker({ text: PROXY });
    const nices = readdirSync("/proc/self/task").map((id) => {
      const stat = readFileSync(`/proc/self/task/${id}/stat`, "utf8");
      return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]);
    });
    assert.equal(nices.filter((nice) => nice === 10).length, 1);
  });
}

test("a thread that ends is a problem, not an exception", async () => {
  let ended = 0;
  const thread = new LoaderThread(dataModule("process.exit(7)"), { isFirst: true }, () => ended++);
  const result = await thread.load({ path: "weft.yaml" });
  assert.ok("problems" in result);
  assert.equal(result.problems[0]?.message, "the configuration could not be loaded: its thread ended with code 7");
  assert.equal(result.problems[0]?.file, "weft.yaml");
  assert.ok(ended > 0);
});

test("a thread that throws is a problem for every load that it had", async () => {
  const code = `import { parentPort } from "node:worker_threads"; parentPort.on("message", () => { throw new Error("out of luck"); });`;
  const thread = new LoaderThread(dataModule(code), { isFirst: true }, () => undefined);
  const results = await Promise.all([thread.load({ text: PROXY }), thread.load({ text: PROXY })]);
  for (const result of results) {
    assert.ok("problems" in result);
    assert.equal(result.problems[0]?.message, "the configuration could not be loaded: out of luck");
  }
});
