// An issuer from outside: files of an external CA, read anew when they change, refused when they do not fit together.

import assert from "node:assert/strict";
import type { X509Certificate } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { keyToPem, makeIssuer, makeLeaf, makeRoot } from "../../../src/control/identity/x509.ts";
import type { Signer } from "../../../src/control/identity/x509.ts";
import type { TrustBundle } from "../../../src/api/weft/identity_pb.ts";
import { certify, WEB } from "../support/identity-client.ts";
import { IdentityComponent } from "../support/identity-component.ts";
import { waitUntil } from "../../support/wait.ts";

const DAY_MS = 86_400_000;
const validity = (fromMs = -DAY_MS, toMs = DAY_MS): { notBeforeMs: number; notAfterMs: number } => ({
  notBeforeMs: Math.floor((Date.now() + fromMs) / 1000) * 1000,
  notAfterMs: Math.floor((Date.now() + toMs) / 1000) * 1000,
});

let folder: string;
let root: Signer;
let issuer: Signer;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "weft-given-"));
  root = await makeRoot("outside", validity());
  issuer = await makeIssuer(root, "outside", validity());
  await write([root], [issuer], issuer);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const at = (name: string): string => join(folder, name);

async function write(
  roots: readonly Signer[],
  chain: readonly { readonly certificate: X509Certificate }[],
  key: Signer,
  mode = 0o600,
): Promise<void> {
  writeFileSync(at("roots.pem"), roots.map(({ certificate }) => certificate.toString()).join(""));
  writeFileSync(at("issuer.pem"), chain.map(({ certificate }) => certificate.toString()).join(""));
  rmSync(at("issuer.key"), { force: true });
  writeFileSync(at("issuer.key"), await keyToPem(key.key), { mode: 0o600 });
  chmodSync(at("issuer.key"), mode);
}

const given = (): { roots: string; issuerCert: string; issuerKey: string } => ({
  roots: at("roots.pem"),
  issuerCert: at("issuer.pem"),
  issuerKey: at("issuer.key"),
});

async function start(data?: string): Promise<IdentityComponent> {
  // The shortest life decides how often the files are looked at.
  return await IdentityComponent.start({
    given: given(),
    rotation: { leafLifetimeMs: 2 * 3_600_000, propagationMs: 1_000 },
    ...(data !== undefined && { data }),
  });
}

test("leaves come below the given issuer, and never live longer than it", async () => {
  issuer = await makeIssuer(root, "short", validity(-DAY_MS, 1_800_000));
  await write([root], [issuer], issuer);
  const component = await start();
  try {
    const { leaf, intermediates } = await certify(component.connect(), WEB, await component.token());
    assert.equal(intermediates[0]!.fingerprint256, issuer.certificate.fingerprint256);
    assert.ok(leaf.verify(issuer.certificate.publicKey));
    assert.equal(leaf.validTo, issuer.certificate.validTo);
    assert.equal((await component.admin("POST", "/identity/rotate?what=root", "", component.authorization)).status, 409);
  } finally {
    await component.remove();
  }
});

test("an issuer that is also the root in the roots file needs no chain", async () => {
  await write([root], [root], root);
  const component = await start();
  try {
    const { leaf, intermediates } = await certify(component.connect(), WEB, await component.token());
    assert.deepEqual(intermediates, []);
    assert.ok(leaf.verify(root.certificate.publicKey));
  } finally {
    await component.remove();
  }
});

test("changed files count while it runs: first the new root is trusted, then its issuer signs; a set that does not fit changes nothing", async () => {
  const component = await start();
  try {
    const bundles: TrustBundle[] = [];
    const watch = (async () => {
      for await (const bundle of component.connect().trust.watch({})) bundles.push(bundle);
    })().catch(() => {});
    await waitUntil("the first bundle", () => bundles.length === 1);

    const newRoot = await makeRoot("outside 2", validity());
    const newIssuer = await makeIssuer(newRoot, "outside 2", validity());
    await write([root], [newIssuer], newIssuer);
    await waitUntil("the refusal", () => component.lines.some(({ message }) => message.includes("cannot be used")));
    assert.equal(
      (await certify(component.connect(), WEB, await component.token())).intermediates[0]!.fingerprint256,
      issuer.certificate.fingerprint256,
    );

    await write([root, newRoot], [issuer], issuer);
    await waitUntil("the bundle with both roots", () => bundles.length === 2);
    assert.equal(bundles[1]!.roots.length, 2);
    assert.ok(bundles[1]!.version > bundles[0]!.version);

    await write([root, newRoot], [newIssuer], newIssuer);
    await waitUntil("the new issuer", async () => {
      const { intermediates } = await certify(component.connect(), WEB, await component.token());
      return intermediates[0]!.fingerprint256 === newIssuer.certificate.fingerprint256;
    });
    await component.stop();
    await watch;
    await component.start();
    const again = (await component.connect().trust.watch({})[Symbol.asyncIterator]().next()).value as TrustBundle;
    assert.equal(again.version, bundles[1]!.version);
  } finally {
    await component.remove();
  }
});

const SETS: readonly (readonly [string, () => Promise<void>, RegExp])[] = [
  ["a key that others can read", async () => await write([root], [issuer], issuer, 0o644), /can be reached by others \(mode 644\)/],
  ["the key of another certificate", async () => await write([root], [issuer], root), /is not the key of/],
  ["an issuer of another root", async () => await write([await makeRoot("x", validity())], [issuer], issuer), /leads to no root/],
  [
    "a leaf in place of an issuer",
    async () => {
      const keys = await makeIssuer(root, "x", validity());
      const identity = { account: "a", namespace: "b", controlNamespace: "weft", trustDomain: "cluster.local" };
      const spki = new Uint8Array(keys.certificate.publicKey.export({ type: "spki", format: "der" }));
      const certificate = await makeLeaf(root, identity, spki, validity());
      await write([root], [{ certificate }], keys);
    },
    /is no authority/,
  ],
  [
    "an issuer that has expired",
    async () => {
      const old = await makeIssuer(root, "old", validity(-DAY_MS, -1_000));
      await write([root], [old], old);
    },
    /expired at/,
  ],
  ["no certificates", async () => writeFileSync(at("issuer.pem"), ""), /has 0 certificates/],
  ["no key", async () => writeFileSync(at("issuer.key"), "x", { mode: 0o600 }), /has no private key/],
  ["no file", async () => rmSync(at("roots.pem")), /cannot be read \(ENOENT\)/],
  [
    "a broken certificate",
    async () => writeFileSync(at("roots.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    /cannot be decoded/,
  ],
];

for (const [what, make, message] of SETS) {
  test(`refuses to start with ${what}`, async () => {
    await make();
    await assert.rejects(start(), message);
  });
}
