// An identity component whose clock is wrong when it starts, and right later: nothing that was valid is lost.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { KeptAuthority } from "../../../src/control/identity/kept-authority.ts";
import { OwnCertificate } from "../../../src/control/identity/own-certificate.ts";
import { openPrivateFolder } from "../../../src/control/identity/private-files.ts";
import { DEFAULT_ROTATION } from "../../../src/control/identity/token-maker.ts";
import { makeKeys } from "../../../src/control/identity/x509.ts";

const DAY_MS = 86_400_000;
const START_MS = Date.now();
const WEB = { account: "web", namespace: "shop", controlNamespace: "weft", trustDomain: "cluster.local" };

let parent: string;
let clockMs: number;
let lines: { level: string; message: string }[];
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "weft-clock-"));
  clockMs = START_MS;
  lines = [];
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

async function open(): Promise<KeptAuthority> {
  const folder = join(parent, "data");
  openPrivateFolder(folder);
  const log = (level: string, message: string) => lines.push({ level, message });
  return await KeptAuthority.open({ folder, rotation: DEFAULT_ROTATION, log, nowMs: () => clockMs });
}

async function leafRoot(authority: KeptAuthority): Promise<string> {
  const keys = await makeKeys();
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey));
  const { leaf, intermediates, root } = await authority.issue(WEB, spki);
  assert.ok(leaf.verify(intermediates[0]!.publicKey) && intermediates[0]!.verify(root.publicKey));
  for (const one of [leaf, ...intermediates, root])
    assert.ok(Date.parse(one.validFrom) <= clockMs && clockMs < Date.parse(one.validTo), "valid by the clock of that moment");
  return root.fingerprint256;
}

const fingerprints = ({ bundle }: KeptAuthority): string[] => bundle.roots.map(({ fingerprint256 }) => fingerprint256);

test("by a clock that is ahead of the root's whole life a new root signs, the old one stays, and is back in its place when the clock is right", async () => {
  const first = await leafRoot(await open());
  clockMs = START_MS + 500 * DAY_MS;
  const wrong = await open();
  assert.notEqual(await leafRoot(wrong), first);
  assert.ok(fingerprints(wrong).includes(first), "the old root is in the bundle");
  const said = lines.find(({ message }) => message.startsWith("by this clock the root has ended"));
  assert.equal(said?.level, "warn");
  await wrong.tick();
  assert.ok(fingerprints(wrong).includes(first));

  // Within the same process, and after a restart.
  clockMs = START_MS + 60_000;
  await wrong.tick();
  assert.equal(await leafRoot(wrong), first);
  const again = await open();
  assert.equal(await leafRoot(again), first);
  assert.equal(again.status.roots.find(({ phase }) => phase === "active")?.fingerprint, first.replaceAll(":", "").toLowerCase());
});

test("the component's own certificate is made anew when the clock is set back behind its beginning", async () => {
  clockMs = START_MS + 2 * DAY_MS;
  await open();
  clockMs = START_MS + 3 * DAY_MS;
  const authority = await open();
  const own = new OwnCertificate(authority, { ...WEB, account: "identity", namespace: "weft" });
  const ahead = await own.refresh(clockMs);
  assert.equal(await own.refresh(clockMs), null);
  clockMs -= DAY_MS / 2;
  const right = await own.refresh(clockMs);
  assert.ok(ahead !== null && right !== null && right.cert !== ahead.cert);
  assert.equal(await own.refresh(clockMs + 1_000), null);
});
