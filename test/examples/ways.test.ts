// The four ways to place a proxy, each by its example's one command, with what each promises and what it does not do.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { type Answer, ask, type Example, metricsOf, startExample } from "../support/example.ts";
import { waitUntil } from "../support/wait.ts";

/** Starts an example around its tests; it must end with 0 and leave nothing. */
function running(name: string): void {
  let example: Example;
  before(async () => {
    example = await startExample(name);
  });
  after(async () => {
    const { code, left } = await example.stop();
    assert.deepEqual([code, left], [0, []], example.said());
  });
}

function refused(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host, () => {
      socket.destroy();
      resolve(false);
    });
    socket.once("error", () => resolve(true));
  });
}

const OK = (text: string): Answer => ({ status: 200, text });

describe("examples/per-host", () => {
  running("per-host");
  const PROXY = "http://127.0.0.4:4140";
  const named = (host: string): Promise<Answer> => ask(`${PROXY}/`, { headers: { host } });

  it("serves every service of the host at one place: by Host, as http_proxy, and the default", async () => {
    assert.match((await named("web")).text, /^web-[12]\n$/);
    assert.deepEqual(await named("cart"), OK("cart\n"));
    assert.deepEqual(await named("cart.shop.svc.cluster.local"), OK("cart\n"));
    assert.deepEqual(await ask(PROXY, { path: "http://cart.shop/", headers: { host: "cart.shop" } }), OK("cart\n"));
    assert.match((await ask(`${PROXY}/`)).text, /^web-[12]\n$/);
    assert.equal((await named("nobody")).status, 404);
  });

  it("gives a service that is no HTTP a port of its own, and lets it speak first", async () => {
    const socket = connect(5432, "127.0.0.4");
    let said = "";
    socket.on("data", (chunk) => (said += chunk.toString()));
    await waitUntil("the greeting", () => said === "db speaks first\n");
    socket.write("echo");
    await waitUntil("the echo", () => said === "db speaks first\necho");
    socket.destroy();
  });

  it("carries many at once, each to whom it named", async () => {
    const answers = await Promise.all(Array.from({ length: 300 }, (_, index) => named(index % 3 === 0 ? "cart" : "web")));
    for (const [index, { status, text }] of answers.entries()) {
      assert.equal(status, 200);
      assert.match(text, index % 3 === 0 ? /^cart\n$/ : /^web-[12]\n$/);
    }
  });

  it("has the metrics of all in one place", async () => {
    const metrics = await metricsOf("127.0.0.4:4191");
    assert.ok(metrics.sum("request_total", { direction: "outbound", dst_service: "web" }) >= 200);
    assert.ok(metrics.sum("request_total", { direction: "outbound", dst_service: "cart" }) >= 100);
    assert.equal(metrics.sum("request_total", { direction: "inbound" }), 0);
  });
});

describe("examples/service-to-proxy", () => {
  running("service-to-proxy");
  const WEB = "http://127.0.0.5:8080/";
  const ADMIN = "127.0.0.5:4191";

  it("balances what the service sends", async () => {
    const answers = new Set<string>();
    for (let count = 0; count < 10; count++) answers.add((await ask(WEB)).text);
    assert.deepEqual([...answers].sort(), ["web, then cart-1\n", "web, then cart-2\n"]);
  });

  it("knows nothing of what comes to the service", async () => {
    const metrics = await metricsOf(ADMIN);
    assert.ok(metrics.sum("request_total", { direction: "outbound", dst_service: "cart" }) >= 10);
    assert.equal(metrics.sum("request_total", { direction: "inbound" }), 0);
    assert.ok(await refused("127.0.0.5", 4143), "nothing listens for others");
  });

  it("goes elsewhere when an instance is gone, and the service does not notice", async () => {
    assert.equal((await ask("http://127.0.0.6:8080/stop", { method: "POST" })).status, 200);
    await waitUntil("cart-1 to be gone", () => refused("127.0.0.6", 8080));
    for (let count = 0; count < 20; count++) assert.deepEqual(await ask(WEB), OK("web, then cart-2\n"));
  });
});

describe("examples/proxy-to-service", () => {
  running("proxy-to-service");
  const CART = "http://127.0.0.8:4143/";
  const ADMIN = "127.0.0.8:4191";

  it("stands where the service is known, on each of its ports", async () => {
    assert.deepEqual(await ask(CART), OK("cart\n"));
    assert.deepEqual(await ask("http://127.0.0.8:9100/"), OK("cart's admin page\n"));
    assert.deepEqual(await ask("http://127.0.0.9:8081/"), OK("web, then cart\n"), "a caller without a proxy");
  });

  it("counts requests and times them, as the server", async () => {
    const before = await metricsOf(ADMIN);
    for (let count = 0; count < 5; count++) await ask(CART);
    const after = await metricsOf(ADMIN);
    const inbound = { direction: "inbound" };
    for (const name of ["request_total", "response_total", "response_latency_ms_count"]) {
      assert.equal(after.sum(name, inbound) - before.sum(name, inbound), 5, name);
    }
    assert.ok(after.sum("response_latency_ms_bucket", { ...inbound, le: "+Inf" }) >= 5);
  });

  it("has nothing for the service's own requests", async () => {
    assert.equal((await metricsOf(ADMIN)).sum("request_total", { direction: "outbound" }), 0);
    assert.ok(await refused("127.0.0.8", 4140), "nothing listens for them");
    assert.ok(await refused("127.0.0.9", 4140), "nothing listens for them");
  });
});

describe("examples/proxy-to-proxy", () => {
  running("proxy-to-proxy");
  const [WEB, CART] = ["127.0.0.10", "127.0.0.11"];

  it("a request passes web's sidecar, web, web's sidecar again, cart's sidecar, cart", async () => {
    const before = await Promise.all([metricsOf(`${WEB}:4191`), metricsOf(`${CART}:4191`)]);
    for (let count = 0; count < 5; count++) assert.deepEqual(await ask(`http://${WEB}:4143/`), OK("web, then cart\n"));
    const after = await Promise.all([metricsOf(`${WEB}:4191`), metricsOf(`${CART}:4191`)]);
    const more = (index: 0 | 1, direction: string): number =>
      after[index].sum("request_total", { direction }) - before[index].sum("request_total", { direction });
    assert.deepEqual([more(0, "inbound"), more(0, "outbound"), more(1, "inbound"), more(1, "outbound")], [5, 5, 5, 0]);
  });

  it("knows whom the service called", async () => {
    const metrics = await metricsOf(`${WEB}:4191`);
    assert.ok(metrics.sum("request_total", { direction: "outbound", dst_service: "cart" }) >= 5);
  });
});
