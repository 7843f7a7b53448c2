// Who gets how many requests, through the whole proxy: three endpoints, one of them slower by 100 ms.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect, once, request } from "../support/client.ts";
import { text } from "../support/http-lite.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { scenario } from "../support/scenario.ts";
import { waitUntil } from "../support/wait.ts";

const SLOWER_MS = 100;

/** Loads a service with `clients` keep-alive clients, `each` requests per client; gives the share of each origin. */
async function shares(port: number, service: string, clients: number, each: number, origins: readonly Origin[]): Promise<number[]> {
  const before = origins.map((origin) => origin.requests.length);
  await Promise.all(
    Array.from({ length: clients }, async () => {
      const client = await connect(port);
      for (let i = 0; i < each; i++) {
        await client.send(request("GET", "/", { Host: service }));
        assert.equal((await client.expectResponse()).status, 200);
      }
      client.destroy();
    }),
  );
  const counts = origins.map((origin, i) => origin.requests.length - before[i]!);
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    clients * each,
  );
  return counts.map((count) => count / (clients * each));
}

describe("balance", () => {
  const delayed = (name: string, ms: number) =>
    startOrigin(
      async (x) => {
        // The service's own time, not a wait of the test's.
        if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
        await x.reply(200, name);
      },
      { name },
    );
  const s = scenario(
    async () => ({
      a: await delayed("a", 0),
      b: await delayed("b", 0),
      slow: await delayed("slow", SLOWER_MS),
      spare: await delayed("spare", 0),
    }),
    (o) => ({
      services: Object.fromEntries(
        (["ewma", "p2c", "round-robin"] as const).map((loadBalancer) => [
          loadBalancer,
          { loadBalancer, endpoints: [o.a.address, o.b.address, o.slow.address] },
        ]),
      ),
      default: "ewma",
      limits: { reconnectBackoffMinMs: 50, reconnectBackoffMaxMs: 200 },
    }),
  );

  // With two clients only latency tells the endpoints apart: requests in flight alone would give the slow one a third.
  for (const [clients, each] of [
    [2, 500],
    [16, 150],
  ] as const) {
    it(`EWMA sends the slow endpoint under 2 %, ${clients} clients`, async () => {
      const { a, b, slow } = s.origins;
      // A machine that stalls for a while makes the fast endpoints slow as well, and then EWMA is right to try the third:
      // one undisturbed round of three is enough.
      const rounds: number[][] = [];
      do rounds.push(await shares(s.port, "ewma", clients, each, [a, b, slow]));
      while (rounds.length < 3 && rounds.at(-1)![2]! >= 0.02);
      const [shareA, shareB, shareSlow] = rounds.at(-1)!;
      assert.ok(shareSlow! < 0.02, `slow got ${rounds.map((round) => round[2])}`);
      assert.ok(Math.min(shareA!, shareB!) > 0.2, `shares ${shareA}, ${shareB}`);
    });
  }

  it("round robin gives everyone a third, to the request", async () => {
    const { a, b, slow } = s.origins;
    for (const share of await shares(s.port, "round-robin", 6, 50, [a, b, slow])) assert.ok(Math.abs(share - 1 / 3) < 0.011, String(share));
  });

  it("P2C gives a single client's requests to everyone alike, and spares the slow one under load", async () => {
    const { a, b, slow } = s.origins;
    // Nothing is in flight when one client asks: every pair is a tie, so each endpoint gets a third (sd 4.3 % of 120).
    for (const share of await shares(s.port, "p2c", 1, 120, [a, b, slow])) assert.ok(Math.abs(share - 1 / 3) < 0.2, String(share));
    const [, , shareSlow] = await shares(s.port, "p2c", 32, 60, [a, b, slow]);
    assert.ok(shareSlow! < 0.2, `slow got ${shareSlow} under load`);
  });

  it("adds and removes endpoints without touching the connections of others", async () => {
    const { a, b, slow, spare } = s.origins;
    const client = await connect(s.port);
    await client.send(request("GET", "/", { Host: "round-robin" }));
    await client.expectResponse();
    const kept = a.connections.filter((wire) => !wire.isClosed);
    assert.ok(kept.length > 0);
    const before = s.proxy.options;
    await s.proxy.reconfigure({
      ...before,
      services: { ...before.services, "round-robin": { loadBalancer: "round-robin", endpoints: [a.address, b.address, spare.address] } },
    });
    const seen = slow.requests.length;
    for (let i = 0; i < 12; i++) {
      await client.send(request("GET", "/", { Host: "round-robin" }));
      assert.equal((await client.expectResponse()).status, 200);
    }
    assert.ok(spare.requests.length >= 3, "the new endpoint is used");
    assert.equal(slow.requests.length, seen, "the removed one is not");
    assert.deepEqual(
      kept.map((wire) => wire.isClosed),
      kept.map(() => false),
    );
    client.destroy();
    await s.proxy.reconfigure(before);
  });

  it("leaves out an endpoint that refuses connections, and uses it again when it is back", async () => {
    const { a, b } = s.origins;
    const gone = await startOrigin((x) => x.reply(200, "gone"));
    const { address, port } = gone;
    const before = s.proxy.options;
    await s.proxy.reconfigure({
      ...before,
      services: { ...before.services, mixed: { loadBalancer: "round-robin", endpoints: [a.address, b.address, address] } },
    });
    assert.equal((await once(s.port, request("GET", "/", { Host: "mixed" }))).status, 200);
    await gone.stop();
    for (let i = 0; i < 30; i++) assert.equal((await once(s.port, request("GET", "/", { Host: "mixed" }))).status, 200, `request ${i}`);
    const back = await startOrigin((x) => x.reply(200, "back"), { port });
    await waitUntil(
      "the endpoint to be used again",
      async () => text(await once(s.port, request("GET", "/", { Host: "mixed" }))) === "back",
    );
    await s.proxy.reconfigure(before);
    await back.stop();
  });
});
