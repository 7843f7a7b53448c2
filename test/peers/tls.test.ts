// TLS with the clients of others: openssl, curl, ab, wrk and Node's https; bodies of 64 MB by their hash, slow ones too.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, get as httpsGet } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, describe, it } from "node:test";
import type { Origin } from "../support/origin.ts";
import { startApp } from "../support/origin-app.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { seededBuffer, seededHash } from "../support/seeded-content.ts";
import { runTool, succeed } from "./support/tools.ts";

const MIB = 1024 * 1024;
const SIZE = 64 * MIB;

/** What openssl makes of a key, by algorithm. */
const KEYS = {
  ecdsa: ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
  rsa: ["-newkey", "rsa:2048"],
} as const;

for (const [algorithm, options] of Object.entries(KEYS)) {
  describe(`TLS with a certificate of openssl, ${algorithm}`, () => {
    let folder: string;
    let origin: Origin;
    let proxy: ProxyProcess;
    let url: string;
    let cert: string;

    before(async () => {
      folder = mkdtempSync(join(tmpdir(), "weft-tls-"));
      cert = join(folder, "cert.pem");
      const key = join(folder, "key.pem");
      const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
      await succeed("openssl", ["req", "-x509", "-nodes", "-days", "2", ...options, "-keyout", key, "-out", cert, ...names]);
      origin = await startApp({ name: "web" });
      proxy = await ProxyProcess.start({ services: { web: { endpoints: [origin.address], protocol: "http1" } }, tls: { cert, key } });
      url = `https://localhost:${proxy.port}`;
    });
    after(async () => {
      try {
        await proxy?.stop();
      } finally {
        await origin?.stop();
        rmSync(folder, { recursive: true, force: true });
      }
    });

    const curl = (...args: string[]): Promise<string> => succeed("curl", ["-sS", "--fail", "--max-time", "50", "--cacert", cert, ...args]);

    for (const version of ["--tls-max 1.2", "--tlsv1.3", "--http2", "--http1.1", "--no-alpn", "--http1.0"]) {
      it(`curl ${version}`, async () => {
        assert.equal(await curl(...version.split(" "), `${url}/name`), "web");
      });
    }

    it("curl refuses another name, and trusts nobody by itself", async () => {
      const wrong = await runTool("curl", [
        "-sS",
        "--cacert",
        cert,
        "--resolve",
        `else.example:${proxy.port}:127.0.0.1`,
        `https://else.example:${proxy.port}/`,
      ]);
      assert.equal(wrong.code, 60, wrong.stderr);
      assert.equal((await runTool("curl", ["-sS", `${url}/`])).code, 60);
    });

    it("curl gets the reason when it speaks plain HTTP", async () => {
      const { stdout } = await runTool("curl", ["-sS", "-i", `http://localhost:${proxy.port}/`]);
      assert.match(stdout.toString(), /^HTTP\/1\.1 400 .*l5d-proxy-error: \[WEFT_TLS_REQUIRED\]/s);
    });

    it("64 MB down and up by hash, also to a reader that is held back", async () => {
      for (const rate of [[], ["--limit-rate", "24M"]]) {
        const out = join(folder, "down");
        await curl(...rate, "-o", out, `${url}/bytes/${SIZE}/3`);
        assert.equal(createHash("sha256").update(readFileSync(out)).digest("hex"), seededHash(3, SIZE));
      }
      const up = join(folder, "up");
      writeFileSync(up, seededBuffer(4, SIZE));
      assert.match(await curl("-T", up, "-X", "POST", `${url}/hash`), new RegExp(`^${SIZE} ${seededHash(4, SIZE)} `));
    });

    for (const version of ["-tls1_2", "-tls1_3"]) {
      it(`openssl s_client ${version} resumes its session`, async () => {
        const session = join(folder, `session${version}`);
        const base = [
          "s_client",
          "-connect",
          `127.0.0.1:${proxy.port}`,
          version,
          "-CAfile",
          cert,
          "-verify_return_error",
          "-servername",
          "localhost",
          "-ign_eof",
        ];
        const ask = () => Readable.from(["GET /name HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"]);
        const first = await runTool("openssl", [...base, "-sess_out", session], { input: ask() });
        assert.match(first.stdout.toString(), /web\s*(closed)?/);
        assert.match(first.stdout.toString(), /New, TLSv1\.[23]/);
        const second = await runTool("openssl", [...base, "-sess_in", session], { input: ask() });
        assert.match(second.stdout.toString(), /Reused, TLSv1\.[23]/);
        assert.equal(second.code, 0, second.stderr);
      });
    }

    it("ab, with and without keep-alive", async () => {
      for (const args of [
        ["-n", "400", "-c", "10"],
        ["-k", "-n", "4000", "-c", "20"],
      ]) {
        const said = await succeed("ab", ["-q", ...args, `https://127.0.0.1:${proxy.port}/name`]);
        assert.match(said, new RegExp(`Complete requests: +${args.at(args.indexOf("-n") + 1)}`));
        assert.match(said, /Failed requests: +0/);
        assert.doesNotMatch(said, /Non-2xx/);
      }
    });

    it("wrk", async () => {
      const said = await succeed("wrk", ["-t1", "-c32", "-d1", `https://127.0.0.1:${proxy.port}/name`]);
      assert.doesNotMatch(said, /Socket errors|Non-2xx/);
      assert.match(said, /[1-9]\d* requests in/);
    });

    it("Node's https with keep-alive", async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 4, ca: readFileSync(cert) });
      const answers = await Promise.all(
        Array.from(
          { length: 100 },
          () =>
            new Promise<string>((resolve, reject) => {
              httpsGet(`${url}/name`, { agent }, (response) => {
                let text = "";
                response.on("data", (chunk: Buffer) => {
                  text += chunk.toString();
                });
                response.on("end", () => resolve(text));
              }).on("error", reject);
            }),
        ),
      );
      assert.ok(answers.every((answer) => answer === "web"));
      agent.destroy();
    });
  });
}
