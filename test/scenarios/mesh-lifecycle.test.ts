// Two proxies of a mesh that carry much, end, or are killed: no request is lost over a drain, and nothing that broke looks complete.

import assert from "node:assert/strict";
import { once as event } from "node:events";
import { createServer } from "node:http";
import { after, before, describe, it } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { connect, request } from "../support/client.ts";
import { header, text } from "../support/http-lite.ts";
import { MeshFiles, SERVER_NAME } from "../support/mesh-files.ts";
import type { Origin } from "../support/origin.ts";
import { startApp } from "../support/origin-app.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { stopProxy } from "../support/scenario.ts";
import { seededBuffer } from "../support/seeded-content.ts";
import { waitUntil, within } from "../support/wait.ts";
import type { Wire } from "../support/wire.ts";

const CLIENTS = 32;
const REQUESTS = 10_000;

describe("a pair of proxies", () => {
  let app: Origin;
  let files: MeshFiles;
  before(async () => {
    app = await startApp({ name: "app" });
    files = new MeshFiles();
  });
  after(async () => {
    await app.stop();
    files.remove();
  });

  const startSecond = (target = app.address): Promise<ProxyProcess> =>
    ProxyProcess.start({ services: {}, identity: files.server, inbound: { target } });
  const startFirst = (...seconds: readonly ProxyProcess[]): Promise<ProxyProcess> => {
    const endpoints = seconds.map((second) => `127.0.0.1:${second.listener("inbound")}`);
    return ProxyProcess.start({ services: { web: { endpoints, identity: SERVER_NAME } }, identity: files.client });
  };

  /** Clients ask again and again until `isOver`, or until nobody listens any more. Gives how many answers of each kind there were. */
  async function load(port: number, isOver: (answers: number) => boolean): Promise<Record<string, number>> {
    const outcomes: Record<string, number> = {};
    let answers = 0;
    const client = async (): Promise<void> => {
      let wire: Wire | null = null;
      while (!isOver(answers)) {
        wire ??= await connect(port).catch(() => null);
        if (wire === null) return;
        await wire.send(request("GET", "/name"));
        const response = await wire.expectResponse();
        answers++;
        const outcome = `${response.status} ${text(response)}`;
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
        if (header(response, "connection") !== "close") continue;
        wire.destroy();
        wire = null;
      }
      wire?.destroy();
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    return outcomes;
  }

  it(`answers ${REQUESTS} requests, each of them well`, async () => {
    const second = await startSecond();
    const first = await startFirst(second);
    assert.deepEqual(Object.keys(await load(first.port, (answers) => answers >= REQUESTS)), ["200 app"]);
    await stopProxy(first);
    await stopProxy(second);
  });

  it("loses no request when the first proxy ends", async () => {
    const second = await startSecond();
    const first = await startFirst(second);
    const asked = app.requests.length;
    const outcomes = load(first.port, () => first.hasExited);
    await waitUntil("requests", () => app.requests.length > asked + 200);
    first.signal("SIGTERM");
    assert.deepEqual(Object.keys(await outcomes), ["200 app"]);
    await waitUntil("its end", () => first.hasExited);
    assert.equal(first.exitCode, 0);
    first.kill();
    await stopProxy(second);
  });

  it("loses no request when one of two second proxies ends", async () => {
    const [one, two] = [await startSecond(), await startSecond()];
    const first = await startFirst(one, two);
    const asked = app.requests.length;
    let answersAtEnd = Number.POSITIVE_INFINITY;
    const outcomes = load(first.port, (answers) => {
      if (one.hasExited) answersAtEnd = Math.min(answersAtEnd, answers);
      return answers > answersAtEnd + 500;
    });
    await waitUntil("requests", () => app.requests.length > asked + 200);
    one.signal("SIGTERM");
    assert.deepEqual(Object.keys(await outcomes), ["200 app"]);
    assert.equal(one.exitCode, 0);
    one.kill();
    await stopProxy(first);
    await stopProxy(two);
  });

  for (const [what, target, complete] of [
    ["with a length", "/bytes/50000000/1", /after \d+ body bytes/],
    ["in chunks", "/chunked/50000000/1", /after \d+ body bytes/],
  ] as const) {
    it(`shows a client that its body ${what} is not whole when the second proxy is killed`, async () => {
      const second = await startSecond();
      const first = await startFirst(second);
      const wire = await connect(first.port);
      await wire.send(request("GET", target));
      await wire.until("some of it", () => wire.bytesReceived > 100_000);
      wire.pause();
      second.signal("SIGKILL");
      await waitUntil("its death", () => second.hasExited);
      wire.resume();
      await assert.rejects(wire.expectResponse({ hashOnly: true }), complete);
      wire.destroy();
      second.kill();
      await stopProxy(first);
    });
  }

  it("carries WebSockets: messages up to 4 MB, pings, close codes of both sides", async () => {
    const http = createServer();
    const server = new WebSocketServer({ server: http, maxPayload: 8 * 1024 * 1024 });
    const closed: number[] = [];
    server.on("connection", (socket) => {
      socket.on("close", (code) => closed.push(code));
      socket.on("message", (bytes: Buffer, isBinary) => {
        if (bytes.toString("latin1", 0, 5) === "close") socket.close(4001, "as asked");
        else socket.send(bytes, { binary: isBinary });
      });
    });
    http.listen(0, "127.0.0.1");
    await event(http, "listening");
    const second = await startSecond(`127.0.0.1:${(http.address() as { port: number }).port}`);
    const first = await startFirst(second);
    const open = async (): Promise<WebSocket> => {
      const socket = new WebSocket(`ws://127.0.0.1:${first.port}/chat`, { maxPayload: 8 * 1024 * 1024 });
      await within("the WebSocket", event(socket, "open"));
      return socket;
    };
    const sockets = await Promise.all([open(), open(), open()]);
    await Promise.all(
      sockets.map(async (socket, index) => {
        const pong = event(socket, "pong");
        socket.ping("are you there");
        assert.equal(String((await within("the pong", pong))[0]), "are you there");
        for (const size of [0, 1, 125, 126, 65_536, 4 * 1024 * 1024]) {
          const sent = seededBuffer(index + size, size);
          const answer = event(socket, "message");
          socket.send(sent);
          assert.ok(sent.equals((await within(`${size} bytes`, answer))[0] as Buffer));
        }
      }),
    );
    const [mine, theirs, gone] = sockets;
    const [asked, told] = [event(mine!, "close"), event(theirs!, "close")];
    mine!.close(4321, "bye");
    theirs!.send("close, please");
    assert.equal((await within("our close", asked))[0], 4321);
    assert.equal((await within("their close", told))[0], 4001);
    gone!.terminate();
    await waitUntil("all to be closed at the server", () => closed.length === 3);
    assert.deepEqual(closed.toSorted(), [1006, 4001, 4321]);
    assert.equal((await second.metrics()).sum("tcp_open_total", { peer: "src", direction: "inbound" }), 1);
    await stopProxy(first);
    await stopProxy(second);
    http.closeAllConnections();
    http.close();
  });
});
