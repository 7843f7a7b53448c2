// Linkerd's transport header at an inbound listener, over TLS with certificates of the identity component: a client that does what Linkerd's proxies do.
//
// Everything is dialled at one listener whose own policy refuses everybody: what counts is the port that the header names. The headers are written by hand
// (support/transport-header.ts).

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";
import { certify, DB, WEB } from "../control/support/identity-client.ts";
import { IdentityComponent } from "../control/support/identity-component.ts";
import { request } from "../support/client.ts";
import { H2Client } from "../support/h2-client.ts";
import { header, text } from "../support/http-lite.ts";
import { startApp } from "../support/origin-app.ts";
import { startRawOrigin } from "../support/origin.ts";
import { closedPort } from "../support/ports.ts";
import type { TestInbound } from "../support/proxy-config.ts";
import { scenario } from "../support/scenario.ts";
import { framed, headerFor, HTTP1, HTTP2, OPAQUE, TRANSPORT_ALPN, varint } from "../support/transport-header.ts";
import { waitUntil, within } from "../support/wait.ts";
import { Wire } from "../support/wire.ts";

const HEADER_DEADLINE_MS = 3000;

/** The component, the token of the proxy, and a certificate of another workload. */
async function startMesh(): Promise<{ identity: Readonly<Record<string, string>>; client: ConnectionOptions; stop(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), "weft-header-"));
  const component = await IdentityComponent.start({ data: join(folder, "data") });
  const token = join(folder, "web.token");
  writeFileSync(token, await component.token("web"), { mode: 0o600 });
  const { cert, key } = await certify(component.connect(), DB, await component.token("db"));
  return {
    identity: { controller: `127.0.0.1:${component.controller.port}`, token },
    client: { cert, key, ca: component.bundle, servername: WEB, minVersion: "TLSv1.3", ALPNProtocols: [TRANSPORT_ALPN] },
    stop: async () => {
      await component.remove();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const echo = () =>
  startRawOrigin(async (wire) => {
    for (;;) {
      await wire.until("bytes or the end", () => wire.buffered > 0 || wire.isEnded || wire.isClosed, 60_000);
      if (wire.buffered === 0) break;
      await wire.send(wire.take());
    }
    wire.endWrite();
  });

describe("a connection with Linkerd's transport header", () => {
  const s = scenario(
    async () => ({ mesh: await startMesh(), app: await startApp({ name: "app" }), raw: await echo(), far: await echo() }),
    (o) => ({
      services: {},
      identity: o.mesh.identity,
      limits: { headerDeadlineMs: HEADER_DEADLINE_MS },
      inbound: {
        target: o.app.address,
        policy: "deny",
        ports: {
          detect: { target: o.app.address, policy: "all-authenticated" },
          http1: { target: o.app.address, protocol: "http1", policy: "all-unauthenticated" },
          opaque: { target: o.raw.address, protocol: "opaque", policy: "all-authenticated" },
          closed: { target: o.raw.address, protocol: "opaque", policy: "deny" },
          far: { target: o.far.address, policy: "all-unauthenticated" },
        },
      },
    }),
  );
  const at = (name: string): number => s.proxy.listener(name);
  const sum = async (name: string, labels: Record<string, string>): Promise<number> => (await s.proxy.metrics()).sum(name, labels);
  const errors = (error: string): Promise<number> => sum("inbound_tcp_errors_total", { error });

  async function dial(options: ConnectionOptions = {}): Promise<TLSSocket> {
    const socket = connectTls({
      ...s.origins.mesh.client,
      ...options,
      port: at("inbound"),
      host: "127.0.0.1",
      allowHalfOpen: true,
    } as object);
    await within(
      "the handshake",
      new Promise<void>((resolve, reject) => {
        socket.once("secureConnect", resolve);
        socket.once("error", reject);
      }),
    );
    socket.setNoDelay(true);
    return socket;
  }

  /** A connection on which these pieces were sent, each a record of its own. */
  async function send(...pieces: readonly (Buffer | string)[]): Promise<Wire> {
    const wire = new Wire(await dial());
    for (const piece of pieces) {
      await wire.send(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return wire;
  }

  async function expectRefused(wire: Wire): Promise<void> {
    await wire.until("the end", () => wire.isEnded || wire.isClosed);
    assert.equal(wire.bytesReceived, 0);
    wire.destroy();
  }

  it("is negotiated by those who offer nothing else", async () => {
    for (const [offered, negotiated] of [
      [[TRANSPORT_ALPN], TRANSPORT_ALPN],
      [[TRANSPORT_ALPN, "h2"], "h2"],
    ] as const) {
      const socket = await dial({ ALPNProtocols: [...offered] });
      assert.equal(socket.alpnProtocol, negotiated);
      assert.ok(socket.authorized);
      socket.destroy();
    }
  });

  it("carries opaque bytes to the port that it names, both ways and to their ends, and is counted there", async () => {
    const wire = await send(Buffer.concat([headerFor(at("opaque"), OPAQUE), Buffer.from("hello")]));
    assert.equal((await wire.expectBytes(5)).toString(), "hello");
    await wire.send("more");
    assert.equal((await wire.expectBytes(4)).toString(), "more");
    wire.endWrite();
    await wire.expectEnd();
    wire.destroy();
    const labels = { target_port: String(at("opaque")), client_id: DB };
    assert.equal(await sum("tcp_open_total", { peer: "src", tls: "true", ...labels }), 1);
    assert.ok((await sum("tcp_read_bytes_total", { peer: "src", tls: "true", ...labels })) >= 9);
    assert.equal(await sum("inbound_tcp_authz_allow_total", labels), 1);
    assert.equal(await sum("inbound_tcp_transport_header_connections_total", { session_protocol: "opaque", ...labels }), 1);
  });

  it("finds the port of an application that stands behind another one of ours", async () => {
    const wire = await send(headerFor(s.origins.far.port, OPAQUE), "far");
    assert.equal((await wire.expectBytes(3)).toString(), "far");
    wire.destroy();
  });

  it("carries HTTP/1, whatever the port is declared, and the application hears who asks", async () => {
    for (const name of ["detect", "http1"]) {
      const wire = await send(headerFor(at(name), HTTP1));
      for (let i = 0; i < 3; i++) {
        await wire.send(request("GET", "/echo", { "l5d-client-id": "somebody else" }));
        const answer = await wire.expectResponse();
        assert.equal(answer.status, 200, answer.rawHead);
        const echoed = text(answer);
        assert.match(echoed, new RegExp(`^l5d-client-id: ${DB}\r$`, "m"));
        assert.doesNotMatch(echoed, /somebody else/);
      }
      wire.destroy();
    }
    const labels = { target_port: String(at("detect")), client_id: DB };
    assert.equal(await sum("inbound_http_authz_allow_total", labels), 3);
  });

  it("carries HTTP/2, and within it HTTP/1 as Linkerd's proxies say it", async () => {
    const socket = await dial();
    await new Promise((resolve) => socket.write(headerFor(at("detect"), HTTP2), resolve));
    const client = new H2Client(socket, "app");
    await Promise.all(
      Array.from({ length: 10 }, async () => {
        const { status, headers, body } = await client.get("/echo", { "l5d-orig-proto": "HTTP/1.1" });
        assert.deepEqual([status, headers["l5d-orig-proto"]], [200, "HTTP/1.1"]);
        assert.match(body.toString(), /^GET \/echo HTTP\/1\.1\r\n/);
        assert.match(body.toString(), new RegExp(`^l5d-client-id: ${DB}\r$`, "m"));
      }),
    );
    client.close();
  });

  it("is understood however it is split", async () => {
    const all = Buffer.concat([headerFor(at("opaque"), OPAQUE, [0x20, 7]), Buffer.from("ping")]);
    for (let cut = 1; cut < all.length; cut++) {
      const wire = await send(all.subarray(0, cut), all.subarray(cut));
      assert.equal((await wire.expectBytes(4)).toString(), "ping", `split at ${cut}`);
      wire.destroy();
    }
    const asking = Buffer.concat([headerFor(at("http1"), HTTP1), Buffer.from(request("GET", "/name"))]);
    const wire = await send(...Array.from(asking, (_, i) => asking.subarray(i, i + 1)));
    assert.equal(text(await wire.expectResponse()), "app");
    wire.destroy();
  });

  it("is refused when it is malformed or too long, by its name, and nothing reaches a service", async () => {
    const port = varint(at("opaque"));
    const before = [s.origins.app.connections.length, s.origins.raw.connections.length];
    const hostile: readonly (readonly [string, Buffer])[] = [
      ["no header", Buffer.from(request("GET", "/name"))],
      ["another version", Buffer.from("transport.l5d.io/v2\r\n\r\n\0\0\0\x02\x08\x50")],
      ["LF without CR", Buffer.from("transport.l5d.io/v1\n\n\0\0\0\x02\x08\x50")],
      ["no message", framed([])],
      ["a length over what is read", framed([], 1025)],
      ["the largest length", framed([], 0xffff_ffff)],
      ["no port", framed([0x12, 1, 0x61])],
      ["port 0", framed([0x08, 0])],
      ["port 65536", framed([0x08, 0x80, 0x80, 0x04])],
      ["a negative port", framed([0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01])],
      ["a name with a line end", framed([0x08, ...port, 0x12, 2, 0x0d, 0x0a])],
      ["a field behind the end", framed([0x08, ...port, 0x12, 0x7f, 0x61])],
      ["a session protocol that is broken", framed([0x08, ...port, 0x1a, 2, 0x0a, 5])],
    ];
    const counted = await errors("transport header");
    for (const [index, [what, bytes]] of hostile.entries()) {
      await expectRefused(await send(bytes, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
      await waitUntil(what, async () => (await errors("transport header")) === counted + index + 1);
    }
    const torn = await send(headerFor(at("opaque"), OPAQUE).subarray(0, 20));
    torn.endWrite();
    await expectRefused(torn);
    await waitUntil("the half one", async () => (await errors("transport header")) === counted + hostile.length + 1);
    await waitUntil("the log", () => /\[WEFT_TRANSPORT_HEADER\][^\n]*/.test(s.proxy.log));
    assert.match(s.proxy.log.split("\n").find((line) => line.includes("[WEFT_TRANSPORT_HEADER]"))!, new RegExp(DB));
    assert.deepEqual([s.origins.app.connections.length, s.origins.raw.connections.length], before);
  });

  it("is waited for so long and no longer", async () => {
    for (const piece of [Buffer.alloc(0), headerFor(at("opaque"), OPAQUE).subarray(0, 25)]) {
      const counted = await errors("transport header deadline");
      await expectRefused(await send(piece));
      await waitUntil("the count", async () => (await errors("transport header deadline")) === counted + 1);
    }
  });

  it("is taken from nobody who has shown no certificate", async () => {
    const { cert: _cert, key: _key, ...nobody } = s.origins.mesh.client;
    const socket = connectTls({ ...nobody, port: at("inbound"), host: "127.0.0.1" });
    const wire = new Wire(socket);
    await wire.send(Buffer.concat([headerFor(at("far"), OPAQUE), Buffer.from("x")]));
    await expectRefused(wire);
    await waitUntil("the count", async () => (await errors("transport header anonymous")) === 1);
  });

  it("leads to ports that are there and to no other; names are a gateway's", async () => {
    const counted = await errors("no target");
    const headers = [
      headerFor(await closedPort(), OPAQUE),
      headerFor(s.proxy.adminPort, HTTP1),
      headerFor(s.proxy.port, HTTP1),
      headerFor(at("opaque"), OPAQUE, [0x12, 3, 0x77, 0x65, 0x62]),
    ];
    for (const bytes of headers) await expectRefused(await send(bytes, "x"));
    await waitUntil("the count", async () => (await errors("no target")) === counted + headers.length);
    await expectRefused(await send(headerFor(at("http1"), OPAQUE), "x"));
    await waitUntil("the count", async () => (await errors("opaque not allowed")) === 1);
  });

  it("meets the policy of the port that it names", async () => {
    const before = s.origins.raw.connections.length;
    await expectRefused(await send(headerFor(at("closed"), OPAQUE), "x"));
    assert.equal(await sum("inbound_tcp_authz_deny_total", { target_port: String(at("closed")), client_id: DB }), 1);
    const wire = await send(headerFor(at("inbound"), HTTP1), request("GET", "/name"));
    const answer = await wire.expectResponse();
    assert.equal(answer.status, 403);
    assert.match(header(answer, "l5d-proxy-error") ?? "", /^\[WEFT_UNAUTHORIZED\]/);
    wire.destroy();
    assert.equal(s.origins.raw.connections.length, before);
  });

  it("ends when the policy of the port that it names no longer admits its client", async () => {
    const [cut, kept] = [await send(headerFor(at("opaque"), OPAQUE), "a"), await send(headerFor(at("far"), OPAQUE), "b")];
    await Promise.all([cut.expectBytes(1), kept.expectBytes(1)]);
    const { options } = s.proxy;
    const ports = { ...options.inbound!.ports, opaque: { ...options.inbound!.ports!["opaque"]!, policy: "deny" } };
    await s.proxy.reconfigure({ ...options, inbound: { ...options.inbound!, ports } });
    await cut.finished();
    await kept.send("still here");
    assert.equal((await kept.expectBytes(10)).toString(), "still here");
    kept.destroy();
  });
});

describe("a connection with Linkerd's transport header to a transparent listener", () => {
  const s = scenario(
    async () => ({ mesh: await startMesh(), app: await startApp({ name: "app" }), raw: await echo() }),
    (o) => ({
      services: {},
      identity: o.mesh.identity,
      inbound: {
        target: o.app.address,
        policy: "all-authenticated",
        // Rules without targets: connections go to the ports that they were made to.
        ports: { ruled: { protocol: "opaque" }, denied: { policy: "deny" } } as object as Record<string, TestInbound>,
        ...({ transparent: true } as object),
      },
    }),
  );

  it("reaches the port that it names, whether it has rules of its own or not, and never the proxy's own", async () => {
    const { client } = s.origins.mesh;
    const send = async (port: number, text: string): Promise<Wire> => {
      const wire = new Wire(connectTls({ ...client, port: s.proxy.listener("inbound"), host: "127.0.0.1" }));
      await wire.send(Buffer.concat([headerFor(port, OPAQUE), Buffer.from(text)]));
      return wire;
    };
    const wire = await send(s.origins.raw.port, "hello");
    assert.equal((await wire.expectBytes(5)).toString(), "hello");
    wire.destroy();
    const ruled = await startRawOrigin((far) => far.send("ruled"), { port: s.proxy.listener("ruled") });
    const denied = await startRawOrigin((far) => far.send("denied"), { port: s.proxy.listener("denied") });
    const admitted = await send(ruled.port, "x");
    assert.equal((await admitted.expectBytes(5)).toString(), "ruled");
    admitted.destroy();
    const cut = await send(denied.port, "x");
    await cut.until("the end", () => cut.isEnded || cut.isClosed);
    cut.destroy();
    assert.deepEqual([ruled.connections.length, denied.connections.length], [1, 0]);
    await Promise.all([ruled.stop(), denied.stop()]);
    for (const port of [s.proxy.adminPort, s.proxy.port]) {
      const refused = await send(port, request("GET", "/metrics"));
      await refused.until("the end", () => refused.isEnded || refused.isClosed);
      assert.equal(refused.bytesReceived, 0);
      refused.destroy();
    }
    assert.equal((await s.proxy.metrics()).sum("inbound_tcp_errors_total", { error: "loop" }), 2);
  });
});
