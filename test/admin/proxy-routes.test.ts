// The proxy's admin routes by Linkerd's table, on real sockets, against both backends.

import assert from "node:assert/strict";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import type { AdminServer } from "../../src/admin/admin-server.ts";
import { type AdminSource, proxyRoutes } from "../../src/admin/proxy-routes.ts";
import { BACKENDS, run } from "./support/backends.ts";
import { ask } from "./support/raw-http.ts";

/** A proxy that does nothing but remember. */
class FakeProxy implements AdminSource {
  readonly metricsContentType = "text/plain; version=0.0.4";
  ready = false;
  shutdowns = 0;
  level = "info";
  shutdownEndpoint = true;
  breaks = false;

  *metrics(): Generator<string> {
    for (let index = 0; index < 300; index += 1) yield `metric_${index} ${index}\n`.repeat(20);
  }
  isReady(): boolean {
    return this.ready;
  }
  async stats(): Promise<object> {
    return { requests: 7, endpoints: [{ address: "127.0.0.1:9001" }] };
  }
  config(): object {
    return { name: "web-1", services: [{ key: "shop/web" }] };
  }
  shutdown(): void {
    if (this.breaks) throw new Error("the supervisor is gone");
    this.shutdowns += 1;
  }
  logLevel(): string {
    return this.level;
  }
  setLogLevel(level: string): boolean {
    if (!["debug", "info", "warn"].includes(level)) return false;
    this.level = level;
    return true;
  }
  environment(): Record<string, string> {
    return { HOME: "/root", PATH: "/bin", DB_PASSWORD: "hunter2", WEFT_CONFIG: "kind: Proxy", DATABASE_URL: "postgres://app:hunter2@db/x" };
  }
}

for (const backend of BACKENDS) {
  const serve = async (t: Parameters<typeof run>[0]) => {
    const proxy = new FakeProxy();
    const running = await run(t, backend, (server: AdminServer) => proxyRoutes(server, proxy));
    return { proxy, ...running };
  };

  test(`${backend}: /live is 200 by any method`, async (t) => {
    const { port } = await serve(t);
    for (const method of ["GET", "POST", "DELETE"]) {
      const answer = await ask(port, method, "/live");
      assert.equal(answer.status, 200);
      assert.equal(answer.body.toString(), "live\n");
      assert.match(answer.headers["content-type"]!, /^text\/plain/);
    }
  });

  test(`${backend}: /ready is 503 before and 200 after`, async (t) => {
    const { proxy, port } = await serve(t);
    const before = await ask(port, "GET", "/ready");
    assert.equal(before.status, 503);
    assert.equal(before.body.toString(), "not ready\n");
    proxy.ready = true;
    const after = await ask(port, "GET", "/ready");
    assert.equal(after.status, 200);
    assert.equal(after.body.toString(), "ready\n");
  });

  test(`${backend}: /metrics is plain text, compressed only when asked`, async (t) => {
    const { proxy, port } = await serve(t);
    const text = [...proxy.metrics()].join("");
    const plain = await ask(port, "GET", "/metrics");
    assert.equal(plain.status, 200);
    assert.equal(plain.headers["content-type"], proxy.metricsContentType);
    assert.equal(plain.headers["content-encoding"], undefined);
    assert.equal(plain.body.toString(), text);
    const packed = await ask(port, "GET", "/metrics", { "accept-encoding": "gzip" });
    assert.equal(packed.headers["content-encoding"], "gzip");
    assert.equal(gunzipSync(packed.body).toString(), text);
  });

  test(`${backend}: /shutdown takes POST, once per request`, async (t) => {
    const { proxy, port } = await serve(t);
    const get = await ask(port, "GET", "/shutdown");
    assert.equal(get.status, 405);
    assert.equal(get.headers["allow"], "POST");
    assert.equal(proxy.shutdowns, 0);
    const post = await ask(port, "POST", "/shutdown");
    assert.equal(post.status, 200);
    assert.equal(post.body.toString(), "shutdown\n");
    assert.equal(proxy.shutdowns, 1);
  });

  test(`${backend}: /shutdown is 404 when it is disabled, 405 still for other methods`, async (t) => {
    const { proxy, port } = await serve(t);
    proxy.shutdownEndpoint = false;
    assert.equal((await ask(port, "POST", "/shutdown")).status, 404);
    assert.equal((await ask(port, "GET", "/shutdown")).status, 405);
    assert.equal(proxy.shutdowns, 0);
  });

  test(`${backend}: /shutdown is 500 when nobody is there to do it`, async (t) => {
    const { proxy, port, errors } = await serve(t);
    proxy.breaks = true;
    assert.equal((await ask(port, "POST", "/shutdown")).status, 500);
    assert.equal(errors.length, 1);
  });

  test(`${backend}: a page of another site cannot shut the proxy down`, async (t) => {
    const { proxy, port } = await serve(t);
    assert.equal((await ask(port, "POST", "/shutdown", { origin: "http://evil.example" })).status, 403);
    assert.equal((await ask(port, "POST", "/shutdown", { host: "evil.example" })).status, 403);
    assert.equal(proxy.shutdowns, 0);
  });

  test(`${backend}: /proxy-log-level is read with GET and set with PUT`, async (t) => {
    const { proxy, port } = await serve(t);
    assert.equal((await ask(port, "GET", "/proxy-log-level")).body.toString(), "info\n");
    const put = await ask(port, "PUT", "/proxy-log-level", {}, "debug\n");
    assert.equal(put.status, 204);
    assert.equal(proxy.level, "debug");
    const bad = await ask(port, "PUT", "/proxy-log-level", {}, "loud");
    assert.equal(bad.status, 400);
    assert.match(bad.body.toString(), /"loud"/);
    assert.equal(proxy.level, "debug");
    const other = await ask(port, "DELETE", "/proxy-log-level");
    assert.equal(other.status, 405);
    assert.match(other.headers["allow"]!, /GET.*PUT/);
  });

  test(`${backend}: /env.json shows the environment without its secrets`, async (t) => {
    const { port } = await serve(t);
    const answer = await ask(port, "GET", "/env.json");
    assert.equal(answer.headers["content-type"], "application/json");
    assert.deepEqual(JSON.parse(answer.body.toString()), {
      HOME: "/root",
      PATH: "/bin",
      DB_PASSWORD: "(hidden)",
      WEFT_CONFIG: "(hidden)",
      DATABASE_URL: "postgres://(hidden)@db/x",
    });
  });

  test(`${backend}: /env.json?A&B shows these names, absent ones as null`, async (t) => {
    const { port } = await serve(t);
    const answer = await ask(port, "GET", "/env.json?HOME&NOPE&__proto__");
    assert.equal(answer.body.toString(), '{"HOME":"/root","NOPE":null,"__proto__":null}');
  });

  test(`${backend}: /env.json with = is 400, without JSON accepted 406, by POST 405`, async (t) => {
    const { port } = await serve(t);
    const bad = await ask(port, "GET", "/env.json?A=B");
    assert.equal(bad.status, 400);
    assert.equal(JSON.parse(bad.body.toString()).status, 400);
    assert.equal((await ask(port, "GET", "/env.json", { accept: "text/html" })).status, 406);
    assert.equal((await ask(port, "GET", "/env.json", { accept: "text/html, application/json;q=0" })).status, 406);
    assert.equal((await ask(port, "GET", "/env.json", { accept: "text/html, */*;q=0.1" })).status, 200);
    assert.equal((await ask(port, "POST", "/env.json")).status, 405);
  });

  test(`${backend}: /stats.json and /config.json are the source's JSON`, async (t) => {
    const { proxy, port } = await serve(t);
    assert.deepEqual(JSON.parse((await ask(port, "GET", "/stats.json")).body.toString()), await proxy.stats());
    assert.deepEqual(JSON.parse((await ask(port, "GET", "/config.json")).body.toString()), proxy.config());
  });

  test(`${backend}: / names every route that there is`, async (t) => {
    const { port } = await serve(t);
    const index = await ask(port, "GET", "/");
    assert.equal(index.status, 200);
    for (const line of index.body.toString().matchAll(/^(GET|POST) +(\/\S+)/gm)) {
      assert.notEqual((await ask(port, "HEAD", line[2]!)).status, 404, line[2]);
    }
    for (const path of ["/ready", "/live", "/metrics", "/stats.json", "/config.json", "/env.json", "/proxy-log-level", "/shutdown"]) {
      assert.ok(index.body.includes(` ${path}`), path);
    }
  });

  test(`${backend}: everything else is 404 with an empty body`, async (t) => {
    const { port } = await serve(t);
    for (const path of ["/tasks", "/metrics/", "/env.json/x", "//live"]) {
      const answer = await ask(port, "GET", path);
      assert.equal(answer.status, 404, path);
      assert.equal(answer.body.length, 0);
    }
  });
}
