// The identity component as openssl sees it: handshakes by s_client, a request made by `openssl req`, chains by `openssl verify`.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { X509Certificate } from "node:crypto";
import { SERVER, WEB } from "../control/support/identity-client.ts";
import { IdentityComponent } from "../control/support/identity-component.ts";
import { runTool, succeed } from "./support/tools.ts";

let component: IdentityComponent;
let folder: string;
before(async () => {
  component = await IdentityComponent.start();
  folder = mkdtempSync(join(tmpdir(), "weft-openssl-"));
});
after(async () => {
  await component.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** What s_client says; its input says Q, so it ends after the handshake. */
async function handshake(...args: readonly string[]): Promise<string> {
  const address = ["-connect", `127.0.0.1:${component.controller.port}`, "-servername", SERVER, "-alpn", "h2"];
  const { stdout, stderr } = await runTool("openssl", ["s_client", ...address, ...args], { input: Readable.from(["Q\n"]) });
  return stdout.toString("utf8") + stderr;
}

test("openssl s_client sees TLS 1.3, HTTP/2, the whole chain, and the component's name in it", async () => {
  const ca = join(folder, "bundle.pem");
  writeFileSync(ca, component.bundle);
  const text = await handshake("-CAfile", ca, "-verify_return_error", "-verify_hostname", SERVER, "-showcerts");
  assert.match(text, /New, TLSv1\.3, Cipher is TLS_/);
  assert.match(text, /ALPN protocol: h2/);
  assert.match(text, /Verification: OK/);
  assert.match(text, new RegExp(`Verified peername: ${SERVER.replaceAll(".", "\\.")}`));
  assert.equal(text.match(/BEGIN CERTIFICATE/g)!.length, 3);
});

for (const version of ["-tls1_2", "-tls1_1"]) {
  test(`openssl s_client ${version} gets no connection`, async () => {
    assert.doesNotMatch(await handshake(version), /Cipher is (?!\(NONE\))/);
  });
}

test("a request by openssl is certified; openssl verifies the leaf for both ends, by its name, and sees what it may be used for", async () => {
  const at = (name: string): string => join(folder, name);
  const uri = "spiffe://cluster.local/ns/shop/sa/web";
  const names = ["-subj", `/CN=${WEB}`, "-addext", `subjectAltName=DNS:${WEB},URI:${uri}`];
  await succeed("openssl", [
    "req",
    "-new",
    "-nodes",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-keyout",
    at("key"),
    "-outform",
    "DER",
    "-out",
    at("csr"),
    ...names,
  ]);
  const answer = await component.connect().identity.certify({
    identity: WEB,
    token: Buffer.from(await component.token()),
    certificateSigningRequest: new Uint8Array(readFileSync(at("csr"))),
  });
  writeFileSync(at("leaf"), new X509Certificate(answer.leafCertificate).toString());
  writeFileSync(at("issuer"), answer.intermediateCertificates.map((der) => new X509Certificate(der).toString()).join(""));
  writeFileSync(at("ca"), component.bundle);
  for (const purpose of ["sslserver", "sslclient"]) {
    await succeed("openssl", [
      "verify",
      "-x509_strict",
      "-purpose",
      purpose,
      "-verify_hostname",
      WEB,
      "-CAfile",
      at("ca"),
      "-untrusted",
      at("issuer"),
      at("leaf"),
    ]);
  }
  const text = await succeed("openssl", ["x509", "-in", at("leaf"), "-noout", "-text"]);
  for (const expected of [
    /CA:FALSE/,
    /Digital Signature, Key Encipherment/,
    /TLS Web Server Authentication, TLS Web Client Authentication/,
    /ecdsa-with-SHA256/,
    new RegExp(`DNS:${WEB}, URI:${uri}`),
  ]) {
    assert.match(text, expected);
  }
  assert.match(text, /Serial Number:\s+([0-9a-f]{2}:){14,}/);
  // The certificate and openssl's own key are a client that the component believes.
  const client = { cert: readFileSync(at("leaf"), "utf8") + readFileSync(at("issuer"), "utf8"), key: readFileSync(at("key"), "utf8") };
  const renewed = await component
    .connect(client)
    .identity.certify({ identity: WEB, certificateSigningRequest: new Uint8Array(readFileSync(at("csr"))) });
  assert.notDeepEqual(renewed.leafCertificate, answer.leafCertificate);
});
