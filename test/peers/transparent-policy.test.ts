// Transparent mode when rules of ports come and go while redirected connections are open: the policy of the port that a connection was made to counts,
// as it is now.
//
//   test => way in => client 10.78.0.1  ---wire---  proxy (4143) => 10.78.0.2:8080 (HTTP), :8081 (bytes come back)

import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, chownSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type { ClientHttp2Stream } from "node:http2";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { TLSSocket } from "node:tls";
import { request } from "../support/client.ts";
import { H2Client } from "../support/h2-client.ts";
import { MeshAuthority } from "../support/mesh-certificates.ts";
import { connectMesh } from "../support/mesh-client.ts";
import { Metrics } from "../support/metrics.ts";
import { headerFor, OPAQUE, TRANSPORT_ALPN } from "../support/transport-header.ts";
import { waitUntil, within } from "../support/wait.ts";
import { Wire } from "../support/wire.ts";
import { Namespace, NODE, PROXY_UID, WEFT } from "./support/namespaces.ts";

/** Nothing here is about how long something takes. */
const PATIENCE_MS = 60_000;

const HOST = "10.78.0.2";
const HTTP = 8080;
const ECHO = 8081;
/** Without rules but for one reload each: whether that reload has come is seen there. */
const MARKS_FROM = 9100;

/** No beginning of an HTTP method: opaque at once. */
const BYTES = Buffer.from([0, 1, 2, 3]);

const authority = new MeshAuthority();
const identity = authority.files("web");
const folder = mkdtempSync(join(tmpdir(), "weft-transparent-"));
const wayIn = join(folder, "way-in");
let client: Namespace;
let server: Namespace;
let marks = MARKS_FROM;

function configure(policy: string, ports: readonly object[]): void {
  const spec = {
    workers: 1,
    identity: identity.paths,
    inbound: { listen: "[::]:4143", transparent: true, policy, ports },
    outbound: { listen: "off" },
  };
  const document = { apiVersion: "weft.dev/v1alpha1", kind: "Proxy", metadata: { name: "server", namespace: "shop" }, spec };
  const path = join(folder, "proxy.yaml");
  writeFileSync(`${path}.new`, JSON.stringify(document));
  renameSync(`${path}.new`, path);
}

const both = (policy: string): readonly object[] => [HTTP, ECHO].map((port) => ({ port, policy }));

/** A connection that the client made, redirected to the proxy. */
async function open(port: number): Promise<Socket> {
  const socket = connect({ path: wayIn, allowHalfOpen: true });
  await within("the way in", once(socket, "connect"), PATIENCE_MS);
  socket.write(`${HOST} ${port}\n`);
  return socket;
}

async function openMesh(port: number, protocol: string): Promise<TLSSocket> {
  return await connectMesh(authority, await open(port), protocol);
}

async function ask(wire: Wire): Promise<number> {
  await wire.send(request("GET", "/"));
  return (await wire.expectResponse({}, PATIENCE_MS)).status;
}

async function statusOf(http2: H2Client): Promise<number> {
  return (await http2.get("/")).status;
}

/** Another policy, at a port of its own, shows in an answer when the configuration has come to the worker. */
async function reload(policy: string, ports: readonly object[]): Promise<void> {
  const mark = marks++;
  configure(policy, [...ports, { port: mark, policy: policy === "deny" ? "all-unauthenticated" : "deny" }]);
  const wanted = policy === "deny" ? 502 : 403;
  await waitUntil(
    "the reload",
    async () => {
      const wire = new Wire(await open(mark));
      const status = await ask(wire);
      wire.destroy();
      return status === wanted;
    },
    PATIENCE_MS,
  );
}

async function opaque(): Promise<Wire> {
  const wire = new Wire(await open(ECHO));
  await echo(wire);
  return wire;
}

async function echo(wire: Wire): Promise<void> {
  await wire.send(BYTES);
  assert.deepEqual(await wire.expectBytes(BYTES.length, PATIENCE_MS), BYTES);
}

class Tunnel {
  readonly #stream: ClientHttp2Stream;
  #echoed = 0;
  isClosed = false;

  constructor(http2: H2Client) {
    this.#stream = http2.session.request({ ":method": "CONNECT", ":authority": `x:${ECHO}` }, { endStream: false });
    this.#stream.on("error", () => {});
    this.#stream.on("close", () => {
      this.isClosed = true;
    });
    this.#stream.on("data", (data: Buffer) => {
      this.#echoed += data.length;
    });
  }

  async echo(): Promise<void> {
    const wanted = this.#echoed + BYTES.length;
    this.#stream.write(BYTES);
    await waitUntil("the echo through the tunnel", () => this.#echoed === wanted, PATIENCE_MS);
  }
}

async function terminated(): Promise<number> {
  const { stdout } = await server.runAsync("curl", "--silent", "--show-error", "http://127.0.0.1:4191/metrics");
  return new Metrics(stdout).sum("inbound_tcp_authz_terminate_total");
}

async function listening(namespace: Namespace, ...command: readonly string[]): Promise<void> {
  const child = namespace.start({}, command);
  await new Promise((resolve, reject) => {
    child.stdout!.once("data", resolve);
    child.once("exit", () => reject(new Error(`${command.join(" ")} did not start`)));
  });
}

before(async () => {
  client = Namespace.create("policy-client");
  server = Namespace.create("policy-server");
  Namespace.join(client, ["10.78.0.1/24"], server, [`${HOST}/24`]);
  // The proxy runs as another user.
  chmodSync(folder, 0o755);
  const identityFolder = dirname(identity.paths.key);
  for (const path of [identityFolder, ...readdirSync(identityFolder).map((name) => join(identityFolder, name))])
    chownSync(path, PROXY_UID, PROXY_UID);
  await listening(server, NODE, "/mnt/test/peers/support/keeping-server.ts", String(HTTP), String(ECHO));
  await listening(client, NODE, "/mnt/test/peers/support/way-in.ts", wayIn);
  configure("all-unauthenticated", []);
  let log = "";
  const proxy = server.start({}, [NODE, WEFT, "proxy", "--config", join(folder, "proxy.yaml")], PROXY_UID);
  for (const stream of [proxy.stdout!, proxy.stderr!]) stream.on("data", (chunk: Buffer) => (log += chunk.toString("utf8")));
  await waitUntil(
    "the proxy to be ready",
    () => {
      if (proxy.exitCode !== null) throw new Error(`the proxy ended with ${proxy.exitCode}\n${log}`);
      return server.run("curl", "--silent", "--fail", "http://127.0.0.1:4191/ready").code === 0;
    },
    PATIENCE_MS,
  );
  const init = server.run(NODE, WEFT, "init");
  assert.equal(init.code, 0, init.stderr);
});

after(async () => {
  await client?.destroy();
  await server?.destroy();
  identity.remove();
  rmSync(folder, { recursive: true, force: true });
});

describe("redirected connections that are open when rules for their port change", () => {
  let http1: Wire;
  let http2: H2Client;
  let mesh: H2Client;
  let meshTunnels: H2Client;
  let wire: Wire;
  let tunnel: Tunnel;

  before(async () => {
    http1 = new Wire(await open(HTTP));
    http2 = new H2Client(await open(HTTP));
    mesh = new H2Client(await openMesh(HTTP, "h2"));
    meshTunnels = new H2Client(await openMesh(ECHO, "h2"));
    wire = await opaque();
    tunnel = new Tunnel(meshTunnels);
    await tunnel.echo();
  });

  after(() => {
    for (const each of [http1, wire]) each?.destroy();
    for (const each of [http2, mesh, meshTunnels]) each?.close();
  });

  const statuses = async (): Promise<readonly number[]> => [await ask(http1), await statusOf(http2), await statusOf(mesh)];

  it("stay when no policy changes", async () => {
    assert.deepEqual(await statuses(), [200, 200, 200]);
    await reload("all-unauthenticated", []);
    // Rules that admit the same clients.
    await reload("all-unauthenticated", both("all-unauthenticated"));
    await reload("all-unauthenticated", []);
    await echo(wire);
    await tunnel.echo();
    assert.deepEqual(await statuses(), [200, 200, 200]);
    assert.equal(await terminated(), 0);
  });

  it("are judged by the rules that their port gets, and by those as they change", async () => {
    const underWay = http2.open({ ":method": "POST", ":path": "/" }, false);
    const [head] = (await within("the answer's head", once(underWay, "response"), PATIENCE_MS)) as [Record<string, number>];
    assert.equal(head[":status"], 200);
    await reload("all-unauthenticated", both("all-authenticated"));
    await wire.expectClosed(PATIENCE_MS);
    await tunnel.echo();
    assert.deepEqual(await statuses(), [403, 403, 200]);
    // A request that was admitted ends as it began.
    const ended = once(underWay, "close");
    underWay.resume();
    underWay.end();
    await within("the end of the request", ended, PATIENCE_MS);
    assert.equal(underWay.rstCode, 0);

    await reload("all-unauthenticated", both("deny"));
    await waitUntil("the end of the tunnel", () => tunnel.isClosed, PATIENCE_MS);
    assert.deepEqual(await statuses(), [403, 403, 403]);
    assert.equal(await terminated(), 2);
  });

  it("are judged by the listener's policy when their port loses its rules", async () => {
    await reload("all-unauthenticated", both("deny"));
    assert.deepEqual(await statuses(), [403, 403, 403]);
    await reload("all-unauthenticated", []);
    assert.deepEqual(await statuses(), [200, 200, 200]);

    await reload("deny", both("all-unauthenticated"));
    const before = await terminated();
    const open = await opaque();
    const through = new Tunnel(meshTunnels);
    await through.echo();
    await reload("deny", []);
    await open.expectClosed(PATIENCE_MS);
    await waitUntil("the end of the tunnel", () => through.isClosed, PATIENCE_MS);
    assert.deepEqual(await statuses(), [403, 403, 403]);

    // Once more: what the port gets and loses is what it had before.
    await reload("deny", both("all-unauthenticated"));
    assert.deepEqual(await statuses(), [200, 200, 200]);
    const again = await opaque();
    await reload("deny", []);
    await again.expectClosed(PATIENCE_MS);
    assert.deepEqual(await statuses(), [403, 403, 403]);
    assert.equal(await terminated(), before + 3);
    for (const each of [open, again]) each.destroy();
  });

  it("reach no other port by the rules of the one that they came in at", async () => {
    await reload("deny", [{ port: ECHO, policy: "all-unauthenticated" }]);
    const wire = new Wire(await openMesh(ECHO, TRANSPORT_ALPN));
    await wire.send(headerFor(HTTP, OPAQUE));
    await wire.send(request("GET", "/"));
    await wire.expectClosed(PATIENCE_MS);
    assert.equal(wire.bytesReceived, 0);
    wire.destroy();
    const own = new Wire(await openMesh(ECHO, TRANSPORT_ALPN));
    await own.send(headerFor(ECHO, OPAQUE));
    await echo(own);
    own.destroy();
  });
});
