// The `ws` package as client and server with the proxy between them.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { after, before, describe, it } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { ProxyProcess } from "../support/proxy-process.ts";
import { seededBuffer } from "../support/seeded-content.ts";
import { within } from "../support/wait.ts";

const LARGE_BYTES = 4 * 1024 * 1024;

let http: Server;
let proxy: ProxyProcess;

before(async () => {
  http = createServer();
  const sockets = new WebSocketServer({ server: http, perMessageDeflate: true, handleProtocols: () => "echo" });
  sockets.on("connection", (socket) => {
    socket.on("message", (data, isBinary) => {
      if (data.toString() === "close, please") socket.close(4001, "as asked");
      else socket.send(data as Buffer, { binary: isBinary });
    });
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const { port } = http.address() as { port: number };
  proxy = await ProxyProcess.start({ services: { web: { endpoints: [`127.0.0.1:${port}`] } } });
});

after(async () => {
  try {
    await proxy?.stop();
  } finally {
    http?.closeAllConnections();
    http?.close();
  }
});

async function open(): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/chat?room=1`, "echo");
  await within("the upgrade", once(socket, "open"));
  return socket;
}

async function shut(socket: WebSocket): Promise<[number, Buffer]> {
  const closed = once(socket, "close");
  socket.close(1000, "done");
  return (await within("the close", closed)) as [number, Buffer];
}

describe("ws through the proxy", () => {
  it("negotiates its subprotocol and closes with the code of either side", async () => {
    const socket = await open();
    assert.equal(socket.protocol, "echo");
    const closed = once(socket, "close");
    socket.send("close, please");
    const [code, reason] = (await within("the server's close", closed)) as [number, Buffer];
    assert.deepEqual([code, reason.toString()], [4001, "as asked"]);
    assert.deepEqual((await shut(await open()))[0], 1000);
  });

  it("echoes 5000 messages in order, sent without waiting", async () => {
    const socket = await open();
    const received: string[] = [];
    const all = new Promise<void>((resolve) => {
      socket.on("message", (data) => {
        received.push((data as Buffer).toString());
        if (received.length === 5_000) resolve();
      });
    });
    for (let i = 0; i < 5_000; i++) socket.send(`message ${i}`);
    await within("all echoes", all);
    assert.deepEqual(
      received,
      Array.from({ length: 5_000 }, (_, i) => `message ${i}`),
    );
    await shut(socket);
  });

  it("echoes 4 MB of binary", async () => {
    const socket = await open();
    const content = seededBuffer(1, LARGE_BYTES);
    const echo = once(socket, "message");
    socket.send(content);
    const [data, isBinary] = (await within("the echo", echo)) as [Buffer, boolean];
    assert.ok(isBinary && data.equals(content));
    await shut(socket);
  });

  it("answers pings through the tunnel", async () => {
    const socket = await open();
    const pong = once(socket, "pong");
    socket.ping("are you there");
    assert.equal(((await within("the pong", pong)) as [Buffer])[0].toString(), "are you there");
    await shut(socket);
  });

  it("holds 200 connections at once", async () => {
    const sockets = await Promise.all(Array.from({ length: 200 }, open));
    const echoes = sockets.map((socket) => once(socket, "message") as Promise<[Buffer]>);
    sockets.forEach((socket, i) => {
      socket.send(`from ${i}`);
    });
    const texts = (await within("all echoes", Promise.all(echoes))).map(([data]) => data.toString());
    assert.deepEqual(
      texts,
      sockets.map((_, i) => `from ${i}`),
    );
    await Promise.all(sockets.map(shut));
  });
});
