// HTTP/2 connections through the life of a proxy: reloads, the end by SIGTERM, the grace period, and the death of a worker.

import assert from "node:assert/strict";
import { once as event } from "node:events";
import { describe, it } from "node:test";
import { answerOf, H2Client } from "../support/h2-client.ts";
import { ErrorCode, errorCodeOf, FrameType, headers } from "../support/h2-frames.ts";
import { block, type Fields } from "../support/h2-hpack.ts";
import { H2Peer } from "../support/h2-peer.ts";
import { H2cOrigin } from "../support/h2c-origin.ts";
import type { ProxyOptions } from "../support/proxy-config.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { Gate, waitUntil, within } from "../support/wait.ts";

const CLIENTS = 8;
/** Requests under way on each connection. */
const STREAMS = 16;
const RELOADS = Number(process.env["WEFT_TEST_RELOADS"] ?? 20);
const BODY = "x".repeat(20_000);

const GET: Fields = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/slow"],
  [":authority", "web"],
];

interface Stage {
  readonly proxy: ProxyProcess;
  readonly a: H2cOrigin;
  readonly b: H2cOrigin;
  /** `/slow` answers half, and the rest when this opens. */
  readonly gate: Gate;
}

async function withStage(options: Partial<ProxyOptions>, run: (stage: Stage) => Promise<void>): Promise<void> {
  const gate = new Gate();
  const start = (name: string): Promise<H2cOrigin> =>
    H2cOrigin.start(name, (stream, request) => {
      stream.resume();
      stream.respond({ ":status": 200, "x-origin": name });
      if (request[":path"] !== "/slow") {
        stream.end(BODY);
        return;
      }
      stream.write("half");
      void gate.opened.then(() => stream.end("whole"));
    });
  const [a, b] = await Promise.all([start("a"), start("b")]);
  let proxy: ProxyProcess | null = null;
  try {
    proxy = await ProxyProcess.start({ services: { web: { endpoints: [a.address] } }, ...options });
    await run({ proxy, a, b, gate });
  } finally {
    gate.open();
    proxy?.kill();
    await Promise.all([a.stop(), b.stop()]);
  }
}

class Load {
  answers = 0;
  /** Requests that Node had not sent when GOAWAY came, and then did not send: they may be asked again (RFC 9113 section 8.7). */
  unsent = 0;
  readonly failures: string[] = [];
  /** Clients whose connection said GOAWAY; they ask no more. */
  told = 0;
  readonly clients: H2Client[];
  readonly #isOver: () => boolean;
  readonly ended: Promise<unknown>;

  /** Every client asks on all of its streams until its connection is told to go away, or `isOver`. */
  constructor(port: number, isOver: () => boolean) {
    this.#isOver = isOver;
    this.clients = Array.from({ length: CLIENTS }, () => new H2Client(port));
    this.ended = Promise.all(this.clients.map((client) => this.#run(client)));
  }

  async #run(client: H2Client): Promise<void> {
    let isTold = false;
    client.session.once("goaway", () => {
      isTold = true;
      this.told++;
    });
    const { session } = client;
    await Promise.all(
      Array.from({ length: STREAMS }, async () => {
        while (!this.#isOver() && !isTold && !session.closed && !session.destroyed) {
          try {
            const { status, body } = await client.get("/");
            if (status === 200 && body.toString() === BODY) this.answers++;
            else this.failures.push(`status ${status}, ${body.length} bytes`);
          } catch (error) {
            const { message } = error as Error;
            if (isTold && message.includes("REFUSED_STREAM")) this.unsent++;
            else this.failures.push(message);
          }
        }
      }),
    );
  }

  close(): void {
    for (const client of this.clients) client.close();
  }
}

describe("reload under HTTP/2", () => {
  it(`fails no request and ends no connection over ${RELOADS} reloads that move the service`, () =>
    withStage({}, async ({ proxy, a, b }) => {
      let isOver = false;
      const load = new Load(proxy.port, () => isOver);
      for (let round = 1; round <= RELOADS; round++) {
        const before = load.answers;
        const endpoints = round % 3 === 0 ? [a.address, b.address] : round % 3 === 1 ? [b.address] : [a.address];
        await proxy.reconfigure({ services: { web: { endpoints } }, limits: { idleTimeoutMs: 60_000 + round } });
        await waitUntil("answers after the reload", () => load.answers > before + STREAMS);
      }
      isOver = true;
      await load.ended;
      assert.deepEqual(load.failures, []);
      assert.equal(load.told, 0);
      assert.equal((await proxy.metrics()).sum("tcp_open_total", { peer: "src" }), CLIENTS);
      load.close();
    }));

  it("finishes streams at an endpoint that is gone from the configuration, and then lets its connection go", () =>
    withStage({}, async ({ proxy, a, b, gate }) => {
      const client = new H2Client(proxy.port);
      const slow = client.open({ ":path": "/slow" });
      const answer = answerOf(slow);
      await event(slow, "response");
      await proxy.reconfigure({ services: { web: { endpoints: [b.address] } } });
      assert.equal((await client.get("/")).headers["x-origin"], "b");
      assert.equal(a.sessions.size, 1);
      gate.open();
      assert.equal((await answer).body.toString(), "halfwhole");
      await waitUntil("the old connection to go", () => a.sessions.size === 0);
      client.close();
    }));
});

describe("SIGTERM under HTTP/2", () => {
  for (const workers of [0, 1, 2]) {
    it(`with ${workers} workers: every request of an established connection gets its whole answer, and each is told GOAWAY`, () =>
      withStage({ workers }, async ({ proxy, a }) => {
        const load = new Load(proxy.port, () => false);
        await waitUntil("some answers", () => load.answers > 1_000);
        proxy.signal("SIGTERM");
        await load.ended;
        await waitUntil("the end", () => proxy.hasExited);
        assert.deepEqual(load.failures, []);
        assert.equal(a.requests.length, load.answers, "what reached the origin was answered");
        assert.equal(load.told, CLIENTS);
        assert.match(proxy.log, /every connection ended by itself/);
        assert.equal(proxy.exitCode, 0);
        load.close();
      }));
  }

  it("finishes a stream that takes long, and takes requests that were sent before GOAWAY was heard (RFC 9113 section 6.8)", () =>
    withStage({ limits: { drainIdleMs: 5_000 } }, async ({ proxy, a, gate }) => {
      const peer = await H2Peer.open({ port: proxy.port, credit: true, polite: false });
      peer.send(headers(1, block(GET), { endStream: true }));
      await peer.expectHeaders(1);
      proxy.signal("SIGTERM");
      const first = await peer.expectGoaway();
      assert.equal(first.payload.readUInt32BE(), 2 ** 31 - 1);
      // No PING was answered yet: the proxy cannot know that this client has heard of it.
      const asked = a.requests.length;
      peer.send(headers(3, block(GET), { endStream: true }));
      await waitUntil("the late request at the origin", () => a.requests.length > asked);
      await peer.expectHeaders(3);
      gate.open();
      for (const stream of new Set([1, 3])) {
        await peer.expect(`the end of stream ${stream}`, ({ type, flags }) => type === FrameType.DATA && (flags & 1) !== 0);
      }
      // It neither answers the PING nor closes: drainIdleMs later it has to go.
      await peer.expectClosed();
      await waitUntil("the end", () => proxy.hasExited);
      assert.equal(proxy.exitCode, 0);
    }));

  it("does not serve on who does not answer the PING behind GOAWAY", () =>
    withStage({ limits: { drainIdleMs: 100 } }, async ({ proxy, gate }) => {
      const peer = await H2Peer.open({ port: proxy.port, credit: true, polite: false });
      peer.send(headers(1, block(GET), { endStream: true }));
      await peer.expectHeaders(1);
      proxy.signal("SIGTERM");
      await peer.expectGoaway();
      const last = await peer.expectGoaway();
      assert.equal(last.payload.readUInt32BE(), 1);
      peer.send(headers(3, block(GET), { endStream: true }));
      assert.equal(errorCodeOf(await peer.expectType(FrameType.RST_STREAM, 3)), ErrorCode.REFUSED_STREAM);
      gate.open();
      await peer.expect("the end of stream 1", ({ type, flags }) => type === FrameType.DATA && (flags & 1) !== 0);
      await peer.expectClosed();
      await waitUntil("the end", () => proxy.hasExited);
      assert.equal(proxy.exitCode, 0);
    }));

  it("refuses what comes behind the last GOAWAY", () =>
    withStage({}, async ({ proxy, a, gate }) => {
      const peer = await H2Peer.open({ port: proxy.port, credit: true });
      peer.send(headers(1, block(GET), { endStream: true }));
      await peer.expectHeaders(1);
      proxy.signal("SIGTERM");
      await peer.expectGoaway();
      const last = await peer.expectGoaway();
      assert.equal(last.payload.readUInt32BE(), 1);
      const asked = a.requests.length;
      peer.send(headers(3, block(GET), { endStream: true }));
      const reset = await peer.expectType(FrameType.RST_STREAM, 3);
      assert.equal(errorCodeOf(reset), ErrorCode.REFUSED_STREAM);
      assert.equal(a.requests.length, asked);
      gate.open();
      await peer.expect("the end of stream 1", ({ type, flags }) => type === FrameType.DATA && (flags & 1) !== 0);
      peer.destroy();
      await waitUntil("the end", () => proxy.hasExited);
      assert.equal(proxy.exitCode, 0);
    }));

  it("lets idle connections go at once, also those that do not close by themselves", () =>
    withStage({ limits: { drainIdleMs: 100 } }, async ({ proxy }) => {
      const peers = await Promise.all(Array.from({ length: 20 }, () => H2Peer.open({ port: proxy.port })));
      proxy.signal("SIGTERM");
      for (const peer of peers) {
        await peer.expectGoaway();
        await peer.expectClosed();
      }
      await waitUntil("the end", () => proxy.hasExited);
      assert.match(proxy.log, /every connection ended by itself/);
      assert.equal(proxy.exitCode, 0);
    }));

  it("cuts what is left after the grace period, and the answer does not look complete", () =>
    withStage({ limits: { drainGraceMs: 200 } }, async ({ proxy }) => {
      const client = new H2Client(proxy.port);
      const slow = client.open({ ":path": "/slow" });
      const answer = answerOf(slow);
      answer.catch(() => undefined);
      await event(slow, "response");
      proxy.signal("SIGTERM");
      await assert.rejects(within("the end of the stream", answer), /Stream closed with error code|reset with/);
      await waitUntil("the end", () => proxy.hasExited);
      assert.match(proxy.log, /the rest was cut/);
      assert.equal(proxy.exitCode, 0);
      client.close();
    }));
});

describe("a worker dies under HTTP/2", () => {
  for (const action of ["throw", "exit"] as const) {
    it(`by ${action}: its connections are lost, those of the other go on, and new ones are served`, () =>
      withStage({ workers: 2 }, async ({ proxy }) => {
        await waitUntil("both workers", async () => (await proxy.metrics()).sum("proxy_workers") === 2);
        const restarts = (await proxy.metrics()).sum("proxy_worker_restarts_total");
        const clients = Array.from({ length: CLIENTS }, () => new H2Client(proxy.port));
        for (const client of clients) assert.equal((await client.get("/")).status, 200);
        await proxy.admin(`/test/0/${action}`, "POST");
        const isLost = (client: H2Client): boolean => client.session.destroyed;
        await waitUntil("half of the connections to be lost", () => clients.filter(isLost).length === CLIENTS / 2);
        for (const client of clients.filter((one) => !isLost(one))) {
          const answers = await Promise.all(Array.from({ length: STREAMS }, () => client.get("/")));
          assert.ok(answers.every(({ status, body }) => status === 200 && body.toString() === BODY));
        }
        const fresh = new H2Client(proxy.port);
        assert.equal((await fresh.get("/")).status, 200);
        fresh.close();
        await waitUntil("the replacement", async () => {
          const metrics = await proxy.metrics();
          return metrics.sum("proxy_worker_restarts_total") === restarts + 1 && metrics.sum("proxy_workers") === 2;
        });
        for (const client of clients) client.close();
        const metrics = await proxy.idle();
        assert.equal(metrics.sum("tcp_open_total", { peer: "src" }), metrics.sum("tcp_close_total", { peer: "src" }));
        await proxy.stop();
      }));
  }
});
