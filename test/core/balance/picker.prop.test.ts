// Model test: any order of updates and readiness changes, against a picker's members kept in a plain Set.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createPicker } from "../../../src/core/balance/create-picker.ts";
import { createRandom } from "../../../src/core/util/random.ts";
import { type FakeEndpoint, fakeEndpoint } from "../../support/fake-endpoint.ts";

const COUNT = 12;

type Step =
  | { readonly kind: "update"; readonly members: readonly number[] }
  | { readonly kind: "ready"; readonly index: number; readonly isReady: boolean }
  | { readonly kind: "load"; readonly index: number; readonly rtt: number; readonly inFlight: number };

const index = fc.nat({ max: COUNT - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant("update" as const), members: fc.array(index, { maxLength: COUNT }) }),
  fc.record({ kind: fc.constant("ready" as const), index, isReady: fc.boolean() }),
  fc.record({ kind: fc.constant("load" as const), index, rtt: fc.nat({ max: 500 }), inFlight: fc.nat({ max: 9 }) }),
);

for (const kind of ["ewma", "p2c", "round-robin"] as const) {
  describe(`picker properties: ${kind}`, () => {
    it("picks members that are ready, and null exactly when there is none", () => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 150, size: "max" }), fc.integer(), (steps, seed) => {
          const random = createRandom(seed);
          const all = Array.from({ length: COUNT }, (_, i) => fakeEndpoint(`e${i}`, i % 3 !== 0));
          const picker = createPicker<FakeEndpoint>(kind);
          let members = new Set<FakeEndpoint>();
          let now = 0;
          for (const s of steps) {
            now += 10;
            if (s.kind === "update") {
              picker.update(s.members.map((i) => all[i]!));
              members = new Set(s.members.map((i) => all[i]!));
            } else if (s.kind === "ready") {
              picker.setReady(all[s.index]!, s.isReady);
            } else {
              all[s.index]!.ewma.observe(s.rtt, now);
              all[s.index]!.inFlight = s.inFlight;
            }
            const ready = [...members].filter((e) => e.isReady);
            assert.equal(picker.count, members.size);
            assert.equal(picker.readyCount, ready.length);
            for (let i = 0; i < 4; i++) {
              const got = picker.pick(now, random);
              if (ready.length === 0) assert.equal(got, null);
              else assert.ok(got !== null && ready.includes(got), `picked ${got?.name}`);
            }
          }
        }),
      );
    });
  });
}

describe("picker properties: round-robin over changes", () => {
  it("takes each ready endpoint once per round while nothing changes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.integer(), (count, seed) => {
        const picker = createPicker<FakeEndpoint>("round-robin");
        picker.update(Array.from({ length: count }, (_, i) => fakeEndpoint(`e${i}`)));
        const random = createRandom(seed);
        for (let round = 0; round < 3; round++) {
          assert.equal(new Set(Array.from({ length: count }, () => picker.pick(0, random))).size, count);
        }
      }),
    );
  });
});
