// The tools that speak HTTP/2, by their own make of it, through Weft: h2load, curl and nghttp, h2c and TLS, to an origin that speaks HTTP/1
// (nginx) and to one that speaks HTTP/2 (nghttpd). Every request is answered, none wrongly.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { startOrigin } from "../../bench/peers/start.ts";
import { Child, isListening, startOnFreePorts, temporaryFolder, untilReady } from "../../bench/support/child.ts";
import { Authority, CertificateFiles } from "../support/certificates.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { stopProxy } from "../support/scenario.ts";
import type { Service } from "./support/services.ts";
import { runTool, succeed } from "./support/tools.ts";

const LOADS = [
  { clients: 8, streams: 16, requests: 20_000 },
  { clients: 2, streams: 32, requests: 20_000 },
  { clients: 64, streams: 1, requests: 10_000 },
] as const;
const UPLOAD_BYTES = 100_000;
const UPLOADS = 1_000;

/** nginx that serves files, answers uploads once it has read them (curl 7.88 copes with nothing else), and takes heads of 32 KB. */
function startNginx(): Promise<Service> {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "www"));
  writeFileSync(join(folder, "www", "index.html"), "x".repeat(64));
  writeFileSync(join(folder, "www", "received"), "received");
  writeFileSync(join(folder, "www", "1m"), Buffer.alloc(1024 * 1024, "x"));
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/${name};`).join(" ");
  return startOnFreePorts(1, async ([port]) => {
    const path = join(folder, "nginx.conf");
    writeFileSync(
      path,
      `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off; ${temporary}
  keepalive_requests 1000000;
  large_client_header_buffers 16 16k;
  server {
    listen 127.0.0.1:${port};
    root ${folder}/www;
    location = /upload {
      proxy_pass http://127.0.0.1:${port}/received;
      proxy_method GET;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
    }
  }
}
`,
    );
    const child = new Child("nginx", "nginx", ["-e", "stderr", "-c", path]);
    await untilReady(child, () => isListening(port!));
    return { port: port!, stop: () => child.stop() };
  });
}

async function startNghttpd(): Promise<Service> {
  const { port, child } = await startOrigin("nghttpd");
  return { port, stop: () => child.stop() };
}

const ORIGINS = { nginx: startNginx, nghttpd: startNghttpd } as const;
const PROTOCOLS = { nginx: "http1", nghttpd: "http2" } as const;

for (const name of ["nginx", "nghttpd"] as const) {
  describe(`HTTP/2 tools, origin ${name}`, () => {
    const files = new CertificateFiles(new Authority().issue());
    let folder: string;
    let origin: Service;
    let proxy: ProxyProcess;
    let plain: string;
    let secure: string;
    before(async () => {
      folder = mkdtempSync(join(tmpdir(), "weft-h2-tools-"));
      writeFileSync(join(folder, "body"), "b".repeat(UPLOAD_BYTES));
      origin = await ORIGINS[name]();
      proxy = await ProxyProcess.start({
        services: { web: { endpoints: [`127.0.0.1:${origin.port}`], protocol: PROTOCOLS[name] } },
        listeners: { secure: { service: "web", protocol: "detect", tls: files.paths } },
      });
      plain = `http://127.0.0.1:${proxy.port}`;
      secure = `https://127.0.0.1:${proxy.listener("secure")}`;
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

    /** No request may fail, no status be other than 2xx, and no worker of the tool give up. */
    async function load(requests: number, ...args: string[]): Promise<void> {
      const output = await succeed("h2load", ["-n", String(requests), ...args]);
      const all = `${requests} total, ${requests} started, ${requests} done, ${requests} succeeded, 0 failed, 0 errored, 0 timeout`;
      assert.ok(output.includes(`requests: ${all}`), output);
      assert.ok(output.includes(`status codes: ${requests} 2xx, 0 3xx, 0 4xx, 0 5xx`), output);
      assert.match(output, /Application protocol: h2c?\n/);
    }

    /** Statuses that nghttp saw, and how often; it must have reset nothing and been reset by nobody. */
    async function nghttp(...args: string[]): Promise<Record<string, number>> {
      const { stdout, stderr, code } = await runTool("nghttp", ["-nv", "--no-verify-peer", "--timeout=20", ...args]);
      const text = stdout.toString("latin1").replaceAll(/\x1b\[[0-9;]*m/g, "");
      assert.equal(code, 0, `${stderr}${text.slice(-3000)}`);
      assert.doesNotMatch(text, /(recv|send) RST_STREAM[^\n]*\n[^\n]*error_code=(?!NO_ERROR)/);
      assert.doesNotMatch(text, /recv GOAWAY[^\n]*\n[^\n]*error_code=(?!NO_ERROR)/);
      const statuses: Record<string, number> = {};
      for (const [, status] of text.matchAll(/recv \([^)]*\) :status: (\d+)/g)) statuses[status!] = (statuses[status!] ?? 0) + 1;
      return statuses;
    }

    for (const where of ["h2c", "TLS"] as const) {
      const url = (path: string): string => (where === "h2c" ? plain : secure) + path;

      for (const { clients, streams, requests } of LOADS) {
        it(`h2load over ${where}: ${requests} requests on ${clients} connections with ${streams} streams`, () =>
          load(requests, "-c", String(clients), "-m", String(streams), url("/")));
      }

      it(`h2load over ${where}: ${UPLOADS} uploads of ${UPLOAD_BYTES} bytes`, () =>
        load(UPLOADS, "-c", "8", "-m", "16", "-d", join(folder, "body"), url("/upload")));

      it(`h2load over ${where}: bodies of 1 MB`, () => load(200, "-c", "4", "-m", "8", url("/1m")));

      it(`h2load over ${where}: windows of 1 KB`, () => load(50, "-c", "4", "-m", "8", "-w", "10", "-W", "10", url("/1m")));

      it(`curl over ${where}: a small answer and a large one`, async () => {
        const how = where === "h2c" ? "--http2-prior-knowledge" : "--http2";
        const format = "%{http_version} %{response_code} %{size_download}\n";
        assert.match(await succeed("curl", ["-sSk", "--fail", how, "-o", "/dev/null", "-w", format, url("/")]), /^2 200 \d+\n$/);
        assert.equal(await succeed("curl", ["-sSk", "--fail", how, "-o", "/dev/null", "-w", format, url("/1m")]), "2 200 1048576\n");
      });

      it(`curl over ${where}: uploads and HEAD`, async () => {
        const how = where === "h2c" ? "--http2-prior-knowledge" : "--http2";
        const args = ["-sSk", "--fail", how, "--data-binary", `@${join(folder, "body")}`, "-w", " %{http_version}", url("/upload")];
        assert.equal(await succeed("curl", args), "received 2");
        const head = await succeed("curl", ["-sSk", "-I", how, "--max-time", "10", url("/1m")]);
        assert.match(head, /^HTTP\/2 200 \r\n(.+\r\n)*content-length: 1048576\r\n/i);
      });

      it(`nghttp over ${where}: twenty at once`, async () => {
        assert.deepEqual(await nghttp("-m", "20", url("/")), { 200: 20 });
      });

      it(`nghttp over ${where}: an upload with padding and trailers`, async () => {
        const body = ["-d", join(folder, "body")];
        assert.deepEqual(await nghttp(...body, "-b", "200", url("/upload")), { 200: 1 });
        assert.deepEqual(await nghttp(...body, "--no-content-length", "--trailer", "x-sum: 7", url("/upload")), { 200: 1 });
      });

      it(`nghttp over ${where}: 24 KB of fields in CONTINUATION frames, and eighty fields`, async () => {
        assert.deepEqual(await nghttp("--continuation", url("/")), { 200: 1 });
        const fields = Array.from({ length: 80 }, (_, i) => `-Hx-field-${i}: value ${i}`);
        assert.deepEqual(await nghttp("-m", "10", ...fields, url("/")), { 200: 10 });
      });

      it(`nghttp over ${where}: tables of 0 and of 64 KB`, async () => {
        assert.deepEqual(await nghttp("-m", "10", "-c", "0", url("/")), { 200: 10 });
        assert.deepEqual(await nghttp("-m", "10", "-c", "64K", "-c", "0", "--encoder-header-table-size=0", url("/")), { 200: 10 });
      });
    }

    it("curl --http2 without TLS asks by Upgrade: h2c, and gets HTTP/1.1", async () => {
      const args = [
        "-sS",
        "-v",
        "--stderr",
        "-",
        "--fail",
        "--http2",
        "-o",
        "/dev/null",
        "-w",
        "%{http_version} %{response_code}",
        `${plain}/`,
      ];
      const output = await succeed("curl", args);
      assert.match(output, /> Upgrade: h2c\r/);
      assert.doesNotMatch(output, /< HTTP\/1\.1 101|< upgrade/i);
      assert.match(output, /1\.1 200$/);
    });

    // Without TLS, this curl breaks off a connection that it asked by prior knowledge when it asks again, whoever the server is.
    it("curl over TLS: two requests on one HTTP/2 connection", async () => {
      const args = ["-sSk", "--fail", "--http2", "-o", "/dev/null", "-o", "/dev/null", "-w", "%{http_version} %{num_connects}\n"];
      assert.equal(await succeed("curl", [...args, `${secure}/`, `${secure}/1m`]), "2 1\n2 0\n");
    });

    it("curl over TLS that offers HTTP/1.1 alone gets that", async () => {
      const format = "%{http_version} %{response_code}";
      const output = await succeed("curl", ["-sSk", "--fail", "--http1.1", "-o", "/dev/null", "-w", format, `${secure}/`]);
      assert.equal(output, "1.1 200");
    });
  });
}
