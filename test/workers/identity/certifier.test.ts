// What an identity component answers is checked before it is used: each lie by its reason, through the thread that asks in production.

import assert from "node:assert/strict";
import { createHash, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import "reflect-metadata";
import { after, before, describe, it } from "node:test";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Pkcs10CertificateRequest, SubjectAlternativeNameExtension } from "@peculiar/x509";
import type { Certified, CertifyRequest, IdentityProof, ThreadAnswer } from "../../../src/workers/identity/certify-request.ts";
import { certifyInThread, readBundleInThread } from "../../../src/workers/identity/certifier-thread.ts";
import type { FailureReason } from "../../../src/workers/identity/identity-failure.ts";
import { Authority, type LeafOptions } from "../../support/certificates.ts";
import { joinToken } from "../../support/join-token.ts";
import { COMPONENT_NAME, derOf, type Lies, LyingComponent } from "../../support/lying-component.ts";

const NAME = "web.shop.serviceaccount.identity.weft.cluster.local";
const URI = "spiffe://cluster.local/ns/shop/sa/web";
const HOUR_MS = 3_600_000;

const root = new Authority("true root");
const issuer = root.intermediate("true issuer");
const stranger = new Authority("stranger");
const pinned = [createHash("sha256").update(derOf(root.cert)).digest("hex")];
const token = joinToken({ identity: NAME, roots: pinned });
const byToken: IdentityProof = { kind: "token", token, pinned };

/** The key that a request is for. */
function keyOf(request: Uint8Array<ArrayBuffer>): KeyObject {
  return createPublicKey({ key: Buffer.from(new Pkcs10CertificateRequest(request).publicKey.rawData), format: "der", type: "spki" });
}

/** A leaf and its issuers, in DER, for the key of the request unless that is the lie. */
function leaf(request: Uint8Array<ArrayBuffer>, options: LeafOptions & { by?: Authority } = {}) {
  const { by = issuer, ...rest } = options;
  const { cert } = by.issue({ names: [NAME, URI], usages: ["server", "client"], publicKey: keyOf(request), ...rest });
  const chain = cert.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)!.map(derOf);
  return { leafCertificate: chain[0]!, intermediateCertificates: chain.slice(1) };
}

describe("what a component answers", () => {
  let component: LyingComponent;
  before(async () => {
    component = await LyingComponent.start(root);
  });
  after(() => component.stop());

  function ask(proof: IdentityProof = byToken, more: Partial<CertifyRequest> = {}): Promise<ThreadAnswer<Certified>> {
    const place = { address: { host: "127.0.0.1", port: component.port }, name: COMPONENT_NAME };
    return certifyInThread({ kind: "certify", place, name: NAME, proof, clockOffsetMs: 0, ...more });
  }

  async function failure(lies: Lies, proof = byToken): Promise<{ reason: FailureReason; message: string }> {
    component.tell(lies);
    const answer = await ask(proof);
    assert.ok("failure" in answer, "it was taken");
    assert.ok(!answer.failure.message.includes(token) && !answer.failure.message.includes(token.split(".")[2]!));
    return answer.failure;
  }

  it("is taken when it is what was asked for; the request names the workload in both forms, and nothing else", async () => {
    let names: unknown;
    component.tell({
      response: (request) => {
        const extension = new Pkcs10CertificateRequest(request).extensions.find((one) => one instanceof SubjectAlternativeNameExtension);
        names = extension!.names.toJSON();
        return leaf(request);
      },
    });
    const answer = await ask();
    assert.ok("ok" in answer, JSON.stringify(answer));
    assert.deepEqual(names, [
      { type: "dns", value: NAME },
      { type: "url", value: URI },
    ]);
    const { cert, key, trust, trustVersion, validUntil, notAfter } = answer.ok;
    assert.equal(new X509Certificate(trust).fingerprint256, new X509Certificate(root.cert).fingerprint256);
    assert.equal(trustVersion, 3);
    assert.match(key, /^-----BEGIN PRIVATE KEY-----\n/);
    assert.equal(cert.split("BEGIN CERTIFICATE").length - 1, 2);
    assert.ok(validUntil < notAfter && validUntil > Date.now());
    assert.equal(component.tokens.at(-1), token);
    const next = await ask();
    assert.ok("ok" in next && next.ok.key !== key, "each certificate has a key of its own");
  });

  const ended = { notBefore: new Date(Date.now() - 2 * HOUR_MS), notAfter: new Date(Date.now() - HOUR_MS) };
  const future = { notBefore: new Date(Date.now() + HOUR_MS), notAfter: new Date(Date.now() + 2 * HOUR_MS) };
  const certificates: readonly [string, (request: Uint8Array<ArrayBuffer>) => ReturnType<typeof leaf>, RegExp][] = [
    ["for another key", () => leafForOther(), /not for the proxy's key/],
    ["for another workload", (r) => leaf(r, { names: [NAME.replace("web", "api")] }), /it is not web\.shop/],
    ["for two workloads", (r) => leaf(r, { names: [NAME, NAME.replace("web", "api")] }), /it is not web\.shop/],
    ["with the name in its subject alone", (r) => leaf(r, { names: [], commonName: NAME }), /it is not web\.shop/],
    ["for servers only", (r) => leaf(r, { usages: ["server"] }), /not for both sides of TLS/],
    ["that has ended", (r) => leaf(r, ended), /it ended at .*compare this host's clock/],
    ["that has not begun", (r) => leaf(r, future), /it is valid from .*compare this host's clock/],
    ["by a root that nobody trusts", (r) => leaf(r, { by: stranger }), /none of the trusted roots/],
    ["without its issuer", (r) => ({ ...leaf(r), intermediateCertificates: [] }), /none of the trusted roots/],
    [
      "with another's issuer",
      (r) => ({ ...leaf(r), intermediateCertificates: [derOf(stranger.intermediate("x").cert)] }),
      /did not issue the one before/,
    ],
    [
      "with a chain that is too long",
      (r) => ({ ...leaf(r), intermediateCertificates: Array(4).fill(derOf(issuer.cert)) as Uint8Array<ArrayBuffer>[] }),
      /has 5 certificates/,
    ],
    ["that is none", () => ({ leafCertificate: new Uint8Array([1, 2, 3]), intermediateCertificates: [] }), /no certificate/],
  ];

  function leafForOther(): ReturnType<typeof leaf> {
    const { cert } = root.issue({ names: [NAME], usages: ["server", "client"] });
    return { leafCertificate: derOf(cert), intermediateCertificates: [] };
  }

  for (const [what, response, message] of certificates) {
    it(`refuses a certificate ${what}`, async () => {
      const found = await failure({ response });
      assert.equal(found.reason, "answer");
      assert.match(found.message, message);
    });
  }

  it("refuses an end that has passed already", async () => {
    const found = await failure({ response: (request) => ({ ...leaf(request), validUntil: timestampFromMs(Date.now() - 1000) }) });
    assert.match(found.message, /it ended at/);
  });

  const answers: readonly [string, Lies, FailureReason, RegExp][] = [
    ["no message", { raw: Buffer.alloc(0) }, "answer", /answered nothing/],
    ["half a message", { raw: Buffer.from([0, 0, 0, 0, 9, 1]) }, "answer", /answered nothing/],
    ["a compressed message", { raw: Buffer.from([1, 0, 0, 0, 1, 0]) }, "answer", /compressed/],
    ["a message of 4 GB", { raw: Buffer.from([0, 255, 255, 255, 255, 0]) }, "answer", /4294967295 bytes/],
    ["two messages", { raw: Buffer.alloc(10) }, "answer", /answered twice/],
    ["what is no protobuf", { raw: Buffer.from([0, 0, 0, 0, 2, 255, 255]) }, "answer", /no message of this service/],
    ["an HTTP error", { httpStatus: 404 }, "untrusted", /HTTP status 404/],
    [
      "no, with the token in its words",
      { status: "3", message: `[WEFT_IDENTITY_TOKEN_USED] ${token}` },
      "refused",
      /^\[WEFT_IDENTITY_TOKEN_USED\] \[token\] \(gRPC status 3\)$/,
    ],
    ["no, at length", { status: "9", message: "x".repeat(5000) }, "refused", /^x{300}\.\.\. \(gRPC status 9\)$/],
    ["later", { status: "14", message: "no%20issuer" }, "unavailable", /^no issuer \(gRPC status 14\)$/],
    ["too often", { status: "8" }, "unavailable", /^no reason given \(gRPC status 8\)$/],
  ];
  for (const [what, lies, reason, message] of answers) {
    it(`understands ${what}`, async () => {
      const found = await failure(lies);
      assert.equal(found.reason, reason, found.message);
      assert.match(found.message, message);
    });
  }

  const bundles: readonly [string, readonly Uint8Array<ArrayBuffer>[], RegExp][] = [
    ["without a root", [], /has 0 roots/],
    ["with nine", Array(9).fill(derOf(root.cert)) as Uint8Array<ArrayBuffer>[], /has 9 roots/],
    ["with an issuer that is no root", [derOf(root.cert), derOf(issuer.cert)], /what is no root/],
    ["with a leaf", [derOf(root.issue({ names: [NAME] }).cert)], /what is no root/],
    ["with what is no certificate", [new Uint8Array([48, 0])], /no certificate/],
  ];
  for (const [what, roots, message] of bundles) {
    it(`refuses a trust bundle ${what}, and shows no token`, async () => {
      const shown = component.tokens.length;
      const found = await failure({ bundle: (good) => ({ ...good, roots: [...roots] }), response: leaf });
      assert.equal(found.reason, "answer");
      assert.match(found.message, message);
      assert.equal(component.tokens.length, shown);
    });
  }

  it("a bundle that is older than the one in use is not taken with a renewal, and is where trust begins with a token", async () => {
    component.tell({ response: leaf });
    const first = await ask();
    assert.ok("ok" in first);
    const held = { ...first.ok, trustVersion: 9, trustDigest: "known" };
    const renewed = await ask({ kind: "certificate", ...held });
    assert.ok("ok" in renewed && renewed.ok.trustVersion === 9 && renewed.ok.trustDigest === "known");
    assert.equal(component.tokens.at(-1), "");
    const again = await ask();
    assert.ok("ok" in again && again.ok.trustVersion === 3);
  });

  it("by this host's clock a certificate of an hour is not good in a day", async () => {
    component.tell({ response: leaf });
    const answer = await ask(byToken, { clockOffsetMs: 48 * HOUR_MS });
    assert.ok("failure" in answer);
    assert.match(answer.failure.message, /it ended at .*compare this host's clock/);
  });

  it("the component must be who the token says, by root, name and time, before it is shown anything", async () => {
    const shown = component.tokens.length;
    const other = await ask({ kind: "token", token, pinned: ["f".repeat(64)] });
    assert.ok("failure" in other && other.failure.reason === "untrusted");
    assert.match(other.failure.message, /none of the roots that the token pins/);
    const address = { host: "127.0.0.1", port: component.port };
    const named = await ask(byToken, { place: { address, name: COMPONENT_NAME.replace("weft", "other") } });
    assert.ok("failure" in named && named.failure.reason === "untrusted");
    assert.match(named.failure.message, /its certificate is not identity\.other/);
    assert.equal(component.tokens.length, shown);
  });

  it("a trust bundle from the watch is read, and nonsense is not", async () => {
    assert.deepEqual(await readBundleInThread({ kind: "bundle", message: new Uint8Array([255]) }), {
      failure: { reason: "answer", message: "it is no message of this service" },
    });
  });
});
