// Bodies of 1 GB over HTTP/2 by curl, from and to an origin of either protocol, in constant memory; and readers that are slow.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pipeline } from "node:stream/promises";
import { Authority, CertificateFiles } from "../support/certificates.ts";
import { H2cOrigin } from "../support/h2c-origin.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { stopProxy } from "../support/scenario.ts";
import { seededHash } from "../support/seeded-content.ts";
import { BigOrigin, seededStream } from "./support/big-origin.ts";
import { runTool, succeed } from "./support/tools.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
/** A proxy that stores bodies grows by gigabytes. */
const GROWTH_KB_MAX = 32 * 1024;
const GIB_DEADLINE_MS = 180_000;
/** Of a reader that takes a hundredth of what the origin could give, and how long it reads. */
const SLOW_RATE = "4M";
const SLOW_SECONDS = "5";
/** curl's own code for a transfer that --max-time ended. */
const CURL_TIMED_OUT = 28;

/** BigOrigin's routes in HTTP/2. */
function startH2(): Promise<H2cOrigin> {
  return H2cOrigin.start("big", (stream, headers) => {
    if (headers[":method"] === "GET") {
      const query = new URL(String(headers[":path"]), "http://origin").searchParams;
      stream.respond({ ":status": 200 });
      pipeline(seededStream(Number(query.get("seed")), Number(query.get("size"))), stream).catch(() => undefined);
      return;
    }
    const hash = createHash("sha256");
    let size = 0;
    stream.on("data", (chunk: Buffer) => {
      size += chunk.length;
      hash.update(chunk);
    });
    stream.once("end", () => {
      if (stream.destroyed) return;
      stream.respond({ ":status": 200 });
      stream.end(JSON.stringify({ size, sha256: hash.digest("hex") }));
    });
  });
}

function privateKb(pid: number): number {
  return Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]);
}

for (const protocol of ["http1", "http2"] as const) {
  describe(`HTTP/2 bodies, origin ${protocol}`, () => {
    const files = new CertificateFiles(new Authority().issue());
    let folder: string;
    let origin: BigOrigin | H2cOrigin;
    let proxy: ProxyProcess;
    before(async () => {
      folder = mkdtempSync(join(tmpdir(), "weft-h2-bodies-"));
      origin = protocol === "http1" ? await BigOrigin.start() : await startH2();
      proxy = await ProxyProcess.start({
        services: { web: { endpoints: [`127.0.0.1:${origin.port}`], protocol } },
        listeners: { secure: { service: "web", protocol: "detect", tls: files.paths } },
      });
      // What the first bytes cost is no growth.
      await download(plain(), 1, 64 * MIB);
      await upload(plain(), 64 * MIB);
    });
    after(async () => {
      try {
        await stopProxy(proxy);
      } finally {
        await origin?.stop();
        files.remove();
        rmSync(folder, { recursive: true, force: true });
      }
    });

    const plain = (): string[] => ["--http2-prior-knowledge", `http://127.0.0.1:${proxy.port}`];
    const secure = (): string[] => ["-k", "--http2", `https://127.0.0.1:${proxy.listener("secure")}`];

    async function download([how, ...rest]: string[], seed: number, size: number): Promise<void> {
      const hash = createHash("sha256");
      const args = ["-sS", "--fail", how!, ...rest.slice(0, -1), `${rest.at(-1)}/seeded?seed=${seed}&size=${size}`];
      await succeed("curl", args, { onStdout: (chunk) => hash.update(chunk), deadlineMs: GIB_DEADLINE_MS });
      assert.equal(hash.digest("hex"), seededHash(seed, size));
    }

    async function upload(where: string[], size: number): Promise<void> {
      const path = join(folder, "sparse");
      writeFileSync(path, "first bytes");
      truncateSync(path, size);
      const args = ["-sS", "--fail", "-T", path, ...where.slice(0, -1), `${where.at(-1)}/upload`];
      const received = JSON.parse(await succeed("curl", args, { deadlineMs: GIB_DEADLINE_MS })) as { size: number; sha256: string };
      assert.deepEqual([received.size, received.sha256], [size, (await succeed("sha256sum", [path])).slice(0, 64)]);
    }

    /** Fails if the proxy's private memory grew at any time. */
    async function inConstantMemory(run: () => Promise<void>): Promise<void> {
      const start = privateKb(proxy.pid);
      let peak = start;
      const timer = setInterval(() => {
        peak = Math.max(peak, privateKb(proxy.pid));
      }, 50);
      try {
        await run();
      } finally {
        clearInterval(timer);
      }
      assert.ok(peak - start < GROWTH_KB_MAX, `grew from ${start} to ${peak} KB`);
    }

    it("downloads 1 GB, every byte right", () => inConstantMemory(() => download(plain(), 4, GIB)));
    it("uploads 1 GB, every byte right", () => inConstantMemory(() => upload(plain(), GIB)));
    it("downloads 1 GB over TLS, every byte right", () => inConstantMemory(() => download(secure(), 5, GIB)));
    it("uploads 1 GB over TLS, every byte right", () => inConstantMemory(() => upload(secure(), GIB)));

    for (const where of ["h2c", "TLS"] as const) {
      it(`holds little for readers that are slow, over ${where}`, async () => {
        await inConstantMemory(async () => {
          const target = where === "h2c" ? plain() : secure();
          const slow = [...target.slice(0, -1), "-sS", "--limit-rate", SLOW_RATE, "--max-time", SLOW_SECONDS, "-o", "/dev/null"];
          const url = `${target.at(-1)}/seeded?seed=6&size=${GIB}`;
          const readers = await Promise.all(
            Array.from({ length: 8 }, () => runTool("curl", [...slow, "-w", "%{http_version} %{size_download}", url])),
          );
          for (const { code, stdout, stderr } of readers) {
            assert.equal(code, CURL_TIMED_OUT, stderr);
            const [version, bytes] = stdout.toString().split(" ");
            assert.equal(version, "2");
            assert.ok(Number(bytes) > MIB, `${bytes} bytes came`);
          }
        });
      });
    }
  });
}
