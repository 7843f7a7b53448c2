// What survives a restart: one file, whole or not at all, nobody else's.

import assert from "node:assert/strict";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Certified } from "../../../src/workers/identity/certify-request.ts";
import type { IdentityError } from "../../../src/workers/identity/identity-failure.ts";
import { KeptIdentity } from "../../../src/workers/identity/kept-identity.ts";
import { Authority } from "../../support/certificates.ts";

const NAME = "web.shop.serviceaccount.identity.weft.cluster.local";
const HOUR_MS = 3_600_000;

const root = new Authority("kept root");
const issuer = root.intermediate("kept issuer");

function certified(names: readonly string[] = [NAME], from: Authority = issuer): Certified {
  const now = Date.now();
  const notAfter = new Date(now + HOUR_MS);
  const { cert, key } = from.issue({ names, usages: ["server", "client"], notAfter });
  const ends = Math.floor(notAfter.getTime() / 1000) * 1000;
  return { name: NAME, cert, key, trust: root.cert, trustVersion: 7, trustDigest: "00", issuedAt: now, validUntil: ends, notAfter: ends };
}

describe("a kept identity", () => {
  let parent: string;
  let folder: string;
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), "weft-keep-"));
    folder = join(parent, "a", "keep");
  });
  afterEach(() => rmSync(parent, { recursive: true, force: true }));

  const file = () => join(folder, "identity.json");

  it("is read back as it was written, from a folder 0700 and a file 0600", async () => {
    const keep = await KeptIdentity.open(folder);
    assert.equal(await keep.read(Date.now()), null);
    const first = certified();
    await keep.write(certified());
    await keep.write(first);
    assert.deepEqual(await (await KeptIdentity.open(folder)).read(Date.now()), { kept: first });
    assert.equal(statSync(folder).mode & 0o777, 0o700);
    assert.equal(statSync(file()).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(folder), ["identity.json"]);
  });

  it("refuses a folder that others may look into, and says what to do", async () => {
    mkdirSync(folder, { recursive: true });
    chmodSync(folder, 0o750);
    await assert.rejects(KeptIdentity.open(folder), (error: IdentityError) => {
      assert.equal(error.reason, "keep");
      assert.equal(error.message, `${folder} is open to other users (mode 750): chmod 700 ${folder}`);
      return true;
    });
  });

  it("refuses a file that others may read, and a link", async () => {
    const keep = await KeptIdentity.open(folder);
    await keep.write(certified());
    chmodSync(file(), 0o640);
    await assert.rejects(keep.read(Date.now()), {
      reason: "keep",
      message: `${file()} is open to other users (mode 640): chmod 600 ${file()}`,
    });
    chmodSync(file(), 0o600);
    const elsewhere = join(parent, "elsewhere");
    writeFileSync(elsewhere, readFileSync(file()), { mode: 0o600 });
    rmSync(file());
    symlinkSync(elsewhere, file());
    await assert.rejects(keep.read(Date.now()), { reason: "keep", message: `${file()} is no file` });
  });

  it("says of a folder that cannot be made why", async () => {
    writeFileSync(join(parent, "a"), "");
    await assert.rejects(KeptIdentity.open(folder), { reason: "keep", message: `${folder}: ENOTDIR` });
  });

  const useless: readonly [string, () => string, RegExp][] = [
    ["half a file", () => JSON.stringify({ format: 1, ...certified() }).slice(0, 900), /it is no JSON/],
    ["another version's", () => JSON.stringify({ format: 2, ...certified() }), /not what this version of Weft keeps/],
    ["one without roots", () => JSON.stringify({ format: 1, ...certified(), trust: undefined }), /not what this version/],
    [
      "another's certificate",
      () => JSON.stringify({ format: 1, ...certified(["api.shop.serviceaccount.identity.weft.cluster.local"]) }),
      /it is not web\.shop/,
    ],
    ["another key", () => JSON.stringify({ format: 1, ...certified(), key: certified().key }), /not for the proxy's key/],
    ["no key", () => JSON.stringify({ format: 1, ...certified(), key: "none" }), /its key/],
    [
      "other roots",
      () => JSON.stringify({ format: 1, ...certified(), trust: new Authority("stranger").cert }),
      /none of the trusted roots/,
    ],
    [
      "broken PEM",
      () => JSON.stringify({ format: 1, ...certified(), trust: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" }),
      /no certificate/,
    ],
  ];
  for (const [what, content, problem] of useless) {
    it(`counts ${what} as nothing kept`, async () => {
      const keep = await KeptIdentity.open(folder);
      writeFileSync(file(), content(), { mode: 0o600 });
      const found = await keep.read(Date.now());
      assert.ok(found !== null && "problem" in found);
      assert.match(found.problem, problem);
      assert.doesNotMatch(found.problem, /PRIVATE|BEGIN/);
    });
  }

  it("counts one that has ended as nothing kept", async () => {
    const keep = await KeptIdentity.open(folder);
    await keep.write(certified());
    const found = await keep.read(Date.now() + 2 * HOUR_MS);
    assert.ok(found !== null && "problem" in found);
    assert.match(found.problem, /it ended at .*compare this host's clock/);
  });

  it("clears away what an interrupted write left, and not what another process writes now", async () => {
    await KeptIdentity.open(folder);
    const [old, fresh, other] = ["0123456789abcdef", "fedcba9876543210"]
      .map((id) => join(folder, `identity.json.${id}.new`))
      .concat(join(folder, "notes"));
    for (const path of [old!, fresh!, other!]) writeFileSync(path, "");
    for (const path of [old!, other!]) utimesSync(path, new Date(0), new Date(0));
    await KeptIdentity.open(folder);
    assert.deepEqual(readdirSync(folder).sort(), ["identity.json.fedcba9876543210.new", "notes"]);
  });
});
