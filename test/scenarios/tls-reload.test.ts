// Certificates that change, mistakes in them, and the end of the proxy: no request fails, no connection closes.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { afterEach, describe, it } from "node:test";
import { connect as connectTls } from "node:tls";
import { Authority, CertificateFiles } from "../support/certificates.ts";
import { request } from "../support/client.ts";
import { header, text } from "../support/http-lite.ts";
import { startApp } from "../support/origin-app.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { scenario } from "../support/scenario.ts";
import { tlsConnect, tlsOnce } from "../support/tls-client.ts";
import { waitUntil } from "../support/wait.ts";

const CLIENTS = 4;
const authority = new Authority();
const ca = authority.cert;
const issue = () => authority.issue();

describe("a certificate that changes", () => {
  const files = new CertificateFiles(issue());
  const s = scenario(
    async () => ({ web: await startApp({ name: "web" }) }),
    (o) => ({ services: { web: { endpoints: [o.web.address] } }, workers: 2, tls: files.paths }),
  );
  const reloads = async (result: string): Promise<number> => (await s.proxy.metrics()).sum("proxy_config_reloads_total", { result });

  /** SHA-256 of what a new connection is shown. */
  async function shown(): Promise<string> {
    const { wire } = await tlsConnect(s.port, { ca });
    const { fingerprint256 } = wire.socket.getPeerCertificate();
    wire.destroy();
    return fingerprint256;
  }

  it("reaches new connections under load: none of the requests fails, no connection closes", async () => {
    let isDone = false;
    let answered = 0;
    const lasting = await Promise.all(Array.from({ length: CLIENTS }, () => tlsConnect(s.port, { ca })));
    const load = [
      ...lasting.map(async ({ wire }) => {
        while (!isDone) {
          await wire.send(request("GET", "/name"));
          const answer = await wire.expectResponse();
          assert.equal(answer.status, 200);
          assert.equal(header(answer, "connection"), undefined);
          answered++;
        }
      }),
      ...Array.from({ length: 2 }, async () => {
        while (!isDone) assert.equal((await tlsOnce(s.port, { ca }, request("GET", "/name"))).status, 200);
      }),
    ];
    const seen = new Set([await shown()]);
    try {
      for (let round = 0; round < 3; round++) {
        const before = await reloads("applied");
        files.write(issue());
        await waitUntil("the reload", async () => (await reloads("applied")) > before);
        await waitUntil("the new certificate", async () => !seen.has(await shown()));
        seen.add(await shown());
        const then = answered;
        await waitUntil("answers after it", () => answered > then + 10);
      }
    } finally {
      isDone = true;
    }
    await Promise.all(load);
    for (const { wire } of lasting) {
      assert.ok(!wire.isClosed && !wire.isEnded);
      wire.destroy();
    }
    assert.equal(seen.size, 4);
  });

  it("stays what it was while the new one has a mistake, and the log says where and what", async () => {
    const before = await shown();
    const refused = await reloads("refused");
    const other = issue();
    writeFileSync(files.key, other.key);
    await waitUntil("the refusal", async () => (await reloads("refused")) > refused);
    assert.match(s.proxy.log, /proxy\.yaml:\d+:\d+: spec\.outbound\.tls\.key is .*, which is not the key of the certificate/);
    assert.ok(!s.proxy.log.includes("PRIVATE KEY"));
    assert.equal(await shown(), before);
    // The rest of it arrives: the pair fits.
    const applied = await reloads("applied");
    writeFileSync(files.cert, other.cert);
    await waitUntil("the reload", async () => (await reloads("applied")) > applied);
    await waitUntil("the new certificate", async () => (await shown()) !== before);
    files.remove();
  });
});

describe("the end of a proxy with TLS", () => {
  let proxy: ProxyProcess | null = null;
  afterEach(() => proxy?.kill());

  for (const workers of [0, 2]) {
    it(`answers every request that had been begun, with ${workers} workers`, async () => {
      const files = new CertificateFiles(issue());
      const web = await startApp({ name: "web" });
      proxy = await ProxyProcess.start({ services: { web: { endpoints: [web.address] } }, workers, tls: files.paths });
      const outcomes = { complete: 0, refused: 0, broken: 0 };
      const storm = Array.from({ length: 6 }, async () => {
        while (outcomes.refused === 0) outcomes[await ask(proxy!.port)]++;
      });
      await waitUntil("some answers", () => outcomes.complete > 30);
      proxy.signal("SIGTERM");
      await Promise.all(storm);
      await waitUntil("the end", () => proxy!.hasExited);
      assert.equal(outcomes.broken, 0);
      assert.equal(proxy.exitCode, 0);
      await web.stop();
      files.remove();
    });
  }

  /** A request on a connection of its own: whoever got as far as asking gets a whole answer and close_notify. */
  async function ask(port: number): Promise<"complete" | "refused" | "broken"> {
    const socket = connectTls({ port, host: "127.0.0.1", servername: "localhost", ca });
    return await new Promise((resolve) => {
      let isSecure = false;
      let answer = "";
      socket.on("secureConnect", () => {
        isSecure = true;
        socket.write(request("GET", "/bytes/100000/1", { Connection: "close" }));
      });
      socket.on("data", (chunk: Buffer) => {
        answer += chunk.toString("latin1");
      });
      socket.on("end", () => resolve(answer.length > 100_000 ? "complete" : "broken"));
      socket.on("error", () => resolve(isSecure ? "broken" : "refused"));
      socket.on("close", () => resolve(isSecure ? "broken" : "refused"));
    });
  }

  it("closes keep-alive connections with close_notify and lets a body finish", async () => {
    const files = new CertificateFiles(issue());
    const web = await startApp({ name: "web" });
    proxy = await ProxyProcess.start({ services: { web: { endpoints: [web.address] } }, tls: files.paths, limits: { drainIdleMs: 100 } });
    const idle = await tlsConnect(proxy.port, { ca });
    await idle.wire.send(request("GET", "/name"));
    assert.equal(text(await idle.wire.expectResponse()), "web");
    const busy = await tlsConnect(proxy.port, { ca });
    await busy.wire.send(request("GET", "/bytes/4000000/1"));
    await busy.wire.until("the beginning", () => busy.wire.bytesReceived > 0);
    busy.wire.pause();
    proxy.signal("SIGTERM");
    await idle.wire.expectEnd();
    busy.wire.resume();
    assert.equal((await busy.wire.expectResponse({ hashOnly: true })).bodySize, 4_000_000);
    await busy.wire.expectEnd();
    await waitUntil("the end", () => proxy!.hasExited);
    assert.equal(proxy.exitCode, 0);
    await web.stop();
    files.remove();
  });
});
