// Model test: any sequence of counting, starting and killing workers gives the sums of a plain table.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MetricStore } from "../../../src/core/telemetry/merge.ts";
import { Recorder } from "../../../src/core/telemetry/recorder.ts";

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("count" as const),
      worker: fc.nat(3),
      label: fc.nat(4),
      by: fc.integer({ min: 1, max: 1_000 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("kill" as const), worker: fc.nat(3) }) },
);

test("counters equal the model after every step and never decrease", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 400 }), (steps) => {
      const store = new MetricStore();
      const workers = new Map<number, Recorder>();
      const model = new Map<string, number>();
      for (const action of steps) {
        if (action.kind === "kill") {
          workers.delete(action.worker);
          store.removeWorker(action.worker);
        } else {
          let recorder = workers.get(action.worker);
          if (recorder === undefined) {
            const memory = Recorder.memory(Recorder.slotsFor(10));
            store.addWorker(action.worker, memory);
            recorder = new Recorder(memory, (descriptor) => store.addSeries(action.worker, descriptor), 10);
            workers.set(action.worker, recorder);
          }
          const labels = { label: String(action.label) };
          recorder.slots[recorder.counter("request_total", labels)]! += action.by;
          recorder.hdr("service_latency_us", labels, 2).record(action.by);
          model.set(labels.label, (model.get(labels.label) ?? 0) + action.by);
        }
        for (const { labels, value } of store.values("request_total")) assert.equal(value, model.get(labels["label"]!));
      }
      for (const { labels, sum } of store.latencies("service_latency_us", 0)) assert.equal(sum, model.get(labels["label"]!));
      assert.equal(store.values("request_total").length, model.size);
    }),
    { numRuns: 60 },
  );
});
