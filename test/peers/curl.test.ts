// curl through the proxy: protocol versions, framings of uploads, Expect, and bodies of 1 GB in constant memory.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { readMemory } from "../../bench/support/proc.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { seededHash } from "../support/seeded-content.ts";
import { BigOrigin, type Received, seededStream } from "./support/big-origin.ts";
import { succeed } from "./support/tools.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
/** A proxy that stores a body grows by gigabytes; buffers and the heap's own movements stay far below this. */
const GROWTH_KB_MAX = 64 * 1024;
const GIB_DEADLINE_MS = 120_000;

let folder: string;
let origin: BigOrigin;
let proxy: ProxyProcess;
let url: string;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "weft-curl-"));
  origin = await BigOrigin.start();
  proxy = await ProxyProcess.start({ services: { web: { endpoints: [`127.0.0.1:${origin.port}`] } } });
  url = `http://127.0.0.1:${proxy.port}`;
});

after(async () => {
  try {
    await proxy?.stop();
  } finally {
    await origin?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

async function upload(...args: string[]): Promise<Received> {
  return JSON.parse(await succeed("curl", ["-sS", "--fail", "--max-time", "110", ...args])) as Received;
}

/** Runs while the proxy's memory is watched; fails if it grew. */
async function inConstantMemory(run: () => Promise<void>): Promise<void> {
  const before = readMemory(proxy.pid).anonymous;
  let peak = before;
  const timer = setInterval(() => {
    peak = Math.max(peak, readMemory(proxy.pid).anonymous);
  }, 100);
  try {
    await run();
  } finally {
    clearInterval(timer);
  }
  assert.ok(peak - before < GROWTH_KB_MAX, `grew from ${before} to ${peak} KB`);
}

describe("curl, small bodies", () => {
  it("HTTP/1.0: the whole answer, ended by its length", async () => {
    const output = await succeed("curl", ["-sS", "-i", "--http1.0", `${url}/seeded?seed=1&size=1000`]);
    assert.match(output, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(output, /\r\nContent-Length: 1000\r\n/);
  });

  it("HTTP/1.0: a chunked answer is decoded and ends by the close", async () => {
    const hash = createHash("sha256");
    await succeed("curl", ["-sS", "--http1.0", "--raw", `${url}/seeded?seed=2&size=300000&chunked`], {
      onStdout: (chunk) => hash.update(chunk),
    });
    assert.equal(hash.digest("hex"), seededHash(2, 300_000));
  });

  it("HTTP/1.1: two requests on one connection", async () => {
    const target = `${url}/seeded?seed=3&size=5000`;
    const output = await succeed("curl", ["-sS", "--fail", "-o", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects} ", target, target]);
    assert.equal(output, "1 0 ");
  });

  it("an upload with Content-Length arrives as one", async () => {
    const path = join(folder, "body");
    writeFileSync(path, "a body with a length");
    const received = await upload("--data-binary", `@${path}`, url);
    assert.equal(received.contentLength, "20");
    assert.equal(received.sha256, createHash("sha256").update("a body with a length").digest("hex"));
  });

  it("a chunked upload arrives chunked", async () => {
    const path = join(folder, "chunked");
    writeFileSync(path, "c".repeat(100_000));
    const received = await upload("-H", "Transfer-Encoding: chunked", "--data-binary", `@${path}`, url);
    assert.deepEqual([received.transferEncoding, received.contentLength, received.size], ["chunked", null, 100_000]);
  });

  it("Expect: 100-continue is answered before the body is sent", async () => {
    const path = join(folder, "expected");
    writeFileSync(path, "e".repeat(50_000));
    const args = [
      "-sS",
      "--fail",
      "-v",
      "--expect100-timeout",
      "30",
      "-H",
      "Expect: 100-continue",
      "--data-binary",
      `@${path}`,
      "--stderr",
      "-",
    ];
    const began = performance.now();
    const output = await succeed("curl", [...args, url]);
    assert.match(output, /< HTTP\/1\.1 100 Continue/);
    assert.match(output, /"size":50000/);
    assert.ok(performance.now() - began < 20_000, "curl waited for its own timeout");
  });

  it("HEAD has the length and no body", async () => {
    const output = await succeed("curl", ["-sS", "-I", "--max-time", "5", `${url}/seeded?seed=3&size=5000`]);
    assert.match(output, /^HTTP\/1\.1 200 OK\r\n/);
  });
});

describe("curl, 1 GB in constant memory", () => {
  it("downloads it with a Content-Length, every byte right", async () => {
    await inConstantMemory(async () => {
      const hash = createHash("sha256");
      await succeed("curl", ["-sS", "--fail", `${url}/seeded?seed=4&size=${GIB}`], {
        onStdout: (chunk) => hash.update(chunk),
        deadlineMs: GIB_DEADLINE_MS,
      });
      assert.equal(hash.digest("hex"), seededHash(4, GIB));
    });
  });

  it("uploads it chunked, every byte right", async () => {
    await inConstantMemory(async () => {
      const args = ["-sS", "--fail", "-T", "-", `${url}/upload`];
      const output = await succeed("curl", args, { input: seededStream(5, GIB), deadlineMs: GIB_DEADLINE_MS });
      const received = JSON.parse(output) as Received;
      assert.deepEqual([received.size, received.transferEncoding], [GIB, "chunked"]);
      assert.equal(received.sha256, seededHash(5, GIB));
    });
  });

  it("uploads a file of it with a Content-Length, every byte right", async () => {
    const path = join(folder, "sparse");
    writeFileSync(path, "first bytes");
    truncateSync(path, GIB);
    await inConstantMemory(async () => {
      const received = await upload("-T", path, `${url}/upload`);
      assert.deepEqual([received.size, received.contentLength], [GIB, String(GIB)]);
      assert.equal(received.sha256, (await succeed("sha256sum", [path])).slice(0, 64));
    });
  });
});
