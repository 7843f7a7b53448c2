// The end of a proxy under load: whoever was connected gets its whole answer, and the exit code says that all is well.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect as connectSocket } from "node:net";
import { connect, once, request } from "../support/client.ts";
import { startOrigin, type Origin } from "../support/origin.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import type { ProxyOptions } from "../support/proxy-config.ts";
import { Gate, waitUntil } from "../support/wait.ts";

/** A body that takes several writes. */
const BODY = "x".repeat(200_000);

async function withProxy(
  options: Partial<ProxyOptions>,
  handler: Parameters<typeof startOrigin>[0],
  run: (proxy: ProxyProcess, origin: Origin) => Promise<void>,
): Promise<void> {
  const origin = await startOrigin(handler);
  const proxy = await ProxyProcess.start({ services: { web: { endpoints: [origin.address] } }, ...options });
  try {
    await run(proxy, origin);
  } finally {
    proxy.kill();
    await origin.stop();
  }
}

/** One request on a connection of its own: `complete` says whether a connection that was established got its whole answer. */
async function ask(port: number): Promise<"refused" | "complete" | "broken"> {
  const socket = connectSocket({ port, host: "127.0.0.1" });
  return await new Promise((resolve) => {
    let isEstablished = false;
    let size = 0;
    socket.on("connect", () => {
      isEstablished = true;
      socket.write(request("GET", "/", { Connection: "close" }));
    });
    socket.on("data", (chunk) => {
      size += chunk.length;
    });
    socket.on("end", () => resolve(size > BODY.length ? "complete" : "broken"));
    socket.on("error", () => resolve(isEstablished ? "broken" : "refused"));
    setTimeout(() => resolve(isEstablished ? "broken" : "refused"), 5_000).unref();
  });
}

for (const workers of [0, 1, 2]) {
  describe(`shutdown with ${workers} workers`, () => {
    it("SIGTERM under a storm of new connections: each that was established gets its complete answer", async () => {
      await withProxy(
        { workers },
        (exchange) => exchange.reply(200, BODY),
        async (proxy) => {
          const outcomes = { refused: 0, complete: 0, broken: 0 };
          const storm = Array.from({ length: 16 }, async () => {
            while (outcomes.refused === 0) outcomes[await ask(proxy.port)]++;
          });
          await waitUntil("some answers", () => outcomes.complete > 100);
          proxy.signal("SIGTERM");
          await Promise.all(storm);
          await waitUntil("the end", () => proxy.hasExited);
          assert.equal(outcomes.broken, 0);
          assert.match(proxy.log, /every connection ended by itself/);
          assert.equal(proxy.exitCode, 0);
        },
      );
    });
  });
}

describe("shutdown", () => {
  it("ends keep-alive connections after the answer in flight, idle ones at once", async () => {
    const gate = new Gate();
    await withProxy(
      {},
      async (exchange) => {
        if (exchange.request.target === "/slow") await gate.opened;
        await exchange.reply(200, "done");
      },
      async (proxy, origin) => {
        const [idle, busy] = [await connect(proxy.port), await connect(proxy.port)];
        await idle.send(request("GET", "/"));
        await idle.expectResponse();
        await busy.send(request("GET", "/slow"));
        await waitUntil("the request at the origin", () => origin.requests.length === 2);
        proxy.signal("SIGTERM");
        await waitUntil("the idle one to be closed", () => idle.isEnded || idle.isClosed);
        assert.equal(proxy.hasExited, false);
        // As Linkerd's: ready once is ready for good (linkerd.md 1.2).
        assert.equal((await proxy.admin("/ready")).status, 200);
        gate.open();
        const response = await busy.expectResponse();
        assert.equal(response.status, 200);
        assert.ok(response.headers.some(([name, value]) => name.toLowerCase() === "connection" && value === "close"));
        await waitUntil("the end", () => proxy.hasExited);
        assert.equal(proxy.exitCode, 0);
      },
    );
  });

  it("lets a connection go at once that has been idle for long, and answers one more request of a client that asked just now", async () => {
    const limits = { drainIdleMs: 4_000 };
    await withProxy(
      { limits },
      (exchange) => exchange.reply(200, "done"),
      async (proxy) => {
        const [old, silent] = [await connect(proxy.port), await connect(proxy.port)];
        await old.send(request("GET", "/"));
        await old.expectResponse();
        await new Promise((resolve) => setTimeout(resolve, limits.drainIdleMs + 200));
        const recent = await connect(proxy.port);
        await recent.send(request("GET", "/"));
        await recent.expectResponse();
        proxy.signal("SIGTERM");
        await Promise.all([old.expectEnd(), silent.expectEnd()]);
        assert.equal(recent.isEnded, false);
        await recent.send(request("GET", "/"));
        const response = await recent.expectResponse();
        assert.ok(response.headers.some(([name, value]) => name.toLowerCase() === "connection" && value === "close"));
        await waitUntil("the end", () => proxy.hasExited);
        assert.equal(proxy.exitCode, 0);
        for (const wire of [old, silent, recent]) wire.destroy();
      },
    );
  });

  // Story: both fell back to the idle timeout (a minute) when the drain had begun, and the proxy waited for it.
  it("does not wait for the idle timeout of a connection whose answer was under way, nor of one with an empty line behind its request", async () => {
    const gate = new Gate();
    await withProxy(
      { protocol: "http1", limits: { drainIdleMs: 100 } },
      async (exchange) => {
        await exchange.wire.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha");
        if (exchange.request.target === "/slow") await gate.opened;
        await exchange.wire.send("lf");
      },
      async (proxy) => {
        const [busy, blank] = [await connect(proxy.port), await connect(proxy.port)];
        await blank.send(request("GET", "/"));
        assert.equal((await blank.expectResponse()).bodySize, 4);
        const before = (await proxy.metrics()).sum("tcp_read_bytes_total", { peer: "src" });
        await blank.send("\r\n");
        await waitUntil("the empty line", async () => (await proxy.metrics()).sum("tcp_read_bytes_total", { peer: "src" }) === before + 2);
        await busy.send(request("GET", "/slow"));
        await busy.expectUntil("ha");
        proxy.signal("SIGTERM");
        await blank.expectEnd();
        gate.open();
        assert.equal(await busy.expectUntil("lf"), "lf");
        // It stays open on this side.
        await waitUntil("the end", () => proxy.hasExited);
        assert.equal(proxy.exitCode, 0);
        assert.match(proxy.log, /every connection ended by itself/);
        busy.destroy();
        blank.destroy();
      },
    );
  });

  it("cuts after drainGraceMs and says how many", async () => {
    await withProxy(
      { limits: { drainGraceMs: 100 } },
      () => new Promise(() => undefined),
      async (proxy, origin) => {
        const wire = await connect(proxy.port);
        await wire.send(request("GET", "/"));
        await waitUntil("the request at the origin", () => origin.requests.length === 1);
        proxy.signal("SIGTERM");
        await waitUntil("the end", () => proxy.hasExited);
        assert.match(proxy.log, /"cut":1/);
        assert.equal(proxy.exitCode, 0);
        wire.destroy();
      },
    );
  });

  it("a second signal cuts at once", async () => {
    await withProxy(
      {},
      () => new Promise(() => undefined),
      async (proxy, origin) => {
        const wire = await connect(proxy.port);
        await wire.send(request("GET", "/"));
        await waitUntil("the request at the origin", () => origin.requests.length === 1);
        proxy.signal("SIGINT");
        await waitUntil("the drain", () => proxy.log.includes('"draining"'));
        proxy.signal("SIGTERM");
        await waitUntil("the end", () => proxy.hasExited);
        assert.match(proxy.log, /stopping at once/);
        assert.equal(proxy.exitCode, 0);
        wire.destroy();
      },
    );
  });

  it("POST /shutdown does the same", async () => {
    await withProxy(
      { shutdownEndpoint: true },
      (exchange) => exchange.reply(200, "hello"),
      async (proxy) => {
        assert.equal((await once(proxy.port, request("GET", "/"))).status, 200);
        const { status } = await proxy.admin("/shutdown", "POST");
        assert.equal(status, 200);
        await waitUntil("the end", () => proxy.hasExited);
        assert.equal(proxy.exitCode, 0);
      },
    );
  });
});
