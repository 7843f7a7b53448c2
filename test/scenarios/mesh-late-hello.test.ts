// A proxy of the mesh whose hello comes later than detectTimeoutMs, before a service that speaks first: the hello is never shown to the service, and the
// proxy that met the service's greeting instead of TLS comes again at once. On a busy machine that is the first connection of any two proxies.

import assert from "node:assert/strict";
import { once as onceEmitted } from "node:events";
import { type AddressInfo, connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { after, before, describe, it } from "node:test";
import { connect as connectTls } from "node:tls";
import { once, request } from "../support/client.ts";
import { MeshFiles, SERVER_NAME } from "../support/mesh-files.ts";
import { startApp } from "../support/origin-app.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { stopProxy } from "../support/scenario.ts";
import { waitUntil } from "../support/wait.ts";

const GREETING = "220 ready\r\n";
const LONG_MS = 60_000;
/** Several detectTimeoutMs. */
const LATE_MS = 200;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function listen(server: Server, port = 0, host = "127.0.0.1"): Promise<number> {
  server.listen(port, host);
  await onceEmitted(server, "listening");
  return (server.address() as AddressInfo).port;
}

function until(socket: Socket, said: string): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const onData = (bytes: Buffer): void => {
      text += bytes.toString("latin1");
      if (text.includes(said)) end();
    };
    const end = (): void => resolve(text);
    socket.on("data", onData).once("close", end).on("error", end);
  });
}

describe("a hello that comes late", () => {
  const files = new MeshFiles();
  /** What the service has read, by connection. */
  const heard: string[] = [];
  let service: Server;
  let web: Awaited<ReturnType<typeof startApp>>;
  let far: ProxyProcess;
  /** Stands before the far proxy and greets the first connection itself. */
  let greeter: Server;
  let greeted = 0;
  let near: ProxyProcess;

  before(async () => {
    service = createServer((socket) => {
      const at = heard.push("") - 1;
      socket.on("error", () => undefined);
      socket.write(GREETING);
      socket.on("data", (bytes) => {
        heard[at] += bytes.toString("latin1");
        if (heard[at]!.endsWith("quit\n")) socket.end("bye\r\n");
      });
    });
    web = await startApp({ name: "web" });
    const ports = { mail: { target: `127.0.0.1:${await listen(service)}` }, web: { target: web.address } };
    far = await ProxyProcess.start({ services: {}, inbound: { target: "127.0.0.1:1", ports }, identity: files.server });
  });
  after(async () => {
    if (near !== undefined) await stopProxy(near);
    await stopProxy(far);
    service.close();
    greeter?.close();
    await web.stop();
    files.remove();
  });

  /** The bytes of a hello for the far proxy. */
  async function hello(): Promise<Buffer> {
    return await new Promise((resolve) => {
      const below = new Duplex({ read: () => undefined, write: (bytes: Buffer) => resolve(bytes) });
      connectTls({ socket: below, servername: SERVER_NAME, rejectUnauthorized: false, minVersion: "TLSv1.3" }).on("error", () => undefined);
    });
  }

  it("is not for the service that has spoken meanwhile: the connection ends", async () => {
    const socket = connectTcp(far.listener("mail"), "127.0.0.1");
    assert.equal(await until(socket, GREETING), GREETING);
    const connection = heard.length - 1;
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.write(await hello());
    await closed;
    await pause(LATE_MS);
    assert.equal(heard[connection], "");
  });

  it("is waited for once a part of it is there: the service's word is not for whoever is in the middle of it", async () => {
    const bytes = await hello();
    const socket = connectTcp(far.listener("mail"), "127.0.0.1");
    socket.write(bytes.subarray(0, 40));
    await pause(LATE_MS);
    const answer = onceEmitted(socket, "data");
    socket.write(bytes.subarray(40));
    const [first] = (await answer) as [Buffer];
    // A handshake record: ServerHello.
    assert.equal(first[0], 0x16);
    socket.destroy();
  });

  it("does not keep a client of the service's own from speaking, late or not", async () => {
    const socket = connectTcp(far.listener("mail"), "127.0.0.1");
    assert.equal(await until(socket, GREETING), GREETING);
    socket.write("quit\n");
    assert.equal(await until(socket, "bye"), "bye\r\n");
  });

  for (const name of ["mail", "web"]) {
    it(`costs nothing where it met plain bytes: the next connection is made at once (${name})`, async () => {
      greeted = 0;
      greeter = createServer((socket) => {
        socket.on("error", () => undefined);
        if (greeted++ === 0) {
          socket.end(GREETING);
          return;
        }
        const through = connectTcp(far.listener(name), "127.0.0.1");
        through.on("error", () => socket.destroy());
        socket.pipe(through).pipe(socket);
      });
      // A tunnel is asked for by the port that the endpoint has.
      const port = await listen(greeter, far.listener(name), "127.0.0.2");
      const services = { it: { endpoints: [`127.0.0.2:${port}`], identity: SERVER_NAME } };
      near = await ProxyProcess.start({ services, listeners: { it: { service: "it" } }, identity: files.client });
      if (name === "web") {
        assert.equal((await once(near.listener("it"), request("GET", "/name"))).status, 200);
      } else {
        const socket = connectTcp(near.listener("it"), "127.0.0.1");
        assert.equal(await until(socket, GREETING), GREETING);
        socket.write("quit\n");
        assert.equal(await until(socket, "bye"), "bye\r\n");
      }
      assert.ok(greeted >= 2);
      await waitUntil("the first one in the log", () => near.log.includes("WEFT_MESH_PLAIN"));
      assert.equal((await near.metrics()).sum("mesh_tls_handshakes_total", { result: "failed", error: "mesh plain" }), 1);
      await stopProxy(near);
      greeter.close();
    });
  }

  it("may be that of the connection by which an endpoint is found to be back: it serves all the same", async () => {
    const passed = new Set<Socket>();
    let greets = 0;
    const start = async (port: number): Promise<number> => {
      greeter = createServer((socket) => {
        socket.on("error", () => undefined);
        if (greets > 0) {
          greets--;
          socket.end(GREETING);
          return;
        }
        const through = connectTcp(far.listener("web"), "127.0.0.1");
        through.on("error", () => socket.destroy());
        socket.on("close", () => through.destroy());
        passed.add(socket);
        socket.pipe(through).pipe(socket);
      });
      return await listen(greeter, port, "127.0.0.2");
    };
    const port = await start(far.listener("web"));
    const services = { it: { endpoints: [`127.0.0.2:${port}`], identity: SERVER_NAME } };
    near = await ProxyProcess.start({ services, listeners: { it: { service: "it" } }, identity: files.client });
    const status = async (): Promise<number> => (await once(near.listener("it"), request("GET", "/name"))).status;
    assert.equal(await status(), 200);
    // The endpoint goes. Requests went there lately: connections ask whether it is back, before a request does.
    greeter.close();
    for (const socket of passed) socket.destroy();
    await waitUntil("a connect that is refused", () => near.log.includes("ECONNREFUSED"), LONG_MS);
    greets = 1;
    await start(port);
    await waitUntil("the connection that met plain bytes", () => near.log.includes("WEFT_MESH_PLAIN"), LONG_MS);
    await waitUntil("an answer", async () => (await status()) === 200, LONG_MS);
    await stopProxy(near);
    greeter.close();
  });

  it("that never comes ends a connection whose client is silent, too, where nobody can be reached", async () => {
    const [dead] = [createServer()];
    const port = await listen(dead);
    dead.close();
    const services = { it: { endpoints: [`127.0.0.1:${port}`] } };
    near = await ProxyProcess.start({ services, listeners: { it: { service: "it" } }, limits: { headerDeadlineMs: 300 } });
    const socket = connectTcp(near.listener("it"), "127.0.0.1");
    assert.equal(await until(socket, "never"), "");
  });
});
