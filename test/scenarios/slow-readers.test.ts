// What the write deadline means: a peer that takes bytes faster than the minimum rate lives, however long one write takes; one that
// trickles below it does not. The kernel's queue is made large, so that Weft's own queue stands still for both of them.

import assert from "node:assert/strict";
import { createHash, type Hash } from "node:crypto";
import { connect, type Socket } from "node:net";
import { describe, it } from "node:test";
import { request } from "../support/client.ts";
import { startApp } from "../support/origin-app.ts";
import { scenario } from "../support/scenario.ts";
import { seededHash } from "../support/seeded-content.ts";
import { waitUntil } from "../support/wait.ts";

const SIZE = 12_000_000;
const WRITE_DEADLINE_MS = 1_500;
const MIN_BYTES_PER_SECOND = 10_000;
/** One read, and one pause after it: at most 650 KB/s, at which the kernel asks for more every few seconds only. */
const READ_BYTES = 64 * 1024;
const PAUSE_MS = 100;
/** Slow for so long: several deadlines. */
const SLOW_MS = 3 * WRITE_DEADLINE_MS;

/** Reads `size` bytes at a time and then pauses; `hurry` ends the pauses. */
class SlowReader {
  readonly socket: Socket;
  /** Of the body: what follows the first empty line. */
  readonly hash: Hash = createHash("sha256");
  bytes = 0;
  isClosed = false;
  #pauseMs: number;
  #timer: NodeJS.Timeout | null = null;
  #head: Buffer | null = Buffer.alloc(0);

  constructor(port: number, size: number, pauseMs: number) {
    this.#pauseMs = pauseMs;
    const buffer = Buffer.alloc(size);
    this.socket = connect({
      port,
      host: "127.0.0.1",
      onread: {
        buffer,
        callback: (count) => {
          this.#take(buffer.subarray(0, count));
          if (this.#pauseMs === 0) return true;
          this.#timer = setTimeout(() => this.socket.resume(), this.#pauseMs);
          return false;
        },
      },
    });
    this.socket.on("error", () => undefined);
    this.socket.once("close", () => {
      this.isClosed = true;
      if (this.#timer !== null) clearTimeout(this.#timer);
    });
  }

  hurry(): void {
    this.#pauseMs = 0;
  }

  #take(bytes: Buffer): void {
    let body = bytes;
    if (this.#head !== null) {
      this.#head = Buffer.concat([this.#head, bytes]);
      const end = this.#head.indexOf("\r\n\r\n");
      if (end < 0) return;
      body = this.#head.subarray(end + 4);
      this.#head = null;
    }
    this.bytes += body.length;
    this.hash.update(body);
  }
}

describe("slow readers", () => {
  const s = scenario(
    async () => ({ app: await startApp() }),
    (o) => ({
      protocol: "http1",
      services: { web: { endpoints: [o.app.address] } },
      limits: { writeDeadlineMs: WRITE_DEADLINE_MS, writeMinBytesPerSecond: MIN_BYTES_PER_SECOND, kernelUnsentBytesMax: 16 * 1024 * 1024 },
    }),
  );
  function read(size: number, pauseMs: number): SlowReader {
    const reader = new SlowReader(s.port, size, pauseMs);
    reader.socket.write(request("GET", `/bytes/${SIZE}/7`));
    return reader;
  }

  it("lets one live that takes more than the minimum rate", async () => {
    const reader = read(READ_BYTES, PAUSE_MS);
    const start = performance.now();
    await waitUntil("some seconds of slow reading", () => {
      assert.ok(!reader.isClosed, `closed after ${reader.bytes} bytes`);
      return performance.now() - start > SLOW_MS;
    });
    assert.ok(reader.bytes < SIZE, "the whole body was read: nothing was slow");
    reader.hurry();
    await waitUntil("the rest", () => reader.bytes === SIZE);
    assert.equal(reader.hash.digest("hex"), seededHash(7, SIZE));
    reader.socket.destroy();
  });

  it("closes one that trickles, and its exchange at the service", async () => {
    const { app } = s.origins;
    const reader = read(32, 50);
    await waitUntil("the first bytes", () => reader.bytes > 0);
    const upstream = app.connections.at(-1)!;
    await upstream.expectClosed();
    assert.ok(reader.bytes < SIZE);
    await waitUntil("the count", async () => (await s.proxy.metrics()).sum("outbound_http_errors_total", { error: "write deadline" }) > 0);
    reader.socket.destroy();
  });
});
