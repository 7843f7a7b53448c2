// Certificates by server name, as openssl and curl ask for them.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Origin } from "../support/origin.ts";
import { startApp } from "../support/origin-app.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { runTool, succeed } from "./support/tools.ts";

describe("several certificates of openssl at a listener", () => {
  let folder: string;
  let origin: Origin;
  let proxy: ProxyProcess;
  const sites = { first: "DNS:first.example", wild: "DNS:*.wild.example", other: "DNS:other.example" } as const;
  const file = (name: string, end: "crt" | "key"): string => join(folder, `${name}.${end}`);

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "weft-names-"));
    for (const [name, altNames] of Object.entries(sites)) {
      const options = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", file(name, "key"), "-out", file(name, "crt")];
      await succeed("openssl", [
        "req",
        "-x509",
        "-nodes",
        "-days",
        "2",
        ...options,
        "-subj",
        `/CN=${name}`,
        "-addext",
        `subjectAltName=${altNames}`,
      ]);
    }
    origin = await startApp({ name: "web" });
    const tls = Object.keys(sites).map((name) => ({ cert: file(name, "crt"), key: file(name, "key") }));
    proxy = await ProxyProcess.start({ services: { web: { endpoints: [origin.address] } }, tls });
  });
  after(async () => {
    try {
      await proxy?.stop();
    } finally {
      await origin?.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  for (const [name, site] of [
    ["first.example", "first"],
    ["a.wild.example", "wild"],
    ["other.example", "other"],
  ] as const) {
    for (const version of ["--http1.1", "--http2", "--tls-max 1.2"]) {
      it(`curl ${version} verifies ${name}`, async () => {
        const args = [
          "-sS",
          "--fail",
          ...version.split(" "),
          "--cacert",
          file(site, "crt"),
          "--resolve",
          `${name}:${proxy.port}:127.0.0.1`,
        ];
        assert.equal(await succeed("curl", [...args, "-H", "Host: web", `https://${name}:${proxy.port}/name`]), "web");
        for (const stranger of Object.keys(sites).filter((one) => one !== site)) {
          const wrong = await runTool("curl", [...args, "--cacert", file(stranger, "crt"), `https://${name}:${proxy.port}/name`]);
          assert.equal(wrong.code, 60, wrong.stderr);
        }
      });
    }
  }

  it("openssl sees the certificate of the name, and the first without one", async () => {
    for (const [args, subject] of [
      [["-servername", "first.example"], "first"],
      [["-servername", "b.wild.example"], "wild"],
      [["-servername", "other.example"], "other"],
      [["-servername", "nobody.example"], "first"],
      [["-noservername"], "first"],
    ] as const) {
      const { stdout } = await runTool("openssl", ["s_client", "-connect", `127.0.0.1:${proxy.port}`, ...args]);
      assert.match(stdout.toString(), new RegExp(`subject=CN ?= ?${subject}\\n`), args.join(" "));
    }
  });
});
