// TLS at a listener with a certificate: what is negotiated, what goes through it, what is refused, and that the key stays secret.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, describe, it } from "node:test";
import { Authority, CertificateFiles } from "../support/certificates.ts";
import { connect, once, request } from "../support/client.ts";
import { header, text } from "../support/http-lite.ts";
import { startRawOrigin } from "../support/origin.ts";
import { startApp } from "../support/origin-app.ts";
import { scenario } from "../support/scenario.ts";
import { seededBuffer, seededHash } from "../support/seeded-content.ts";
import { handshakeError, tlsConnect, tlsOnce } from "../support/tls-client.ts";
import { waitUntil } from "../support/wait.ts";
import { forwarderStats } from "../support/worker-stats.ts";

const MIB = 1024 * 1024;

const authority = new Authority();
const certificate = authority.issue({ names: ["localhost", "127.0.0.1"] });
const files = new CertificateFiles(certificate);
after(() => files.remove());
const ca = authority.cert;

describe("TLS at a listener", () => {
  const s = scenario(
    async () => ({
      web: await startApp({ name: "web" }),
      echo: await startRawOrigin(async (wire) => {
        while (!wire.isEnded && !wire.isClosed) {
          await wire.until("bytes", () => wire.buffered > 0 || wire.isEnded || wire.isClosed, 60_000);
          if (wire.buffered > 0) await wire.send(wire.take());
        }
        await wire.send("the end");
        wire.endWrite();
      }),
      greeter: await startRawOrigin(async (wire) => {
        await wire.send("220 ready\r\n");
        await wire.until("a line", () => wire.buffered > 0 || wire.isEnded || wire.isClosed, 60_000);
        wire.endWrite();
      }),
    }),
    (o) => ({
      services: {
        web: { endpoints: [o.web.address] },
        echo: { endpoints: [o.echo.address] },
        greeter: { endpoints: [o.greeter.address] },
      },
      tls: files.paths,
      forwarded: true,
      listeners: {
        http1: { service: "web", protocol: "http1", tls: files.paths },
        echo: { service: "echo", protocol: "opaque", tls: files.paths },
        detectEcho: { service: "echo", tls: files.paths },
        greeter: { service: "greeter", tls: files.paths },
        plain: { service: "web" },
      },
    }),
  );

  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    for (const ALPNProtocols of [["http/1.1"], ["h3", "http/1.1"], undefined]) {
      it(`serves HTTP/1.1 over ${version}, ALPN ${ALPNProtocols?.join("+") ?? "none"}`, async () => {
        const { wire } = await tlsConnect(s.port, {
          ca,
          minVersion: version,
          maxVersion: version,
          ...(ALPNProtocols && { ALPNProtocols }),
        });
        assert.equal(wire.socket.getProtocol(), version);
        assert.equal(wire.socket.alpnProtocol, ALPNProtocols === undefined ? false : "http/1.1");
        assert.ok(wire.socket.authorized);
        for (let i = 0; i < 3; i++) {
          await wire.send(request("GET", "/name"));
          assert.equal(text(await wire.expectResponse()), "web");
        }
        wire.destroy();
      });
    }
  }

  it("serves pipelined requests, and tells the service the client's address", async () => {
    const { wire } = await tlsConnect(s.port, { ca });
    await wire.send(request("GET", "/name") + request("GET", "/echo") + request("GET", "/status/404"));
    assert.equal(text(await wire.expectResponse()), "web");
    assert.match(text(await wire.expectResponse()), /^X-Forwarded-For: 127\.0\.0\.1\r$/m);
    assert.equal((await wire.expectResponse()).status, 404);
    wire.destroy();
  });

  for (const listener of ["outbound", "http1"]) {
    it(`passes bodies of 16 MB both ways, byte by byte the same: ${listener}`, async () => {
      const { wire } = await tlsConnect(listener === "outbound" ? s.port : s.proxy.listener(listener), { ca });
      await wire.send(request("GET", `/bytes/${16 * MIB}/5`));
      const download = await wire.expectResponse({ hashOnly: true });
      assert.equal(download.bodyHash, seededHash(5, 16 * MIB));
      await wire.send(request("GET", `/chunked/${3 * MIB}/6`));
      assert.equal((await wire.expectResponse({ hashOnly: true })).bodyHash, seededHash(6, 3 * MIB));
      await wire.send(`POST /hash HTTP/1.1\r\nHost: web\r\nContent-Length: ${16 * MIB}\r\n\r\n`);
      await wire.send(seededBuffer(7, 16 * MIB));
      assert.match(text(await wire.expectResponse()), new RegExp(`^${16 * MIB} ${seededHash(7, 16 * MIB)} `));
      wire.destroy();
    });
  }

  it("waits for slow readers: whole bodies, and no more memory than the buffers' limits", async () => {
    const size = 8 * MIB;
    const readers = await Promise.all(Array.from({ length: 8 }, () => tlsConnect(s.port, { ca })));
    for (const { wire } of readers) {
      await wire.send(request("GET", `/bytes/${size}/9`));
      await wire.until("the beginning", () => wire.bytesReceived > 0);
      wire.pause();
    }
    await waitUntil("all of them to be held back", async () => {
      const before = (await s.proxy.metrics()).sum("proxy_body_bytes_total");
      await new Promise((resolve) => setTimeout(resolve, 100));
      return (await s.proxy.metrics()).sum("proxy_body_bytes_total") === before;
    });
    const stats = await waitUntil("statistics", () => forwarderStats(s.proxy));
    assert.ok(stats.buffers.stream <= 2 * readers.length, `${stats.buffers.stream} buffers`);
    const bodies = readers.map(async ({ wire }) => {
      wire.resume();
      return await wire.expectResponse({ hashOnly: true });
    });
    for (const body of await Promise.all(bodies)) assert.equal(body.bodyHash, seededHash(9, size));
    for (const { wire } of readers) wire.destroy();
  });

  it("answers a client that half-closes after its request, and says close_notify at the end", async () => {
    const { wire, raw } = await tlsConnect(s.port, { ca });
    await wire.send(request("GET", "/name", { Connection: "close" }));
    wire.socket.end();
    assert.equal(text(await wire.expectResponse()), "web");
    await wire.expectEnd();
    raw.destroy();
  });

  it("ends an answer without a length by close_notify, and a broken one by a reset", async () => {
    const { wire } = await tlsConnect(s.port, { ca });
    await wire.send("GET /close/100000/3 HTTP/1.0\r\nHost: web\r\n\r\n");
    const answer = await wire.expectResponse();
    assert.equal(answer.framing, "until-close");
    assert.ok(answer.body.equals(seededBuffer(3, 100_000)));
    wire.destroy();

    const other = await tlsConnect(s.port, { ca });
    await other.wire.send(`GET /close/${64 * MIB}/3 HTTP/1.0\r\nHost: web\r\n\r\n`);
    await other.wire.until("the beginning", () => other.wire.bytesReceived > 100_000);
    for (const connection of s.origins.web.connections) if (connection.bytesReceived > 0) connection.reset();
    await other.wire.expectClosed();
    // Node may report a reset that comes with the last bytes as an end: then a write tells, which behind a mere FIN would succeed.
    if (other.wire.error === null) assert.ok(await new Promise((resolve) => other.raw.write("x", resolve)), "it was no reset");
    else assert.equal(other.wire.error.code, "ECONNRESET");
    other.raw.destroy();
  });

  for (const listener of ["echo", "detectEcho"]) {
    it(`relays what is not HTTP in plain, half-close included: ${listener}`, async () => {
      const { wire } = await tlsConnect(s.proxy.listener(listener), { ca });
      const content = seededBuffer(4, 2 * MIB);
      await wire.send("{}\r\n");
      assert.equal((await wire.expectBytes(4)).toString(), "{}\r\n");
      void wire.send(content);
      assert.ok((await wire.expectBytes(content.length)).equals(content));
      wire.endWrite();
      assert.equal((await wire.expectBytes(7)).toString(), "the end");
      await wire.expectEnd();
      wire.destroy();
    });
  }

  it("lets a service inside TLS speak first", async () => {
    const { wire } = await tlsConnect(s.proxy.listener("greeter"), { ca });
    assert.equal(await wire.expectUntil("\r\n"), "220 ready\r\n");
    wire.destroy();
  });

  it("refuses plain HTTP with 400 and the reason, and plain bytes with a close", async () => {
    const before = await s.proxy.metrics();
    const answer = await once(s.port, request("POST", "/name", {}, "x".repeat(100_000)));
    assert.equal(answer.status, 400);
    assert.match(header(answer, "l5d-proxy-error") ?? "", /^\[WEFT_TLS_REQUIRED\]/);
    const preface = await connect(s.port);
    await preface.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    await preface.expectClosed();
    preface.destroy();
    const binary = await connect(s.port);
    await binary.send(Buffer.from([0, 1, 2, 3]));
    await binary.expectClosed();
    binary.destroy();
    const metrics = await s.proxy.metrics();
    for (const [name, labels] of [
      ["tls_handshakes_total", { result: "not_tls" }],
      ["outbound_tcp_errors_total", { error: "tls required" }],
    ] as const) {
      assert.equal(metrics.sum(name, labels) - before.sum(name, labels), 3, name);
    }
  });

  it("refuses old versions, foreign ALPN and strangers' trust, and counts", async () => {
    const failed = async (): Promise<number> => (await s.proxy.metrics()).sum("tls_handshakes_total", { result: "failed" });
    const before = await failed();
    const old = await handshakeError(s.port, { ca, minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" });
    assert.match(String(old.code), /ALERT_PROTOCOL_VERSION/);
    const alpn = await handshakeError(s.port, { ca, ALPNProtocols: ["h3"] });
    assert.match(String(alpn.code), /NO_APPLICATION_PROTOCOL/);
    // This client alone decides; a TLS 1.2 one says so with an alert in the handshake.
    const stranger = await handshakeError(s.port, { ca: new Authority("another").cert, maxVersion: "TLSv1.2" });
    assert.ok(stranger.code !== undefined);
    const name = await handshakeError(s.port, { ca, servername: "else.example" });
    assert.equal(name.code, "ERR_TLS_CERT_ALTNAME_INVALID");
    await waitUntil("the counts", async () => (await failed()) >= before + 2);
    assert.equal(text(await tlsOnce(s.port, { ca }, request("GET", "/name"))), "web");
  });

  it("passes a ClientHello on as it is where there is no certificate", async () => {
    const client = await connect(s.proxy.listener("plain"));
    await client.send(Buffer.from("1603010005010000010300", "hex"));
    await waitUntil("the bytes at the service", () => s.origins.web.connections.at(-1)?.bytesReceived === 11);
    client.destroy();
  });

  it("shows the certificate to whoever may see the configuration, and its key to nobody", async () => {
    const { body } = await s.proxy.admin("/config.json");
    const shown = JSON.parse(body) as { listeners: { id: string; tls?: { fingerprint: string; keyFile: string } }[] };
    const listener = shown.listeners.find(({ id }) => id === "outbound");
    assert.match(listener?.tls?.fingerprint ?? "", /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
    assert.equal(listener?.tls?.keyFile, files.key);
    const places = ["/config.json", "/env.json", "/stats.json", "/metrics"];
    const texts = [s.proxy.log, ...(await Promise.all(places.map(async (path) => (await s.proxy.admin(path)).body)))];
    const secret = certificate.key.split("\n")[1]!.slice(0, 40);
    for (const said of texts) {
      assert.ok(!said.includes(secret));
      assert.ok(!said.includes("PRIVATE KEY"));
    }
  });
});

describe("TLS sessions", () => {
  const s = scenario(
    async () => ({ web: await startApp({ name: "web" }) }),
    (o) => ({
      services: { web: { endpoints: [o.web.address] } },
      workers: 2,
      tls: files.paths,
      listeners: { other: { service: "web", tls: files.paths } },
    }),
  );

  async function sessionOf(port: number, maxVersion: "TLSv1.2" | "TLSv1.3"): Promise<Buffer> {
    const { wire } = await tlsConnect(port, { ca, maxVersion });
    const session = new Promise<Buffer>((resolve) => wire.socket.once("session", resolve));
    await wire.send(request("GET", "/name"));
    assert.equal(text(await wire.expectResponse()), "web");
    const saved = maxVersion === "TLSv1.2" ? wire.socket.getSession()! : await session;
    wire.destroy();
    return saved;
  }

  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    it(`are resumed in whichever worker, ${version}`, async () => {
      const session = await sessionOf(s.port, version);
      // Held together, so that both workers get some.
      const clients = await Promise.all(Array.from({ length: 4 }, () => tlsConnect(s.port, { ca, session, maxVersion: version })));
      for (const { wire } of clients) {
        assert.ok(wire.socket.isSessionReused());
        await wire.send(request("GET", "/name"));
        assert.equal(text(await wire.expectResponse()), "web");
      }
      for (const { wire } of clients) wire.destroy();
    });
  }

  it("are worth nothing at another listener", async () => {
    const session = await sessionOf(s.port, "TLSv1.3");
    const { wire } = await tlsConnect(s.proxy.listener("other"), { ca, session });
    assert.ok(!wire.socket.isSessionReused());
    wire.destroy();
    assert.ok((await s.proxy.metrics()).sum("tls_handshakes_total", { result: "resumed" }) >= 8);
  });
});

for (const workers of [0, 1]) {
  describe(`TLS with ${workers} workers`, () => {
    const s = scenario(
      async () => ({ web: await startApp({ name: "web" }) }),
      (o) => ({ services: { web: { endpoints: [o.web.address] } }, workers, tls: files.paths }),
    );

    it("serves many connections at once", async () => {
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, i) => tlsOnce(s.port, { ca }, request("GET", `/bytes/50000/${i}`), { hashOnly: true })),
      );
      for (const [i, answer] of answers.entries()) assert.equal(answer.bodyHash, seededHash(i, 50_000));
    });

    it("forgets connections that are gone", async () => {
      const hash = createHash("sha256").update("x").digest("hex");
      assert.match(text(await tlsOnce(s.port, { ca }, request("POST", "/hash", {}, "x"))), new RegExp(`^1 ${hash}`));
      await s.proxy.idle();
      const stats = await waitUntil("no buffer in use", async () => {
        const { workers: all } = (await s.proxy.stats()) as unknown as {
          workers: readonly { forwarder: { buffers: { stream: number; out: number }; connections: number } | null }[];
        };
        const forwarder = all[0]?.forwarder ?? null;
        return forwarder !== null && forwarder.buffers.stream === 0 && forwarder.buffers.out === 0 ? forwarder : null;
      });
      assert.equal(stats.connections, 0);
    });
  });
}
