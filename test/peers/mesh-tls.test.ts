// Mesh TLS with openssl on the other side: what it is offered, what it is shown, and that a certificate which it made itself works.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, describe, it } from "node:test";
import { MeshAuthority, type MeshFiles, meshName, meshUri } from "../support/mesh-certificates.ts";
import type { Origin } from "../support/origin.ts";
import { startApp } from "../support/origin-app.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { waitUntil } from "../support/wait.ts";
import { runTool, succeed } from "./support/tools.ts";

/** What openssl sends within. */
const asking = (): { input: Readable } => ({ input: Readable.from([REQUEST]) });

const REQUEST = "GET /echo HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n";

describe("mesh TLS and openssl", () => {
  const authority = new MeshAuthority();
  const issuer = authority.intermediate("issuer");
  let folder: string;
  let files: MeshFiles;
  let app: Origin;
  let proxy: ProxyProcess;
  const path = (name: string): string => join(folder, name);

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "weft-mesh-"));
    writeFileSync(path("root.crt"), authority.cert);
    const client = authority.workload("client");
    writeFileSync(path("client.crt"), client.cert);
    writeFileSync(path("client.key"), client.key);
    files = authority.files("web");
    files.write(issuer.issue({ names: [meshName("web"), meshUri("web")], usages: ["server", "client"] }));
    app = await startApp({ name: "web" });
    proxy = await ProxyProcess.start({
      services: {},
      identity: files.paths,
      inbound: { target: app.address, policy: "all-authenticated" },
    });
  });
  after(async () => {
    try {
      await proxy?.stop();
    } finally {
      await app?.stop();
      files.remove();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  const client = (...args: readonly string[]): string[] => [
    ...["s_client", "-connect", `127.0.0.1:${proxy.listener("inbound")}`, "-servername", meshName("web")],
    ...["-CAfile", path("root.crt"), "-verify_return_error", "-ign_eof", ...args],
  ];
  const withCertificate = (): string[] => ["-cert", path("client.crt"), "-key", path("client.key")];

  it("TLS 1.3, the whole chain, the right name, and the request gets through with who asked", async () => {
    const said = await succeed("openssl", client(...withCertificate(), "-verify_hostname", meshName("web"), "-showcerts"), asking());
    assert.match(said, /New, TLSv1\.3, Cipher is TLS_AES_128_GCM_SHA256/);
    assert.match(said, /Verify return code: 0 \(ok\)/);
    assert.match(said, /Verified peername: web\.shop/);
    assert.equal(said.match(/BEGIN CERTIFICATE/g)?.length, 2, "the leaf and its issuer, not the root");
    assert.match(said, /Acceptable client certificate CA names/);
    assert.match(said, new RegExp(`l5d-client-id: ${meshName("client")}`));
  });

  it("no other version, no other cipher", async () => {
    for (const version of ["-tls1_2", "-tls1_1"]) {
      const { code, stderr } = await runTool("openssl", client("-cipher", "DEFAULT:@SECLEVEL=0", version), asking());
      assert.notEqual(code, 0, stderr);
    }
    const { code } = await runTool("openssl", client("-ciphersuites", "TLS_AES_128_CCM_SHA256"), asking());
    assert.notEqual(code, 0);
    for (const cipher of ["TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]) {
      assert.match(await succeed("openssl", client(...withCertificate(), "-ciphersuites", cipher), asking()), /HTTP\/1\.1 200/);
    }
  });

  it("no anonymous access to a protected port, with and without TLS", async () => {
    assert.match(await succeed("openssl", client(), asking()), /HTTP\/1\.1 403/);
    assert.match(await succeed("curl", ["-sS", "-i", `http://127.0.0.1:${proxy.listener("inbound")}/`]), /^HTTP\/1\.1 403/);
    assert.equal(app.requests.filter(({ target }) => target === "/").length, 0);
  });

  it("a certificate that openssl has made and a root of its own has not signed is refused", async () => {
    const subject = ["-subj", "/CN=client", "-addext", `subjectAltName=DNS:${meshName("client")}`];
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", path("own.key")];
    await succeed("openssl", ["req", "-x509", "-nodes", "-days", "2", ...key, "-out", path("own.crt"), ...subject]);
    const { stdout } = await runTool("openssl", client("-cert", path("own.crt"), "-key", path("own.key")), asking());
    assert.doesNotMatch(stdout.toString(), /HTTP\/1\.1/);
    await waitUntil("the log", () => proxy.log.includes("[WEFT_PEER_UNTRUSTED]"));
  });

  it("a session is worth nothing: the next handshake is a full one", async () => {
    await runTool("openssl", client(...withCertificate(), "-sess_out", path("session")), asking());
    const again = await succeed("openssl", client(...withCertificate(), "-sess_in", path("session")), asking());
    assert.match(again, /^New, TLSv1\.3/m);
  });
});
