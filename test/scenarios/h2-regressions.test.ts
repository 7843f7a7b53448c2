// Faults that an attack on the HTTP/2 side found, each with its story.

import assert from "node:assert/strict";
import { createServer as createHttp2Server } from "node:http2";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { describe, it } from "node:test";
import { data, FrameType, headers } from "../support/h2-frames.ts";
import { block } from "../support/h2-hpack.ts";
import { H2Client } from "../support/h2-client.ts";
import { H2Peer } from "../support/h2-peer.ts";
import { H2cOrigin } from "../support/h2c-origin.ts";
import { H2Server } from "../support/h2-server.ts";
import { startOrigin, startRawOrigin } from "../support/origin.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { scenario, stopProxy } from "../support/scenario.ts";
import { waitUntil, within } from "../support/wait.ts";

/** Streams and buffers that the worker holds. */
async function held(proxy: ProxyProcess): Promise<{ connections: number; stream: number }> {
  const { workers } = JSON.parse((await proxy.admin("/stats.json")).body);
  const { forwarder } = workers[0];
  return { connections: forwarder.connections, stream: forwarder.buffers.stream };
}

describe("a client that is slow to begin, before HTTP/2 servers, which speak at once", () => {
  // After detectTimeoutMs the upstream was dialled, its SETTINGS were taken for a greeting, and the connection was relayed: every request
  // went to that one endpoint, and a drain waited out its grace period, because nobody told the client to go away.
  it("is served as HTTP/2: each request balanced by itself, and told GOAWAY", async () => {
    const origins = await Promise.all(
      ["a", "b"].map((name) => H2cOrigin.start(name, (stream) => stream.respond({ "x-origin": name }, { endStream: true }))),
    );
    const proxy = await ProxyProcess.start({
      services: { web: { endpoints: origins.map(({ address }) => address), loadBalancer: "round-robin" } },
    });
    const socket = connect({ port: proxy.port, host: "127.0.0.1" });
    await waitUntil("the server to have spoken", async () => (await proxy.metrics()).sum("tcp_read_bytes_total", { peer: "dst" }) >= 9);
    const client = new H2Client(socket);
    const names = new Set<unknown>();
    for (let i = 0; i < 4; i++) names.add((await client.get("/")).headers["x-origin"]);
    assert.deepEqual([...names].sort(), ["a", "b"]);
    assert.equal((await proxy.metrics()).sum("outbound_tcp_detect_http_results_total", { result: "http/2" }), 1);
    const told = once(client.session, "goaway");
    proxy.signal("SIGTERM");
    await within("GOAWAY", told);
    await waitUntil("the end", () => proxy.hasExited);
    assert.match(proxy.log, /every connection ended by itself/);
    client.close();
    await Promise.all(origins.map((origin) => origin.stop()));
  });

  it("may turn out to speak no HTTP at all", async () => {
    const origin = await H2cOrigin.start("a", (stream) => stream.respond({}, { endStream: true }));
    const proxy = await ProxyProcess.start({ services: { web: { endpoints: [origin.address] } } });
    const socket = connect({ port: proxy.port, host: "127.0.0.1" });
    await waitUntil("the server to have spoken", async () => (await proxy.metrics()).sum("tcp_read_bytes_total", { peer: "dst" }) >= 9);
    // Relayed, as anything that is no HTTP: Node's server answers the nonsense with its SETTINGS and a GOAWAY of its own.
    socket.write("\0\0\0\0 nonsense instead of a preface");
    const [first] = (await within("the server's bytes", once(socket, "data"))) as [Buffer];
    assert.equal(first[3], FrameType.SETTINGS);
    socket.destroy();
    await stopProxy(proxy);
    await origin.stop();
  });
});

describe("an endpoint of which nobody says what it speaks", () => {
  // A single connection closed before its SETTINGS made the endpoint HTTP/1 for good: every later request failed.
  it("is HTTP/2 all the same when its first connection is closed at once", async () => {
    const http2 = createHttp2Server((_, response) => response.end("new"));
    let accepted = 0;
    const front = createServer((socket: Socket) => {
      if (++accepted === 1) socket.destroy();
      else http2.emit("connection", socket);
    });
    front.listen(0, "127.0.0.1");
    await once(front, "listening");
    const address = `127.0.0.1:${(front.address() as AddressInfo).port}`;
    const proxy = await ProxyProcess.start({ services: { web: { endpoints: [address] } } });
    const client = new H2Client(proxy.port);
    for (let i = 0; i < 5; i++) assert.equal((await client.get("/")).body.toString(), "new", `request ${i}`);
    client.close();
    await stopProxy(proxy);
    front.close();
    http2.close();
  });

  // The request was sent along with the preface, handled, and sent again by HTTP/1 when the endpoint died before its SETTINGS.
  it("gets no request before it has sent SETTINGS, so that none is handled twice", async () => {
    let seen = Buffer.alloc(0);
    const s = await startRawOrigin(({ socket }) => {
      socket.on("data", (bytes: Buffer) => {
        seen = Buffer.concat([seen, bytes]);
        if (bytes.toString("latin1", 0, 3) === "PRI") setTimeout(() => socket.destroy(), 100);
        else socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
      });
    });
    const proxy = await ProxyProcess.start({ services: { web: { endpoints: [`127.0.0.1:${s.port}`] } } });
    const client = new H2Client(proxy.port);
    const answer = await client.request({ ":path": "/once", ":method": "POST" }, "body");
    assert.equal(answer.body.toString(), "ok");
    assert.equal(seen.toString("latin1").split("body").length - 1, 1, "the body came once");
    client.close();
    await stopProxy(proxy);
    await s.stop();
  });

  // Without a deadline for SETTINGS the client waited for ever.
  it("may be silent over the preface and speak HTTP/1", async () => {
    const s = await startRawOrigin(({ socket }) => {
      socket.on("data", (bytes: Buffer) => {
        if (bytes.toString("latin1", 0, 4) === "GET ") socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
      });
    });
    const proxy = await ProxyProcess.start({
      limits: { connectTimeoutMs: 300 },
      services: { web: { endpoints: [`127.0.0.1:${s.port}`] } },
    });
    const client = new H2Client(proxy.port);
    assert.equal((await client.get("/")).body.toString(), "ok");
    client.close();
    await stopProxy(proxy);
    await s.stop();
  });
});

describe("extended CONNECT", () => {
  const s = scenario(
    async () => ({
      web: await startOrigin((exchange) => exchange.reply(200, "no WebSocket")),
      bye: await startRawOrigin(({ socket }) => {
        socket.once("data", () => {
          socket.end("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nbye");
        });
      }),
    }),
    ({ web, bye }) => ({
      limits: { tunnelIdleTimeoutMs: 600, halfClosedIdleMs: 300 },
      services: { web: { endpoints: [`127.0.0.1:${web.port}`] }, bye: { endpoints: [`127.0.0.1:${bye.port}`] } },
    }),
  );

  function extended(authority: string, protocol: string): Buffer {
    const fields = [
      [":method", "CONNECT"],
      [":protocol", protocol],
      [":scheme", "http"],
      [":path", "/"],
      [":authority", authority],
    ] as const;
    return headers(1, block(fields));
  }

  // `Upgrade: h2c` is stripped from HTTP/1 requests; by this way it reached the origin, and with it a tunnel for unchecked requests.
  it("is for WebSocket only (RFC 8441, against h2c smuggling)", async () => {
    const client = await H2Peer.open({ port: s.port });
    client.send(extended("web", "h2c"));
    const { fields } = await client.expectHeaders(1);
    assert.deepEqual(fields[0], [":status", "501"]);
    assert.equal(s.origins.web.requests.length, 0);
    client.destroy();
  });

  // Nobody looked at streams that are tunnels: a silent one lived as long as its connection.
  it("ends when nothing comes and one side has ended", async () => {
    const client = await H2Peer.open({ port: s.port });
    client.send(extended("bye", "websocket"));
    const { fields } = await client.expectHeaders(1);
    assert.deepEqual(fields[0], [":status", "200"]);
    await client.expect("RST_STREAM", ({ type, streamId }) => type === FrameType.RST_STREAM && streamId === 1);
    client.destroy();
  });
});

describe("an upload that is answered early", () => {
  // What waited for the endpoint's credit waited for ever, with a stream of the connection and its memory.
  it("gives its stream and its bytes back", async () => {
    const server = await H2Server.start(async (peer) => {
      await peer.accept();
      for (;;) {
        const frame = await peer.next("a request", 60_000);
        if (frame === null) return;
        if (frame.fields) peer.send(headers(frame.streamId, block([[":status", "200"]]), { endStream: true }));
      }
    });
    const proxy = await ProxyProcess.start({ services: { web: { endpoints: [server.address], protocol: "http2" } } });
    for (let i = 0; i < 60; i++) {
      const client = await H2Peer.open({ port: proxy.port });
      const fields = [
        [":method", "POST"],
        [":scheme", "http"],
        [":path", "/"],
        [":authority", "web"],
      ] as const;
      client.send(headers(1, block(fields)), data(1, Buffer.alloc(14_000)), data(1, Buffer.alloc(14_000), { endStream: true }));
      assert.deepEqual((await client.expectHeaders(1)).fields[0], [":status", "200"]);
      client.destroy();
    }
    await waitUntil("nothing to be held", async () => (await held(proxy)).stream === 0);
    assert.equal(server.peers.length, 1, "streams were free again");
    await stopProxy(proxy);
    await server.stop();
  });
});
