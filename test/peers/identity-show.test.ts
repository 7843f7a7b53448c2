// `weft identity` beside openssl: what it says of certificates is what `openssl x509` says, and a server of openssl's that refuses us shows its own first.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { weft } from "../cli/identity-support.ts";
import { Authority } from "../support/certificates.ts";
import { freePorts } from "../support/ports.ts";
import { waitUntil } from "../support/wait.ts";
import { succeed } from "./support/tools.ts";

const WEB = "web.shop.serviceaccount.identity.weft.cluster.local";

const authority = new Authority("a root for openssl");

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-show-openssl-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

async function accepts(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

for (const keyKind of ["P-256", "P-384", "rsa2048", "ed25519"] as const) {
  test(`openssl s_server that demands a client certificate shows its own of ${keyKind}, and both say the same of it`, async () => {
    const { cert, key } = authority.intermediate(`issuer for ${keyKind}`).issue({ names: [WEB], keyKind, usages: ["server", "client"] });
    const pems = cert.split(/(?<=-----END CERTIFICATE-----\n)/).filter((pem) => pem !== "");
    assert.equal(pems.length, 2);
    const trust = file("trust.pem", authority.cert);
    const [port] = await freePorts(1);
    const pair = [
      "-cert",
      file("server.crt", pems[0]!),
      "-cert_chain",
      file("issuer.crt", pems[1]!),
      "-key",
      file("server.key", key),
      "-CAfile",
      trust,
    ];
    const server = spawn("openssl", [
      "s_server",
      "-accept",
      `127.0.0.1:${port}`,
      "-tls1_3",
      "-Verify",
      "3",
      "-verify_return_error",
      "-alpn",
      "h2",
      "-quiet",
      ...pair,
    ]);
    try {
      await waitUntil("openssl to listen", () => accepts(port!));
      const { code, stdout, stderr } = await weft("identity", `127.0.0.1:${port}`, "--name", WEB, "--trust", trust, "-o", "json");
      assert.deepEqual([code, stderr], [0, ""]);
      const [shown] = JSON.parse(stdout) as [{ chain: Record<string, string>[] }];
      assert.equal(shown.chain.length, 2);
      const said = await Promise.all(
        shown.chain.map(async (_, i) => {
          const path = file(`${i}.pem`, pems[i]!);
          return await succeed("openssl", ["x509", "-in", path, "-noout", "-text", "-fingerprint", "-sha256", "-serial"]);
        }),
      );
      for (const [i, certificate] of shown.chain.entries()) {
        const text = said[i]!;
        assert.equal(certificate["fingerprint"], /sha256 Fingerprint=(.*)/i.exec(text)![1]!.replaceAll(":", "").toLowerCase());
        assert.equal(BigInt(`0x${certificate["serialNumber"]}`), BigInt(`0x${/serial=(.*)/.exec(text)![1]}`));
        assert.equal(certificate["signatureAlgorithm"]!.toLowerCase(), /Signature Algorithm: (\S+)/.exec(text)![1]!.toLowerCase());
        assert.equal(Date.parse(certificate["notAfter"]!), Date.parse(/Not After : (.*)/.exec(text)![1]!));
        assert.equal(Date.parse(certificate["notBefore"]!), Date.parse(/Not Before: (.*)/.exec(text)![1]!));
        const key = /NIST CURVE: (\S+)/.exec(text)?.[1] ?? (/RSA Public-Key|Public-Key: \((2048) bit/.exec(text)?.[1] && "RSA 2048 bits");
        assert.ok(certificate["publicKey"]!.includes(key ?? "Ed25519"), `${certificate["publicKey"]}, ${key}`);
      }
    } finally {
      server.kill("SIGKILL");
    }
  });
}
