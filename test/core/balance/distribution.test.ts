// Who gets how much: each picker against theory, and in a closed loop with virtual time. Seeds are fixed, so a share is a fact.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createPicker } from "../../../src/core/balance/create-picker.ts";
import type { Picker } from "../../../src/core/balance/picker.ts";
import { createRandom } from "../../../src/core/util/random.ts";
import { type FakeEndpoint, fakeEndpoint, fakeEndpoints } from "../../support/fake-endpoint.ts";

function shares(picker: Picker<FakeEndpoint>, endpoints: readonly FakeEndpoint[], picks: number, seed = 5): number[] {
  const random = createRandom(seed);
  const counts = new Map<FakeEndpoint | null, number>();
  for (let i = 0; i < picks; i++) {
    const endpoint = picker.pick(0, random);
    counts.set(endpoint, (counts.get(endpoint) ?? 0) + 1);
  }
  return endpoints.map((endpoint) => (counts.get(endpoint) ?? 0) / picks);
}

function near(actual: readonly number[], expected: readonly number[], within = 0.01): void {
  for (const [i, share] of actual.entries()) {
    assert.ok(
      Math.abs(share - expected[i]!) < within,
      `shares ${actual.map((s) => s.toFixed(3))}, expected ${expected.map((s) => s.toFixed(3))}`,
    );
  }
}

/** `clients` clients ask one after the other for `requests` requests in all; endpoint i answers after about `latencyMs[i]`. */
function closedLoop(kind: "ewma" | "p2c" | "round-robin", latencyMs: readonly number[], clients: number, requests: number): number[] {
  const random = createRandom(clients * 31 + requests);
  const endpoints = latencyMs.map((_, i) => fakeEndpoint(`e${i}`));
  const picker = createPicker<FakeEndpoint>(kind);
  picker.update(endpoints);
  const counts = latencyMs.map(() => 0);
  const running: { endMs: number; startMs: number; endpoint: FakeEndpoint }[] = [];
  let sent = 0;
  const send = (nowMs: number): void => {
    if (sent++ >= requests) return;
    const endpoint = picker.pick(nowMs, random)!;
    const index = endpoints.indexOf(endpoint);
    counts[index]!++;
    endpoint.inFlight++;
    running.push({ startMs: nowMs, endMs: nowMs + latencyMs[index]! * (0.8 + 0.4 * random()), endpoint });
  };
  for (let i = 0; i < clients; i++) send(i * 0.01);
  while (running.length > 0) {
    running.sort((a, b) => b.endMs - a.endMs);
    const { startMs, endMs, endpoint } = running.pop()!;
    endpoint.inFlight--;
    endpoint.ewma.observe(endMs - startMs, endMs);
    send(endMs);
  }
  return counts.map((count) => count / requests);
}

describe("distribution", () => {
  it("round robin gives equal shares, to the request", () => {
    const endpoints = fakeEndpoints(3);
    const picker = createPicker<FakeEndpoint>("round-robin");
    picker.update(endpoints);
    assert.deepEqual(shares(picker, endpoints, 3000), [1 / 3, 1 / 3, 1 / 3]);
  });

  it("round robin starts at different endpoints in different workers", () => {
    const starts = new Set<string>();
    for (let seed = 0; seed < 50; seed++) {
      const picker = createPicker<FakeEndpoint>("round-robin");
      picker.update(fakeEndpoints(3));
      starts.add(picker.pick(0, createRandom(seed))!.name);
    }
    assert.equal(starts.size, 3);
  });

  it("round robin goes on in turn when an endpoint leaves and comes back", () => {
    const endpoints = fakeEndpoints(4);
    const picker = createPicker<FakeEndpoint>("round-robin");
    picker.update(endpoints);
    picker.setReady(endpoints[0]!, false);
    near(shares(picker, endpoints, 3000), [0, 1 / 3, 1 / 3, 1 / 3], 0.001);
    picker.setReady(endpoints[0]!, true);
    near(shares(picker, endpoints, 4000), [0.25, 0.25, 0.25, 0.25], 0.001);
  });

  for (const kind of ["p2c", "ewma"] as const) {
    it(`${kind} draws uniformly among equals`, () => {
      for (const count of [2, 3, 7]) {
        const endpoints = fakeEndpoints(count);
        const picker = createPicker<FakeEndpoint>(kind);
        picker.update(endpoints);
        near(shares(picker, endpoints, 60_000), new Array<number>(count).fill(1 / count));
      }
    });

    it(`${kind} gives the k-th of n by load the share 2(n-k)/(n(n-1)): two distinct choices`, () => {
      const n = 5;
      const endpoints = fakeEndpoints(n);
      for (const [i, endpoint] of endpoints.entries()) endpoint.inFlight = i;
      const picker = createPicker<FakeEndpoint>(kind);
      picker.update(endpoints);
      const expected = endpoints.map((_, i) => (2 * (n - 1 - i)) / (n * (n - 1)));
      near(shares(picker, endpoints, 60_000), expected);
    });
  }

  it("ewma prefers by latency where requests in flight are equal", () => {
    const endpoints = fakeEndpoints(2);
    endpoints[0]!.ewma.observe(31, 0);
    const picker = createPicker<FakeEndpoint>("ewma");
    picker.update(endpoints);
    assert.deepEqual(shares(picker, endpoints, 1000), [0, 1]);
  });

  for (const clients of [1, 2, 16, 64, 256]) {
    it(`ewma sends under 2 % to one of three that is slower by 100 ms, ${clients} clients`, () => {
      const [slow] = closedLoop("ewma", [101, 1, 1], clients, 20_000);
      assert.ok(slow! < 0.02, `share of the slow endpoint: ${slow}`);
    });
  }

  it("ewma shares among equally fast endpoints within a quarter", () => {
    near(closedLoop("ewma", [2, 2, 2], 32, 30_000), [1 / 3, 1 / 3, 1 / 3], 1 / 12);
  });

  it("ewma comes back to an endpoint that has become fast again", () => {
    const [recovered, other] = [fakeEndpoint("recovered"), fakeEndpoint("other")];
    recovered.ewma.observe(500, 0);
    for (let now = 0; now <= 100_000; now += 100) other.ewma.observe(1, now);
    const picker = createPicker<FakeEndpoint>("ewma");
    picker.update([recovered, other]);
    assert.equal(picker.pick(10_000, createRandom(1)), other);
    assert.equal(picker.pick(100_000, createRandom(1)), recovered);
  });

  it("round robin sends a third to the slow one as well, p2c between that and nothing", () => {
    near(closedLoop("round-robin", [101, 1, 1], 16, 3000), [1 / 3, 1 / 3, 1 / 3]);
    // One client: nothing is ever in flight at a pick, so p2c is blind. Many clients: the slow one's queue keeps it out.
    near(closedLoop("p2c", [101, 1, 1], 1, 30_000), [1 / 3, 1 / 3, 1 / 3]);
    const [slow] = closedLoop("p2c", [101, 1, 1], 64, 20_000);
    assert.ok(slow! < 0.05, `share of the slow endpoint: ${slow}`);
  });
});
