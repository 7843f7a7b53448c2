// Inbound policies over real connections: who comes in, what those get who do not, and that nothing of theirs reaches the service.

import assert from "node:assert/strict";
import { status } from "@grpc/grpc-js";
import { after, describe, it } from "node:test";
import { GrpcClient } from "../grpc/client.ts";
import { Authority, CertificateFiles } from "../support/certificates.ts";
import { connect, request } from "../support/client.ts";
import { H2Client } from "../support/h2-client.ts";
import { header, text } from "../support/http-lite.ts";
import type { Metrics } from "../support/metrics.ts";
import { closedWithoutByte, policyOrigins } from "../support/policy-origins.ts";
import { scenario } from "../support/scenario.ts";
import { waitUntil } from "../support/wait.ts";

const ALLOW = "inbound_http_authz_allow_total";
const DENY = "inbound_http_authz_deny_total";
const TCP_ALLOW = "inbound_tcp_authz_allow_total";
const TCP_DENY = "inbound_tcp_authz_deny_total";

describe("an inbound port without a policy", () => {
  const s = scenario(policyOrigins, (o) => ({
    services: {},
    inbound: { target: o.web.address, ports: { echo: { target: o.echo.address, protocol: "opaque" } } },
  }));

  it("admits everybody, and counts it as Linkerd does", async () => {
    const wire = await connect(s.proxy.listener("inbound"));
    for (let i = 0; i < 3; i++) {
      await wire.send(request("GET", "/name"));
      assert.equal(text(await wire.expectResponse()), "web");
    }
    wire.destroy();
    const opaque = await connect(s.proxy.listener("echo"));
    await opaque.send("ping");
    assert.equal((await opaque.expectBytes(4)).toString(), "ping");
    opaque.destroy();
    const metrics = await s.proxy.metrics();
    const port = String(s.proxy.listener("inbound"));
    const server = { srv_group: "", srv_kind: "default", srv_name: "all-unauthenticated", srv_port: port };
    const rule = { authz_group: "", authz_kind: "default", authz_name: "all-unauthenticated" };
    const client = { tls: "no_identity", no_tls_reason: "disabled" };
    const target = { target_addr: `127.0.0.1:${port}`, target_ip: "127.0.0.1", target_port: port };
    const route = { route_group: "", route_kind: "default", route_name: "default" };
    assert.equal(metrics.sum(ALLOW, { ...target, ...server, ...route, ...rule, ...client }), 3);
    assert.equal(metrics.sum(ALLOW), 3);
    assert.equal(metrics.sum(TCP_ALLOW, { ...rule, srv_port: String(s.proxy.listener("echo")) }), 1);
    assert.ok(!metrics.has(DENY) && !metrics.has(TCP_DENY));
  });
});

describe("the policy deny", () => {
  const s = scenario(policyOrigins, (o) => ({
    services: { web: { endpoints: [o.web.address] } },
    allowConnect: true,
    accessLog: "json",
    inbound: {
      target: o.web.address,
      policy: "deny",
      ports: {
        opaque: { target: o.echo.address, protocol: "opaque" },
        detected: { target: o.echo.address },
        open: { target: o.web.address, policy: "all-unauthenticated" },
      },
    },
  }));
  const inbound = (): number => s.proxy.listener("inbound");

  after(() => {
    assert.equal(s.origins.echo.connections.length, 0, "a refused connection was dialled for");
    assert.ok(
      s.origins.web.requests.every(({ target }) => target === "/name"),
      "a refused request reached the service",
    );
  });

  it("answers HTTP/1.1 with 403, without a reason, and keeps the connection", async () => {
    const before = (await s.proxy.metrics()).sum(DENY);
    const wire = await connect(inbound());
    for (const method of ["GET", "DELETE", "OPTIONS"]) {
      await wire.send(request(method, "/secret"));
      const answer = await wire.expectResponse();
      assert.equal(answer.status, 403);
      assert.equal(answer.body.length, 0);
      const names = answer.headers.map(([name]) => name.toLowerCase()).sort();
      assert.deepEqual(names, ["content-length", "date"]);
    }
    await wire.send(request("HEAD", "/secret"));
    assert.equal((await wire.expectResponse({ isHead: true })).status, 403);
    assert.ok(!wire.isEnded && !wire.isClosed);
    wire.destroy();
    const metrics = await s.proxy.metrics();
    assert.equal(metrics.sum(DENY, { srv_name: "deny", srv_port: String(inbound()) }) - before, 4);
    assert.ok(metrics.sum("inbound_http_errors_total", { error: "unauthorized" }) >= 4);
    assert.equal(metrics.sum("outbound_http_errors_total"), 0);
  });

  it("answers pipelined requests each", async () => {
    const wire = await connect(inbound());
    await wire.send(request("GET", "/a") + request("GET", "/b") + request("GET", "/c"));
    for (let i = 0; i < 3; i++) assert.equal((await wire.expectResponse()).status, 403);
    wire.destroy();
  });

  for (const [what, head, body] of [
    ["with a body", "POST /secret HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\n\r\n", "hello"],
    ["in chunks", "POST /secret HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"],
    ["that waits for 100", "POST /secret HTTP/1.1\r\nHost: web\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", ""],
    ["to upgrade", "GET /secret HTTP/1.1\r\nHost: web\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "frames"],
    ["CONNECT", "CONNECT web:80 HTTP/1.1\r\nHost: web:80\r\n\r\n", ""],
  ] as const) {
    it(`answers a request ${what} with 403, not with 100, 101 or a tunnel`, async () => {
      const wire = await connect(inbound());
      await wire.send(head + body);
      const answer = await wire.expectResponse();
      assert.equal(answer.status, 403);
      assert.equal(header(answer, "l5d-proxy-error"), undefined);
      wire.destroy();
    });
  }

  it("answers an upload of 8 MB before it is read, and the answer arrives", async () => {
    const wire = await connect(inbound());
    void wire.send(`POST /secret HTTP/1.1\r\nHost: web\r\nContent-Length: ${8 << 20}\r\n\r\n`);
    void wire.send(Buffer.alloc(64 * 1024));
    assert.equal((await wire.expectResponse()).status, 403);
    wire.destroy();
  });

  it("answers HTTP/2 with 403 stream by stream, and keeps the connection", async () => {
    const client = new H2Client(inbound());
    const answers = await Promise.all([
      client.get("/secret"),
      client.request({ ":path": "/secret", ":method": "POST" }, "hello"),
      client.request({ ":path": "/secret", ":method": "POST" }, Buffer.alloc(200_000)),
    ]);
    for (const answer of answers) {
      assert.equal(answer.status, 403);
      assert.equal(answer.body.length, 0);
      assert.equal(answer.headers["l5d-proxy-error"], undefined);
    }
    assert.equal((await client.get("/again")).status, 403);
    client.close();
  });

  it("answers gRPC with PERMISSION_DENIED and HTTP 200", async () => {
    const client = new GrpcClient(`127.0.0.1:${inbound()}`, { authority: "web" });
    const outcome = await client.empty();
    assert.equal(outcome.code, status.PERMISSION_DENIED);
    client.close();
    const raw = new H2Client(inbound());
    const answer = await raw.request(
      { ":path": "/s/m", ":method": "POST", "content-type": "application/grpc" },
      Buffer.from([0, 0, 0, 0, 0]),
    );
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["grpc-status"], "7");
    assert.equal(answer.headers["grpc-message"], undefined);
    assert.equal(answer.headers["l5d-proxy-error"], undefined);
    raw.close();
  });

  it("closes an opaque connection at its beginning, without a byte", async () => {
    const wire = await connect(s.proxy.listener("opaque"));
    await closedWithoutByte(wire);
    const talker = await connect(s.proxy.listener("opaque"));
    await talker.send("hello");
    await closedWithoutByte(talker);
  });

  it("closes what turns out to be opaque, and TLS that would pass through", async () => {
    const wire = await connect(s.proxy.listener("detected"));
    await wire.send("\x00\x01\x02\x03\r\n");
    await closedWithoutByte(wire);
    const tls = await connect(s.proxy.listener("detected"));
    await tls.send(Buffer.from("16030100050100000100", "hex"));
    await closedWithoutByte(tls);
    const half = await connect(s.proxy.listener("detected"));
    await half.send("GE");
    half.endWrite();
    await closedWithoutByte(half);
  });

  it("answers HTTP that is slow to begin", async () => {
    const wire = await connect(inbound());
    // Longer than detectTimeoutMs, after which the upstream is dialled for others.
    await new Promise((resolve) => setTimeout(resolve, 60));
    await wire.send(request("GET", "/name"));
    assert.equal((await wire.expectResponse()).status, 403);
    wire.destroy();
  });

  it("does not hold at a port that has another", async () => {
    const wire = await connect(s.proxy.listener("open"));
    await wire.send(request("GET", "/name"));
    assert.equal(text(await wire.expectResponse()), "web");
    wire.destroy();
  });

  it("says in the log who was refused by which rule, once for many requests, and in the access log", async () => {
    const wire = await connect(inbound(), "127.0.0.1", "127.0.0.77");
    for (let i = 0; i < 50; i++) {
      await wire.send(request("GET", `/secret/${i}`));
      assert.equal((await wire.expectResponse()).status, 403);
    }
    wire.destroy();
    const line = await waitUntil("the line", () => s.proxy.log.split("\n").find((one) => one.includes('"client":"127.0.0.77"')));
    const { level, msg, rule, target, protocol } = JSON.parse(line) as Record<string, string>;
    assert.deepEqual(
      { level, rule, target, protocol },
      { level: "info", rule: "default:deny", target: `127.0.0.1:${inbound()}`, protocol: "http" },
    );
    assert.match(msg!, /^\[WEFT_UNAUTHORIZED\]/);
    assert.equal(s.proxy.log.split("\n").filter((one) => one.includes('"client":"127.0.0.77"')).length, 1);
    await waitUntil("the access log", () => /"uri":"\/secret\/49".*"status":403.*"error":"WEFT_UNAUTHORIZED"/.test(s.proxy.log));
  });
});

describe("the policy deny and clients that are silent", () => {
  const s = scenario(policyOrigins, (o) => ({
    services: {},
    inbound: { target: o.greeter.address, policy: "deny" },
    limits: { headerDeadlineMs: 1_000 },
  }));
  const silent = (metrics: Metrics): number => metrics.sum(TCP_DENY, { srv_port: String(s.proxy.listener("inbound")) });

  it("closes who waits for the server to speak first, when the time for a head is over, and dials nobody", async () => {
    const before = silent(await s.proxy.metrics());
    const wire = await connect(s.proxy.listener("inbound"));
    await closedWithoutByte(wire);
    assert.equal(silent(await s.proxy.metrics()) - before, 1);
    assert.equal(s.origins.greeter.connections.length, 0);
  });
});

for (const [family, host] of [
  ["IPv4", "127.0.0.1"],
  ["IPv6 and IPv4", "[::]"],
] as const) {
  describe(`the policy cluster-unauthenticated, listening on ${family}`, () => {
    const s = scenario(policyOrigins, (o) => ({
      services: {},
      inbound: {
        host,
        target: o.web.address,
        policy: "cluster-unauthenticated",
        clusterNetworks: ["127.0.0.8/29", "::1/128"],
        ports: { echo: { target: o.echo.address, protocol: "opaque" } },
      },
    }));

    it("admits exactly the clients in its networks", async () => {
      for (const [from, isIn] of [
        ["127.0.0.1", false],
        ["127.0.0.7", false],
        ["127.0.0.8", true],
        ["127.0.0.15", true],
        ["127.0.0.16", false],
      ] as const) {
        const wire = await connect(s.proxy.listener("inbound"), "127.0.0.1", from);
        await wire.send(request("GET", "/name"));
        assert.equal((await wire.expectResponse()).status, isIn ? 200 : 403, from);
        wire.destroy();
        const opaque = await connect(s.proxy.listener("echo"), "127.0.0.1", from);
        if (isIn) {
          await opaque.send("ping");
          assert.equal((await opaque.expectBytes(4)).toString(), "ping");
          opaque.destroy();
        } else {
          await closedWithoutByte(opaque);
        }
      }
      if (host === "[::]") {
        const wire = await connect(s.proxy.listener("inbound"), "::1");
        await wire.send(request("GET", "/name"));
        assert.equal((await wire.expectResponse()).status, 200);
        wire.destroy();
      }
      assert.equal((await s.proxy.metrics()).sum(TCP_DENY, { srv_name: "cluster-unauthenticated" }), 3);
    });
  });
}

describe("the policy audit", () => {
  const s = scenario(policyOrigins, (o) => ({
    services: {},
    inbound: { target: o.web.address, policy: "audit", ports: { echo: { target: o.echo.address, protocol: "opaque" } } },
  }));

  it("admits everybody and logs who it was, a line per client", async () => {
    for (const from of ["127.0.0.21", "127.0.0.22"]) {
      const wire = await connect(s.proxy.listener("inbound"), "127.0.0.1", from);
      for (let i = 0; i < 20; i++) {
        await wire.send(request("GET", "/name"));
        assert.equal((await wire.expectResponse()).status, 200);
      }
      wire.destroy();
    }
    const opaque = await connect(s.proxy.listener("echo"), "127.0.0.1", "127.0.0.23");
    await opaque.send("ping");
    assert.equal((await opaque.expectBytes(4)).toString(), "ping");
    opaque.destroy();
    const clients = (): string[] =>
      s.proxy.log
        .split("\n")
        .flatMap((line) => (line.includes('"rule":"default:audit"') ? [(JSON.parse(line) as { client: string }).client] : []));
    await waitUntil("three lines", () => clients().length >= 3);
    assert.deepEqual(clients().sort(), ["127.0.0.21", "127.0.0.22", "127.0.0.23"]);
    const metrics = await s.proxy.metrics();
    assert.equal(metrics.sum(ALLOW, { authz_name: "audit" }), 40);
    assert.equal(metrics.sum(TCP_ALLOW, { authz_name: "audit" }), 1);
  });
});

describe("policies that ask for identities", () => {
  const authority = new Authority();
  const files = new CertificateFiles(authority.issue({ names: ["web.shop.serviceaccount.identity.weft.cluster.local"] }));
  const roots = new CertificateFiles({ cert: authority.cert, key: "" });
  after(() => {
    files.remove();
    roots.remove();
  });
  const s = scenario(policyOrigins, (o) => ({
    services: {},
    identity: { ...files.paths, trust: roots.cert },
    inbound: {
      target: o.web.address,
      policy: "all-authenticated",
      ports: {
        echo: { target: o.echo.address, protocol: "opaque" },
        cluster: { target: o.web.address, policy: "cluster-authenticated" },
      },
    },
  }));

  it("refuse who has none, wherever it is", async () => {
    for (const name of ["inbound", "cluster"]) {
      const wire = await connect(s.proxy.listener(name));
      await wire.send(request("GET", "/name", { "l5d-client-id": "web.shop.serviceaccount.identity.weft.cluster.local" }));
      assert.equal((await wire.expectResponse()).status, 403);
      wire.destroy();
    }
    // Who says nothing may still be a slow peer of the mesh.
    const opaque = await connect(s.proxy.listener("echo"));
    await opaque.send("x");
    await closedWithoutByte(opaque);
    assert.equal(s.origins.web.connections.length + s.origins.echo.connections.length, 0);
    const metrics = await s.proxy.metrics();
    assert.equal(metrics.sum(DENY, { srv_name: "all-authenticated", tls: "no_identity" }), 1);
    assert.equal(metrics.sum(DENY, { srv_name: "cluster-authenticated" }), 1);
    assert.equal(metrics.sum(TCP_DENY, { srv_name: "all-authenticated" }), 1);
  });
});
