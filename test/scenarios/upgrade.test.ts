// Connections that turn into tunnels: WebSocket by a real client and server, Upgrade byte by byte, CONNECT (RFC 9110 sections 7.8, 9.3.6).

import assert from "node:assert/strict";
import { once as event } from "node:events";
import { createServer, type Server } from "node:http";
import { after, before, describe, it } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { connect, once, request } from "../support/client.ts";
import { header, text } from "../support/http-lite.ts";
import { startRawOrigin } from "../support/origin.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { scenario, stopProxy } from "../support/scenario.ts";
import { seededBuffer } from "../support/seeded-content.ts";
import { Gate, within } from "../support/wait.ts";

const UPGRADE = "GET /tunnel HTTP/1.1\r\nHost: raw\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

describe("WebSocket", () => {
  let http: Server;
  let proxy: ProxyProcess;
  before(async () => {
    http = createServer();
    new WebSocketServer({ server: http }).on("connection", (socket) => {
      socket.on("message", (data, isBinary) => socket.send(data as Buffer, { binary: isBinary }));
    });
    http.listen(0, "127.0.0.1");
    await event(http, "listening");
    proxy = await ProxyProcess.start({ services: { web: { endpoints: [`127.0.0.1:${(http.address() as { port: number }).port}`] } } });
  });
  after(async () => {
    await stopProxy(proxy);
    http.close();
  });

  async function open(): Promise<WebSocket> {
    const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/chat`, { headers: { Host: "web" } });
    await within("the WebSocket to open", event(socket, "open"));
    return socket;
  }

  it("echoes messages of every size, in order", async () => {
    const socket = await open();
    for (const size of [0, 1, 125, 126, 65_535, 65_536, 2_000_000]) {
      const sent = seededBuffer(size, size);
      socket.send(sent);
      const [received] = (await within(`${size} bytes back`, event(socket, "message"))) as [Buffer];
      assert.ok(sent.equals(received));
    }
    socket.close();
    await within("the close", event(socket, "close"));
  });

  it("passes ping, pong and the close code", async () => {
    const socket = await open();
    socket.ping("beat");
    const [pong] = (await within("pong", event(socket, "pong"))) as [Buffer];
    assert.equal(pong.toString(), "beat");
    socket.close(4321, "bye");
    const [code] = await within("the close", event(socket, "close"));
    assert.equal(code, 4321);
  });

  it("serves twenty at once", async () => {
    const sockets = await Promise.all(Array.from({ length: 20 }, open));
    const answers = sockets.map((socket) => within("an echo", event(socket, "message")));
    for (const [i, socket] of sockets.entries()) socket.send(`hello ${i}`);
    for (const [i, [data]] of (await Promise.all(answers)).entries()) assert.equal(String(data), `hello ${i}`);
    for (const socket of sockets) socket.terminate();
  });
});

describe("Upgrade", () => {
  let maySwitch = new Gate();
  const s = scenario(
    async () => ({
      // By the target: switches, refuses, or switches unasked.
      raw: await startRawOrigin(async (wire) => {
        for (;;) {
          await wire.until("a request or the end", () => wire.buffered > 0 || wire.isEnded, 60_000);
          if (wire.isEnded) return wire.endWrite();
          const head = await wire.expectUntil("\r\n\r\n");
          if (head.startsWith("GET /tunnel")) return tunnel(head);
          await wire.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain");
        }
        async function tunnel(head: string): Promise<void> {
          assert.match(head, /^connection: upgrade\r$/im);
          assert.match(head, /^upgrade: echo\r$/im);
          // The client has seen this one when the gate opens: a round trip, in which bytes let through would have come.
          await wire.send("HTTP/1.1 103 Early Hints\r\n\r\n");
          await maySwitch.opened;
          const early = wire.buffered;
          await wire.send(`${SWITCH}early=${early}\n`);
          for (;;) {
            await wire.until("tunnel bytes", () => wire.buffered > 0 || wire.isEnded, 60_000);
            if (wire.buffered > 0) await wire.send(wire.take());
            else break;
          }
          await wire.send("last words");
          wire.endWrite();
        }
      }),
      // Switches protocols though nobody asked.
      rude: await startRawOrigin(async (wire) => {
        await wire.expectUntil("\r\n\r\n");
        await wire.send(SWITCH);
      }),
    }),
    (o) => ({ services: { raw: { endpoints: [o.raw.address] }, rude: { endpoints: [o.rude.address] } } }),
  );

  it("lets no tunnel byte through before the 101, and loses none", async () => {
    maySwitch = new Gate();
    const client = await connect(s.port);
    await client.send(`${UPGRADE}too early`);
    assert.match(await client.expectUntil("\r\n\r\n"), /^HTTP\/1\.1 103 /);
    maySwitch.open();
    const head = await client.expectResponse();
    assert.equal(head.status, 101);
    assert.equal(header(head, "upgrade"), "echo");
    assert.equal(await client.expectUntil("\n"), "early=0\n");
    assert.equal((await client.expectBytes(9)).toString(), "too early");
    client.destroy();
  });

  it("half-closes each direction by itself", async () => {
    maySwitch.open();
    const client = await connect(s.port);
    await client.send(UPGRADE);
    assert.equal((await client.expectResponse()).status, 101);
    await client.expectUntil("\n");
    const sent = seededBuffer(1, 500_000);
    void client.send(sent).then(() => client.endWrite());
    assert.ok(sent.equals(await client.expectBytes(sent.length)));
    assert.equal((await client.expectBytes(10)).toString(), "last words");
    await client.expectEnd();
  });

  it("closes the service's side when the client goes", async () => {
    maySwitch.open();
    const client = await connect(s.port);
    await client.send(UPGRADE);
    await client.expectUntil("\n");
    const upstream = s.origins.raw.connections.at(-1)!;
    client.reset();
    await upstream.expectClosed(1000);
  });

  it("goes on with HTTP when the service does not switch", async () => {
    const client = await connect(s.port);
    await client.send(UPGRADE.replace("/tunnel", "/no"));
    assert.equal(text(await client.expectResponse()), "plain");
    await client.send(request("GET", "/no", { Host: "raw" }));
    assert.equal(text(await client.expectResponse()), "plain");
    client.destroy();
  });

  it("does not forward Upgrade from HTTP/1.0 (RFC 9110 section 7.8)", async () => {
    const response = await once(s.port, UPGRADE.replace("HTTP/1.1", "HTTP/1.0").replace("/tunnel", "/no"));
    assert.ok(response.status === 400 || text(response) === "plain", String(response.status));
  });

  it("answers 502 to a 101 that nobody asked for", async () => {
    assert.equal((await once(s.port, request("GET", "/", { Host: "rude" }))).status, 502);
  });
});

describe("CONNECT", () => {
  const s = scenario(
    async () => ({
      web: await startRawOrigin(async (wire) => {
        await wire.until("bytes", () => wire.buffered > 0 || wire.isEnded || wire.isClosed, 60_000);
        if (wire.buffered > 0) await wire.send(wire.take());
        wire.endWrite();
      }),
    }),
    (o) => ({ services: { web: { endpoints: [o.web.address] } } }),
  );

  it("is refused unless it is configured, and nothing reaches the service", async () => {
    const response = await once(s.port, "CONNECT web:80 HTTP/1.1\r\nHost: web:80\r\n\r\n");
    assert.equal(response.status, 405);
    assert.equal(s.origins.web.connections.length, 0);
  });
});

describe("CONNECT, allowed", () => {
  const s = scenario(
    async () => ({
      web: await startRawOrigin(async (wire) => {
        await wire.until("bytes", () => wire.buffered > 0 || wire.isEnded || wire.isClosed, 60_000);
        if (wire.buffered > 0) await wire.send(wire.take());
        wire.endWrite();
      }),
    }),
    (o) => ({ allowConnect: true, services: { web: { endpoints: [o.web.address] } } }),
  );

  it("tunnels to a configured service (RFC 9110 section 9.3.6)", async () => {
    const client = await connect(s.port);
    await client.send("CONNECT web:80 HTTP/1.1\r\nHost: web:80\r\n\r\n");
    assert.match(await client.expectUntil("\r\n\r\n"), /^HTTP\/1\.1 200 /);
    await client.send("\x00\x01 anything\r\n");
    assert.equal((await client.expectBytes(13)).toString("latin1"), "\x00\x01 anything\r\n");
    client.endWrite();
    await client.expectEnd();
  });

  it("refuses names that are no service", async () => {
    const response = await once(s.port, "CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere:443\r\n\r\n");
    assert.equal(response.status, 404);
  });
});
