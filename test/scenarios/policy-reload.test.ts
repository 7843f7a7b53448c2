// Policies that change while connections are open: the one case in which a reload ends some.

import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { connect, request } from "../support/client.ts";
import { H2Client } from "../support/h2-client.ts";
import { startRawOrigin } from "../support/origin.ts";
import { closedWithoutByte, policyOrigins } from "../support/policy-origins.ts";
import { scenario } from "../support/scenario.ts";
import { waitUntil, within } from "../support/wait.ts";
import type { Wire } from "../support/wire.ts";

describe("a policy that changes while connections are open", () => {
  const s = scenario(
    async () => ({
      ...(await policyOrigins()),
      sockets: await startRawOrigin(async (wire) => {
        await wire.readRequestHead();
        await wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
        while (!wire.isEnded && !wire.isClosed) {
          await wire.until("bytes", () => wire.buffered > 0 || wire.isEnded || wire.isClosed, 60_000);
          if (wire.buffered > 0) await wire.send(wire.take());
        }
        wire.endWrite();
      }),
    }),
    (o) => config(o, "all-unauthenticated"),
  );

  function config(o: Record<"web" | "echo" | "greeter" | "sockets", { address: string }>, policy: string, networks?: readonly string[]) {
    return {
      services: { web: { endpoints: [o.web.address] } },
      listeners: { outside: { service: "web" } },
      inbound: {
        target: o.web.address,
        policy,
        ...(networks && { clusterNetworks: networks }),
        ports: {
          echo: { target: o.echo.address, protocol: "opaque" },
          sockets: { target: o.sockets.address },
          greeter: { target: o.greeter.address },
          open: { target: o.echo.address, protocol: "opaque", policy: "all-unauthenticated" },
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

  it("cuts opaque connections and tunnels that are not admitted any more, and asks HTTP again request by request", async () => {
    const open = (name: string, from: string): Promise<Wire> => connect(s.proxy.listener(name), "127.0.0.1", from);
    const http = [await open("inbound", "127.0.0.30"), await open("inbound", "127.0.0.40")] as const;
    const h2 = new H2Client(s.proxy.listener("inbound"));
    const opaque = [await open("echo", "127.0.0.30"), await open("echo", "127.0.0.40")] as const;
    const greeted = await open("greeter", "127.0.0.40");
    const untouched = await open("open", "127.0.0.40");
    const outside = await connect(s.proxy.listener("outside"), "127.0.0.1", "127.0.0.40");
    const socket = await open("sockets", "127.0.0.40");
    await socket.send("GET / HTTP/1.1\r\nHost: web\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    await socket.expectUntil("\r\n\r\n");
    await greeted.expectUntil("220 ready\r\n");
    const sockets = new H2Client(s.proxy.listener("sockets"));
    await waitUntil("the proxy's SETTINGS", () => sockets.session.remoteSettings?.enableConnectProtocol === true);
    const connectWebSocket = {
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":scheme": "http",
      ":path": "/",
      "sec-websocket-version": "13",
    };
    const stream = sockets.open(connectWebSocket, false);
    await within("the tunnel", once(stream, "response"));
    const streamClosed = once(stream, "close");
    for (const wire of [...opaque, untouched, socket, greeted]) await ping(wire);
    for (const wire of [...http, outside]) assert.equal(await ask(wire), 200);
    assert.equal((await h2.get("/name")).status, 200);

    // The same policy in other words cuts nobody; nor does one that admits everyone who is there.
    await s.proxy.reconfigure(config(s.origins, "audit"));
    await s.proxy.reconfigure(config(s.origins, "cluster-unauthenticated", ["127.0.0.0/8"]));
    for (const wire of [...opaque, untouched, socket, greeted]) await ping(wire);
    assert.equal((await s.proxy.metrics()).sum("inbound_tcp_authz_terminate_total"), 0);

    await s.proxy.reconfigure(config(s.origins, "cluster-unauthenticated", ["127.0.0.30/32"]));
    await Promise.all([opaque[1], socket, greeted].map((wire) => wire.expectClosed()));
    await within("the tunnel over HTTP/2 to be reset", streamClosed);
    sockets.close();
    for (const origin of [s.origins.sockets, s.origins.greeter])
      await waitUntil("their upstreams to close", () => origin.openConnections === 0);
    await ping(opaque[0]);
    await ping(untouched);
    assert.equal(await ask(http[0]), 200);
    assert.equal(await ask(http[1]), 403);
    assert.equal((await h2.get("/name")).status, 403);
    assert.equal(await ask(outside), 200);
    const metrics = await s.proxy.metrics();
    assert.equal(metrics.sum("inbound_tcp_authz_terminate_total", { srv_name: "cluster-unauthenticated" }), 4);
    assert.match(
      s.proxy.log,
      /a connection is cut.*"rule":"default:cluster-unauthenticated"|"client":"127\.0\.0\.40".*a connection is cut/,
    );

    await s.proxy.reconfigure(config(s.origins, "deny"));
    await opaque[0].expectClosed();
    assert.equal(await ask(http[0]), 403);
    await ping(untouched);

    await s.proxy.reconfigure(config(s.origins, "all-unauthenticated"));
    for (const wire of http) assert.equal(await ask(wire), 200);
    assert.equal((await h2.get("/name")).status, 200);
    h2.close();
    for (const wire of [...http, ...opaque, untouched, outside, socket, greeted]) wire.destroy();
  });

  it("gives up what was dialled for a silent client that is not admitted any more", async () => {
    await s.proxy.reconfigure(config(s.origins, "all-unauthenticated"));
    const before = s.origins.echo.connections.length;
    const options = config(s.origins, "all-unauthenticated");
    const detected = {
      ...options,
      inbound: { ...options.inbound, ports: { ...options.inbound.ports, echo: { target: s.origins.echo.address } } },
    };
    await s.proxy.reconfigure(detected);
    const wire = await connect(s.proxy.listener("echo"));
    await waitUntil("the dial on suspicion", () => s.origins.echo.connections.length > before);
    await s.proxy.reconfigure({ ...detected, inbound: { ...detected.inbound, policy: "deny" } });
    await closedWithoutByte(wire);
    await waitUntil("the upstream to be closed", () => s.origins.echo.openConnections === 0);
  });
});
