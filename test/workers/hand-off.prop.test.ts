import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HandOffReceiver, HandOffSender, handOffMemory, RING_ENTRIES } from "../../src/workers/hand-off.ts";

type Step = { readonly kind: "push"; readonly count: number } | { readonly kind: "drain"; readonly count: number };

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom("push" as const, "drain" as const),
  count: fc.integer({ min: 0, max: RING_ENTRIES + 10 }),
});

test("the ring behaves as a bounded queue, over many times its length", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
      const memory = handOffMemory();
      const sender = new HandOffSender(memory);
      const receiver = new HandOffReceiver(memory);
      const model: number[] = [];
      let next = 0;
      for (const { kind, count } of steps) {
        if (kind === "push") {
          for (let i = 0; i < count; i++) {
            const isTaken = sender.push(next, next % 7, next, 1);
            assert.equal(isTaken, model.length < RING_ENTRIES);
            if (isTaken) model.push(next++);
          }
        } else {
          const expected = model.splice(0, count);
          const seen: number[] = [];
          const isMore = receiver.drain(count, 1, (fd, listener) => {
            assert.equal(listener, fd % 7);
            seen.push(fd);
          });
          assert.deepEqual(seen, expected);
          assert.equal(isMore, model.length > 0);
        }
        assert.equal(sender.pending, model.length);
      }
      assert.deepEqual(
        sender.revoke().waiting.map(({ fd }) => fd),
        model,
      );
    }),
    { numRuns: 60 },
  );
});
