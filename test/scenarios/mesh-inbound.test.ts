// The inbound side of mesh TLS: who asks for the proxy by its name is met by it, whatever else comes goes on as it came.

import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { after, describe, it } from "node:test";
import { connect as connectTls, createServer as createTlsServer, type ConnectionOptions, type TLSSocket } from "node:tls";
import { Authority } from "../support/certificates.ts";
import { connect, once, request } from "../support/client.ts";
import { text } from "../support/http-lite.ts";
import { MeshAuthority, meshName } from "../support/mesh-certificates.ts";
import { startApp } from "../support/origin-app.ts";
import { startRawOrigin } from "../support/origin.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { scenario } from "../support/scenario.ts";
import { handshakeError, tlsConnect, tlsOnce } from "../support/tls-client.ts";
import { waitUntil } from "../support/wait.ts";
import { Wire } from "../support/wire.ts";

const SERVER = meshName("web");
const authority = new MeshAuthority();
const files = authority.files("web");
after(() => files.remove());
const own = new Authority("the application's own");
const client = authority.workload("client");

/** A peer of the mesh as a client. */
const peer = (options: ConnectionOptions = {}): ConnectionOptions => ({ ca: authority.cert, servername: SERVER, ...client, ...options });
/** Nobody: mesh TLS without a certificate. */
const nobody: ConnectionOptions = { ca: authority.cert, servername: SERVER };

/** An application that speaks TLS by itself; says by which protocol and name it was asked for. */
async function startTlsApp(): Promise<{ port: number; address: string; stop(): Promise<void> }> {
  const server = createTlsServer({ ...own.issue({ names: ["app.example", SERVER] }), ALPNProtocols: ["own"] }, (socket: TLSSocket) => {
    socket.on("error", () => undefined);
    socket.end(`${socket.servername || "-"} ${socket.alpnProtocol || "-"}`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return { port, address: `127.0.0.1:${port}`, stop: () => new Promise((resolve) => server.close(() => resolve())) };
}

/** What a TLS application says to the end. */
async function said(port: number, options: ConnectionOptions): Promise<string> {
  const { wire } = await tlsConnect(port, { ca: own.cert, ALPNProtocols: ["own"], ...options });
  const bytes = await rest(wire);
  wire.destroy();
  return bytes;
}

/** What comes up to the end. */
async function rest(wire: Wire): Promise<string> {
  await wire.until("the end", () => wire.isEnded || wire.isClosed);
  return wire.take().toString();
}

describe("an inbound listener of a mesh", () => {
  const s = scenario(
    async () => ({
      web: await startApp({ name: "web" }),
      tls: await startTlsApp(),
      greeter: await startRawOrigin(async (wire) => {
        await wire.send("220 ready\r\n");
        await wire.until("a line", () => wire.buffered > 0 || wire.isEnded || wire.isClosed, 60_000);
        await wire.send(wire.take());
        wire.endWrite();
      }),
    }),
    (o) => ({
      services: {},
      identity: files.paths,
      inbound: {
        target: o.web.address,
        ports: {
          http1: { target: o.web.address, protocol: "http1" },
          tls: { target: o.tls.address },
          tlsHttp: { target: o.tls.address, protocol: "http1" },
          tlsOpaque: { target: o.tls.address, protocol: "opaque" },
          greeter: { target: o.greeter.address },
          greeterOpaque: { target: o.greeter.address, protocol: "opaque" },
        },
      },
      workers: 2,
    }),
  );
  const at = (name: string): number => s.proxy.listener(name);
  const handshakes = async (result: string): Promise<number> =>
    (await s.proxy.metrics()).sum("mesh_tls_handshakes_total", { direction: "inbound", result });

  for (const name of ["inbound", "http1"]) {
    it(`meets a peer that asks for it by name, ${name}`, async () => {
      const { wire } = await tlsConnect(at(name), peer());
      assert.equal(wire.socket.getProtocol(), "TLSv1.3");
      assert.ok(wire.socket.authorized);
      for (let i = 0; i < 3; i++) {
        await wire.send(request("GET", "/name"));
        assert.equal(text(await wire.expectResponse()), "web");
      }
      wire.destroy();
      const metrics = await s.proxy.metrics();
      assert.ok(metrics.sum("tcp_open_total", { peer: "src", tls: "true", client_id: meshName("client") }) >= 1);
    });

    it(`takes nobody for nobody: mesh TLS without a certificate, ${name}`, async () => {
      assert.equal(text(await tlsOnce(at(name), nobody, request("GET", "/name"))), "web");
      assert.ok((await s.proxy.metrics()).has("tcp_open_total", { peer: "src", tls: "true", client_id: "" }));
    });

    it(`serves plain text beside it, ${name}`, async () => {
      assert.equal(text(await once(at(name), request("GET", "/name"))), "web");
      assert.ok((await s.proxy.metrics()).has("tcp_open_total", { peer: "src", tls: "no_identity", no_tls_reason: "no_tls_from_remote" }));
    });

    it(`speaks HTTP/2 with those who offer it, ${name}`, async () => {
      const { wire } = await tlsConnect(at(name), peer({ ALPNProtocols: ["h2"] }));
      assert.equal(wire.socket.alpnProtocol, "h2");
      await wire.until("SETTINGS", () => wire.buffered >= 9);
      assert.equal(wire.take()[3], 4);
      wire.destroy();
    });
  }

  it("passes the application's own TLS on, whatever the listener's protocol", async () => {
    for (const name of ["tls", "tlsHttp", "tlsOpaque"]) {
      assert.equal(await said(at(name), { servername: "app.example" }), "app.example own", name);
    }
    assert.equal(await said(at("tls"), { servername: "", checkServerIdentity: () => undefined }), "- own", "without a name");
    assert.equal(await said(at("tls"), { servername: "app.example", maxVersion: "TLSv1.2" }), "app.example own", "TLS 1.2");
    assert.ok((await s.proxy.metrics()).has("tcp_open_total", { peer: "src", tls: "opaque" }));
  });

  it("takes a name that only looks like its own for somebody else's", async () => {
    for (const servername of [SERVER.toUpperCase(), `x${SERVER}`, `${SERVER}.example`]) {
      assert.equal(await said(at("tls"), { servername, checkServerIdentity: () => undefined }), `${servername} own`);
    }
  });

  it("speaks TLS 1.3 only", async () => {
    const before = await handshakes("failed");
    const error = await handshakeError(at("inbound"), peer({ minVersion: "TLSv1.2", maxVersion: "TLSv1.2" }));
    assert.match(String(error.code), /PROTOCOL_VERSION/);
    await waitUntil("the count", async () => (await handshakes("failed")) === before + 1);
  });

  it("resumes no session: an identity is proven anew each time", async () => {
    const { wire } = await tlsConnect(at("inbound"), peer());
    const session = new Promise<Buffer>((resolve) => wire.socket.once("session", resolve));
    await wire.send(request("GET", "/name"));
    await wire.expectResponse();
    const saved = await session;
    wire.destroy();
    for (let i = 0; i < 4; i++) {
      const again = await tlsConnect(at("inbound"), peer({ session: saved }));
      assert.ok(!again.wire.socket.isSessionReused());
      again.wire.destroy();
    }
  });

  for (const name of ["greeter", "greeterOpaque"]) {
    it(`does not keep those waiting whose server speaks first, ${name}`, async () => {
      const wire = await connect(at(name));
      await wire.until("the greeting", () => wire.buffered > 0);
      assert.equal(wire.take().toString(), "220 ready\r\n");
      await wire.send("QUIT\r\n");
      assert.equal(await rest(wire), "QUIT\r\n");
      wire.destroy();
    });

    it(`serves a server that speaks first through mesh TLS, ${name}`, async () => {
      const { wire } = await tlsConnect(at(name), peer());
      await wire.until("the greeting", () => wire.buffered > 0);
      assert.equal(wire.take().toString(), "220 ready\r\n");
      await wire.send("QUIT\r\n");
      assert.equal(await rest(wire), "QUIT\r\n");
      wire.destroy();
    });
  }

  it("meets a peer that is slow to speak, when the service was dialled already and is silent", async () => {
    for (const name of ["inbound", "tlsOpaque"]) {
      const raw = await connect(at(name));
      await new Promise((resolve) => setTimeout(resolve, 100));
      const socket = connectTls({ ...peer(), socket: raw.socket });
      await new Promise<void>((resolve, reject) => {
        socket.once("secureConnect", resolve);
        socket.once("error", reject);
      });
      assert.ok(socket.authorized);
      socket.destroy();
      raw.destroy();
    }
  });

  it("knows a ClientHello in whatever two segments, and byte by byte", async () => {
    const size = (await helloBytes(peer({ ecdhCurve: "X25519" }))).length;
    for (let cut = 1; cut < size; cut++) await meetInPieces([cut], { ecdhCurve: "X25519" });
    await meetInPieces(
      Array.from({ length: size }, () => 1),
      { ecdhCurve: "X25519" },
    );
    await meetInPieces([5, 600, 100], {});
  });

  /** A handshake whose hello leaves in pieces of these sizes, then the rest. */
  async function meetInPieces(sizes: readonly number[], options: ConnectionOptions): Promise<void> {
    const { socket: raw } = await connect(at("http1"));
    let isFirst = true;
    const middle = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        const pieces = isFirst ? sizes : [];
        isFirst = false;
        sendPieces(raw, chunk, pieces).then(() => done(), done);
      },
    });
    raw.on("data", (chunk) => middle.push(chunk));
    const socket = connectTls({ ...peer(options), socket: middle });
    const wire = new Wire(socket);
    await wire.send(request("GET", "/name"));
    assert.equal(text(await wire.expectResponse()), "web");
    wire.destroy();
    raw.destroy();
  }

  it("garbage behind a hello's beginning reaches nobody by mesh TLS", async () => {
    const hello = await helloBytes(peer());
    const before = s.origins.web.requests.length;
    for (const keep of [5, 9, 43, 200]) {
      // No hello of ours: its own business with the application, which closes.
      const wire = await connect(at("tls"));
      await wire.send(Buffer.concat([hello.subarray(0, keep), Buffer.alloc(hello.length, 0x5a)]));
      await wire.expectClosed();
      wire.destroy();
    }
    const torn = await connect(at("inbound"));
    await torn.send(Buffer.concat([hello, Buffer.from("1703030040", "hex"), Buffer.alloc(64, 7)]));
    await torn.expectClosed();
    torn.destroy();
    assert.equal(s.origins.web.requests.length, before);
    await s.proxy.idle();
  });
});

describe("a policy for those who are known", () => {
  const s = scenario(
    async () => ({ web: await startApp({ name: "web" }) }),
    (o) => ({
      services: {},
      identity: files.paths,
      inbound: {
        target: o.web.address,
        policy: "all-authenticated",
        ports: { opaque: { target: o.web.address, protocol: "opaque", policy: "all-authenticated" } },
      },
    }),
  );

  it("admits a peer by its certificate, also one that is slow to begin", async () => {
    for (const name of ["inbound", "opaque"]) {
      assert.equal(text(await tlsOnce(s.proxy.listener(name), peer(), request("GET", "/name"))), "web");
      const raw = await connect(s.proxy.listener(name));
      await new Promise((resolve) => setTimeout(resolve, 100));
      const wire = new Wire(connectTls({ ...peer(), socket: raw.socket }));
      await wire.send(request("GET", "/name"));
      assert.equal(text(await wire.expectResponse()), "web");
      wire.destroy();
      raw.destroy();
    }
    const labels = { tls: "true", client_id: meshName("client") };
    const metrics = await s.proxy.metrics();
    assert.equal(metrics.sum("inbound_http_authz_allow_total", labels), 2);
    assert.equal(metrics.sum("inbound_tcp_authz_allow_total", labels), 2);
  });

  it("refuses mesh TLS without a certificate, and plain text", async () => {
    const before = s.origins.web.requests.length;
    const port = s.proxy.listener("inbound");
    assert.equal((await once(port, request("GET", "/name"))).status, 403);
    assert.equal((await tlsOnce(port, nobody, request("GET", "/name"))).status, 403);
    const plain = await connect(s.proxy.listener("opaque"));
    await plain.send("x");
    await plain.expectClosed();
    plain.destroy();
    const { wire } = await tlsConnect(s.proxy.listener("opaque"), nobody);
    await wire.until("the end", () => wire.isEnded || wire.isClosed);
    wire.destroy();
    assert.equal(s.origins.web.requests.length, before);
    const denied = (labels: Record<string, string>) =>
      s.proxy.metrics().then((metrics) => metrics.sum("inbound_tcp_authz_deny_total", labels));
    assert.equal(await denied({ tls: "true", client_id: "" }), 1);
    assert.equal(await denied({ tls: "no_identity", no_tls_reason: "no_tls_from_remote" }), 1);
  });
});

describe("mesh TLS, limits", () => {
  const HANDSHAKE_MS = 500;
  const HANDSHAKES_MAX = 3;
  const s = scenario(
    async () => ({ web: await startApp({ name: "web" }) }),
    (o) => ({
      services: {},
      identity: files.paths,
      inbound: { target: o.web.address },
      limits: { tlsHandshakeMs: HANDSHAKE_MS, headerDeadlineMs: HANDSHAKE_MS, tlsHandshakesMax: HANDSHAKES_MAX },
    }),
  );
  const count = async (result: string): Promise<number> => (await s.proxy.metrics()).sum("mesh_tls_handshakes_total", { result });

  it("a handshake that stands still ends, and so does half a hello", async () => {
    const hello = await helloBytes(peer());
    const port = s.proxy.listener("inbound");
    const half = await connect(port);
    await half.send(hello.subarray(0, 100));
    const waiting = await connect(port);
    await waiting.send(hello);
    await waiting.until("the server's part", () => waiting.bytesReceived > 0);
    for (const wire of [half, waiting]) {
      await wire.expectClosed();
      wire.destroy();
    }
    assert.equal(await count("timeout"), 1);
  });

  it("handshakes at a time are bounded, and who vanishes gives his place back", async () => {
    const hello = await helloBytes(peer());
    const port = s.proxy.listener("inbound");
    const begun: Wire[] = [];
    for (let i = 0; i < HANDSHAKES_MAX; i++) {
      const wire = await connect(port);
      await wire.send(hello);
      await wire.until("the server's part", () => wire.bytesReceived > 0);
      begun.push(wire);
    }
    const over = await connect(port);
    await over.send(hello);
    await over.expectClosed();
    over.destroy();
    assert.equal(await count("too_many"), 1);
    for (const [i, wire] of begun.entries()) {
      if (i === 0) wire.reset();
      else wire.destroy();
    }
    await s.proxy.idle();
    assert.equal(text(await tlsOnce(port, peer(), request("GET", "/name"))), "web");
  });
});

describe("mesh TLS, the end of the proxy", () => {
  it("lets a request that has begun finish, and ends idle connections with close_notify", async () => {
    const web = await startApp({ name: "web" });
    const inbound = { target: web.address };
    const proxy = await ProxyProcess.start({ services: {}, identity: files.paths, inbound, limits: { drainIdleMs: 100 } });
    try {
      const idle = await tlsConnect(proxy.listener("inbound"), peer());
      await idle.wire.send(request("GET", "/name"));
      assert.equal(text(await idle.wire.expectResponse()), "web");
      const busy = await tlsConnect(proxy.listener("inbound"), peer());
      await busy.wire.send(request("GET", "/bytes/4000000/1"));
      await busy.wire.until("the beginning", () => busy.wire.bytesReceived > 0);
      busy.wire.pause();
      proxy.signal("SIGTERM");
      await idle.wire.expectEnd();
      busy.wire.resume();
      assert.equal((await busy.wire.expectResponse({ hashOnly: true })).bodySize, 4_000_000);
      await busy.wire.expectEnd();
      await waitUntil("the end", () => proxy.hasExited);
      assert.equal(proxy.exitCode, 0);
    } finally {
      proxy.kill();
      await web.stop();
    }
  });
});

async function sendPieces(raw: Socket, bytes: Buffer, sizes: readonly number[]): Promise<void> {
  let at = 0;
  for (const size of sizes) {
    raw.write(bytes.subarray(at, at + size));
    at += size;
    await new Promise((resolve) => setImmediate(resolve));
  }
  raw.write(bytes.subarray(at));
}

/** What a client with these options says first. */
async function helloBytes(options: ConnectionOptions): Promise<Buffer> {
  return await new Promise((resolve) => {
    const socket = connectTls({
      ...options,
      socket: new Duplex({
        read() {},
        write(chunk: Buffer, _encoding, done) {
          resolve(Buffer.from(chunk));
          done();
        },
      }),
    });
    socket.on("error", () => undefined);
  });
}
