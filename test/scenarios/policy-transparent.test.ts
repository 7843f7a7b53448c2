// Rules of ports that come and go at a transparent listener while connections to those ports are open: another policy counts for them at once.
//
// Redirected connections are in test/peers/transparent-policy.test.ts, which needs namespaces. Here the connections are those of the mesh that name their
// port by a transport header: they are taken as if they had been made to it.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { TLSSocket } from "node:tls";
import { request } from "../support/client.ts";
import { H2Client } from "../support/h2-client.ts";
import { MeshAuthority } from "../support/mesh-certificates.ts";
import { connectMesh } from "../support/mesh-client.ts";
import { startApp } from "../support/origin-app.ts";
import { type Origin, startRawOrigin } from "../support/origin.ts";
import type { ProxyOptions, TestInbound } from "../support/proxy-config.ts";
import { scenario } from "../support/scenario.ts";
import { headerFor, HTTP1, HTTP2, OPAQUE, TRANSPORT_ALPN } from "../support/transport-header.ts";
import { waitUntil } from "../support/wait.ts";
import { Wire } from "../support/wire.ts";

/** A reload reaches a worker of a busy machine within this. */
const RELOAD_MS = 60_000;

const authority = new MeshAuthority();
const files = authority.files("web");
after(() => files.remove());

/** Every connection is for one of these, at which nothing of the proxy listens. */
const PORTS = ["app", "echo"] as const;

function config(policy: string, ofPorts: string | null): ProxyOptions {
  const ports = ofPorts === null ? {} : Object.fromEntries(PORTS.map((name) => [name, { policy: ofPorts }]));
  const inbound = { policy, ports, transparent: true } as object as TestInbound;
  return { services: {}, identity: files.paths, inbound };
}

describe("connections of the mesh to ports whose rules come and go", () => {
  let app: Origin;
  let echo: Origin;
  const s = scenario(
    async () => ({}),
    () => config("all-unauthenticated", "deny"),
  );
  before(async () => {
    app = await startApp({ port: s.proxy.listener("app") });
    echo = await startRawOrigin(
      async (wire) => {
        for (;;) {
          await wire.until("bytes or the end", () => wire.buffered > 0 || wire.isEnded || wire.isClosed, 3_600_000);
          if (wire.buffered === 0) break;
          await wire.send(wire.take());
        }
        wire.endWrite();
      },
      { port: s.proxy.listener("echo") },
    );
  });
  after(async () => {
    await Promise.all([app.stop(), echo.stop()]);
  });

  async function dial(name: (typeof PORTS)[number], session: readonly number[]): Promise<TLSSocket> {
    const socket = await connectMesh(authority, s.proxy.listener("inbound"), TRANSPORT_ALPN);
    // Node's HTTP/2 takes no socket that is still being written to.
    await new Promise((resolve) => socket.write(headerFor(s.proxy.listener(name), session), resolve));
    return socket;
  }

  const opaque = async (): Promise<Wire> => new Wire(await dial("echo", OPAQUE));

  async function ping(wire: Wire): Promise<void> {
    await wire.send("ping");
    assert.equal((await wire.expectBytes(4, RELOAD_MS)).toString(), "ping");
  }

  it("cuts what is not admitted any more, asks requests anew, and closes nothing else", async () => {
    await s.proxy.reconfigure(config("all-unauthenticated", null));
    const http1 = new Wire(await dial("app", HTTP1));
    const http2 = new H2Client(await dial("app", HTTP2));
    const statuses = async (): Promise<readonly number[]> => {
      await http1.send(request("GET", "/name"));
      return [(await http1.expectResponse({}, RELOAD_MS)).status, (await http2.get("/name")).status];
    };
    const become = async (status: number): Promise<void> => {
      await waitUntil(`both connections to get ${status}`, async () => (await statuses()).every((each) => each === status), RELOAD_MS);
    };
    await become(200);
    const first = await opaque();
    await ping(first);

    // Reloads after which the same clients are admitted: nothing is cut, as the count at the end says, too.
    await s.proxy.reconfigure(config("audit", null));
    await s.proxy.reconfigure(config("audit", "all-authenticated"));
    await s.proxy.reconfigure(config("all-unauthenticated", "all-authenticated"));
    await s.proxy.reconfigure(config("all-unauthenticated", null));
    await ping(first);

    // The ports get rules of their own.
    await s.proxy.reconfigure(config("all-unauthenticated", "deny"));
    await first.expectClosed(RELOAD_MS);
    await become(403);

    // They lose them.
    await s.proxy.reconfigure(config("all-unauthenticated", null));
    await become(200);
    const second = await opaque();
    await ping(second);
    await s.proxy.reconfigure(config("deny", "all-authenticated"));
    await ping(second);
    await s.proxy.reconfigure(config("deny", null));
    await second.expectClosed(RELOAD_MS);
    await become(403);

    // They get, and lose, what they had before: no policy has changed since.
    await s.proxy.reconfigure(config("deny", "all-authenticated"));
    await become(200);
    const third = await opaque();
    await ping(third);
    await s.proxy.reconfigure(config("deny", null));
    await third.expectClosed(RELOAD_MS);
    await become(403);

    assert.equal((await s.proxy.metrics()).sum("inbound_tcp_authz_terminate_total"), 3);
    assert.equal(http1.isClosed || http1.isEnded, false);
    http2.close();
    for (const wire of [http1, first, second, third]) wire.destroy();
  });
});
