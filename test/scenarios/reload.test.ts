// Reloads under load: no request fails, no connection closes, mistakes keep what runs.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect, once, request } from "../support/client.ts";
import { header, text } from "../support/http-lite.ts";
import { startApp } from "../support/origin-app.ts";
import type { ProxyOptions } from "../support/proxy-config.ts";
import { scenario } from "../support/scenario.ts";
import { waitUntil } from "../support/wait.ts";

const CLIENTS = 8;
/** Each waits for the watcher to see a file at rest, about 0.1 s: `WEFT_TEST_RELOADS=1000` for the long run. */
const RELOADS = Number(process.env.WEFT_TEST_RELOADS ?? 40);
/** Writes in quick succession, of which the watcher may take several together. */
const WRITES = 200;

describe("reload", () => {
  const s = scenario(
    async () => ({ a: await startApp({ name: "a" }), b: await startApp({ name: "b" }) }),
    (o) => ({ services: { web: { endpoints: [o.a.address] } } }),
  );

  /** Every write changes something: the endpoints of web, and a service that comes and goes. */
  function variant(round: number): ProxyOptions {
    const { a, b } = s.origins;
    return {
      services: {
        web: {
          endpoints: round % 2 === 0 ? [a.address, b.address] : [b.address, a.address],
          loadBalancer: round % 3 === 0 ? "p2c" : "ewma",
        },
        ...(round % 2 === 0 && { extra: { endpoints: [b.address] } }),
      },
      limits: { idleTimeoutMs: 60_000 + round },
    };
  }

  /** Keep-alive clients that ask all the time while `change` runs; none of them may fail or lose its connection. */
  async function underLoad(change: (answered: () => number) => Promise<void>): Promise<void> {
    let isDone = false;
    let answered = 0;
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => connect(s.port)));
    const load = clients.map(async (client) => {
      while (!isDone) {
        await client.send(request("GET", "/name"));
        const response = await client.expectResponse();
        assert.equal(response.status, 200);
        assert.equal(header(response, "connection"), undefined);
        answered++;
      }
    });
    try {
      await change(() => answered);
    } finally {
      isDone = true;
    }
    await Promise.all(load);
    for (const client of clients) {
      assert.ok(!client.isClosed && !client.isEnded, "a connection was closed");
      client.destroy();
    }
    assert.equal((await s.proxy.metrics()).sum("outbound_http_errors_total"), 0);
  }

  it(`fails no request and closes no connection over ${RELOADS} reloads`, async () => {
    await underLoad(async (answered) => {
      for (let round = 1; round <= RELOADS; round++) {
        const before = answered();
        await s.proxy.reconfigure(variant(round));
        await waitUntil("an answer after the reload", () => answered() > before);
      }
    });
    assert.ok((await s.proxy.metrics()).sum("proxy_config_reloads_total") >= RELOADS);
  });

  it(`fails no request while the file is written ${WRITES} times in a row, and the last one counts`, async () => {
    await underLoad(async (answered) => {
      for (let round = 1; round <= WRITES; round++) {
        const before = answered();
        s.proxy.configure(variant(round));
        await waitUntil("an answer between two writes", () => answered() > before);
      }
      // With a name of its own: an earlier one must not be taken for it, or its reload would come in the midst of what follows.
      s.proxy.configure({ services: { web: { endpoints: [s.origins.b.address] }, last: { endpoints: [s.origins.b.address] } } });
      await waitUntil("the last configuration", async () => {
        if (!(await s.proxy.admin("/config.json")).body.includes("default/last")) return false;
        const names = await Promise.all([1, 2, 3, 4].map(() => once(s.port, request("GET", "/name"))));
        return names.every((answer) => text(answer) === "b");
      });
    });
  });

  it("finishes a request under the service that it began with", async () => {
    const { a } = s.origins;
    await s.proxy.reconfigure({ services: { web: { endpoints: [a.address] } } });
    const client = await connect(s.port);
    await client.send("POST /hash HTTP/1.1\r\nHost: web\r\nContent-Length: 6\r\n\r\nabc");
    await waitUntil("the request at the origin", () => a.requests.at(-1)?.target === "/hash");
    await s.proxy.reconfigure({ services: { other: { endpoints: [s.origins.b.address] } }, default: null });
    await client.send("def");
    assert.match(text(await client.expectResponse()), /^6 /);
    await client.send(request("GET", "/name"));
    assert.equal((await client.expectResponse()).status, 404, "the next request sees the new configuration");
    await s.proxy.reconfigure({ services: { web: { endpoints: [a.address] } } });
    await client.send(request("GET", "/name"));
    assert.equal(text(await client.expectResponse()), "a");
    client.destroy();
  });

  it("says in one line of the log what it changed", async () => {
    const { a, b } = s.origins;
    await s.proxy.reconfigure({ services: { web: { endpoints: [a.address] }, old: { endpoints: [b.address] } } });
    const from = s.proxy.log.length;
    await s.proxy.reconfigure({ services: { web: { endpoints: [b.address] }, fresh: { endpoints: [b.address] } } });
    const applied = (): string | undefined => s.proxy.log.slice(from).match(/.*configuration applied.*/)?.[0];
    await waitUntil("the line", () => applied() !== undefined);
    assert.match(
      applied()!,
      /"servicesAdded":\["default\/fresh"\],"servicesChanged":\["default\/web"\],"servicesRemoved":\["default\/old"\]/,
    );
    await s.proxy.reconfigure({ services: { web: { endpoints: [a.address] } } });
  });

  it("keeps the running configuration when the new one has a mistake, and says so", async () => {
    const before = (await s.proxy.metrics()).sum("proxy_config_reloads_total");
    s.proxy.configure({ services: { web: { endpoints: ["127.0.0.1:99999"] } } });
    await waitUntil("the refusal", async () => (await s.proxy.metrics()).sum("proxy_config_reloads_total") > before);
    assert.equal(text(await once(s.port, request("GET", "/name"))), "a");
    assert.match(s.proxy.log, /proxy\.yaml:\d+:\d+/);
  });
});
