// Certificates of the mesh that change under load, and roots: no request fails, no connection closes, new handshakes have the new ones.
//
// First with an identity component, then by files and reloads. A certificate of the first part is good for a minute, but by the clocks of the proxies,
// which are almost a minute fast, it has a second or two left: so they renew all the time, and a busy machine breaks nothing, because
// whoever verifies goes by the machine's clock.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, once, request } from "../support/client.ts";
import { text } from "../support/http-lite.ts";
import { IdentityProcess } from "../support/identity-process.ts";
import { MeshAuthority, type MeshFiles, meshName } from "../support/mesh-certificates.ts";
import { LoadServices, MeshLoad } from "../support/mesh-load.ts";
import { startApp } from "../support/origin-app.ts";
import type { Origin } from "../support/origin.ts";
import type { ProxyOptions } from "../support/proxy-config.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { stopProxy } from "../support/scenario.ts";
import { tlsConnect } from "../support/tls-client.ts";
import { waitUntil } from "../support/wait.ts";

/** Of leaves, over both proxies; of issuers; of roots. */
const LEAVES = 100;
const ISSUERS = 3;
const ROOTS = 1;
const LIVES = ["--leaf-lifetime", "60s", "--issuer-lifetime", "1h", "--root-lifetime", "24h", "--propagation", "2s", "--clock-skew", "0s"];
/** What the clocks of the proxies are fast by. */
const FAST_MS = 59_000;
/** Leaves between two issuers. */
const LEAVES_PER_ISSUER = 20;
/** Without any rotation for so long, something stands still, and not just the machine. */
const STUCK_MS = 60_000;
const TEST_MS = 900_000;

/** By files. */
const RELOADS = 10;
const CLIENTS = 6;

const authority = new MeshAuthority();
const next = new MeshAuthority("the next root");

describe("an identity component and two proxies that renew every second or two", () => {
  let component: IdentityProcess;
  let services: LoadServices;
  let server: ProxyProcess;
  let proxy: ProxyProcess;
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "weft-rotation-"));
    services = await LoadServices.start();
    component = await IdentityProcess.start({ args: LIVES });
    for (const name of ["web", "client"]) writeFileSync(join(folder, name), await component.token(name), { mode: 0o600 });
    // Nothing idle ends while the test runs: what ends, ended because of a rotation.
    const limits = { idleTimeoutMs: 3_600_000, upstreamIdleTimeoutMs: 3_600_000 };
    const identity = (name: string) => ({ controller: component.address, token: join(folder, name) });
    server = await ready({
      ...{ services: {}, limits, identity: identity("web") },
      inbound: { target: services.web.address, ports: services.targets },
    });
    const at = (name: string) => ({ endpoints: [`127.0.0.1:${server.listener(name)}`], identity: meshName("web") });
    proxy = await ready({
      ...{ limits, identity: identity("client") },
      services: { web: at("web"), echo: at("echo"), sockets: at("sockets") },
      listeners: { "to-echo": { service: "echo", protocol: "opaque" } },
    });
  });
  after(async () => {
    await stopProxy(proxy);
    await stopProxy(server);
    await component.stop();
    await services.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A proxy with its first certificate. */
  async function ready(options: ProxyOptions): Promise<ProxyProcess> {
    const one = await ProxyProcess.begin(options);
    await waitUntil("its certificate", () => one.isReady(), STUCK_MS);
    return one;
  }

  const refreshes = async (one: ProxyProcess): Promise<number> =>
    (await one.metrics()).sum("control_identity_cert_refreshes_total", { result: "ok" });

  it(`${LEAVES} leaves, ${ISSUERS} issuers and ${ROOTS} root take over under load: nothing fails, nothing is closed`, {
    timeout: TEST_MS,
  }, async (t) => {
    const load = await MeshLoad.start(proxy);
    try {
      for (const one of [server, proxy]) assert.equal((await one.admin("/test/clock", "POST", String(FAST_MS))).status, 204);
      const first = (await refreshes(server)) + (await refreshes(proxy));
      const roots = component.times('"msg":"the new root signs from now on"');
      const [oldRoot] = component.bundle.split("-----END");
      let leaves = 0;
      let issuers = 0;
      for (let isDone = false; !isDone; ) {
        await load.goesOn();
        const before = leaves;
        leaves = await waitUntil(
          "a rotation",
          async () => {
            const now = (await refreshes(server)) + (await refreshes(proxy)) - first;
            return now > before && now;
          },
          STUCK_MS,
        );
        // The root first: it is forgotten when the last leaf below it has ended, a minute later.
        if (before === 0) await component.rotate("root");
        if (issuers < ISSUERS && leaves >= (issuers + 1) * LEAVES_PER_ISSUER) {
          await component.rotate("issuer");
          issuers++;
        }
        isDone = leaves >= LEAVES && issuers === ISSUERS && !component.bundle.includes(oldRoot!);
      }
      assert.equal(component.times('"msg":"a new issuer signs from now on"'), ISSUERS);
      assert.equal(component.times('"msg":"the new root signs from now on"') - roots, ROOTS);
      await load.goesOn();
      await load.stop();
      services.assertNoneClosed();
      const outbound = await proxy.metrics();
      const inbound = await server.metrics();
      const [dst, src] = [
        { peer: "dst", tls: "true" },
        { peer: "src", tls: "true", client_id: meshName("client") },
      ];
      const opened = outbound.sum("tcp_open_total", dst);
      assert.ok(opened >= 1 && opened === inbound.sum("tcp_open_total", src), `${opened} connections of the mesh`);
      assert.deepEqual(
        [outbound.sum("tcp_close_total", dst), inbound.sum("tcp_close_total", src)],
        [0, 0],
        "connections of the mesh closed",
      );
      for (const metrics of [outbound, inbound]) assert.equal(metrics.sum("response_total", { classification: "failure" }), 0);
      assert.equal(outbound.sum("response_total", { status_code: "200", classification: "success" }), load.answered);
      t.diagnostic(
        `${leaves} leaves; ${load.answered} requests, ${load.pings} pings, ${load.messages} messages; ${opened} mesh connections`,
      );
    } finally {
      load.destroy();
    }
  });

  it("who comes new meets the new root's certificates, and is let in by its own", { timeout: TEST_MS }, async () => {
    const { wire } = await tlsConnect(server.listener("web"), { ca: component.bundle, servername: meshName("web") });
    wire.destroy();
    // Its token from before pins a root that is gone.
    writeFileSync(join(folder, "client"), await component.token("client"));
    const late = await ready(proxy.options);
    try {
      assert.equal(text(await once(late.port, request("GET", "/name"))), "web");
    } finally {
      await stopProxy(late);
    }
  });
});

describe("a pair of proxies whose certificates are files that change", () => {
  let files: { web: MeshFiles; client: MeshFiles };
  let app: Origin;
  let server: ProxyProcess;
  let proxy: ProxyProcess;
  before(async () => {
    files = { web: authority.files("web"), client: authority.files("client") };
    app = await startApp({ name: "web" });
    server = await ProxyProcess.start({ services: {}, identity: files.web.paths, inbound: { target: app.address } });
    const endpoints = [`127.0.0.1:${server.listener("inbound")}`];
    proxy = await ProxyProcess.start({ identity: files.client.paths, services: { web: { endpoints, identity: meshName("web") } } });
  });
  after(async () => {
    await stopProxy(proxy);
    await stopProxy(server);
    await app.stop();
    files.web.remove();
    files.client.remove();
  });

  const reloads = async (one: ProxyProcess): Promise<number> =>
    (await one.metrics()).sum("proxy_config_reloads_total", { result: "applied" });

  /** Changes files of both and has them read. */
  async function reload(change: () => void): Promise<void> {
    const before = [await reloads(server), await reloads(proxy)] as const;
    change();
    server.signal("SIGHUP");
    proxy.signal("SIGHUP");
    await waitUntil("the reloads", async () => (await reloads(server)) > before[0] && (await reloads(proxy)) > before[1]);
  }

  /** SHA-256 of what a new client is shown. */
  async function shown(ca: string): Promise<string> {
    const { wire } = await tlsConnect(server.listener("inbound"), { ca, servername: meshName("web") });
    const { fingerprint256 } = wire.socket.getPeerCertificate();
    wire.destroy();
    return fingerprint256;
  }

  it(`${RELOADS} times under load: none of the requests fails, no connection closes`, async () => {
    let isDone = false;
    let answered = 0;
    const wires = await Promise.all(Array.from({ length: CLIENTS }, () => connect(proxy.port)));
    const load = wires.map(async (wire) => {
      while (!isDone) {
        await wire.send(request("GET", "/name"));
        const answer = await wire.expectResponse();
        assert.equal(answer.status, 200);
        assert.equal(text(answer), "web");
        answered++;
      }
    });
    try {
      for (let round = 1; round <= RELOADS; round++) {
        const leaf = authority.workload("web");
        const then = answered;
        await reload(() => {
          files.web.write(leaf);
          files.client.write(authority.workload("client"));
        });
        await waitUntil("answers after it", () => answered > then);
        const { fingerprint256 } = new X509Certificate(leaf.cert);
        await waitUntil("the new certificate", async () => (await shown(authority.cert)) === fingerprint256);
      }
    } finally {
      isDone = true;
    }
    await Promise.all(load);
    for (const wire of wires) {
      assert.ok(!wire.isClosed && !wire.isEnded);
      wire.destroy();
    }
    const outbound = await proxy.metrics();
    assert.equal(outbound.sum("tcp_open_total", { peer: "dst" }), 1, "one connection from the beginning to the end");
    assert.equal(outbound.sum("tcp_close_total", { peer: "dst" }), 0);
    assert.equal(outbound.sum("response_total", { classification: "failure" }), 0);
    assert.equal(outbound.sum("response_total", { status_code: "200" }), answered);
  });

  it("roots are exchanged in steps: both are believed, then the new one signs, then the old one is forgotten", async () => {
    const both = authority.cert + next.cert;
    await reload(() => {
      files.web.trust(both);
      files.client.trust(both);
    });
    await reload(() => files.web.write(next.workload("web")));
    await waitUntil("the new root's leaf", async () => (await shown(next.cert)) !== "");
    const between = await ProxyProcess.start(proxy.options);
    assert.equal(text(await once(between.port, request("GET", "/name"))), "web", "a new connection across the roots");
    await stopProxy(between);
    await reload(() => {
      files.client.write(next.workload("client"));
      files.web.trust(next.cert);
      files.client.trust(next.cert);
    });
    assert.equal(text(await once(proxy.port, request("GET", "/name"))), "web", "the connection from before");
    assert.equal((await proxy.metrics()).sum("tcp_open_total", { peer: "dst" }), 1);
    const old = { ca: next.cert, servername: meshName("web"), ...authority.workload("client") };
    await waitUntil("the old root to be forgotten", async () => {
      const { wire } = await tlsConnect(server.listener("inbound"), old);
      await wire.send(request("GET", "/name"));
      await wire.until("an answer or the end", () => wire.buffered > 0 || wire.isEnded || wire.isClosed);
      const isRefused = wire.buffered === 0;
      wire.destroy();
      return isRefused;
    });
  });
});
