// Few connections between two proxies, kept warm: no handshake after a pause, another connection before the next request asks for one, and
// a peer that is dead noticed by PING. Between the proxies stands a relay of the test's, which can fall silent or break.

import assert from "node:assert/strict";
import { connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { connect, once, request } from "../support/client.ts";
import { text } from "../support/http-lite.ts";
import { MeshFiles, SERVER_NAME } from "../support/mesh-files.ts";
import type { Origin } from "../support/origin.ts";
import { startApp } from "../support/origin-app.ts";
import { startOrigin } from "../support/origin.ts";
import type { ProxyOptions } from "../support/proxy-config.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { stopProxy } from "../support/scenario.ts";
import { Gate, waitUntil } from "../support/wait.ts";

type Limits = NonNullable<ProxyOptions["limits"]>;

/** What a proxy did before: a pause longer than this closed what was idle. */
const OLD_IDLE: Limits = { idleTimeoutMs: 300, upstreamIdleTimeoutMs: 300 };

/** Longer than that several times over. */
const PAUSE_MS = 1500;

/** Soon tried again; a handshake on a busy machine takes its time. */
const RETRY: Limits = { connectTimeoutMs: 3_000, reconnectBackoffMinMs: 50, reconnectBackoffMaxMs: 300 };

/** And soon noticed. */
const QUICK: Limits = { ...RETRY, meshPingIntervalMs: 200, meshPingTimeoutMs: 600 };

const LONG_MS = 60_000;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** TCP both ways to a port, until it is told to lose what is open, or to swallow everything. */
class Way {
  #server: Server;
  readonly #sockets = new Set<Socket>();
  #isSilent = false;
  /** Connections that came. */
  count = 0;

  private constructor(to: number) {
    this.#server = createServer({ noDelay: true }, (near) => {
      this.count++;
      const far = connectTcp({ port: to, host: "127.0.0.1", noDelay: true });
      for (const [from, into] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from);
        if (this.#isSilent) from.pause();
        from.on("data", (bytes: Buffer) => into.write(bytes));
        from.on("end", () => into.end());
        from.on("error", () => into.destroy());
        from.on("close", () => {
          this.#sockets.delete(from);
          into.destroy();
        });
      }
    });
  }

  /** On another address and the same port: a tunnel asks for the port that was dialled. */
  static async to(port: number): Promise<Way> {
    const way = new Way(port);
    await new Promise<void>((resolve, reject) => {
      way.#server.once("error", reject);
      way.#server.listen(port, "127.0.0.2", resolve);
    });
    return way;
  }

  get address(): string {
    return `127.0.0.2:${(this.#server.address() as { port: number }).port}`;
  }

  /** Connections stay, and not a byte passes, nor the end of one. */
  fallSilent(): void {
    this.#isSilent = true;
    for (const socket of this.#sockets) socket.pause();
  }

  speak(): void {
    this.#isSilent = false;
    for (const socket of this.#sockets) socket.resume();
  }

  breakAll(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

describe("connections between two proxies", () => {
  let app: Origin;
  let files: MeshFiles;
  let proxies: ProxyProcess[];
  let ways: Way[];
  before(async () => {
    app = await startApp({ name: "app" });
    files = new MeshFiles();
  });
  after(async () => {
    files.remove();
    await app.stop();
  });
  beforeEach(() => {
    proxies = [];
    ways = [];
  });
  // What was begun last ends first: clients before what stands behind them.
  afterEach(async () => {
    try {
      for (const proxy of proxies.toReversed()) await stopProxy(proxy);
    } finally {
      for (const way of ways) await way.stop();
    }
  });

  async function start(options: ProxyOptions): Promise<ProxyProcess> {
    const proxy = await ProxyProcess.start(options);
    proxies.push(proxy);
    return proxy;
  }
  const startFar = (limits: Limits = {}, target = app.address): Promise<ProxyProcess> =>
    start({ services: {}, identity: files.server, inbound: { target }, limits });
  const startNear = (endpoints: readonly string[], limits: Limits = {}): Promise<ProxyProcess> =>
    start({ services: { web: { endpoints, identity: SERVER_NAME, loadBalancer: "round-robin" } }, identity: files.client, limits });
  const addressOf = (far: ProxyProcess): string => `127.0.0.1:${far.listener("inbound")}`;
  async function wayTo(far: ProxyProcess): Promise<Way> {
    const way = await Way.to(far.listener("inbound"));
    ways.push(way);
    return way;
  }

  const handshakes = async (far: ProxyProcess): Promise<number> =>
    (await far.metrics()).sum("mesh_tls_handshakes_total", { direction: "inbound", result: "full" });
  const openAt = async (far: ProxyProcess): Promise<number> => (await far.metrics()).sum("tcp_open_connections", { peer: "src" });
  const silent = async (near: ProxyProcess): Promise<number> =>
    (await near.metrics()).sum("outbound_tcp_errors_total", { error: "mesh silent" });
  async function ask(near: ProxyProcess): Promise<void> {
    const answer = await once(near.port, request("GET", "/name"));
    assert.deepEqual([answer.status, text(answer)], [200, "app"]);
  }

  it("survive a pause: the first request after it pays no handshake", async () => {
    const far = await startFar(OLD_IDLE);
    const near = await startNear([addressOf(far)], { ...OLD_IDLE, meshPingIntervalMs: 200 });
    await ask(near);
    await pause(PAUSE_MS);
    assert.equal(await openAt(far), 1);
    await ask(near);
    assert.equal(await handshakes(far), 1);
  });

  it("end when nobody has used them for meshIdleTimeoutMs, and none takes their place", async () => {
    const far = await startFar();
    const near = await startNear([addressOf(far)], { ...OLD_IDLE, meshIdleTimeoutMs: 800 });
    await ask(near);
    await waitUntil("the end of the idle connection", async () => (await openAt(far)) === 0, LONG_MS);
    await pause(PAUSE_MS);
    assert.equal(await handshakes(far), 1);
    await ask(near);
    assert.equal(await handshakes(far), 2);
  });

  it("are more than one only under load: the last one is kept", async () => {
    const gate = new Gate();
    const slow = await startOrigin(async (x) => {
      await gate.opened;
      await x.reply(200, "app");
    });
    const far = await startFar({ http2StreamsMax: 2 }, slow.address);
    const near = await startNear([addressOf(far)], OLD_IDLE);
    const answers = Array.from({ length: 8 }, () => ask(near));
    await waitUntil("four connections", async () => (await openAt(far)) === 4, LONG_MS);
    gate.open();
    await Promise.all(answers);
    await waitUntil("one of them", async () => (await openAt(far)) === 1, LONG_MS);
    await pause(PAUSE_MS);
    assert.deepEqual([await openAt(far), await handshakes(far)], [1, 4]);
    await slow.stop();
  });

  it("that break are made again before a request asks for one", async () => {
    const far = await startFar();
    const way = await wayTo(far);
    const near = await startNear([way.address], RETRY);
    await ask(near);
    for (let lost = 1; lost <= 3; lost++) {
      way.breakAll();
      await waitUntil("another connection", async () => (await handshakes(far)) === 1 + lost, LONG_MS);
    }
    await ask(near);
    assert.equal(await handshakes(far), 4);
  });

  it("that end with the other proxy are missed by no request: the endpoint is tried by connections until it is back", async () => {
    const [one, two] = [await startFar(), await startFar()];
    const near = await startNear([addressOf(one), addressOf(two)], RETRY);
    for (let i = 0; i < 4; i++) await ask(near);
    one.signal("SIGTERM");
    await waitUntil("its end", () => one.hasExited, LONG_MS);
    for (let i = 0; i < 20; i++) await ask(near);
    one.kill();
    proxies.splice(proxies.indexOf(one), 1);
  });

  it("on which nobody answers are noticed by PING: requests on their way and later ones are answered elsewhere, until it speaks again", async () => {
    const [one, two] = [await startFar(), await startFar()];
    const [way, other] = [await wayTo(one), await wayTo(two)];
    const near = await startNear([way.address, other.address], QUICK);
    for (let i = 0; i < 4; i++) await ask(near);
    const asked = async (far: ProxyProcess): Promise<number> => (await far.metrics()).sum("request_total");
    const before = await asked(one);
    way.fallSilent();
    // Half of these are on the way that has fallen silent.
    await Promise.all(Array.from({ length: 20 }, () => ask(near)));
    assert.ok((await silent(near)) >= 1);
    assert.match(near.log, /\[WEFT_MESH_SILENT\]/);
    for (let i = 0; i < 20; i++) await ask(near);
    assert.equal(await asked(one), before);
    way.speak();
    await waitUntil(
      "its part of the requests",
      async () => {
        await ask(near);
        return (await asked(one)) > before + 5;
      },
      LONG_MS,
    );
  });

  it("on which nobody answers end the tunnels within them: a silent client would wait for ever", async () => {
    const far = await startFar();
    const way = await wayTo(far);
    const services = { web: { endpoints: [way.address], identity: SERVER_NAME } };
    const listeners = { opaque: { service: "web", protocol: "opaque" } };
    const near = await start({ services, listeners, identity: files.client, limits: QUICK });
    const wire = await connect(near.listener("opaque"));
    await wire.send(request("GET", "/name"));
    assert.equal(text(await wire.expectResponse()), "app");
    way.fallSilent();
    await wire.finished(LONG_MS);
    assert.equal(wire.error?.code, "ECONNRESET");
    assert.ok((await silent(near)) >= 1);
  });

  it("to a proxy that stands still are made again when it goes on, and the next request waits for that", async () => {
    const far = await startFar();
    const near = await startNear([addressOf(far)], { ...QUICK, failFastTimeoutMs: 30_000 });
    await ask(near);
    const before = await silent(near);
    far.signal("SIGSTOP");
    await waitUntil("that it is noticed", async () => (await silent(near)) > before, LONG_MS);
    const answer = ask(near);
    await pause(PAUSE_MS);
    far.signal("SIGCONT");
    await answer;
    await ask(near);
  });

  it("of a proxy that stood still itself are as they were", async () => {
    const far = await startFar();
    const near = await startNear([addressOf(far)], { ...RETRY, meshPingIntervalMs: 200, meshPingTimeoutMs: 2_000 });
    await ask(near);
    near.signal("SIGSTOP");
    await pause(2 * PAUSE_MS);
    near.signal("SIGCONT");
    for (let i = 0; i < 5; i++) await ask(near);
    assert.deepEqual([await silent(near), await handshakes(far)], [0, 1]);
  });

  it("of a proxy that is gone without a word are closed by the other one", async () => {
    const far = await startFar(QUICK);
    const near = await startNear([addressOf(far)]);
    await ask(near);
    const wire = await connect(near.port);
    near.signal("SIGSTOP");
    await waitUntil("the close", async () => (await openAt(far)) === 0, LONG_MS);
    assert.equal((await far.metrics()).sum("inbound_tcp_errors_total", { error: "mesh silent" }), 1);
    near.signal("SIGCONT");
    await wire.send(request("GET", "/name"));
    assert.equal(text(await wire.expectResponse()), "app");
    wire.destroy();
  });
});
