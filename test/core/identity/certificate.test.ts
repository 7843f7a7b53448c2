// Certificates as bytes: what is read of good ones, and that no changed or cut one is read in another way than as itself.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import { CLIENT_AUTH, readCertificate, SERVER_AUTH } from "../../../src/core/identity/certificate.ts";
import { Authority, type KeyKind } from "../../support/certificates.ts";

const NAME = "web.shop.serviceaccount.identity.weft.cluster.local";
const URI = "spiffe://cluster.local/ns/shop/sa/web";
const authority = new Authority();

const derOf = (pem: string): Buffer => new X509Certificate(pem).raw;

describe("a certificate", () => {
  it("tells its names by kind, byte for byte", () => {
    const names = [NAME, URI, `${NAME}\0.evil`, "WEB", "127.0.0.1"];
    const read = readCertificate(derOf(authority.issue({ names }).cert));
    assert.deepEqual(read?.names, { dns: [NAME, `${NAME}\0.evil`, "WEB"], uris: [URI], others: 1 });
  });

  it("with its identity in the common name only has no names", () => {
    const read = readCertificate(derOf(authority.issue({ names: [], commonName: NAME }).cert));
    assert.deepEqual(read?.names, { dns: [], uris: [], others: 0 });
  });

  it("tells its purposes", () => {
    const usages = (...list: readonly ("server" | "client" | "code")[]) =>
      readCertificate(derOf(authority.issue({ names: [NAME], usages: list }).cert))?.usages;
    assert.deepEqual(usages("server", "client"), [SERVER_AUTH, CLIENT_AUTH]);
    assert.deepEqual(usages("code"), ["2b06010505070303"]);
    assert.equal(readCertificate(derOf(authority.issue({ names: [NAME] }).cert))?.usages, null);
  });

  const keys: readonly (readonly [KeyKind, string, number])[] = [
    ["P-256", "P-256", 0],
    ["P-384", "P-384", 0],
    ["P-521", "other", 0],
    ["ed25519", "Ed25519", 0],
    ["rsa1024", "RSA", 1024],
    ["rsa2048", "RSA", 2048],
  ];
  for (const [keyKind, key, bits] of keys) {
    it(`tells its key: ${keyKind}`, () => {
      const read = readCertificate(derOf(authority.issue({ names: [NAME], keyKind }).cert));
      assert.deepEqual([read?.key, read?.keyBits], [key, bits]);
    });
  }

  it("of an authority is read too", () => {
    assert.deepEqual(readCertificate(derOf(authority.cert))?.names, { dns: [], uris: [], others: 0 });
  });
});

describe("no certificate", () => {
  const der = derOf(authority.issue({ names: [NAME, URI], usages: ["client"] }).cert);

  it("cut anywhere, or with something behind it", () => {
    for (let size = 0; size < der.length; size++) assert.equal(readCertificate(der.subarray(0, size)), null, `${size} bytes`);
    assert.equal(readCertificate(Buffer.concat([der, Buffer.from([0])])), null);
  });

  it("with an alternative name extension given twice", () => {
    const extension = Buffer.from("0603551d11", "hex");
    const usage = Buffer.from("0603551d25", "hex");
    const twice = Buffer.from(der);
    twice.set(extension, twice.indexOf(usage));
    assert.equal(readCertificate(twice), null);
  });

  it("with a length of indefinite form, or one byte longer than it has to be", () => {
    const indefinite = Buffer.from(der);
    indefinite[1] = 0x80;
    assert.equal(readCertificate(indefinite), null);
    const padded = Buffer.concat([Buffer.from([0x30, 0x83, 0x00]), der.subarray(2)]);
    assert.equal(readCertificate(padded), null);
  });

  it("with a changed byte: it is read or refused, and names are never what is not in it", () => {
    fc.assert(
      fc.property(fc.nat(der.length - 1), fc.nat(255), (at, value) => {
        const changed = Buffer.from(der);
        changed[at] = value;
        const read = readCertificate(changed);
        for (const name of [...(read?.names.dns ?? []), ...(read?.names.uris ?? [])])
          assert.ok(changed.includes(Buffer.from(name, "latin1")));
      }),
      { numRuns: 3000 },
    );
  });
});
