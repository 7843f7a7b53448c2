// A worker before its identity has come, and from then on: endpoints of the mesh are refused, then met; listeners are plain, then mesh.

import assert from "node:assert/strict";
import { createServer, type Server } from "node:net";
import { after, before, describe, it } from "node:test";
import { DEFAULT_LIMITS } from "../../src/config/limits.ts";
import type { ListenerSnapshot, MeshIdentity } from "../../src/config/snapshot.ts";
import { Recorder } from "../../src/core/telemetry/recorder.ts";
import { createForwarder } from "../../src/workers/forwarder.ts";
import type { ForwarderLike } from "../../src/workers/forwarder-types.ts";
import { duplicate } from "../../src/workers/system-calls.ts";
import { once, request } from "../support/client.ts";
import { header, text } from "../support/http-lite.ts";
import { MeshAuthority, meshName } from "../support/mesh-certificates.ts";
import { startApp } from "../support/origin-app.ts";
import type { Origin } from "../support/origin.ts";
import { handshakeError, tlsOnce } from "../support/tls-client.ts";

const SERIES_MAX = 1_000;
const authority = new MeshAuthority();
const identity: MeshIdentity = { name: meshName("web"), ...authority.workload("web"), trust: authority.cert };

describe("a worker whose identity comes late", () => {
  let app: Origin;
  let forwarder: ForwarderLike;
  const ports: Record<string, number> = {};
  const servers: Server[] = [];

  /** A listener on this thread that hands its connections to the forwarder. */
  async function listen(id: string): Promise<void> {
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      const fd = duplicate((socket as unknown as { _handle: { fd: number } })._handle.fd);
      socket.destroy();
      forwarder.adopt(fd, id);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    ports[id] = (server.address() as { port: number }).port;
    servers.push(server);
  }

  const snapshot = (id: string, direction: "inbound" | "outbound", service: string): ListenerSnapshot => ({
    id,
    direction,
    listen: { host: "127.0.0.1", port: ports[id]! },
    protocol: "detect",
    service,
  });

  before(async () => {
    app = await startApp({ name: "web" });
    const memory = Recorder.memory(Recorder.slotsFor(SERIES_MAX));
    forwarder = createForwarder({
      recorder: new Recorder(memory, () => undefined, SERIES_MAX),
      log: () => undefined,
      onConnectFailed: () => undefined,
      onStrangers: () => undefined,
      onOpenConnections: () => undefined,
      testHooks: false,
    });
    await listen("outbound");
    await listen("inbound");
    const base = { name: "x", namespace: "shop", hosts: [], ports: [], loadBalancer: "ewma" } as const;
    const peer = "127.0.0.1:9";
    forwarder.update({
      version: 1,
      proxy: {
        listeners: [snapshot("outbound", "outbound", "shop/web"), snapshot("inbound", "inbound", "inbound/1")],
        outbound: { default: null, unknown: "refuse", allowOverride: false },
        admin: null,
        forwarded: false,
        allowConnect: false,
        accessLog: "off",
        limits: DEFAULT_LIMITS,
      },
      services: [
        { ...base, key: "shop/web", endpoints: [peer], identities: { [peer]: meshName("web") } },
        { ...base, key: "inbound/1", endpoints: [app.address] },
      ],
      removed: [],
    });
  });
  after(async () => {
    forwarder.cut();
    for (const server of servers) await new Promise((resolve) => server.close(resolve));
    await app.stop();
  });

  it("refuses endpoints of the mesh by name, and serves plain text", async () => {
    const answer = await once(ports["outbound"]!, request("GET", "/name"));
    assert.equal(answer.status, 503);
    assert.match(header(answer, "l5d-proxy-error") ?? "", /^\[WEFT_NO_IDENTITY\]/);
    assert.equal(text(await once(ports["inbound"]!, request("GET", "/name"))), "web");
  });

  it("meets peers once it is there, and an identity that cannot be used changes nothing", async () => {
    forwarder.update({ version: 2, proxy: null, services: [], removed: [], identity });
    const mesh = { ca: authority.cert, servername: meshName("web"), ...authority.workload("client") };
    assert.equal(text(await tlsOnce(ports["inbound"]!, mesh, request("GET", "/name"))), "web");
    forwarder.update({ version: 3, proxy: null, services: [], removed: [], identity: { ...identity, key: "no key" } });
    assert.equal(text(await tlsOnce(ports["inbound"]!, mesh, request("GET", "/name"))), "web");
  });

  it("believes other roots from the moment on that they are there", async () => {
    const next = new MeshAuthority("the next root");
    forwarder.update({ version: 4, proxy: null, services: [], removed: [], identity: { ...identity, trust: authority.cert + next.cert } });
    const mesh = { ca: authority.cert, servername: meshName("web") };
    const both = [authority.workload("client"), next.workload("client")];
    for (const certificate of both) {
      assert.equal(text(await tlsOnce(ports["inbound"]!, { ...mesh, ...certificate }, request("GET", "/name"))), "web");
    }
    forwarder.update({
      version: 5,
      proxy: null,
      services: [],
      removed: [],
      identity: { ...identity, ...next.workload("web"), trust: next.cert },
    });
    const renewed = { ...mesh, ca: next.cert };
    assert.equal(text(await tlsOnce(ports["inbound"]!, { ...renewed, ...both[1] }, request("GET", "/name"))), "web");
    await assert.rejects(tlsOnce(ports["inbound"]!, { ...renewed, ...both[0] }, request("GET", "/name")));
    assert.match((await handshakeError(ports["inbound"]!, mesh)).message, /self.signed|unable to (get|verify)/);
  });
});
