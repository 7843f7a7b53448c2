// Somebody at an endpoint of the mesh, or on the way to it, who answers the TLS handshake in plain bytes. What clients say never goes there, what
// is said there never reaches a client, and a client costs so many connects and no more. And the other way round: where the policy wants mesh TLS,
// a client that is silent is shown nothing of a service that speaks first, and may still begin its handshake.

import assert from "node:assert/strict";
import { once as onceEmitted } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { connect as connectTls } from "node:tls";
import { CONNECT_ATTEMPTS_MAX } from "../../src/workers/service.ts";
import { connect, request } from "../support/client.ts";
import { MeshFiles, SERVER_NAME } from "../support/mesh-files.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { stopProxy } from "../support/scenario.ts";
import { waitUntil, within } from "../support/wait.ts";

const LONG_MS = 60_000;
const SECRET = "a secret";
const EVIL = "evil";
const GREETING = "220 ready\r\n";

/** Record types that a client's handshake may have before it is done: ChangeCipherSpec, alert, handshake; not application data. */
const HANDSHAKE_RECORDS = [0x14, 0x15, 0x16];

const bytes = (...parts: readonly (string | number)[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : Buffer.of(part))));

/** HTTP/2: SETTINGS, and an answer to the first stream: `:status: 200`, then DATA. */
const HTTP2 = bytes(0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88, 0, 0, 4, 0, 1, 0, 0, 0, 1, EVIL);

const ANSWERS: Readonly<Record<string, Buffer>> = {
  "HTTP/1.1": bytes(`HTTP/1.1 200 OK\r\nContent-Length: ${EVIL.length}\r\n\r\n${EVIL}`),
  "HTTP/2": HTTP2,
  "a greeting": bytes(`220 ${EVIL}\r\n`),
  "a greeting shorter than a record's head": bytes("ok\n"),
  "an alert": bytes(0x15, 3, 3, 0, 2, 2, 40),
  "an alert that says goodbye, and HTTP/2": bytes(0x15, 3, 3, 0, 2, 1, 0, HTTP2.toString("latin1")),
  "a record of application data": bytes(0x17, 3, 3, 0, EVIL.length, EVIL),
  "a record that is no ServerHello": bytes(0x16, 3, 3, 0, 8, 14, 0, 0, 4, EVIL),
};

function recordTypes(received: Buffer): number[] {
  const types: number[] = [];
  for (let at = 0; at + 5 <= received.length; at += 5 + received.readUInt16BE(at + 3)) types.push(received[at]!);
  return types;
}

async function listen(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await onceEmitted(server, "listening");
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** An endpoint that answers like that, `isFirst` before anything is said to it, and remembers what it hears. */
class PlainEndpoint {
  readonly heard: Buffer[] = [];
  readonly #sockets: Socket[] = [];
  readonly #server: Server;

  constructor(answer: Buffer, isFirst: boolean) {
    this.#server = createServer((socket) => {
      const at = this.#sockets.push(socket) - 1;
      this.heard.push(Buffer.alloc(0));
      socket.on("error", () => undefined);
      if (isFirst) socket.write(answer);
      socket.on("data", (chunk: Buffer) => {
        if (!isFirst && this.heard[at]!.length === 0) socket.write(answer);
        this.heard[at] = Buffer.concat([this.heard[at]!, chunk]);
      });
    });
  }

  start(): Promise<string> {
    return listen(this.#server);
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

const KINDS = ["http", "opaque", "silent"] as const;

/** All that a client of this kind gets until its connection ends. */
async function answerTo(kind: (typeof KINDS)[number], port: number): Promise<string> {
  const wire = await connect(port);
  if (kind === "http") await wire.send(request("POST", "/", { Connection: "close" }, SECRET));
  if (kind === "opaque") await wire.send(`\0${SECRET}`);
  await wire.until("its end", () => wire.isEnded || wire.isClosed, LONG_MS);
  wire.destroy();
  return wire.take().toString("latin1");
}

describe("an endpoint of the mesh that answers in plain bytes", () => {
  let files: MeshFiles;
  before(() => {
    files = new MeshFiles();
  });
  after(() => files.remove());

  for (const [what, answer] of Object.entries(ANSWERS)) {
    it(`hears nothing of clients, and clients nothing of it: ${what}`, async () => {
      const endpoints = [new PlainEndpoint(answer, true), new PlainEndpoint(answer, false)];
      // Each client has a service of its own, so that none finds an endpoint that another has met.
      const services: Record<string, { endpoints: string[]; identity: string }> = {};
      for (const [index, endpoint] of endpoints.entries()) {
        const address = await endpoint.start();
        for (const kind of KINDS) services[`${kind}-${index}`] = { endpoints: [address], identity: SERVER_NAME };
      }
      const listeners = Object.fromEntries(Object.keys(services).map((service) => [service, { service }]));
      const near = await ProxyProcess.start({ services, listeners, identity: files.client, limits: { headerDeadlineMs: 1_000 } });
      try {
        await Promise.all(
          KINDS.flatMap((kind) =>
            endpoints.map(async (_, index) => {
              const said = await answerTo(kind, near.listener(`${kind}-${index}`));
              if (kind === "http") assert.match(said, /^HTTP\/1\.1 50[234] /);
              else assert.equal(said, "");
              assert.doesNotMatch(said, new RegExp(EVIL));
            }),
          ),
        );
        for (const { heard } of endpoints) {
          await waitUntil("a connection of each client", () => heard.length >= KINDS.length, LONG_MS);
          assert.ok(heard.length <= KINDS.length * CONNECT_ATTEMPTS_MAX, `${heard.length} connections`);
          for (const one of heard) {
            assert.equal(one.includes(SECRET), false);
            for (const type of recordTypes(one)) assert.ok(HANDSHAKE_RECORDS.includes(type), `a record of type ${type}`);
          }
        }
        assert.equal((await near.metrics()).sum("mesh_tls_handshakes_total", { direction: "outbound", result: "full" }), 0);
      } finally {
        await stopProxy(near);
        for (const endpoint of endpoints) endpoint.stop();
      }
    });
  }
});

describe("a service that speaks first, behind a policy that wants mesh TLS", () => {
  /** Several detectTimeoutMs. */
  const LATE_MS = 200;
  const files = new MeshFiles();
  let connections = 0;
  let service: Server;
  let far: ProxyProcess;
  before(async () => {
    service = createServer((socket) => {
      connections++;
      socket.on("error", () => undefined);
      socket.end(GREETING);
    });
    const inbound = { target: await listen(service), policy: "all-authenticated" };
    far = await ProxyProcess.start({ services: {}, inbound, identity: files.server });
  });
  after(async () => {
    await stopProxy(far);
    service.close();
    files.remove();
  });

  it("is not even asked for a client that is silent; mesh TLS may come late, and finds it", async () => {
    const wire = await connect(far.listener("inbound"));
    await new Promise((resolve) => setTimeout(resolve, LATE_MS));
    assert.equal(connections, 0);
    assert.equal(wire.buffered, 0);
    const { cert = "", key = "" } = files.client;
    const secured = connectTls({
      socket: wire.socket,
      servername: SERVER_NAME,
      cert: readFileSync(cert),
      key: readFileSync(key),
      rejectUnauthorized: false,
      minVersion: "TLSv1.3",
    });
    secured.on("error", () => undefined);
    const [greeting] = (await within("the greeting", onceEmitted(secured, "data"), LONG_MS)) as [Buffer];
    assert.equal(greeting.toString("latin1"), GREETING);
    assert.equal(connections, 1);
    secured.destroy();
  });
});
