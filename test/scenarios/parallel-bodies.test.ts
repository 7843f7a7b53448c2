// 64 downloads and 64 uploads at once through one worker, each with content of its own: readers of different speeds, some that
// stall, some that vanish. A buffer that is refilled too early, or given to the wrong connection, changes a hash.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect, request } from "../support/client.ts";
import { text } from "../support/http-lite.ts";
import { startApp } from "../support/origin-app.ts";
import { scenario } from "../support/scenario.ts";
import { SeededContent, seededHash } from "../support/seeded-content.ts";
import { Gate } from "../support/wait.ts";
import type { Wire } from "../support/wire.ts";

const COUNT = 64;
type Manner = "fast" | "slow" | "stalls" | "vanishes";
const manner = (index: number): Manner => (["fast", "slow", "fast", "stalls", "slow", "fast", "vanishes", "fast"] as const)[index % 8]!;
const size = (index: number): number => 300_000 + ((index * 7919) % 17) * 90_000;

/** Longer than any two tests: the deadline of a reader that is slow on purpose. */
const PATIENCE_MS = 60_000;

describe("parallel bodies", () => {
  const s = scenario(
    async () => ({ web: await startApp() }),
    (o) => ({ services: { web: { endpoints: [o.web.address] } }, limits: { writeDeadlineMs: 60_000 } }),
  );

  /** Reading stops and starts: for `slow` all the time, for `stalls` until the others are done. */
  function readLike(wire: Wire, how: Manner, othersDone: Gate): () => void {
    if (how === "slow") {
      const timer = setInterval(() => {
        wire.pause();
        setTimeout(() => wire.resume(), 4);
      }, 6);
      return () => clearInterval(timer);
    }
    if (how === "stalls") {
      void wire.until("the first bytes", () => wire.bytesReceived > 0).then(() => wire.pause());
      void othersDone.opened.then(() => wire.resume());
    }
    return () => undefined;
  }

  async function download(index: number, kind: "bytes" | "chunked" | "close", othersDone: Gate): Promise<string | null> {
    const how = manner(index);
    const wire = await connect(s.port);
    const stop = readLike(wire, how, othersDone);
    try {
      await wire.send(request("GET", `/${kind}/${size(index)}/${index}`));
      if (how === "vanishes") {
        await wire.until("some of it", () => wire.bytesReceived > 50_000, PATIENCE_MS);
        wire.reset();
        return null;
      }
      const response = await wire.expectResponse({ hashOnly: true }, PATIENCE_MS);
      if (kind === "chunked") assert.equal(response.trailers[0]?.[1], response.bodyHash);
      return response.bodyHash;
    } finally {
      stop();
      wire.destroy();
    }
  }

  async function upload(index: number, chunked: boolean, othersDone: Gate): Promise<string | null> {
    const how = manner(index);
    const wire = await connect(s.port);
    const total = size(index);
    const content = new SeededContent(1000 + index, total);
    try {
      const framing = chunked ? "Transfer-Encoding: chunked" : `Content-Length: ${total}`;
      await wire.send(`POST /hash HTTP/1.1\r\nHost: web\r\n${framing}\r\n\r\n`);
      let sent = 0;
      for (let step = 1; sent < total; step = Math.min(step * 2 + 1, 40_000 + index * 100)) {
        const part = content.next(step);
        sent += part.length;
        if (chunked) await wire.send(Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from("\r\n")]));
        else await wire.send(part);
        if (how === "slow") await new Promise((resolve) => setTimeout(resolve, 1));
        if (how === "stalls" && sent > total / 2) await othersDone.opened;
        if (how === "vanishes" && sent > total / 2) {
          wire.reset();
          return null;
        }
      }
      if (chunked) await wire.send("0\r\n\r\n");
      const [received, hash] = text(await wire.expectResponse({}, PATIENCE_MS)).split(" ");
      assert.equal(Number(received), total);
      return hash!;
    } finally {
      wire.destroy();
    }
  }

  /** Runs them all; the stalling ones go on once the others are done. Gives every hash that came out and the expected one. */
  async function together(run: (index: number, othersDone: Gate) => Promise<string | null>): Promise<(string | null)[]> {
    const othersDone = new Gate();
    const all = Array.from({ length: COUNT }, (_, index) => run(index, othersDone));
    await Promise.all(all.filter((_, index) => manner(index) !== "stalls"));
    othersDone.open();
    return Promise.all(all);
  }

  const expected = (seedOf: (index: number) => number): (string | null)[] =>
    Array.from({ length: COUNT }, (_, index) => (manner(index) === "vanishes" ? null : seededHash(seedOf(index), size(index))));

  it("downloads and uploads, all at once", async () => {
    const kinds = ["bytes", "chunked", "close"] as const;
    const [down, up] = await Promise.all([
      together((index, gate) => download(index, kinds[index % 3]!, gate)),
      together((index, gate) => upload(index, index % 2 === 0, gate)),
    ]);
    assert.deepEqual(
      down,
      expected((index) => index),
    );
    assert.deepEqual(
      up,
      expected((index) => 1000 + index),
    );
  });

  it("copies little of what it moves", async () => {
    const metrics = await s.proxy.metrics();
    const moved = metrics.sum("proxy_body_bytes_total");
    const copied = metrics.sum("proxy_body_bytes_copied_total");
    assert.ok(moved > 50_000_000, `moved ${moved}`);
    assert.ok(copied < moved * 0.25, `copied ${copied} of ${moved}`);
  });
});
