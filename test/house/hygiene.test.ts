// No machine's paths, no registry's hosts, exact versions, a complete lock file; with bad samples for each rule.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join, posix } from "node:path";
import { test } from "node:test";
import { completeLock, type LockFile, missingFrom, platformOf } from "../../scripts/complete-lock.ts";
import { ROOT, finding, readText, trackedBelow, trackedFiles } from "./support/files.ts";
import { hygieneProblems, looseVersions, namedFiles, relativeLinks } from "./support/hygiene.ts";

test("no tracked file names a path of one machine or a registry's host", () => {
  assert.deepEqual(
    trackedFiles().flatMap((path) => hygieneProblems(path, readText(path))),
    [],
  );
});

for (const pieces of [
  ["see /wo", "rk/main/src"],
  ["cd /ho", "me/someone"],
  ["cd /ro", "ot/project"],
  ["/Us", "ers/someone/weft"],
  ["https://registry.np", "mjs.org/ws"],
  ['"reso', 'lved": "https://example.test/ws.tgz"'],
]) {
  test(`finds ${pieces.join("|")}`, () => {
    assert.equal(hygieneProblems("README.md", pieces.join("")).length, 1);
  });
}

test("relative paths and addresses that look alike are left alone", () => {
  assert.deepEqual(hygieneProblems("README.md", "src/workers/pool.ts, /workload, docs/home/x, /proc/self/fd"), []);
});

test("package.json names exact versions, and the lock file the same ones", () => {
  const manifest = JSON.parse(readText("package.json"));
  const lock = JSON.parse(readText("package-lock.json"));
  assert.deepEqual(looseVersions(manifest), []);
  for (const group of ["dependencies", "devDependencies", "optionalDependencies"]) {
    assert.deepEqual(lock.packages[""][group], manifest[group], group);
  }
});

test("a loose version is found", () => {
  assert.equal(
    looseVersions({ dependencies: { a: "^1.0.0", b: "latest", c: "1.x", d: "1.0.0", e: "npm:f@2.0.0", g: "npm:f@^2" } }).length,
    4,
  );
});

test("the lock file has an entry for every optional dependency that it names", () => {
  const lock = JSON.parse(readText("package-lock.json"));
  assert.deepEqual([...missingFrom(lock).keys()], [], "run `node scripts/run.mjs lock`");
});

test("a lock file without another system's binary is found and completed", () => {
  const lock: LockFile = {
    packages: { "": {}, "node_modules/a": { version: "1.0.0", optionalDependencies: { "@a/linux-x64-musl": "1.0.0" } } },
  };
  assert.deepEqual([...missingFrom(lock).keys()], ["@a/linux-x64-musl"]);
  const complete = completeLock(lock);
  assert.equal(missingFrom(complete).size, 0);
  assert.deepEqual(complete.packages["node_modules/@a/linux-x64-musl"], {
    version: "1.0.0",
    cpu: ["x64"],
    os: ["linux"],
    libc: ["musl"],
    optional: true,
  });
  assert.deepEqual(platformOf("@a/cli-darwin-arm64"), { cpu: ["arm64"], os: ["darwin"] });
});

function deadLinks(path: string, text: string): string[] {
  return relativeLinks(text)
    .filter(({ target }) => !existsSync(join(ROOT, posix.join(posix.dirname(path), target))))
    .map(({ target, line }) => finding(path, line, `${target} is not there`));
}

test("every relative link in a document leads somewhere", () => {
  const documents = trackedBelow("", ".md");
  assert.ok(documents.length > 0);
  assert.deepEqual(
    documents.flatMap((path) => deadLinks(path, readText(path))),
    [],
  );
});

test("a dead link is found, others are left alone", () => {
  assert.deepEqual(deadLinks("docs/a.md", "See [it](gone.md#part)."), ["docs/a.md:1: gone.md is not there"]);
  assert.deepEqual(
    deadLinks("docs/a.md", "[x](errors.md) [y](https://example.test) [z](#here) `[c](gone.md)`\n```\n[d](gone.md)\n```\n"),
    [],
  );
});

function missingFiles(path: string, text: string): string[] {
  return namedFiles(text)
    .filter((file) => !existsSync(join(ROOT, file.path)))
    .map((file) => finding(path, file.line, `${file.path} is not there`));
}

test("every file that a document or a benchmark names by its path is there", () => {
  const texts = [...trackedBelow("", ".md"), ...trackedBelow("bench/", ".ts")];
  assert.deepEqual(
    texts.flatMap((path) => missingFiles(path, readText(path))),
    [],
  );
});

test("a path that leads nowhere is found", () => {
  assert.deepEqual(missingFiles("a.md", "See core/h1/gone.ts, src/cli/demo/main.ts and native-notes/gone.md."), [
    "a.md:1: src/core/h1/gone.ts is not there",
    "a.md:1: native-notes/gone.md is not there",
  ]);
});

test("every decision record is listed in docs/adr/README.md", () => {
  const index = readText("docs/adr/README.md");
  const records = trackedBelow("docs/adr/", ".md").filter((path) => !path.endsWith("/README.md"));
  assert.ok(records.length > 0);
  const linked = new Set(relativeLinks(index).map(({ target }) => `docs/adr/${target}`));
  assert.deepEqual(
    records.filter((path) => !linked.has(path)),
    [],
  );
});

test("every note is listed in native-notes/README.md", () => {
  const linked = new Set(relativeLinks(readText("native-notes/README.md")).map(({ target }) => `native-notes/${target}`));
  const notes = trackedBelow("native-notes/", ".md").filter((path) => !path.endsWith("/README.md"));
  assert.deepEqual(
    notes.filter((path) => !linked.has(path)),
    [],
  );
});
