// Certificates of the mesh that change under load, and roots: no request fails, no connection closes, new handshakes have the new ones.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { X509Certificate } from "node:crypto";
import { connect, once, request } from "../support/client.ts";
import { text } from "../support/http-lite.ts";
import { MeshAuthority, type MeshFiles, meshName } from "../support/mesh-certificates.ts";
import { startApp } from "../support/origin-app.ts";
import type { Origin } from "../support/origin.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { stopProxy } from "../support/scenario.ts";
import { tlsConnect } from "../support/tls-client.ts";
import { waitUntil } from "../support/wait.ts";

const ROTATIONS = 100;
const CLIENTS = 6;

const authority = new MeshAuthority();
const next = new MeshAuthority("the next root");

describe("a pair of proxies whose certificates change", () => {
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

  it(`${ROTATIONS} times under load: none of the requests fails, no connection closes`, async () => {
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
      for (let round = 1; round <= ROTATIONS; round++) {
        const leaf = authority.workload("web");
        const then = answered;
        await reload(() => {
          files.web.write(leaf);
          files.client.write(authority.workload("client"));
        });
        await waitUntil("answers after it", () => answered > then);
        if (round % 10 === 0) {
          const { fingerprint256 } = new X509Certificate(leaf.cert);
          await waitUntil("the new certificate", async () => (await shown(authority.cert)) === fingerprint256);
        }
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
