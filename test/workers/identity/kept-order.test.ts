// What a proxy keeps on disk when new roots come while its certificate is renewed: the new certificate, with the new roots.
//
// Story: the roots came with the old certificate, and were written in the place of the new one, which was being written. After a restart the proxy had the
// old one, for as long as that was good, and then a printed token that was used.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, it } from "node:test";
import type { Certified, ThreadAnswer, TrustRoots } from "../../../src/workers/identity/certify-request.ts";
import { IdentityClient } from "../../../src/workers/identity/identity-client.ts";
import { IdentityComponent } from "../../control/support/identity-component.ts";
import { WEB } from "../../control/support/identity-client.ts";
import { Authority } from "../../support/certificates.ts";
import { joinToken } from "../../support/join-token.ts";
import { removeFolder, temporaryFolder } from "../../support/temporary-folder.ts";
import { waitUntil } from "../../support/wait.ts";

const PATIENCE_MS = 60_000;
const DAY_MS = 86_400_000;

let component: IdentityComponent;
let folder: string;
beforeEach(async () => {
  component = await IdentityComponent.start();
  folder = temporaryFolder("weft-kept-");
});
afterEach(async () => {
  await component.remove();
  removeFolder(folder);
});

/** An answer that the test gives when it wants to. */
class Later<T> {
  readonly asked: ((value: ThreadAnswer<T>) => void)[] = [];

  readonly ask = (): Promise<ThreadAnswer<T>> => new Promise((resolve) => this.asked.push(resolve));
}

/** Resolves when both are kept. */
async function renewWith(isCertificateFirst: boolean): Promise<void> {
  const authority = new Authority("kept root");
  const bundles = new Later<TrustRoots>();
  const certificates = new Later<Certified>();
  let wall = Date.now();
  let due: (() => void) | null = null;
  const certified = (): Certified => {
    const notAfter = wall + DAY_MS;
    const { cert, key } = authority.issue({ names: [WEB], usages: ["server", "client"], notAfter: new Date(notAfter) });
    const times = { issuedAt: wall, validUntil: notAfter, notAfter };
    return { name: WEB, cert, key, trust: component.bundle, trustVersion: 1, trustDigest: "", ...times };
  };
  writeFileSync(join(folder, "token"), joinToken({ identity: WEB }));
  const { port } = component.controller;
  const client = new IdentityClient({
    source: { kind: "controller", controller: { host: "127.0.0.1", port }, tokenFile: join(folder, "token"), keep: join(folder, "keep") },
    inherited: null,
    environment: {},
    clock: {
      offsetMs: 0,
      now: () => wall,
      monotonic: () => wall,
      schedule: (callback) => {
        due = callback;
        return () => {
          if (due === callback) due = null;
        };
      },
    },
    random: () => 0.5,
    certify: certificates.ask,
    readBundle: bundles.ask,
    onIdentity: () => undefined,
    metrics: { expires: () => undefined, refreshed: () => undefined, failed: () => undefined, trusts: () => undefined },
    log: () => undefined,
  });
  const kept = (): Certified => JSON.parse(readFileSync(join(folder, "keep", "identity.json"), "utf8")) as Certified;
  try {
    await client.start();
    await waitUntil("the first attempt", () => certificates.asked.length === 1, PATIENCE_MS);
    certificates.asked.shift()!({ ok: certified() });
    await client.ready;
    // The stream tells of roots that this client has not read yet.
    await waitUntil("roots to be read", () => bundles.asked.length === 1, PATIENCE_MS);
    wall += DAY_MS * 0.7;
    await waitUntil("the next attempt to be due", () => due, PATIENCE_MS);
    due!();
    await waitUntil("the attempt", () => certificates.asked.length === 1, PATIENCE_MS);
    const renewed = certified();
    const roots = { trust: component.bundle, trustVersion: 2, trustDigest: "two" };
    if (!isCertificateFirst) bundles.asked.shift()!({ ok: roots });
    certificates.asked.shift()!({ ok: renewed });
    if (isCertificateFirst) bundles.asked.shift()!({ ok: roots });
    await waitUntil("both to be kept", () => kept().cert === renewed.cert && kept().trustVersion === 2, PATIENCE_MS);
    assert.deepEqual([client.held?.cert, client.held?.trustVersion], [renewed.cert, 2]);
  } finally {
    client.close();
  }
}

it("new roots that come while a certificate is being kept are kept with it", () => renewWith(true));

it("new roots that come just before a certificate are kept with it", () => renewWith(false));
