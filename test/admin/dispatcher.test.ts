// What a client that is not on this machine may ask: its address cannot be had on a real socket of a test.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { AdminRequest } from "../../src/admin/admin-server.ts";
import { Dispatcher } from "../../src/admin/dispatcher.ts";

function dispatcher(): Dispatcher {
  const one = new Dispatcher((error) => {
    throw error;
  });
  one.listensOn("0.0.0.0");
  const ok = () => ({ status: 200, body: "ok" });
  one.route("GET", "/local", ok, { loopbackOnly: true });
  one.route("GET", "/plain", ok, {});
  one.route("*", "/metrics", ok, { openToNames: true });
  return one;
}

function remote(path: string, host: string, more: Partial<AdminRequest> = {}): AdminRequest {
  return { method: "GET", path, query: "", headers: { host }, body: "", remoteIsLoopback: false, ...more };
}

const status = async (request: AdminRequest): Promise<number> => (await dispatcher().answer(request)).status;

test("a route for this machine refuses everybody else", async () => {
  assert.equal(await status(remote("/local", "10.0.0.1:4191")), 403);
  assert.equal(await status(remote("/local", "10.0.0.1:4191", { remoteIsLoopback: true })), 200);
});

test("a method that the route has not is 405 also from elsewhere", async () => {
  assert.equal(await status(remote("/local", "10.0.0.1:4191", { method: "DELETE" })), 405);
});

test("scrapers may ask by a name, other routes only by address", async () => {
  assert.equal(await status(remote("/metrics", "web-proxy:4191")), 200);
  assert.equal(await status(remote("/plain", "web-proxy:4191")), 403);
  assert.equal(await status(remote("/plain", "10.0.0.1:4191")), 200);
  assert.equal(await status(remote("/nothing", "web-proxy:4191")), 403);
});

test("a browser on this machine may not ask by a foreign name, not even for metrics", async () => {
  assert.equal(await status(remote("/metrics", "evil.example", { remoteIsLoopback: true })), 403);
});

test("a foreign Origin changes nothing on an open route", async () => {
  assert.equal(
    await status(remote("/metrics", "web-proxy", { method: "POST", headers: { host: "web-proxy", origin: "http://evil.example" } })),
    403,
  );
});
