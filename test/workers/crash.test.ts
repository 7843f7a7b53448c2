// The whole proxy when a worker dies under it: no client hangs, nothing leaks, no counter decreases, a new worker serves.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { connect, once, request } from "../support/client.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { waitUntil } from "../support/wait.ts";

const CLIENTS = 200;

describe("a worker of the proxy dies", () => {
  let origin: Origin;
  let proxy: ProxyProcess;
  before(async () => {
    origin = await startOrigin((exchange) => exchange.reply(200, "hello"));
    proxy = await ProxyProcess.start({ services: { web: { endpoints: [origin.address] } }, workers: 2 });
    await waitUntil("both workers", async () => (await proxy.metrics()).sum("proxy_workers") === 2);
  });
  after(async () => {
    await proxy.stop();
    await origin.stop();
  });

  for (const action of ["throw", "exit", "exhaust-heap"] as const) {
    it(`by ${action}, with ${CLIENTS} connections on their way`, async () => {
      const restarts = (await proxy.metrics()).sum("proxy_worker_restarts_total");
      // Both workers have connections before.
      const lasting = await Promise.all([connect(proxy.port), connect(proxy.port)]);
      for (const wire of lasting) {
        await wire.send(request("GET", "/"));
        assert.equal((await wire.expectResponse()).status, 200);
      }
      const requests = (await proxy.metrics()).sum("request_total");
      const dying = proxy.admin(`/test/0/${action}`, "POST");
      const outcomes = await Promise.all(
        Array.from({ length: CLIENTS }, () =>
          once(proxy.port, request("GET", "/", { Connection: "close" })).then(
            (response) => response.status,
            () => "closed" as const,
          ),
        ),
      );
      assert.equal((await dying).status, 204);
      // Nobody waits for ever: `once` has a deadline, and its message differs from a connection that was closed.
      assert.ok(outcomes.every((outcome) => outcome === 200 || outcome === "closed"));
      const diedAt = performance.now();
      await waitUntil(
        "the replacement",
        async () => {
          const metrics = await proxy.metrics();
          assert.ok(metrics.sum("request_total") >= requests, "a counter decreased");
          return metrics.sum("proxy_worker_restarts_total") === restarts + 1 && metrics.sum("proxy_workers") === 2;
        },
        20_000,
      );
      assert.ok(action === "exhaust-heap" || performance.now() - diedAt < 5_000);

      await waitUntil("one of two connections to be lost", () => lasting.filter((wire) => wire.isClosed || wire.isEnded).length === 1);
      const survivor = lasting.find((wire) => !wire.isClosed && !wire.isEnded)!;
      await survivor.send(request("GET", "/"));
      assert.equal((await survivor.expectResponse()).status, 200);
      survivor.destroy();
      const metrics = await proxy.idle();
      assert.equal(metrics.sum("tcp_open_total", { peer: "src" }), metrics.sum("tcp_close_total", { peer: "src" }));
      assert.ok(metrics.sum("request_total") >= requests + outcomes.filter((outcome) => outcome === 200).length);
    });
  }

  it("and no descriptor of the dead is left", async () => {
    // Pooled connections to the origin are what may be open; they are counted.
    await waitUntil("as many descriptors as after the start", async () => {
      const metrics = await proxy.metrics();
      const pooled = metrics.sum("tcp_open_connections", { peer: "dst" });
      return origin.openConnections === pooled;
    });
    const before = proxy.openDescriptors() - origin.openConnections;
    await proxy.admin("/test/0/throw", "POST");
    await waitUntil("the replacement", async () => (await proxy.metrics()).sum("proxy_worker_restarts_total") === 4);
    await waitUntil("the same number again", () => proxy.openDescriptors() - origin.openConnections <= before);
  });
});
