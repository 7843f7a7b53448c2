import assert from "node:assert/strict";
import { test } from "node:test";
import type { LoadResult } from "../../src/config/config-source.ts";
import type { ProxySnapshot } from "../../src/config/snapshot.ts";
import { Reloader } from "../../src/workers/config-reload.ts";
import { Gate, waitUntil } from "../support/wait.ts";

const SNAPSHOT = { name: "next" } as ProxySnapshot;
const GOOD: LoadResult = { snapshot: SNAPSHOT, warnings: [], files: [] };
const BAD: LoadResult = {
  problems: [{ file: "p.yaml", line: 3, column: 7, severity: "error", message: "endpints is not a key", hint: "did you mean endpoints?" }],
  files: [],
};

function setUp(load: () => Promise<LoadResult>, apply: (snapshot: ProxySnapshot) => Promise<void> = async () => undefined) {
  const results: string[] = [];
  const lines: string[] = [];
  const reloader = new Reloader({
    source: { path: "p.yaml" },
    load,
    apply,
    onReload: (result) => results.push(result),
    log: (level, message, fields) => lines.push(`${level} ${message} ${fields?.["error"] ?? ""}`.trim()),
  });
  return { reloader, results, lines };
}

test("a good configuration is applied", async () => {
  const applied: ProxySnapshot[] = [];
  const { reloader, results } = setUp(
    async () => GOOD,
    async (snapshot) => {
      applied.push(snapshot);
    },
  );
  reloader.request();
  await waitUntil("the reload", () => results.length === 1);
  assert.deepEqual(results, ["applied"]);
  assert.deepEqual(applied, [SNAPSHOT]);
});

test("a mistake is reported with its place, and nothing is applied", async () => {
  const { reloader, results, lines } = setUp(
    async () => BAD,
    () => assert.fail("applied"),
  );
  reloader.request();
  await waitUntil("the reload", () => results.length === 1);
  assert.deepEqual(results, ["refused"]);
  assert.deepEqual(lines, [
    "error p.yaml:3:7: endpints is not a key; did you mean endpoints?",
    "error the new configuration has mistakes: the running one stays",
  ]);
});

test("what cannot be applied is refused, and the next one is tried", async () => {
  let tries = 0;
  const { reloader, results, lines } = setUp(
    async () => GOOD,
    async () => {
      if (tries++ === 0) throw new Error("cannot listen on 127.0.0.1:80: EACCES");
    },
  );
  reloader.request();
  await waitUntil("the first", () => results.length === 1);
  reloader.request();
  await waitUntil("the second", () => results.length === 2);
  assert.deepEqual(results, ["refused", "applied"]);
  assert.match(lines[0]!, /the running one stays cannot listen on 127\.0\.0\.1:80: EACCES$/);
});

test("requests during a reload lead to one more, and two never overlap", async () => {
  const gate = new Gate();
  let running = 0;
  let loads = 0;
  const { reloader, results } = setUp(async () => {
    assert.equal(++running, 1);
    loads++;
    await gate.opened;
    running--;
    return GOOD;
  });
  for (let request = 0; request < 10; request++) reloader.request();
  gate.open();
  await waitUntil("two reloads", () => results.length === 2);
  assert.equal(loads, 2);
});

test("nothing is applied once it is closed", async () => {
  const gate = new Gate();
  const loaded = new Gate();
  const { reloader, results } = setUp(
    async () => {
      await gate.opened;
      loaded.open();
      return GOOD;
    },
    () => assert.fail("applied"),
  );
  reloader.request();
  reloader.close();
  gate.open();
  await loaded.opened;
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(results, []);
});
