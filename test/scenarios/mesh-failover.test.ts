// Replicas that each have a proxy beside them. The application of one goes and its proxy stays: what that proxy could not hand on is answered by
// another replica, whatever its method, and the application serves again when it is back.

import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { createServer as createTcpServer, type Server as TcpServer } from "node:net";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { connect, once, request } from "../support/client.ts";
import { H2Client } from "../support/h2-client.ts";
import { header, text } from "../support/http-lite.ts";
import { MeshFiles, SERVER_NAME } from "../support/mesh-files.ts";
import { freePorts } from "../support/ports.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { stopProxy } from "../support/scenario.ts";
import { waitUntil, within } from "../support/wait.ts";
import type { Wire } from "../support/wire.ts";

const LONG_MS = 60_000;
const CLIENTS = 8;
/** Of each replica, until what is under way is no matter of the start. */
const WARM = 50;
/** While one is gone. */
const ANSWERS = 1_000;
/** How many of those may have met the one that is gone: it pauses, and is tried by few. */
const MET_MAX = 300;
const BODY = "x".repeat(20_000);

/** Somebody's connection may have the port while the application is away. */
function listening(server: TcpServer, port: number): Promise<unknown> {
  const attempt = (): Promise<boolean> =>
    new Promise((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
  return waitUntil(`the port ${port}`, attempt, LONG_MS);
}

/** Says who it is and how long the body was. When it stops it takes nothing new, and answers what it has. */
class App {
  readonly name: string;
  readonly port: number;
  served = 0;
  #server: Server | null = null;

  constructor(name: string, port: number) {
    this.name = name;
    this.port = port;
  }

  async start(): Promise<this> {
    const server = createServer((request, response) => {
      let size = 0;
      request.on("data", (chunk: Buffer) => {
        size += chunk.length;
      });
      request.on("end", () => {
        this.served++;
        if (!server.listening) response.setHeader("connection", "close");
        response.setHeader("x-origin", this.name).end(`${request.method} ${size}`);
      });
    });
    await listening(server, this.port);
    this.#server = server;
    return this;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server?.listening === true) await new Promise((resolve) => server.close(resolve));
  }
}

describe("an application that is gone while its proxy stays", () => {
  let files: MeshFiles;
  let apps: App[];
  let fars: ProxyProcess[];
  let near: ProxyProcess;
  before(() => {
    files = new MeshFiles();
  });
  after(() => files.remove());
  beforeEach(async () => {
    const ports = await freePorts(2);
    apps = await Promise.all(ports.map((port, index) => new App(`app-${index}`, port).start()));
    fars = [];
    for (const port of ports)
      fars.push(await ProxyProcess.start({ services: {}, identity: files.server, inbound: { target: `127.0.0.1:${port}` } }));
    const endpoints = fars.map((far) => `127.0.0.1:${far.listener("inbound")}`);
    near = await ProxyProcess.start({
      services: { web: { endpoints, identity: SERVER_NAME, loadBalancer: "round-robin" } },
      identity: files.client,
    });
  });
  afterEach(async () => {
    try {
      await stopProxy(near);
      for (const far of fars) await stopProxy(far);
    } finally {
      for (const app of apps) await app.stop();
    }
  });

  /** Answers of proxies in their applications' place, as the near one counts them. */
  const met = async (): Promise<number> => (await near.metrics()).sum("outbound_http_peer_errors_total");

  it("costs no request under load, in HTTP/1.1 and HTTP/2, and serves again when it is back", async () => {
    const [gone, kept] = apps as [App, App];
    const outcomes: Record<string, number> = {};
    let answers = 0;
    let isOver = false;
    const count = (outcome: string): void => {
      answers++;
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    };
    const clients = Array.from({ length: CLIENTS }, async () => {
      const wire = await connect(near.port);
      while (!isOver) {
        await wire.send(request("GET", "/"));
        const response = await wire.expectResponse();
        count(`${response.status} ${text(response)}`);
      }
      wire.destroy();
    });
    const h2 = new H2Client(near.port);
    const streams = Array.from({ length: CLIENTS }, async () => {
      while (!isOver) {
        const { status, body } = await h2.get("/");
        count(`${status} ${body.toString()}`);
      }
    });
    const served = (app: App, more: number): Promise<unknown> => {
      const from = app.served;
      return waitUntil(`${app.name} to serve`, () => app.served >= from + more, LONG_MS);
    };
    await Promise.all([served(gone, WARM), served(kept, WARM)]);
    await gone.stop();
    const [before, metBefore] = [answers, await met()];
    await waitUntil("answers without it", () => answers >= before + ANSWERS, LONG_MS);
    const metThen = await met();
    await gone.start();
    await served(gone, WARM);
    isOver = true;
    await Promise.all([...clients, ...streams]);
    h2.close();
    assert.deepEqual(Object.keys(outcomes), ["200 GET 0"], JSON.stringify(outcomes));
    assert.ok(metThen > 0, "no request met the proxy of the one that was gone");
    assert.ok(metThen - metBefore <= MET_MAX, `${metThen - metBefore} of ${ANSWERS} met the one that was gone`);
  });

  const chunked = `POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n4e20\r\n${BODY}\r\n0\r\n\r\n`;
  for (const [what, ask] of [
    ["POST with a length", (): Promise<readonly string[]> => asked(request("POST", "/", {}, BODY))],
    ["POST in chunks", (): Promise<readonly string[]> => asked(chunked)],
    ["PATCH without a body", (): Promise<readonly string[]> => asked(request("PATCH", "/", {}, ""))],
    ["POST of HTTP/2", (): Promise<readonly string[]> => askedH2({ ":method": "POST" })],
    ["a gRPC call", (): Promise<readonly string[]> => askedH2({ ":method": "POST", "content-type": "application/grpc", te: "trailers" })],
  ] as const) {
    it(`loses no ${what}: all of it goes to the other one`, async () => {
      const [gone, kept] = apps as [App, App];
      await gone.stop();
      let before = await met();
      // The one that is gone pauses, and is asked again: three times by a request like this.
      for (let times = 0; times < 3; times++) {
        await waitUntil(
          "a request that met it",
          async () => {
            const [status, origin, said] = await ask();
            assert.deepEqual([status, origin], ["200", kept.name]);
            assert.equal(said, what.startsWith("PATCH") ? "PATCH 0" : `POST ${BODY.length}`);
            return (await met()) > before;
          },
          LONG_MS,
        );
        before = await met();
      }
    });
  }

  async function asked(bytes: string): Promise<readonly string[]> {
    const answer = await once(near.port, bytes);
    return [String(answer.status), header(answer, "x-origin") ?? "-", text(answer)];
  }

  async function askedH2(headers: Readonly<Record<string, string>>): Promise<readonly string[]> {
    const client = new H2Client(near.port);
    const answer = await client.request({ ":path": "/", ...headers }, BODY);
    client.close();
    return [String(answer.status), String(answer.headers["x-origin"] ?? "-"), answer.body.toString()];
  }

  it("with the other one gone, too, is what the client hears, after three tries at most; and no longer when one is back", async () => {
    for (const app of apps) await app.stop();
    for (let i = 0; i < 5; i++) {
      const before = await met();
      assert.equal((await once(near.port, request("POST", "/", {}, BODY))).status, 502);
      const tries = (await met()) - before;
      // The first one's pause may be over when the second has said the same.
      assert.ok(tries >= 1 && tries <= 3, `${tries} tries`);
    }
    await apps[0]!.start();
    await waitUntil("an answer", async () => (await once(near.port, request("GET", "/"))).status === 200, LONG_MS);
  });
});

describe("an opaque application that is gone while its proxy stays", () => {
  it("costs no connection: the other replica has it", async () => {
    const files = new MeshFiles();
    const [one, two] = await freePorts(2);
    const start = async (port: number): Promise<TcpServer> => {
      const server = createTcpServer((socket) => {
        socket.on("error", () => undefined);
        socket.write(`${port}`);
        socket.pipe(socket);
      });
      await listening(server, port);
      return server;
    };
    const servers = [await start(one!), await start(two!)];
    const fars: ProxyProcess[] = [];
    for (const port of [one!, two!]) {
      const inbound = { target: `127.0.0.1:${port}`, protocol: "opaque" };
      fars.push(await ProxyProcess.start({ services: {}, identity: files.server, inbound }));
    }
    const endpoints = fars.map((far) => `127.0.0.1:${far.listener("inbound")}`);
    const near = await ProxyProcess.start({
      services: { echo: { endpoints, identity: SERVER_NAME, loadBalancer: "round-robin" } },
      listeners: { echo: { service: "echo", protocol: "opaque" } },
      identity: files.client,
    });
    /** The port of the application that has the connection. */
    const ask = async (): Promise<number> => {
      const wire: Wire = await connect(near.listener("echo"));
      await wire.send("#hello");
      const said = await within("its echo", wire.expectUntil("#hello"));
      wire.endWrite();
      await wire.expectEnd();
      return Number(said.replace("#hello", ""));
    };
    try {
      const asked = new Set<number>();
      await waitUntil("both to be asked", async () => asked.add(await ask()).size === 2, LONG_MS);
      await new Promise((resolve) => servers[0]!.close(resolve));
      const before = near.log.length;
      for (let i = 0; i < 40; i++) assert.equal(await ask(), two);
      assert.doesNotMatch(near.log.slice(before), /WEFT_FAIL_FAST/);
      servers[0] = await start(one!);
      await waitUntil("the first one to be asked again", async () => (await ask()) === one, LONG_MS);
    } finally {
      await stopProxy(near);
      for (const far of fars) await stopProxy(far);
      for (const server of servers) server.close();
      files.remove();
    }
  });
});
