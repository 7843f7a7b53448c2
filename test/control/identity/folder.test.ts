// The data folder: nobody else may read it, one process uses it, damage is said, and what a crash leaves behind does no harm.

import assert from "node:assert/strict";
import {
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { lockFolder } from "../../../src/control/identity/data-lock.ts";
import { openPrivateFolder, readPrivateFile, writePrivateFile } from "../../../src/control/identity/private-files.ts";
import { UsedTokens } from "../../../src/control/identity/used-tokens.ts";
import { openIdentityFolder } from "../../../src/control/identity/token-maker.ts";
import { certify, WEB } from "../support/identity-client.ts";
import { IdentityComponent } from "../support/identity-component.ts";

let parent: string;
let folder: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "weft-folder-"));
  folder = join(parent, "data");
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

const modeOf = (path: string): number => statSync(path).mode & 0o777;

test("everything in the folder is the owner's alone, whatever the umask", async () => {
  const before = process.umask(0);
  try {
    const component = await IdentityComponent.start({ data: folder });
    await certify(component.connect(), WEB, await component.token("web", "once"));
    await component.remove();
  } finally {
    process.umask(before);
  }
  assert.equal(modeOf(folder), 0o700);
  const names = readdirSync(folder).filter((name) => name !== "lock.sock");
  for (const name of ["mesh.json", "state.json", "bundle.pem", "admin.secret", "token-key.json", "used-tokens"])
    assert.ok(names.includes(name), name);
  assert.equal(names.filter((name) => name.endsWith(".key")).length, 2);
  for (const name of names) assert.equal(modeOf(join(folder, name)), 0o600, name);
});

test("a folder that others can reach is refused, and the command that helps is said", async () => {
  mkdirSync(folder);
  chmodSync(folder, 0o755);
  await assert.rejects(IdentityComponent.start({ data: folder }), /can be reached by others \(mode 755\): chmod 700 /);
});

for (const name of ["token-key.json", "state.json", "used-tokens", "admin.secret", "issuer key"]) {
  test(`a folder whose ${name} others can read is refused`, async () => {
    await (await IdentityComponent.start({ data: folder })).remove();
    const file = name === "issuer key" ? readdirSync(folder).find((it) => /^issuer-.*\.key$/.test(it))! : name;
    chmodSync(join(folder, file), 0o640);
    await assert.rejects(IdentityComponent.start({ data: folder }), /can be reached by others \(mode 640\): chmod 600 /);
  });
}

const DAMAGES: readonly (readonly [string, (folder: string) => void, RegExp])[] = [
  ["a state that is no JSON", (at) => writeFileSync(join(at, "state.json"), "{"), /state\.json is damaged/],
  ["a state of another format", (at) => writeFileSync(join(at, "state.json"), '{"format": 2}'), /state\.json is damaged/],
  [
    "a state without roots",
    (at) => writeFileSync(join(at, "state.json"), '{"format":1,"version":1,"versionAtMs":1,"roots":[],"issuers":[]}'),
    /damaged/,
  ],
  [
    "a state that names a file elsewhere",
    (at) =>
      writeFileSync(join(at, "state.json"), readFileSync(join(at, "state.json"), "utf8").replace(/"id": "[0-9a-f]{8}"/, '"id": "../x"')),
    /damaged/,
  ],
  [
    "no key of the root",
    (at) => rmSync(join(at, readdirSync(at).find((it) => /^root-.*\.key$/.test(it))!)),
    /which state\.json names, cannot be read/,
  ],
  [
    "another key for the root",
    (at) => {
      const issuer = readdirSync(at).find((it) => /^issuer-.*\.key$/.test(it))!;
      const root = readdirSync(at).find((it) => /^root-.*\.key$/.test(it))!;
      writeFileSync(join(at, root), readFileSync(join(at, issuer)));
    },
    /is not the key of/,
  ],
  ["a mesh file that is none", (at) => writeFileSync(join(at, "mesh.json"), "[]"), /mesh\.json is damaged/],
  ["a token key that is none", (at) => writeFileSync(join(at, "token-key.json"), "{}"), /token-key\.json is damaged/],
];

for (const [what, damage, message] of DAMAGES) {
  test(`a folder with ${what} is refused, and nothing is made anew in its place`, async () => {
    await (await IdentityComponent.start({ data: folder })).remove();
    const bundle = readFileSync(join(folder, "bundle.pem"), "utf8");
    damage(folder);
    await assert.rejects(IdentityComponent.start({ data: folder }), message);
    assert.equal(readFileSync(join(folder, "bundle.pem"), "utf8"), bundle);
  });
}

test("a second component with the same folder is refused; when the first is gone, the folder is free", async () => {
  const first = await IdentityComponent.start({ data: folder });
  await assert.rejects(IdentityComponent.start({ data: folder }), /used by another identity component/);
  await first.stop();
  // A socket that nobody listens on any more is what a killed process leaves.
  const unlock = (await lockFolder(folder))!;
  assert.equal(await lockFolder(folder), null);
  await unlock();
  const again = await IdentityComponent.start({ data: folder });
  await again.remove();
});

test("a component that is closed twice closes nothing of anybody else's", async () => {
  const { controller } = await IdentityComponent.start({ data: folder });
  await controller.close();
  // These get the numbers that have become free.
  const others = Array.from({ length: 32 }, () => openSync("/dev/null", "r"));
  await controller.close();
  for (const descriptor of others) assert.ok(fstatSync(descriptor).isCharacterDevice());
  for (const descriptor of others) closeSync(descriptor);
});

test("a mesh keeps its name: another trust domain for the same folder is refused", async () => {
  await (await IdentityComponent.start({ data: folder, names: { trustDomain: "shop.example" } })).remove();
  await assert.rejects(
    IdentityComponent.start({ data: folder, names: { trustDomain: "other.example" } }),
    /is of shop\.example, not of other\.example/,
  );
  await (await IdentityComponent.start({ data: folder })).remove();
});

test("tokens can be made before the component starts, and are good when it does", async () => {
  const token = await (await openIdentityFolder(folder)).createToken({ name: "web", namespace: "shop", use: "once", ttlS: 60 });
  const component = await IdentityComponent.start({ data: folder });
  try {
    await certify(component.connect(), WEB, token);
  } finally {
    await component.remove();
  }
});

test("keys that no state names, left by a crash between the key and the state, are removed at the next start", async () => {
  await (await IdentityComponent.start({ data: folder })).remove();
  for (const name of ["root-0badcafe.key", "root-0badcafe.crt", "issuer-0badcafe.key.new"]) writePrivateFile(join(folder, name), "x");
  writeFileSync(join(folder, "state.json.new"), "half", { mode: 0o600 });
  await (await IdentityComponent.start({ data: folder })).remove();
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.includes("0badcafe")),
    [],
  );
});

test("a file is replaced as a whole: a write that fails leaves the old content", () => {
  openPrivateFolder(folder);
  const path = join(folder, "x");
  writePrivateFile(path, "one");
  writePrivateFile(path, "two");
  assert.equal(readPrivateFile(path), "two");
  assert.equal(existsSync(`${path}.new`), false);
  mkdirSync(`${path}.new`);
  assert.throws(() => writePrivateFile(path, "three"));
  assert.equal(readPrivateFile(path), "two");
});

test("used tokens: one use wins, the end of a token frees its place, half a line is no line", async () => {
  openPrivateFolder(folder);
  const path = join(folder, "used");
  let nowMs = 1_000_000_000_000;
  const used = new UsedTokens(path, () => nowMs);
  const endS = nowMs / 1000 + 60;
  const uses = await Promise.allSettled(Array.from({ length: 50 }, async (_, i) => await used.use(`jti-${i % 5}`, endS)));
  assert.equal(uses.filter(({ status }) => status === "fulfilled").length, 5);
  await used.close();
  writeFileSync(path, `${readFileSync(path, "utf8")}jti-half 99`, { mode: 0o600 });
  writeFileSync(path, readFileSync(path, "utf8").slice(0, -1), { mode: 0o600 });
  const again = new UsedTokens(path, () => nowMs);
  await assert.rejects(again.use("jti-3", endS), /WEFT_IDENTITY_TOKEN_USED/);
  await again.close();
  // A day later than its end it is forgotten, not before: clocks are set back in daily life.
  nowMs += 60_000 + 86_400_000;
  const kept = new UsedTokens(path, () => nowMs);
  assert.ok(kept.size >= 5);
  await kept.close();
  nowMs += 2_000;
  const empty = new UsedTokens(path, () => nowMs);
  assert.equal(empty.size, 0);
  await empty.close();
});
