// Clients that break TLS before, during and after the handshake: bounded, told, counted, and nobody else notices.

import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { after, describe, it } from "node:test";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { Authority, CertificateFiles } from "../support/certificates.ts";
import { connect, request } from "../support/client.ts";
import { text } from "../support/http-lite.ts";
import { startApp } from "../support/origin-app.ts";
import { scenario } from "../support/scenario.ts";
import { tlsConnect, tlsOnce } from "../support/tls-client.ts";
import { waitUntil } from "../support/wait.ts";
import { Wire } from "../support/wire.ts";

const HANDSHAKE_MS = 1_000;
const HANDSHAKES_MAX = 4;
const IDLE = 500;
/** Of the whole process, OpenSSL's and Node's parts included; a leak of buffers or sessions is far above it. */
const IDLE_KB_MAX = 150;

const authority = new Authority();
const files = new CertificateFiles(authority.issue());
after(() => files.remove());
const ca = authority.cert;

/** A client whose bytes on the wire pass through `send`: whole, torn, changed. */
function through(socket: Socket, send: (bytes: Buffer) => Promise<void> | void): TLSSocket {
  const middle = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      Promise.resolve(send(chunk)).then(() => done(), done);
    },
    final(done) {
      socket.end(done);
    },
  });
  socket.on("data", (chunk) => middle.push(chunk));
  socket.on("end", () => middle.push(null));
  socket.on("close", () => middle.destroy());
  return connectTls({ socket: middle, ca, servername: "localhost" });
}

/** The first bytes that a TLS client sends. */
async function clientHello(): Promise<Buffer> {
  return await new Promise((resolve) => {
    const socket = connectTls({
      socket: new Duplex({
        read() {},
        write(chunk: Buffer, _encoding, done) {
          resolve(Buffer.from(chunk));
          done();
        },
      }),
      servername: "localhost",
    });
    socket.on("error", () => undefined);
  });
}

describe("hostile TLS clients", () => {
  const s = scenario(
    async () => ({ web: await startApp({ name: "web" }) }),
    (o) => ({ services: { web: { endpoints: [o.web.address] } }, tls: files.paths, limits: { tlsHandshakeMs: HANDSHAKE_MS } }),
  );
  const handshakes = async (result: string): Promise<number> => (await s.proxy.metrics()).sum("tls_handshakes_total", { result });

  async function works(): Promise<void> {
    assert.equal(text(await tlsOnce(s.port, { ca }, request("GET", "/name"))), "web");
  }

  for (const size of [1, 7, 500]) {
    it(`a ClientHello in pieces of ${size} bytes is one all the same`, async () => {
      const { socket: raw } = await connect(s.port);
      let isFirst = true;
      const tls = through(raw, async (bytes) => {
        const step = isFirst ? size : bytes.length;
        isFirst = false;
        for (let at = 0; at < bytes.length; at += step) {
          raw.write(bytes.subarray(at, at + step));
          await new Promise((resolve) => setImmediate(resolve));
        }
      });
      const wire = new Wire(tls);
      await wire.send(request("GET", "/name"));
      assert.equal(text(await wire.expectResponse()), "web");
      wire.destroy();
      raw.destroy();
    });
  }

  it("garbage behind a record's header is answered with an alert and a close", async () => {
    const before = await handshakes("failed");
    for (const bytes of [Buffer.from("160301002a", "hex"), Buffer.from("1603010200010001fc0303", "hex")]) {
      const client = await connect(s.port);
      await client.send(Buffer.concat([bytes, Buffer.alloc(600, 0x5a)]));
      await client.expectClosed();
      assert.equal(client.take()[0] ?? 0x15, 0x15, "an alert record, if anything");
      client.destroy();
    }
    await waitUntil("the counts", async () => (await handshakes("failed")) === before + 2);
    await works();
  });

  it("a client that vanishes in the handshake costs nothing, with FIN or with RST", async () => {
    const hello = await clientHello();
    for (let i = 0; i < 20; i++) {
      const client = await connect(s.port);
      await client.send(hello.subarray(0, i % 4 === 0 ? 200 : hello.length));
      if (i % 2 === 0) client.endWrite();
      else client.reset();
      await client.expectClosed();
      client.destroy();
    }
    await s.proxy.idle();
    await works();
  });

  it("silence and a handshake that stands still end after tlsHandshakeMs", async () => {
    const before = await handshakes("timeout");
    const hello = await clientHello();
    const silent = await connect(s.port);
    const begun = await connect(s.port);
    await begun.send(hello.subarray(0, 3));
    const waiting = await connect(s.port);
    await waiting.send(hello);
    await waiting.until("the server's part", () => waiting.bytesReceived > 0);
    for (const client of [silent, begun, waiting]) {
      await client.expectClosed();
      client.destroy();
    }
    assert.equal(await handshakes("timeout"), before + 3);
    await works();
  });

  it("a record that was changed on its way ends the connection", async () => {
    const { wire, raw } = await tlsConnect(s.port, { ca });
    await wire.send(request("GET", "/name"));
    await wire.expectResponse();
    raw.write(Buffer.concat([Buffer.from("1703030040", "hex"), Buffer.alloc(64, 7)]));
    await waitUntil("the alert", () => wire.error !== null);
    assert.match(String(wire.error?.code), /ALERT_BAD_RECORD_MAC/);
    raw.destroy();
    await waitUntil("the count", async () => (await s.proxy.metrics()).sum("tcp_close_total", { errno: "EPROTO" }) === 1);
    await works();
  });

  it("renegotiation is refused", async () => {
    const { wire } = await tlsConnect(s.port, { ca, maxVersion: "TLSv1.2" });
    await wire.send(request("GET", "/name"));
    await wire.expectResponse();
    const outcome = new Promise<Error | null>((resolve) => {
      wire.socket.once("error", resolve);
      wire.socket.once("close", () => resolve(new Error("closed")));
      wire.socket.renegotiate({}, (error) => resolve(error));
    });
    assert.ok((await outcome) !== null);
    wire.destroy();
    await works();
  });

  it("a reset in the middle of an upload reaches the service", async () => {
    const { web } = s.origins;
    const { wire, raw } = await tlsConnect(s.port, { ca });
    await wire.send("POST /hash HTTP/1.1\r\nHost: web\r\nContent-Length: 1000000\r\n\r\n0123456789");
    await waitUntil("the request at the service", () => web.requests.at(-1)?.target === "/hash");
    raw.resetAndDestroy();
    await web.connections.at(-1)!.expectClosed();
    await works();
  });

  it(`${IDLE} idle connections need at most ${IDLE_KB_MAX} KB each, and none when they are gone`, async () => {
    await works();
    const before = await memoryOf(s.proxy.pid);
    const clients: { wire: Wire }[] = [];
    while (clients.length < IDLE) {
      clients.push(...(await Promise.all(Array.from({ length: 20 }, () => tlsConnect(s.port, { ca })))));
    }
    await Promise.all(clients.map(({ wire }) => wire.send(request("GET", "/name"))));
    for (const { wire } of clients) assert.equal(text(await wire.expectResponse()), "web");
    const grown = (await memoryOf(s.proxy.pid)) - before;
    assert.ok(grown / IDLE < IDLE_KB_MAX, `${Math.round(grown / IDLE)} KB a connection`);
    for (const { wire } of clients) wire.destroy();
    await s.proxy.idle();
  });
});

describe("handshakes at a time", () => {
  const s = scenario(
    async () => ({ web: await startApp({ name: "web" }) }),
    (o) => ({ services: { web: { endpoints: [o.web.address] } }, tls: files.paths, limits: { tlsHandshakesMax: HANDSHAKES_MAX } }),
  );

  it("are bounded; those over it are closed and counted", async () => {
    const hello = await clientHello();
    const begun: Wire[] = [];
    for (let i = 0; i < HANDSHAKES_MAX; i++) {
      const client = await connect(s.port);
      await client.send(hello);
      await client.until("the server's part", () => client.bytesReceived > 0);
      begun.push(client);
    }
    const over = await connect(s.port);
    await over.send(hello);
    await over.expectClosed();
    over.destroy();
    assert.equal((await s.proxy.metrics()).sum("tls_handshakes_total", { result: "too_many" }), 1);
    for (const client of begun) client.destroy();
    await s.proxy.idle();
    assert.equal(text(await tlsOnce(s.port, { ca }, request("GET", "/name"))), "web");
  });
});

/** RssAnon in KB. */
async function memoryOf(pid: number): Promise<number> {
  const { readMemory } = await import("../../bench/support/proc.ts");
  return readMemory(pid).anonymous;
}
