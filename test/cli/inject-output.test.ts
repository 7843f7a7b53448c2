// Where the output of `weft inject` and `weft install` goes when there is no room for it, and files that are large: an error in one line, never half of something that passes for whole.
//
// The full disk is /dev/full.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { runWeft } from "../support/weft-command.ts";

const WEFT = join(import.meta.dirname, "../../bin/weft.mjs");
const FILE = "services:\n  web: {image: a}\n";

let folder = "";
before(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-output-"));
  writeFileSync(join(folder, "a.yml"), FILE);
});
after(() => rmSync(folder, { recursive: true, force: true }));

for (const args of [
  ["inject", "--dry-run", "a.yml"],
  ["uninject", "a.yml"],
  ["install", "--dry-run"],
  ["install", "--target", "kubernetes"],
]) {
  test(`weft ${args.join(" ")} into a full disk says so`, () => {
    const full = openSync("/dev/full", "w");
    const { status, stderr } = spawnSync(process.execPath, [WEFT, ...args], {
      cwd: folder,
      stdio: ["ignore", full, "pipe"],
      encoding: "utf8",
    });
    assert.deepEqual([status, stderr], [1, `weft ${args[0]}: standard output cannot be written: ENOSPC\n`]);
  });
}

test("a .gitignore that a full disk left empty is filled: keys would go into a repository", async () => {
  assert.equal((await runWeft(["inject", "a.yml"], { cwd: folder })).code, 0);
  writeFileSync(join(folder, ".weft/.gitignore"), "");
  assert.equal((await runWeft(["inject", "a.yml"], { cwd: folder })).code, 0);
  assert.equal(readFileSync(join(folder, ".weft/.gitignore"), "utf8"), "*\n");
});

test("a file of very many lines is injected, and comes back", async () => {
  const text = `services:\n  web:\n    image: a\n    command: |\n${"      x\n".repeat(200_000)}`;
  const injected = await runWeft(["inject", "--dry-run", "-"], { cwd: folder, stdin: text });
  assert.equal(injected.code, 0, injected.stderr);
  assert.ok(injected.stdout.startsWith(text) && injected.stdout.includes("web-proxy:"));
  const back = await runWeft(["uninject", "-"], { cwd: folder, stdin: injected.stdout });
  assert.ok(back.stdout === text, "uninject did not give back the same bytes");
});
