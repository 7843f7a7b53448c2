// Two proxies in a row: what goes between them is mesh TLS, and nobody but the expected peer is spoken to.

import assert from "node:assert/strict";
import { connect as connectSocket, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { createServer as createTlsServer, type TlsOptions, type TLSSocket } from "node:tls";
import { type ErrorCode, ERRORS } from "../../src/core/errors/error-codes.ts";
import { connect, once, request } from "../support/client.ts";
import { header, text } from "../support/http-lite.ts";
import { hostileCertificates, MeshAuthority, meshName, meshUri } from "../support/mesh-certificates.ts";
import { startApp } from "../support/origin-app.ts";
import { type Origin, startRawOrigin } from "../support/origin.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { stopProxy } from "../support/scenario.ts";
import { seededHash } from "../support/seeded-content.ts";
import { tlsOnce } from "../support/tls-client.ts";
import { waitUntil } from "../support/wait.ts";

const authority = new MeshAuthority();
const web = authority.files("web");
const client = authority.files("client");
after(() => {
  web.remove();
  client.remove();
});

describe("a pair of proxies", () => {
  let app: Origin;
  let echo: Origin;
  let server: ProxyProcess;
  let proxy: ProxyProcess;
  before(async () => {
    app = await startApp({ name: "web" });
    echo = await startRawOrigin(async (wire) => {
      await wire.send("220 ready\r\n");
      while (!wire.isEnded && !wire.isClosed) {
        await wire.until("bytes", () => wire.buffered > 0 || wire.isEnded || wire.isClosed, 60_000);
        if (wire.buffered > 0) await wire.send(wire.take());
      }
      wire.endWrite();
    });
    server = await ProxyProcess.start({
      services: {},
      identity: web.paths,
      accessLog: "json",
      inbound: { target: app.address, ports: { echo: { target: echo.address, protocol: "opaque" } } },
    });
    proxy = await ProxyProcess.start({
      identity: client.paths,
      services: {
        web: { endpoints: [`127.0.0.1:${server.listener("inbound")}`], identity: meshName("web") },
        uri: { endpoints: [`127.0.0.1:${server.listener("inbound")}`], identity: meshUri("web") },
        echo: { endpoints: [`127.0.0.1:${server.listener("echo")}`], identity: meshName("web") },
        other: { endpoints: [`127.0.0.1:${server.listener("inbound")}`], identity: meshName("db") },
      },
      listeners: { echo: { service: "echo", protocol: "opaque" } },
    });
  });
  after(async () => {
    await stopProxy(proxy);
    await stopProxy(server);
    await app.stop();
    await echo.stop();
  });

  it("carries requests, few connections for many, both sides knowing the other", async () => {
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, i) => once(proxy.port, request("GET", `/bytes/50000/${i}`), { hashOnly: true })),
    );
    for (const [i, answer] of answers.entries()) assert.equal(answer.bodyHash, seededHash(i, 50_000));
    const inbound = await server.metrics();
    assert.equal(inbound.sum("tcp_open_total", { peer: "src", tls: "true", client_id: meshName("client") }), 1);
    assert.equal(inbound.sum("mesh_tls_handshakes_total", { direction: "inbound", result: "full" }), 1);
    const outbound = await proxy.metrics();
    const labels = { direction: "outbound", tls: "true", server_id: meshName("web") };
    assert.equal(outbound.sum("tcp_open_total", { peer: "dst", ...labels }), 1);
    assert.equal(outbound.sum("request_total", labels), 40);
    assert.equal(outbound.sum("mesh_tls_handshakes_total", { direction: "outbound", result: "full" }), 1);
    assert.ok(outbound.has("tcp_open_total", { peer: "src", tls: "no_identity", no_tls_reason: "loopback" }));
  });

  it("carries uploads", async () => {
    const body = "0123456789".repeat(20_000);
    assert.match(text(await once(proxy.port, request("POST", "/hash", {}, body))), /^200000 /);
  });

  it("takes a SPIFFE URI for the same workload", async () => {
    assert.equal(text(await once(proxy.port, request("GET", "/name", { Host: "uri" }))), "web");
  });

  it("tells the application who the client is, and nothing that a client says of that", async () => {
    const spoofed = { "l5d-client-id": "root", "L5D-CLIENT-ID": "root", l5d_client_id: "root" };
    const ids = (head: string): string[] => head.split("\r\n").filter((line) => /^l5d[-_]client[-_]id:/i.test(line));
    assert.deepEqual(ids(text(await once(proxy.port, request("GET", "/echo", spoofed)))), [`l5d-client-id: ${meshName("client")}`]);
    const inbound = server.listener("inbound");
    assert.deepEqual(ids(text(await once(inbound, request("GET", "/echo", spoofed)))), []);
    const anonymous = { ca: authority.cert, servername: meshName("web") };
    assert.deepEqual(ids(text(await tlsOnce(inbound, anonymous, request("GET", "/echo", spoofed)))), []);
    const known = { ...anonymous, ...authority.issue({ names: [meshUri("other")] }) };
    assert.deepEqual(ids(text(await tlsOnce(inbound, known, request("GET", "/echo", spoofed)))), [`l5d-client-id: ${meshName("other")}`]);
    const metrics = await server.metrics();
    assert.equal(metrics.sum("request_total", { direction: "inbound", tls: "true", client_id: meshName("other") }), 1);
    assert.equal(metrics.sum("request_total", { direction: "inbound", tls: "true", client_id: "" }), 1);
    assert.equal(metrics.sum("request_total", { direction: "inbound", no_tls_reason: "no_tls_from_remote" }), 1);
    assert.ok(metrics.sum("request_total", { direction: "inbound", client_id: meshName("client") }) >= 41);
    await waitUntil("the access log", () => server.log.includes(`"client.id":"${meshName("other")}"`));
  });

  it("negotiates post-quantum key exchange", async () => {
    assert.equal(await groupOf(server.listener("inbound")), 0x11ec);
  });

  /** The key exchange that a new connection of the proxy to this port comes to, read from the ServerHello on its way. */
  async function groupOf(port: number): Promise<number> {
    let seen = Buffer.alloc(0);
    const tap = await startPlain((socket) => {
      const onward = connectSocket(port, "127.0.0.1");
      onward.on("error", () => socket.destroy());
      onward.on("data", (chunk) => {
        seen = Buffer.concat([seen, chunk]);
      });
      socket.pipe(onward).pipe(socket);
      socket.on("close", () => onward.destroy());
    });
    const endpoints = [`127.0.0.1:${tap.port}`];
    const between = await ProxyProcess.start({ identity: client.paths, services: { web: { endpoints, identity: meshName("web") } } });
    try {
      assert.equal(text(await once(between.port, request("GET", "/name"))), "web");
      await stopProxy(between);
      return selectedGroup(seen);
    } finally {
      between.kill();
      await tap.stop();
    }
  }

  it("carries opaque connections, whoever speaks first, with half-closes", async () => {
    const wire = await connect(proxy.listener("echo"));
    await wire.until("the greeting", () => wire.buffered > 0);
    assert.equal(wire.take().toString(), "220 ready\r\n");
    await wire.send("hello");
    await wire.until("the echo", () => wire.buffered >= 5);
    assert.equal(wire.take().toString(), "hello");
    wire.endWrite();
    await wire.expectEnd();
    wire.destroy();
  });

  it("does not speak to another workload, though its certificate is good", async () => {
    const asked = app.requests.filter(({ target }) => target === "/name").length;
    // Asked for by a name that is not its own, the other proxy takes that for the application's TLS, and the application speaks none.
    const answer = await once(proxy.port, request("GET", "/name", { Host: "other" }));
    assert.match(header(answer, "l5d-proxy-error") ?? "", /^\[WEFT_(MESH_HANDSHAKE|CONNECT_TIMEOUT|FAIL_FAST)\]/);
    assert.equal(app.requests.filter(({ target }) => target === "/name").length, asked);
  });
});

interface Impostor extends Peer {
  /** It was told within TLS. */
  readonly bytes: () => number;
}

/** A server that is not what it should be. */
async function startImpostor(options: TlsOptions): Promise<Impostor> {
  let bytes = 0;
  const open = new Set<TLSSocket>();
  const server = createTlsServer(
    {
      minVersion: "TLSv1.3",
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: ["h2"],
      ciphers: "DEFAULT:@SECLEVEL=0",
      ...options,
    },
    (socket) => {
      open.add(socket);
      socket.on("error", () => undefined);
      socket.on("data", (chunk) => {
        bytes += chunk.length;
      });
    },
  );
  server.on("tlsClientError", () => undefined);
  const port = await listen(server);
  const stop = async (): Promise<void> => {
    for (const socket of open) socket.destroy();
    await close(server);
  };
  return { port, bytes: () => bytes, stop };
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as { port: number }).port;
}

async function close(server: Server): Promise<void> {
  await new Promise((resolve) => server.close(resolve));
}

/** The group in the key_share of a ServerHello (RFC 8446 sections 4.1.3 and 4.2.8), the first thing that a server of TLS 1.3 sends. */
function selectedGroup(bytes: Buffer): number {
  let at = 5 + 4 + 2 + 32;
  at += 1 + bytes[at]! + 2 + 1;
  const end = at + 2 + bytes.readUInt16BE(at);
  for (at += 2; at < end; at += 4 + bytes.readUInt16BE(at + 2)) {
    if (bytes.readUInt16BE(at) === 51) return bytes.readUInt16BE(at + 4);
  }
  throw new Error("no key_share");
}

interface Peer {
  readonly port: number;
  readonly stop: () => Promise<void>;
}

/** A TCP server that keeps what it has accepted until it is stopped. */
async function startPlain(serve: (socket: Socket) => void): Promise<Peer> {
  const open = new Set<Socket>();
  const server = createTcpServer((socket) => {
    open.add(socket);
    socket.on("error", () => undefined);
    socket.resume();
    serve(socket);
  });
  const port = await listen(server);
  const stop = async (): Promise<void> => {
    for (const socket of open) socket.destroy();
    await close(server);
  };
  return { port, stop };
}

/** Shakes hands as it should and closes. */
async function startMute(): Promise<Peer> {
  const server = createTlsServer({ ...authority.workload("web"), ALPNProtocols: ["h2"] }, (socket) => {
    socket.on("error", () => undefined);
    socket.resume();
    socket.end();
  });
  return { port: await listen(server), stop: () => close(server) };
}

describe("servers of the mesh that are not what they should be", () => {
  const hostile = [
    ...hostileCertificates(authority, "web"),
    { what: "for clients only", code: "WEFT_PEER_PURPOSE", certificate: authority.workload("web", { usages: ["client"] }) },
    { what: "another workload's", code: "WEFT_PEER_OTHER_IDENTITY", certificate: authority.workload("db") },
  ];
  const good = authority.workload("web");
  const odd: readonly (readonly [string, ErrorCode, () => Promise<Peer>])[] = [
    ["TLS 1.2 only", "WEFT_MESH_HANDSHAKE", () => startImpostor({ ...good, minVersion: "TLSv1.2", maxVersion: "TLSv1.2" })],
    ["no ALPN", "WEFT_MESH_PROTOCOL", () => startImpostor({ ...good, ALPNProtocols: [] })],
    ["plain text", "WEFT_MESH_PLAIN", () => startPlain((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))],
    ["a connection that closes", "WEFT_MESH_HANDSHAKE", () => startPlain((socket) => socket.destroy())],
    ["silence", "WEFT_CONNECT_TIMEOUT", () => startPlain(() => undefined)],
    ["nothing behind the handshake", "WEFT_MESH_HANDSHAKE", () => startMute()],
  ];
  const impostors: Impostor[] = [];
  const peers: Peer[] = [];
  let proxy: ProxyProcess;
  before(async () => {
    for (const { certificate } of hostile) impostors.push(await startImpostor(certificate));
    for (const [, , start] of odd) peers.push(await start());
    const services = [...impostors, ...peers].map(({ port }, i) => [
      `s${i}`,
      { endpoints: [`127.0.0.1:${port}`], identity: meshName("web") },
    ]);
    const limits = { connectTimeoutMs: 1_000 };
    proxy = await ProxyProcess.start({ identity: client.paths, limits, services: Object.fromEntries(services) });
  });
  after(async () => {
    await stopProxy(proxy);
    for (const peer of [...impostors, ...peers]) await peer.stop();
  });

  for (const [i, { what, code }] of hostile.entries()) {
    it(`${what}: ${code}`, async () => {
      const labels = { direction: "outbound", result: "refused", error: ERRORS[code as ErrorCode].label };
      const refused = async (): Promise<number> => (await proxy.metrics()).sum("mesh_tls_handshakes_total", labels);
      const before = await refused();
      const answer = await once(proxy.port, request("POST", "/secret", { Host: `s${i}` }, "secret"));
      assert.equal(answer.status, 502);
      assert.match(header(answer, "l5d-proxy-error") ?? "", new RegExp(`^\\[${code}\\]`));
      assert.equal(await refused(), before + 1);
      assert.equal(impostors[i]!.bytes(), 0, "nothing was said");
      await waitUntil("the log", () => proxy.log.includes(`[${code}]`));
    });
  }

  for (const [i, [what, code]] of odd.entries()) {
    it(`${what}: ${code}`, async () => {
      const answer = await once(proxy.port, request("GET", "/", { Host: `s${hostile.length + i}` }));
      assert.equal(answer.status, ERRORS[code].status);
      assert.match(header(answer, "l5d-proxy-error") ?? "", new RegExp(`^\\[${code}\\]`));
    });
  }
});

describe("an endpoint of the mesh", () => {
  it("is another one when somebody else is expected there", async () => {
    const app = await startApp({ name: "web" });
    const server = await ProxyProcess.start({ services: {}, identity: web.paths, inbound: { target: app.address } });
    const endpoints = [`127.0.0.1:${server.listener("inbound")}`];
    const proxy = await ProxyProcess.start({ identity: client.paths, services: { web: { endpoints } } });
    try {
      assert.equal(text(await once(proxy.port, request("GET", "/name"))), "web");
      assert.ok(!(await server.metrics()).has("tcp_open_total", { peer: "src", tls: "true" }));
      await proxy.reconfigure({ ...proxy.options, services: { web: { endpoints, identity: meshName("web") } } });
      await waitUntil("mesh TLS", async () => {
        assert.equal(text(await once(proxy.port, request("GET", "/name"))), "web");
        return (await server.metrics()).has("tcp_open_total", { peer: "src", tls: "true" });
      });
      await stopProxy(proxy);
      await stopProxy(server);
    } finally {
      proxy.kill();
      server.kill();
      await app.stop();
    }
  });
});
