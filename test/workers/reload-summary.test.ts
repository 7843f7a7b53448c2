import assert from "node:assert/strict";
import { test } from "node:test";
import type { ProxySnapshot, WorkerService, WorkerUpdate } from "../../src/config/snapshot.ts";
import { reloadSummary } from "../../src/workers/reload-summary.ts";

const NONE = { services: [] } as unknown as ProxySnapshot;

function update(keys: readonly string[], removed: readonly string[] = []): WorkerUpdate {
  return { version: 2, proxy: null, services: keys.map((key) => ({ key }) as WorkerService), removed };
}

test("many names become the first ten and a number", () => {
  const keys = Array.from({ length: 25 }, (_, index) => `shop/s${index}`);
  const { servicesAdded } = reloadSummary(NONE, update(keys)) as { servicesAdded: string[] };
  assert.deepEqual(servicesAdded, [...keys.slice(0, 10), "and 15 more"]);
});

test("a reload that changes nothing says so; only what there is is named", () => {
  assert.deepEqual(reloadSummary(NONE, null), { changed: "nothing" });
  assert.deepEqual(reloadSummary(NONE, update([], ["shop/a"])), { servicesRemoved: ["shop/a"] });
});
