// WebSockets over HTTP/2 (RFC 8441): extended CONNECT by Node's client, to a WebSocket server that knows HTTP/1 alone.

import assert from "node:assert/strict";
import { once as event } from "node:events";
import { createServer, type Server } from "node:http";
import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from "node:http2";
import type { Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { type WebSocket, WebSocketServer } from "ws";
import { data, ErrorCode, headers, rstStream } from "../support/h2-frames.ts";
import { block, type Fields } from "../support/h2-hpack.ts";
import { answerOf, H2Client } from "../support/h2-client.ts";
import { H2Peer } from "../support/h2-peer.ts";
import { startRawOrigin } from "../support/origin.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { scenario, stopProxy } from "../support/scenario.ts";
import { seededBuffer } from "../support/seeded-content.ts";
import { Gate, waitUntil, within } from "../support/wait.ts";
import { Wire } from "../support/wire.ts";

const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

const REQUEST = { ":method": "CONNECT", ":protocol": "websocket", ":scheme": "http", "sec-websocket-version": "13" };

/** A frame of a client: whole, masked (RFC 6455 section 5.2). */
function masked(opcode: number, payload: Buffer): Buffer {
  const key = Buffer.from([0x12, 0x34, 0x56, 0x78]);
  const head = Buffer.alloc(10);
  head[0] = 0x80 | opcode;
  const size = payload.length < 126 ? 2 : payload.length < 65_536 ? 4 : 10;
  head[1] = 0x80 | (size === 2 ? payload.length : size === 4 ? 126 : 127);
  if (size === 4) head.writeUInt16BE(payload.length, 2);
  if (size === 10) head.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([head.subarray(0, size), key, payload.map((byte, i) => byte ^ key[i & 3]!)]);
}

/** One end of a tunnel: the stream of an extended CONNECT, as bytes. */
class Tunnel {
  readonly stream: ClientHttp2Stream;
  readonly wire: Wire;
  readonly head: IncomingHttpHeaders;

  private constructor(stream: ClientHttp2Stream, head: IncomingHttpHeaders) {
    this.stream = stream;
    this.wire = new Wire(stream as unknown as Socket);
    this.head = head;
  }

  static async open(client: H2Client, path: string, fields: Record<string, string> = {}): Promise<Tunnel> {
    await settled(client);
    const stream = client.open({ ...REQUEST, ":path": path, ...fields }, false);
    const [head] = (await within("the answer to CONNECT", event(stream, "response"))) as [IncomingHttpHeaders];
    return new Tunnel(stream, head);
  }

  send(opcode: number, payload: Buffer | string): void {
    this.stream.write(masked(opcode, Buffer.from(payload)));
  }

  /** The next frame of the server, which masks nothing and fragments nothing. */
  async frame(): Promise<{ opcode: number; payload: Buffer }> {
    const [first, second] = await this.wire.expectBytes(2);
    const length = second! & 0x7f;
    let size = length;
    if (length === 126) size = (await this.wire.expectBytes(2)).readUInt16BE();
    if (length === 127) size = Number((await this.wire.expectBytes(8)).readBigUInt64BE());
    return { opcode: first! & 0x0f, payload: await this.wire.expectBytes(size) };
  }
}

/** The proxy's SETTINGS have come: Node's client knows whether it may CONNECT. */
async function settled(client: H2Client): Promise<void> {
  await waitUntil("the proxy's SETTINGS", () => client.session.remoteSettings?.enableConnectProtocol === true);
}

describe("WebSocket over HTTP/2", () => {
  let http: Server;
  let proxy: ProxyProcess;
  let client: H2Client;
  const sockets: WebSocket[] = [];
  const keys: (string | undefined)[] = [];
  before(async () => {
    http = createServer((_, response) => response.end("page"));
    const server = new WebSocketServer({ server: http, path: "/chat", maxPayload: 8 * 1024 * 1024, handleProtocols: () => "echo" });
    server.on("connection", (socket, request) => {
      sockets.push(socket);
      keys.push(request.headers["sec-websocket-key"]);
      socket.on("message", (bytes, isBinary) => {
        if (String(bytes) === "close, please") socket.close(4001, "as asked");
        else socket.send(bytes as Buffer, { binary: isBinary });
      });
    });
    http.listen(0, "127.0.0.1");
    await event(http, "listening");
    proxy = await ProxyProcess.start({ services: { web: { endpoints: [`127.0.0.1:${(http.address() as { port: number }).port}`] } } });
    client = new H2Client(proxy.port);
  });
  after(async () => {
    client.close();
    await stopProxy(proxy);
    http.closeAllConnections();
    http.close();
  });

  it("announces it (SETTINGS_ENABLE_CONNECT_PROTOCOL, section 3)", async () => {
    await settled(client);
    assert.equal(client.session.remoteSettings.enableConnectProtocol, true);
  });

  it("answers 200, keeps the subprotocol, and translates the handshake (section 5)", async () => {
    const tunnel = await Tunnel.open(client, "/chat", { "sec-websocket-protocol": "echo", origin: "http://web" });
    assert.equal(tunnel.head[":status"], 200);
    assert.equal(tunnel.head["sec-websocket-protocol"], "echo");
    for (const name of ["sec-websocket-accept", "connection", "upgrade"]) assert.equal(tunnel.head[name], undefined, name);
    assert.equal(Buffer.from(keys.at(-1)!, "base64").length, 16);
    tunnel.stream.close(constants.NGHTTP2_CANCEL);
  });

  it("makes another key for each", async () => {
    const before = keys.length;
    const tunnels = await Promise.all([1, 2, 3].map(() => Tunnel.open(client, "/chat")));
    assert.equal(new Set(keys.slice(before)).size, 3);
    for (const { stream } of tunnels) stream.close(constants.NGHTTP2_CANCEL);
  });

  it("echoes messages of every size, in order", async () => {
    const tunnel = await Tunnel.open(client, "/chat");
    for (const size of [0, 1, 125, 126, 65_535, 65_536, 4_000_000]) {
      const sent = seededBuffer(size, size);
      tunnel.send(BINARY, sent);
      const { opcode, payload } = await tunnel.frame();
      assert.equal(opcode, BINARY);
      assert.ok(sent.equals(payload), `${size} bytes`);
    }
    tunnel.send(PING, "beat");
    const pong = await tunnel.frame();
    assert.deepEqual([pong.opcode, pong.payload.toString()], [PONG, "beat"]);
    tunnel.stream.close(constants.NGHTTP2_CANCEL);
  });

  it("serves fifty on one connection, requests beside them", async () => {
    const tunnels = await Promise.all(Array.from({ length: 50 }, () => Tunnel.open(client, "/chat")));
    for (const [i, tunnel] of tunnels.entries()) tunnel.send(TEXT, `from ${i}`);
    const answers = await Promise.all([...tunnels.map((tunnel) => tunnel.frame()), client.get("/page")]);
    for (const i of tunnels.keys()) assert.equal(String((answers[i] as { payload: Buffer }).payload), `from ${i}`);
    for (const { stream } of tunnels) stream.close(constants.NGHTTP2_CANCEL);
  });

  it("closes with the client's code: both ends of the stream end, and nothing is reset", async () => {
    const tunnel = await Tunnel.open(client, "/chat");
    const socket = sockets.at(-1)!;
    const closed = event(socket, "close");
    tunnel.send(CLOSE, Buffer.from([0x10, 0xe1]));
    assert.equal((await tunnel.frame()).opcode, CLOSE);
    await tunnel.wire.expectEnd();
    tunnel.stream.end();
    assert.equal((await within("the close at the server", closed))[0], 4321);
    if (!tunnel.stream.closed) await within("the end of the stream", event(tunnel.stream, "close"));
    assert.equal(tunnel.stream.rstCode, 0);
  });

  it("closes with the server's code", async () => {
    const tunnel = await Tunnel.open(client, "/chat");
    tunnel.send(TEXT, "close, please");
    const { opcode, payload } = await tunnel.frame();
    assert.deepEqual([opcode, payload.readUInt16BE(), payload.toString("utf8", 2)], [CLOSE, 4001, "as asked"]);
    tunnel.send(CLOSE, payload.subarray(0, 2));
    tunnel.stream.end();
    await tunnel.wire.expectEnd();
  });

  it("passes a refusal on, with its body, and the connection lives", async () => {
    await settled(client);
    const refused = client.open({ ...REQUEST, ":path": "/nowhere" }, false);
    const answer = await within("the refusal", answerOf(refused));
    assert.deepEqual([answer.status, answer.body.toString()], [400, "Bad Request"]);
    const tunnel = await Tunnel.open(client, "/chat");
    tunnel.send(TEXT, "still here");
    assert.equal((await tunnel.frame()).payload.toString(), "still here");
    tunnel.stream.close(constants.NGHTTP2_CANCEL);
  });

  it("closes the server's side when the client resets the stream", async () => {
    const tunnel = await Tunnel.open(client, "/chat");
    const closed = event(sockets.at(-1)!, "close");
    tunnel.stream.close(constants.NGHTTP2_CANCEL);
    await within("the close at the server", closed);
  });

  it("ends the client's stream when the server goes without a word", async () => {
    const tunnel = await Tunnel.open(client, "/chat");
    const closed = event(tunnel.stream, "close");
    sockets.at(-1)!.terminate();
    // A server that only stops sending leaves the client's half open.
    tunnel.stream.once("end", () => tunnel.stream.end());
    await within("the end of the stream", closed);
  });
});

describe("Upgrade by extended CONNECT, byte by byte", () => {
  let maySwitch = new Gate();
  const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  const heads: string[] = [];
  const s = scenario(
    async () => ({
      raw: await startRawOrigin(async (wire) => {
        for (;;) {
          await wire.until("a request or the end", () => wire.buffered > 0 || wire.isEnded, 60_000);
          if (wire.isEnded) return wire.endWrite();
          const head = await wire.expectUntil("\r\n\r\n");
          heads.push(head);
          if (head.startsWith("GET /plain")) await wire.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain");
          else if (head.startsWith("GET /silent")) await wire.until("the end", () => wire.isEnded, 60_000);
          else return tunnel(head);
        }
        async function tunnel(head: string): Promise<void> {
          // The client has seen this one when the gate opens: a round trip, in which bytes let through would have come.
          await wire.send("HTTP/1.1 103 Early Hints\r\n\r\n");
          await maySwitch.opened;
          await wire.send(`${SWITCH}early=${wire.buffered}\n`);
          if (head.startsWith("GET /leaves")) {
            await wire.send("server first");
            wire.endWrite();
            await wire.until("the client's end", () => wire.isEnded, 60_000);
            return;
          }
          for (;;) {
            await wire.until("tunnel bytes", () => wire.buffered > 0 || wire.isEnded, 60_000);
            if (wire.buffered > 0) await wire.send(wire.take());
            else break;
          }
          await wire.send("last words");
          wire.endWrite();
        }
      }),
    }),
    (o) => ({ services: { raw: { endpoints: [o.raw.address] } }, default: "raw" }),
  );

  const good: Fields = [
    [":method", "CONNECT"],
    [":protocol", "websocket"],
    [":scheme", "http"],
    [":path", "/tunnel"],
    [":authority", "raw"],
  ];

  async function openTunnel(client: H2Client, path = "/tunnel"): Promise<Tunnel> {
    maySwitch.open();
    const tunnel = await Tunnel.open(client, path);
    assert.equal(await tunnel.wire.expectUntil("\n"), "early=0\n");
    return tunnel;
  }

  it("lets no byte through before the 101, and loses none", async () => {
    maySwitch = new Gate();
    const client = new H2Client(s.port, "raw");
    await settled(client);
    const stream = client.open({ ...REQUEST, ":path": "/tunnel" }, false);
    const answered = event(stream, "response");
    stream.write("too early");
    await within("the 103", event(stream, "headers"));
    maySwitch.open();
    await within("the answer", answered);
    const wire = new Wire(stream as unknown as Socket);
    assert.equal(await wire.expectUntil("\n"), "early=0\n");
    assert.equal((await wire.expectBytes(9)).toString(), "too early");
    client.close();
  });

  it("sends the origin one GET with Host, Upgrade and Connection, and nothing of HTTP/2", async () => {
    const client = new H2Client(s.port, "raw");
    const tunnel = await openTunnel(client, "/tunnel?a=b");
    const head = heads.at(-1)!;
    assert.match(head, /^GET \/tunnel\?a=b HTTP\/1\.1\r\n/);
    for (const line of [/^host: raw\r$/im, /^upgrade: websocket\r$/im, /^connection: upgrade\r$/im, /^sec-websocket-version: 13\r$/im]) {
      assert.match(head, line);
    }
    assert.doesNotMatch(head, /^(:|transfer-encoding|content-length)/im);
    assert.equal(tunnel.head[":status"], 200);
    client.close();
  });

  it("half-closes each direction by itself: the client's first", async () => {
    const client = new H2Client(s.port, "raw");
    const tunnel = await openTunnel(client);
    const sent = seededBuffer(1, 500_000);
    tunnel.stream.end(sent);
    assert.ok(sent.equals(await tunnel.wire.expectBytes(sent.length)));
    assert.equal((await tunnel.wire.expectBytes(10)).toString(), "last words");
    await tunnel.wire.expectEnd();
    client.close();
  });

  it("half-closes each direction by itself: the server's first", async () => {
    const client = new H2Client(s.port, "raw");
    const tunnel = await openTunnel(client, "/leaves");
    const origin = s.origins.raw.connections.at(-1)!;
    assert.equal((await tunnel.wire.expectBytes(12)).toString(), "server first");
    await tunnel.wire.expectEnd();
    const sent = seededBuffer(2, 300_000);
    tunnel.stream.end(sent);
    await waitUntil("the client's bytes and its end", () => origin.isEnded && origin.buffered === sent.length);
    assert.ok(sent.equals(origin.take()));
    client.close();
  });

  it("closes the origin's connection when the client cancels before the answer", async () => {
    const client = new H2Client(s.port, "raw");
    await settled(client);
    const count = heads.length;
    const stream = client.open({ ...REQUEST, ":path": "/silent" }, false);
    stream.write("never seen");
    await waitUntil("the request at the origin", () => heads.length > count);
    const origin = s.origins.raw.connections.at(-1)!;
    stream.close(constants.NGHTTP2_CANCEL);
    await origin.finished();
    assert.equal(origin.buffered, 0);
    client.close();
  });

  // libuv refuses to reset what it is about to shut down, and Node's handle then took no close any more: each such stream cost a
  // descriptor for ever, and the worker that had one could not end.
  it("leaves no descriptor behind when a stream ends and is reset in one breath", async () => {
    const peer = await H2Peer.open({ port: s.port });
    const before = s.proxy.openDescriptors();
    maySwitch.open();
    for (let stream = 1; stream < 2 * 20; stream += 2) {
      peer.send(headers(stream, block(good)));
      await peer.expect("200", ({ fields }) => fields?.some(([name, value]) => name === ":status" && value === "200") ?? false);
      peer.send(data(stream, "", { endStream: true }), rstStream(stream, ErrorCode.CANCEL));
    }
    await waitUntil("all descriptors to be closed", () => s.proxy.openDescriptors() <= before);
    await Promise.all(s.origins.raw.connections.map((wire) => wire.finished()));
    peer.destroy();
  });

  it("takes 200 of an origin that does not switch for a failure: to HTTP/2 it would say that the tunnel is there", async () => {
    const client = new H2Client(s.port, "raw");
    await settled(client);
    const stream = client.open({ ...REQUEST, ":path": "/plain" }, false);
    const answer = await within("the answer", answerOf(stream));
    assert.equal(answer.status, 502);
    assert.match(String(answer.headers["l5d-proxy-error"]), /^\[WEFT_UPSTREAM_PROTOCOL\]/);
    assert.equal((await client.get("/plain")).body.toString(), "plain");
    client.close();
  });

  const without = (name: string): Fields => good.filter(([field]) => field !== name);
  const malformed: Readonly<Record<string, Fields>> = {
    ":protocol with GET": good.map(([name, value]) => [name, name === ":method" ? "GET" : value]),
    "no :scheme": without(":scheme"),
    "no :path": without(":path"),
    "no :authority": without(":authority"),
    "two :protocol": [...good, [":protocol", "websocket"]],
    "an empty :protocol": good.map(([name, value]) => [name, name === ":protocol" ? "" : value]),
    "a :protocol with CR LF": good.map(([name, value]) => [name, name === ":protocol" ? "a\r\nb: c" : value]),
    "an Upgrade field": [...good, ["upgrade", "websocket"]],
    "a Content-Length": [...good, ["content-length", "4"]],
  };
  for (const [what, fields] of Object.entries(malformed)) {
    it(`resets an extended CONNECT with ${what} (RFC 8441 section 4), and the origin hears nothing`, async () => {
      const count = heads.length;
      const peer = await H2Peer.open({ port: s.port });
      peer.send(headers(1, block(fields)), data(1, "x"));
      await peer.expectReset(1, ErrorCode.PROTOCOL_ERROR);
      assert.equal(heads.length, count);
      peer.destroy();
    });
  }
});
