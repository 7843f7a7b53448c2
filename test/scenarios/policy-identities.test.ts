// Policies that name single clients of the mesh, over real mesh TLS: who is named comes in, who is not is refused, told, counted and logged by
// the rule; a reload holds at once, for connections that are open too.

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { connect, request } from "../support/client.ts";
import { header, text } from "../support/http-lite.ts";
import { MeshAuthority, meshName, meshUri } from "../support/mesh-certificates.ts";
import { CLIENT_NAME } from "../support/mesh-files.ts";
import { MeshPair } from "../support/mesh-pair.ts";
import { closedWithoutByte, policyOrigins } from "../support/policy-origins.ts";
import type { ProxyOptions } from "../support/proxy-config.ts";
import { scenario } from "../support/scenario.ts";
import { tlsConnect, type TlsWire } from "../support/tls-client.ts";
import { waitUntil } from "../support/wait.ts";
import type { Wire } from "../support/wire.ts";

const ALLOW = "inbound_http_authz_allow_total";
const DENY = "inbound_http_authz_deny_total";
const TERMINATED = "inbound_tcp_authz_terminate_total";

type Rules = readonly object[];
type Origins = Awaited<ReturnType<typeof policyOrigins>>;

const authority = new MeshAuthority();
const files = authority.files("web");
after(() => files.remove());
const certificates = new Map(["front", "back"].map((account) => [account, authority.workload(account)]));

function config(o: Origins, web: Rules, echo: Rules): ProxyOptions {
  return {
    services: {},
    identity: files.paths,
    inbound: {
      target: o.web.address,
      policy: { allow: web },
      ports: {
        inherits: { target: o.web.address },
        echo: { target: o.echo.address, protocol: "opaque", policy: { allow: echo } },
        open: { target: o.web.address, policy: "all-unauthenticated" },
      },
    },
  };
}

async function ask(wire: Wire): Promise<number> {
  await wire.send(request("GET", "/name"));
  return (await wire.expectResponse()).status;
}

async function ping(wire: Wire): Promise<void> {
  await wire.send("ping");
  assert.equal((await wire.expectBytes(4)).toString(), "ping");
}

describe("an inbound port whose policy names clients", () => {
  const s = scenario(policyOrigins, (o) =>
    config(
      o,
      [
        { name: "front", identities: [meshName("front")] },
        { identities: ["*.ops.serviceaccount.identity.weft.cluster.local"] },
        { name: "probes", networks: [{ cidr: "127.0.0.0/8", except: ["127.0.0.0/26", "127.0.0.128/25"] }] },
      ],
      [{ name: "by-uri", identities: [meshUri("front")] }],
    ),
  );
  const own = { ca: authority.cert, servername: meshName("web") };
  const open = async (account: string | null, port = "inbound"): Promise<TlsWire> =>
    (await tlsConnect(s.proxy.listener(port), { ...own, ...(account !== null && certificates.get(account)) })).wire;

  it("admits who is named, and counts it by the rule", async () => {
    for (const port of ["inbound", "inherits"]) {
      const wire = await open("front", port);
      assert.equal(await ask(wire), 200);
      wire.destroy();
      const rule = { authz_group: "", authz_kind: "authorizationpolicy", authz_name: "front" };
      const server = { srv_kind: "server", srv_name: "inbound", srv_port: String(s.proxy.listener(port)) };
      assert.equal((await s.proxy.metrics()).sum(ALLOW, { ...rule, ...server, tls: "true", client_id: meshName("front") }), 1);
    }
  });

  it("refuses another proxy of the mesh, tells it why, and says in the log who it was and by which rule", async () => {
    const wire = await open("back");
    await wire.send(request("GET", "/name"));
    const answer = await wire.expectResponse();
    assert.equal(answer.status, 403);
    assert.match(String(header(answer, "l5d-proxy-error")), /server:inbound/);
    assert.equal(await ask(wire), 403, "the connection stays");
    wire.destroy();
    assert.equal((await s.proxy.metrics()).sum(DENY, { srv_kind: "server", srv_name: "inbound", client_id: meshName("back") }), 2);
    const line = await waitUntil("the line", () => s.proxy.log.split("\n").find((one) => one.includes(`"identity":"${meshName("back")}"`)));
    const { msg, rule, target } = JSON.parse(line) as Record<string, string>;
    assert.match(msg!, /^\[WEFT_UNAUTHORIZED\]/);
    assert.deepEqual([rule, target], ["server:inbound", `127.0.0.1:${s.proxy.listener("inbound")}`]);
  });

  it("refuses who says nothing of itself: mesh TLS without a certificate, plain text, a name in a header", async () => {
    const anonymous = await open(null);
    assert.equal(await ask(anonymous), 403);
    anonymous.destroy();
    const plain = await connect(s.proxy.listener("inbound"));
    await plain.send(request("GET", "/name", { "l5d-client-id": meshName("front") }));
    const answer = await plain.expectResponse();
    assert.equal(answer.status, 403);
    assert.equal(header(answer, "l5d-proxy-error"), undefined);
    plain.destroy();
  });

  it("admits by network, without the parts that are excepted", async () => {
    for (const [from, status] of [
      ["127.0.0.63", 403],
      ["127.0.0.64", 200],
      ["127.0.0.127", 200],
      ["127.0.0.128", 403],
    ] as const) {
      const wire = await connect(s.proxy.listener("inbound"), "127.0.0.1", from);
      assert.equal(await ask(wire), status, from);
      wire.destroy();
    }
    assert.equal((await s.proxy.metrics()).sum(ALLOW, { authz_name: "probes", tls: "no_identity" }), 2);
  });

  it("means the same workload by its SPIFFE URI, at an opaque port, where others are closed without a byte", async () => {
    const front = await open("front", "echo");
    await ping(front);
    front.destroy();
    const back = await open("back", "echo");
    await back.send("ping");
    await closedWithoutByte(back);
    const labels = { srv_kind: "server", srv_name: `inbound/${s.proxy.listener("echo")}` };
    const metrics = await s.proxy.metrics();
    assert.equal(metrics.sum("inbound_tcp_authz_allow_total", { ...labels, authz_name: "by-uri", client_id: meshName("front") }), 1);
    assert.equal(metrics.sum("inbound_tcp_authz_deny_total", { ...labels, client_id: meshName("back") }), 1);
  });

  it("holds at once after a reload: requests are asked again, opaque connections of those who are out are cut", async () => {
    const front = [await open("front"), await open("front", "echo"), await open("front", "open")] as const;
    const back = await open("back");
    assert.deepEqual([await ask(front[0]), await ask(back), await ask(front[2])], [200, 403, 200]);
    await ping(front[1]);
    const before = (await s.proxy.metrics()).sum(TERMINATED);

    // The same people in other words: nobody is cut.
    const below = "*.shop.serviceaccount.identity.weft.cluster.local";
    await s.proxy.reconfigure(config(s.origins, [{ identities: [below] }], [{ identities: ["*"] }]));
    assert.deepEqual([await ask(front[0]), await ask(back)], [200, 200]);
    await ping(front[1]);
    assert.equal((await s.proxy.metrics()).sum(ALLOW, { authz_name: "allow-1", client_id: meshName("back") }), 1);

    const onlyBack = [{ name: "back", identities: [meshName("back")] }];
    await s.proxy.reconfigure(config(s.origins, onlyBack, onlyBack));
    await front[1].expectClosed();
    assert.deepEqual([await ask(front[0]), await ask(back), await ask(front[2])], [403, 200, 200]);
    const metrics = await s.proxy.metrics();
    assert.equal(metrics.sum(TERMINATED) - before, 1);
    assert.equal(metrics.sum(TERMINATED, { srv_kind: "server", client_id: meshName("front") }), 1);
    await waitUntil("the line", () => /a connection is cut/.test(s.proxy.log));
    for (const wire of [...front, back]) wire.destroy();
  });

  it("a reload with a mistake changes nothing", async () => {
    const good = config(s.origins, [{ identities: [meshName("front")] }], [{ identities: [meshName("front")] }]);
    await s.proxy.reconfigure(good);
    await s.proxy.reconfigure(config(s.origins, [{ identities: ["*.SHOP"] }], [{ identities: [meshName("back")] }]));
    assert.match(s.proxy.log, /spec\.inbound\.policy\.allow\[0\]\.identities\[0\]/);
    const wire = await open("front");
    assert.equal(await ask(wire), 200);
    wire.destroy();
    await s.proxy.reconfigure(good);
  });
});

describe("two proxies, the second of which names whom it lets in", () => {
  it("admits the first one's requests and tunnels by its name, and cuts the tunnel when it is named no more", async () => {
    const origins = await policyOrigins();
    const pair = await MeshPair.start({
      targets: { web: { port: origins.web.port }, echo: { port: origins.echo.port, protocol: "opaque" } },
      opaque: ["echo"],
    });
    const { b } = pair;
    const letIn = async (identity: string): Promise<void> => {
      await b.reconfigure({ ...b.options, inbound: { ...b.options.inbound!, policy: { allow: [{ identities: [identity] }] } } });
    };
    const wires: Wire[] = [];
    const open = async (port: number): Promise<Wire> => {
      const wire = await connect(port);
      wires.push(wire);
      return wire;
    };
    try {
      await letIn(CLIENT_NAME);
      const client = await open(pair.port);
      const tunnel = await open(pair.a.listener("to-echo"));
      await ping(tunnel);
      await client.send(request("GET", "/name"));
      assert.equal(text(await client.expectResponse()), "web");

      await letIn(CLIENT_NAME.replace("client", "other"));
      await tunnel.expectClosed();
      assert.equal(await ask(client), 403);
      const late = await open(pair.a.listener("to-echo"));
      await late.send("ping");
      await closedWithoutByte(late);
      const metrics = await b.metrics();
      assert.equal(metrics.sum(TERMINATED, { client_id: CLIENT_NAME }), 1);
      assert.equal(metrics.sum("inbound_tcp_authz_deny_total", { client_id: CLIENT_NAME }), 1);

      await letIn(CLIENT_NAME);
      assert.equal(await ask(client), 200);
      assert.equal((await pair.a.metrics()).sum("tcp_close_total", { peer: "dst", tls: "true" }), 0, "the mesh's own connections stay");
    } finally {
      for (const wire of wires) wire.destroy();
      await pair.stop();
      await Promise.all(Object.values(origins).map((origin) => origin.stop()));
    }
  });
});
