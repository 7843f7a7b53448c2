// The identity component over real sockets: first certificates by token, renewals by certificate, and everybody who is refused.

import "reflect-metadata";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as x509 from "@peculiar/x509";
import { X509Certificate } from "node:crypto";
import { altNamesOf } from "../../../src/control/identity/x509.ts";
import { certify, DB, makeKeys, makeRequest, namesOf, WEB } from "../support/identity-client.ts";
import type { RequestOptions } from "../support/identity-client.ts";
import { IdentityComponent } from "../support/identity-component.ts";
import { refusalOf } from "../support/refusal.ts";

let component: IdentityComponent;
before(async () => {
  component = await IdentityComponent.start();
});
after(async () => await component.remove());

test("a token in a file gets a certificate for its workload, and again for another replica", async () => {
  const token = await component.token("web", "file");
  const connection = component.connect();
  const [first, second] = await Promise.all([certify(connection, WEB, token), certify(connection, WEB, token)]);
  for (const { leaf, intermediates, validUntilMs } of [first, second]) {
    assert.deepEqual(altNamesOf(leaf), { dns: [WEB], uris: ["spiffe://cluster.local/ns/shop/sa/web"], others: 0 });
    assert.deepEqual(leaf.keyUsage, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
    assert.equal(leaf.ca, false);
    assert.equal(intermediates.length, 1);
    const root = new X509Certificate(component.bundle);
    assert.ok(leaf.checkIssued(intermediates[0]!) && leaf.verify(intermediates[0]!.publicKey));
    assert.ok(intermediates[0]!.checkIssued(root) && intermediates[0]!.verify(root.publicKey));
    assert.equal(validUntilMs, Date.parse(leaf.validTo));
    const lifeMs = validUntilMs - Date.now();
    assert.ok(lifeMs > 23.9 * 3_600_000 && lifeMs < 24.1 * 3_600_000, `${lifeMs} ms`);
    assert.ok(Date.parse(leaf.validFrom) < Date.now());
  }
  assert.notEqual(first.leaf.serialNumber, second.leaf.serialNumber);
  assert.ok(first.leaf.serialNumber.length > 24);
});

test("RSA with 2048 bits and P-384 are good keys too", async () => {
  const token = await component.token();
  const connection = component.connect();
  for (const kind of ["RSA-2048", "P-384"] as const) {
    const { leaf } = await certify(connection, WEB, token, await makeRequest(WEB, { kind }));
    assert.equal(leaf.subject, `CN=${WEB}`);
  }
});

test("a certificate proves its renewal by mutual TLS, without a token; the renewed one does too", async () => {
  let current = await certify(component.connect(), WEB, await component.token());
  for (let renewal = 0; renewal < 3; renewal++) {
    const next = await certify(component.connect(current), WEB, "");
    assert.notEqual(next.leaf.serialNumber, current.leaf.serialNumber);
    current = next;
  }
});

test("a certificate renews its own identity only", async () => {
  const web = await certify(component.connect(), WEB, await component.token());
  assert.equal(await refusalOf(certify(component.connect(web), DB, "")), "WEFT_IDENTITY_OTHER_WORKLOAD");
});

test("without a token and without a certificate nobody gets one", async () => {
  assert.equal(await refusalOf(certify(component.connect(), WEB, "")), "WEFT_IDENTITY_NO_PROOF");
});

test("a certificate of another authority is refused, with a good token too: it is not taken for none", async () => {
  const other = await IdentityComponent.start();
  try {
    const stranger = await certify(other.connect(), WEB, await other.token());
    assert.equal(await refusalOf(certify(component.connect(stranger), WEB, "")), "WEFT_IDENTITY_CERTIFICATE");
    assert.equal(await refusalOf(certify(component.connect(stranger), WEB, await component.token())), "WEFT_IDENTITY_CERTIFICATE");
    const watch = component.connect(stranger).trust.watch({});
    assert.equal(await refusalOf(watch[Symbol.asyncIterator]().next()), "WEFT_IDENTITY_CERTIFICATE");
  } finally {
    await other.remove();
  }
});

test("a printed token is good once, also when ten use it at the same moment, and the others hear why", async () => {
  const token = await component.token("web", "once");
  const answers = await Promise.all(Array.from({ length: 10 }, async () => await refusalOf(certify(component.connect(), WEB, token))));
  assert.equal(answers.filter((answer) => answer === "none").length, 1);
  assert.equal(answers.filter((answer) => answer === "WEFT_IDENTITY_TOKEN_USED").length, 9);
  assert.equal(await refusalOf(certify(component.connect(), WEB, token)), "WEFT_IDENTITY_TOKEN_USED");
});

test("a printed token that was refused for its request is not used up", async () => {
  const token = await component.token("web", "once");
  const bad = await makeRequest(WEB, { names: [] });
  assert.equal(await refusalOf(certify(component.connect(), WEB, token, bad)), "WEFT_IDENTITY_CSR_NAME");
  assert.equal(await refusalOf(certify(component.connect(), WEB, token)), "none");
});

test("a used token is still refused after a restart", async () => {
  const again = await IdentityComponent.start();
  try {
    const [used, fresh] = [await again.token("web", "once"), await again.token("web", "once")];
    await certify(again.connect(), WEB, used);
    await again.stop();
    await again.start();
    assert.equal(await refusalOf(certify(again.connect(), WEB, used)), "WEFT_IDENTITY_TOKEN_USED");
    assert.equal(await refusalOf(certify(again.connect(), WEB, fresh)), "none");
  } finally {
    await again.remove();
  }
});

const SAN = namesOf(WEB);

const REQUESTS: readonly (readonly [string, RequestOptions, string])[] = [
  ["another workload's names", { names: namesOf(DB), commonName: DB }, "WEFT_IDENTITY_CSR_NAME"],
  ["its own name and another workload's", { names: [...SAN, ...namesOf(DB)] }, "WEFT_IDENTITY_CSR_NAME"],
  ["its own name and another's URI", { names: [SAN[0]!, namesOf(DB)[1]!] }, "WEFT_IDENTITY_CSR_NAME"],
  ["no alternative name, only a common name", { names: [] }, "WEFT_IDENTITY_CSR_NAME"],
  ["a URI only", { names: [SAN[1]!] }, "WEFT_IDENTITY_CSR_NAME"],
  ["another common name", { commonName: DB }, "WEFT_IDENTITY_CSR_NAME"],
  ["an address beside its name", { names: [...SAN, { type: "ip", value: "10.0.0.1" }] }, "WEFT_IDENTITY_CSR_NAME"],
  ["a mail address beside its name", { names: [...SAN, { type: "email", value: "a@b.c" }] }, "WEFT_IDENTITY_CSR_NAME"],
  ["its name in upper case", { names: [{ type: "dns", value: WEB.toUpperCase() }] }, "WEFT_IDENTITY_CSR_NAME"],
  ["its name and NUL", { names: [{ type: "dns", value: `${WEB}\0.evil.example` }] }, "WEFT_IDENTITY_CSR_NAME"],
  ["a wildcard", { names: [{ type: "dns", value: WEB.replace("web", "*") }] }, "WEFT_IDENTITY_CSR_NAME"],
  ["an RSA key of 1024 bits", { kind: "RSA-1024" }, "WEFT_IDENTITY_CSR_KEY"],
  ["a P-521 key", { kind: "P-521" }, "WEFT_IDENTITY_CSR_KEY"],
  ["an Ed25519 key", { kind: "Ed25519" }, "WEFT_IDENTITY_CSR_KEY"],
  ["a signature with SHA-1", { hash: "SHA-1" }, "WEFT_IDENTITY_CSR_SIGNATURE"],
  ["the wish to be an authority", { extensions: [new x509.BasicConstraintsExtension(true, 3, true)] }, "WEFT_IDENTITY_CSR_EXTENSION"],
  ["alternative names twice", { extensions: [new x509.SubjectAlternativeNameExtension(SAN)] }, "WEFT_IDENTITY_CSR_NAME"],
];

for (const [what, options, code] of REQUESTS) {
  test(`refuses a request with ${what}`, async () => {
    const request = await makeRequest(WEB, options);
    assert.equal(await refusalOf(certify(component.connect(), WEB, await component.token(), request)), code);
  });
}

test("refuses a request that another key signed", async () => {
  const request = await makeRequest(WEB, { signingKeys: await makeKeys() });
  assert.equal(await refusalOf(certify(component.connect(), WEB, await component.token(), request)), "WEFT_IDENTITY_CSR_SIGNATURE");
});

test("refuses a request with any bit changed, without a fault", async () => {
  const token = await component.token();
  const { der, keys } = await makeRequest(WEB);
  const connection = component.connect();
  for (let at = 0; at < der.length; at += 11) {
    const changed = new Uint8Array(der);
    changed[at]! ^= 0x10;
    assert.match(await refusalOf(certify(connection, WEB, token, { der: changed, keys })), /^WEFT_IDENTITY_CSR_/, `byte ${at}`);
  }
});

const BYTES: readonly (readonly [string, (der: Uint8Array) => Uint8Array])[] = [
  ["no bytes", () => new Uint8Array()],
  ["bytes behind it", (der) => Buffer.concat([der, Buffer.from([0])])],
  ["its end missing", (der) => der.subarray(0, der.length - 1)],
  ["PEM in place of DER", (der) => Buffer.from(`-----BEGIN CERTIFICATE REQUEST-----\n${Buffer.from(der).toString("base64")}\n`)],
  ["9000 bytes", () => new Uint8Array(9000).fill(0x30)],
  ["nested sequences", () => Buffer.from([0x30, 0x80, ...Array.from({ length: 200 }, () => [0x30, 0x80]).flat()])],
];

for (const [what, change] of BYTES) {
  test(`refuses a request with ${what}`, async () => {
    const { der, keys } = await makeRequest(WEB);
    const call = certify(component.connect(), WEB, await component.token(), { der: change(der), keys });
    assert.equal(await refusalOf(call), "WEFT_IDENTITY_CSR_MALFORMED");
  });
}

const NAMES: readonly (readonly [string, string])[] = [
  ["", "WEFT_IDENTITY_NAME"],
  ["web", "WEFT_IDENTITY_NAME"],
  [WEB.toUpperCase(), "WEFT_IDENTITY_NAME"],
  [`${WEB}\0`, "WEFT_IDENTITY_NAME"],
  ["spiffe://cluster.local/ns/shop/sa/web", "WEFT_IDENTITY_NAME"],
  [WEB.replace("cluster.local", "evil.example"), "WEFT_IDENTITY_FOREIGN"],
  [WEB.replace("weft", "linkerd"), "WEFT_IDENTITY_FOREIGN"],
  ["identity.weft.serviceaccount.identity.weft.cluster.local", "WEFT_IDENTITY_FOREIGN"],
];

for (const [name, code] of NAMES) {
  test(`refuses the identity ${JSON.stringify(name)}`, async () => {
    const request = await makeRequest(WEB);
    assert.equal(await refusalOf(certify(component.connect(), name, await component.token(), request)), code);
  });
}

test("nobody makes a token for the component's own name", async () => {
  await assert.rejects(async () => {
    const { openIdentityFolder } = await import("../../../src/control/identity/token-maker.ts");
    await (await openIdentityFolder(component.folder)).createToken({ name: "identity", namespace: "weft", use: "file", ttlS: 60 });
  }, /nobody but the identity component/);
});

test("every refusal was counted by its code and logged, and no token stands in the log", async () => {
  const token = await component.token("web", "once");
  await refusalOf(certify(component.connect(), DB, token, await makeRequest(DB)));
  const { text } = await component.admin("GET", "/metrics");
  for (const code of ["CSR_NAME", "CSR_KEY", "CSR_SIGNATURE", "CSR_MALFORMED", "TOKEN_USED", "OTHER_WORKLOAD", "CERTIFICATE", "NO_PROOF"]) {
    assert.match(text, new RegExp(`identity_requests_refused_total\\{code="WEFT_IDENTITY_${code}"\\} [1-9]`));
  }
  assert.match(text, /identity_certificates_issued_total\{by="token"\} [1-9]/);
  assert.match(text, /identity_certificates_issued_total\{by="certificate"\} 3/);
  const log = JSON.stringify(component.lines);
  assert.match(log, /WEFT_IDENTITY_/);
  for (const part of token.split(".")) assert.ok(!log.includes(part) && !text.includes(part));
  assert.ok(!log.includes("eyJ"));
});
