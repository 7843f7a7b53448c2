// What every picker keeps, whatever its rule: each test runs for all of them.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createPicker } from "../../../src/core/balance/create-picker.ts";
import { NOT_MEMBER } from "../../../src/core/balance/picker.ts";
import { createRandom } from "../../../src/core/util/random.ts";
import { type FakeEndpoint, fakeEndpoint, fakeEndpoints } from "../../support/fake-endpoint.ts";

for (const kind of ["ewma", "p2c", "round-robin"] as const) {
  describe(`picker contract: ${kind}`, () => {
    const random = createRandom(1);
    const make = () => createPicker<FakeEndpoint>(kind);
    const picked = (picker: ReturnType<typeof make>, times: number) =>
      new Set(Array.from({ length: times }, () => picker.pick(0, random)?.name));

    it("picks nothing before it knows an endpoint", () => {
      assert.equal(make().pick(0, random), null);
    });

    it("picks nothing while none is ready", () => {
      const picker = make();
      picker.update([fakeEndpoint("a", false), fakeEndpoint("b", false)]);
      assert.equal(picker.pick(0, random), null);
      assert.deepEqual([picker.count, picker.readyCount], [2, 0]);
    });

    it("picks the only ready one", () => {
      const picker = make();
      const b = fakeEndpoint("b");
      picker.update([fakeEndpoint("a", false), b, fakeEndpoint("c", false)]);
      for (let i = 0; i < 20; i++) assert.equal(picker.pick(0, random), b);
    });

    it("reaches every ready endpoint while they are equal", () => {
      for (const count of [2, 3, 10]) {
        const picker = make();
        picker.update(fakeEndpoints(count));
        assert.equal(picked(picker, 1000).size, count);
      }
    });

    it("leaves out an endpoint that stops being ready, and takes it back", () => {
      const picker = make();
      const endpoints = fakeEndpoints(3);
      picker.update(endpoints);
      picker.setReady(endpoints[1]!, false);
      assert.deepEqual([...picked(picker, 200)].sort(), ["e0", "e2"]);
      assert.equal(picker.readyCount, 2);
      picker.setReady(endpoints[1]!, true);
      assert.equal(picked(picker, 200).size, 3);
    });

    it("does nothing when readiness is told twice", () => {
      const picker = make();
      const endpoints = fakeEndpoints(2);
      picker.update(endpoints);
      picker.setReady(endpoints[0]!, true);
      picker.setReady(endpoints[1]!, false);
      picker.setReady(endpoints[1]!, false);
      assert.equal(picker.readyCount, 1);
      assert.deepEqual([...picked(picker, 50)], ["e0"]);
    });

    it("never picks a removed endpoint again, also when it says that it is ready", () => {
      const picker = make();
      const [a, b, c] = fakeEndpoints(3) as [FakeEndpoint, FakeEndpoint, FakeEndpoint];
      picker.update([a, b, c]);
      picker.update([a, c]);
      picker.setReady(b, false);
      picker.setReady(b, true);
      assert.deepEqual([...picked(picker, 200)].sort(), ["e0", "e2"]);
      assert.equal(b.readyIndex, NOT_MEMBER);
      assert.equal(b.isReady, true);
    });

    it("keeps what an endpoint has learned over an update that keeps it", () => {
      const picker = make();
      const [a, b] = fakeEndpoints(2) as [FakeEndpoint, FakeEndpoint];
      picker.update([a]);
      a.ewma.observe(77, 5);
      a.inFlight = 4;
      picker.update([b, a]);
      assert.equal(a.ewma.estimate(5), 77);
      assert.equal(a.inFlight, 4);
      assert.equal(a.isReady, true);
    });

    it("gives a removed endpoint back to another picker", () => {
      const first = make();
      const second = make();
      const [a] = fakeEndpoints(1) as [FakeEndpoint];
      first.update([a]);
      first.update([]);
      second.update([a]);
      assert.equal(first.pick(0, random), null);
      assert.equal(second.pick(0, random), a);
    });

    it("counts an endpoint that is listed twice once", () => {
      const picker = make();
      const [a, b] = fakeEndpoints(2) as [FakeEndpoint, FakeEndpoint];
      picker.update([a, b, a]);
      assert.deepEqual([picker.count, picker.readyCount], [2, 2]);
    });

    it("does not care what happens to the array that it was given", () => {
      const picker = make();
      const endpoints = fakeEndpoints(2);
      const [a] = endpoints as [FakeEndpoint];
      picker.update(endpoints);
      endpoints.length = 0;
      picker.update(endpoints);
      assert.equal(picker.pick(0, random), null);
      assert.equal(a.readyIndex, NOT_MEMBER);
    });
  });
}
