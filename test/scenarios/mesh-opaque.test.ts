// Opaque TCP between two proxies of a mesh: each connection is one stream of a shared one (ADR 0008), FIN, RST and slow readers included.
//
// What one proxy does for opaque TCP is run through a pair by mesh-scenarios.test.ts; here is what only a pair has.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { connect } from "../support/client.ts";
import { ErrorCode, headers } from "../support/h2-frames.ts";
import { block, type Fields } from "../support/h2-hpack.ts";
import { H2Peer } from "../support/h2-peer.ts";
import { pairScenario } from "../support/mesh-pair.ts";
import { startRawOrigin } from "../support/origin.ts";
import { closedPort } from "../support/ports.ts";
import { SeededContent, seededHash } from "../support/seeded-content.ts";
import { waitUntil } from "../support/wait.ts";
import type { Wire } from "../support/wire.ts";

const COUNT = 64;
const size = (index: number): number => 200_000 + ((index * 7919) % 13) * 70_000;

async function sendSeeded(wire: Wire, seed: number, total: number): Promise<void> {
  const content = new SeededContent(seed, total);
  for (let part = content.next(30_000); part.length > 0; part = content.next(30_000)) await wire.send(part);
}

async function hashToEnd(wire: Wire): Promise<string> {
  const hash = createHash("sha256");
  for (;;) {
    hash.update(wire.take());
    if (wire.isEnded && wire.buffered === 0) return hash.digest("hex");
    await wire.until("more", () => wire.buffered > 0 || wire.isEnded, 60_000);
  }
}

const CONNECT = (authority: string): Fields => [
  [":method", "CONNECT"],
  [":authority", authority],
];

describe("opaque TCP through two proxies of a mesh", () => {
  const s = pairScenario(
    async () => ({
      // Reads to the end, sends as many bytes of its own back.
      both: await startRawOrigin(async (wire) => {
        const [seed, total] = (await wire.expectUntil("\n", 60_000)).trim().split(" ").map(Number);
        const [hash] = await Promise.all([hashToEnd(wire), sendSeeded(wire, seed! + 1000, total!)]);
        await wire.send(`${hash}\n`);
        wire.endWrite();
      }),
      lazy: await startRawOrigin(async (wire) => {
        await wire.until("the end", () => wire.isClosed, 60_000).catch(() => undefined);
      }),
      flood: await startRawOrigin(async (wire) => {
        await sendSeeded(wire, 5, 200_000_000).catch(() => undefined);
      }),
      web: await startRawOrigin((wire) => wire.destroy()),
    }),
    (o) => ({
      targets: { both: o.both, lazy: o.lazy, flood: o.flood, declared: { port: o.web.port, protocol: "http1" }, gone: { port: 1 } },
      opaque: ["both", "lazy", "flood", "declared", "gone"],
    }),
  );
  const dial = (name: string): Promise<Wire> => connect(s.pair.a.listener(`to-${name}`));

  it(`carries ${COUNT} connections at once over one, both ways, each with its own bytes and ends`, async () => {
    await Promise.all(
      Array.from({ length: COUNT }, async (_, index) => {
        const wire = await dial("both");
        await wire.send(`${index} ${size(index)}\n`);
        const received = hashToEnd(wire);
        await sendSeeded(wire, index, size(index));
        wire.endWrite();
        const expected = createHash("sha256");
        const content = new SeededContent(index + 1000, size(index));
        for (let part = content.next(30_000); part.length > 0; part = content.next(30_000)) expected.update(part);
        expected.update(`${seededHash(index, size(index))}\n`);
        assert.equal(await received, expected.digest("hex"), `connection ${index}`);
        wire.destroy();
      }),
    );
    const metrics = await s.pair.b.metrics();
    assert.equal(metrics.sum("tcp_open_total", { peer: "src", direction: "inbound", target_port: String(s.pair.b.listener("both")) }), 1);
    assert.equal(metrics.sum("request_total"), 0, "a connection is no request");
  });

  it("passes a reset on, both ways, and nobody else's connection notices", async () => {
    const [kept, mine, theirs] = await Promise.all([dial("lazy"), dial("lazy"), dial("lazy")]);
    await Promise.all([kept, mine, theirs].map((wire) => wire.send("x")));
    const { connections } = s.origins.lazy;
    await waitUntil("three connections at the application", () => connections.filter((wire) => wire.bytesReceived === 1).length === 3);
    mine.reset();
    await waitUntil("the reset at the application", () => connections.some(({ error }) => error?.code === "ECONNRESET"));
    for (const wire of connections) if (!wire.isClosed) wire.reset();
    for (const wire of [kept, theirs]) {
      await wire.finished();
      assert.equal(wire.error?.code, "ECONNRESET");
    }
  });

  it("slows an application down whose client does not read, and lets others pass", async () => {
    const slow = await dial("flood");
    slow.pause();
    const origin = await waitUntil("the application's connection", () => s.origins.flood.connections[0]);
    let before = -1;
    await waitUntil("the application to be held back", async () => {
      const written = origin.socket.bytesWritten - origin.socket.writableLength;
      if (written === before && written > 0) return true;
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 300));
      return false;
    });
    assert.ok(before < 60_000_000, `${before} bytes were taken for a client that reads none`);
    const other = await dial("both");
    await other.send("1 1000\n");
    other.endWrite();
    assert.equal((await other.expectBytes(1000)).length, 1000);
    other.destroy();
    slow.reset();
    await origin.finished();
  });

  it("closes the client's connection when the application is not there, and says why", async () => {
    const wire = await dial("gone");
    await wire.finished();
    await waitUntil("the reason in A's log", () =>
      /502 \[WEFT_CONNECT_FAILED\][^\n]*ECONNREFUSED[^\n]*\[WEFT_CONNECT_FAILED\]/.test(s.pair.a.log),
    );
  });

  it("is refused where HTTP is declared, with a reason, and dials nothing", async () => {
    const wire = await dial("declared");
    await wire.finished();
    await waitUntil("the reason in A's log", () => /400 \[WEFT_OPAQUE_NOT_ALLOWED\][^\n]*\[WEFT_TUNNEL_REFUSED\]/.test(s.pair.a.log));
    assert.equal(s.origins.web.connections.length, 0);
  });

  it("takes it from nobody who is no proxy of the mesh", async () => {
    const peer = await H2Peer.open({ port: s.port });
    peer.send(headers(1, block(CONNECT(`both:${s.origins.both.port}`))));
    const answer = await peer.expect("an answer", ({ fields }) => fields !== null);
    assert.equal(answer.fields!.find(([name]) => name === ":status")?.[1], "405");
    peer.destroy();
  });
});

describe("CONNECT of another proxy", () => {
  const s = pairScenario(
    async () => ({
      both: await startRawOrigin(() => undefined),
      lazy: await startRawOrigin(() => undefined),
      web: await startRawOrigin((wire) => wire.destroy()),
    }),
    (o) => ({ isPlain: true, targets: { both: o.both, lazy: o.lazy, declared: { port: o.web.port, protocol: "http1" } } }),
  );

  it("is taken for ports that it stands before, and for no other", async () => {
    const peer = await H2Peer.open({ port: s.pair.b.listener("both") });
    const stranger = await closedPort();
    let stream = 1;
    for (const [authority, status] of [
      [`127.0.0.1:${s.pair.b.listener("lazy")}`, "200"],
      [`anything:${s.origins.lazy.port}`, "200"],
      [`127.0.0.1:${stranger}`, "404"],
      [`127.0.0.1:${s.pair.b.adminPort}`, "404"],
      [`127.0.0.1:${s.pair.b.port}`, "404"],
      [`127.0.0.1:${s.pair.b.listener("declared")}`, "400"],
    ] as const) {
      peer.send(headers(stream, block(CONNECT(authority))));
      const answer = await peer.expect("an answer", ({ fields, streamId }) => fields !== null && streamId === stream);
      assert.equal(answer.fields!.find(([name]) => name === ":status")?.[1], status, authority);
      stream += 2;
    }
    peer.send(headers(stream, block(CONNECT("no-port"))));
    await peer.expectReset(stream, ErrorCode.PROTOCOL_ERROR);
    peer.destroy();
  });
});
