// Where configurations are read from: files, folders, links, the environment.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { chooseSource } from "../../src/config/config-source.ts";
import { checkConfig, loadConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";

const PROXY = "apiVersion: weft.dev/v1alpha1\nkind: Proxy\nmetadata: {name: p}\nspec: {outbound: {default: web}}\n";
const SERVICE = "apiVersion: weft.dev/v1alpha1\nkind: Service\nmetadata: {name: web}\nspec: {endpoints: [{address: 10.0.0.1:80}]}\n";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-config-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function problemsOf(path: string, proxyName: string | null = null): string[] {
  const result = loadConfig({ path, proxyName });
  assert.ok("problems" in result, "expected problems");
  return result.problems.map((problem) => formatProblem(problem).replaceAll(folder, "F"));
}

test("a folder's YAML files are one configuration, whatever file holds what", () => {
  write("b.yaml", SERVICE);
  write("a.yml", PROXY);
  const result = loadConfig({ path: folder });
  assert.ok("snapshot" in result);
  assert.equal(result.snapshot.outbound.default, "default/web");
  assert.deepEqual(
    result.files.map((file) => file.path),
    [join(folder, "a.yml"), join(folder, "b.yaml")],
  );
  assert.ok(result.files.every((file) => file.mtimeMs > 0));
});

test("other files, hidden files and sub-folders are left alone", () => {
  write("a.yaml", `${PROXY}---\n${SERVICE}`);
  write("notes.txt", "{");
  write(".a.yaml.swp.yaml", "{");
  mkdirSync(join(folder, "sub.yaml"));
  mkdirSync(join(folder, "sub"));
  write("sub/broken.yaml", "{");
  assert.deepEqual(checkConfig({ path: folder }).problems, []);
});

test("links to files are followed, as a mounted Kubernetes volume has them", () => {
  mkdirSync(join(folder, "..2026"));
  write("..2026/a.yaml", `${PROXY}---\n${SERVICE}`);
  symlinkSync("..2026", join(folder, "..data"));
  symlinkSync("..data/a.yaml", join(folder, "a.yaml"));
  assert.deepEqual(checkConfig({ path: folder }).problems, []);
});

test("problems of several files come in the order of the files", () => {
  write("2.yaml", "kind: Nothing\n");
  write("1.yaml", "kind: Nothing\n");
  assert.deepEqual(
    problemsOf(folder).map((problem) => problem.slice(0, 13)),
    ["F/1.yaml:1:7:", "F/2.yaml:1:7:"],
  );
});

test("a file that is not there is told with its likely name", () => {
  write("weft.yaml", PROXY);
  assert.deepEqual(problemsOf(join(folder, "weft.yml")), ["F/weft.yml: there is no such file or folder; did you mean F/weft.yaml?"]);
});

test("a folder without YAML is told", () => {
  assert.deepEqual(problemsOf(folder), ["F: the folder has no *.yaml or *.yml file"]);
});

test("what is neither file nor folder is refused, not waited for", () => {
  execFileSync("mkfifo", [join(folder, "pipe")]);
  assert.deepEqual(problemsOf(join(folder, "pipe")), ["F/pipe: it is neither a file nor a folder"]);
});

test("links in a circle are told", () => {
  symlinkSync("b.yaml", join(folder, "a.yaml"));
  symlinkSync("a.yaml", join(folder, "b.yaml"));
  assert.match(problemsOf(join(folder, "a.yaml"))[0] ?? "", /its symbolic links lead in a circle/);
});

test("text that is not UTF-8 is refused", () => {
  assert.deepEqual(problemsOf(write("a.yaml", Buffer.from([0x61, 0x3a, 0xff, 0xfe]))), [
    "F/a.yaml: it is not UTF-8 text; save it as UTF-8",
  ]);
});

test("a byte order mark and CRLF line ends are fine", () => {
  const path = write("a.yaml", `\ufeff${PROXY}---\n${SERVICE}`.replaceAll("\n", "\r\n"));
  assert.deepEqual(checkConfig({ path }).problems, []);
});

test("files of more than 16 MiB together are refused", () => {
  write("a.yaml", `#${"x".repeat(9 * 1024 * 1024)}\n`);
  write("b.yaml", `#${"x".repeat(9 * 1024 * 1024)}\n`);
  assert.deepEqual(problemsOf(folder), ["F/b.yaml: the configuration is larger than 16777216 bytes"]);
});

test("several Proxy documents ask for a choice, a wrong one for a better one", () => {
  const path = write("a.yaml", `${PROXY}---\n${PROXY.replace("name: p", "name: q")}---\n${SERVICE}`);
  assert.deepEqual(problemsOf(path), ["F/a.yaml:8:18: there are 2 Proxy documents; choose one with --name: p, q"]);
  assert.deepEqual(problemsOf(path, "other"), ['F/a.yaml: no Proxy document is named "other"; there are: p, q']);
  assert.deepEqual(checkConfig({ path }).problems, []);
});

test("validation compiles every Proxy document", () => {
  const path = write(
    "a.yaml",
    `${PROXY}---\n${PROXY.replace("name: p", "name: q").replace("default: web", "default: wob")}---\n${SERVICE}`,
  );
  assert.deepEqual(
    checkConfig({ path }).problems.map((problem) => [problem.line, problem.hint]),
    [[9, "did you mean web?"]],
  );
});

test("a path stands above WEFT_CONFIG, and an empty WEFT_CONFIG is none", () => {
  assert.deepEqual(chooseSource("a", { WEFT_CONFIG: "x" }), { path: "a" });
  assert.deepEqual(chooseSource(null, { WEFT_CONFIG: "x: 1" }), { text: "x: 1" });
  assert.equal(chooseSource(null, { WEFT_CONFIG: " \n" }), null);
  assert.equal(chooseSource(null, {}), null);
});

test("problems of the environment's text carry its name", () => {
  const result = loadConfig({ text: "kind: Nothing\n" });
  assert.ok("problems" in result);
  assert.match(formatProblem(result.problems[0]!), /^WEFT_CONFIG:1:7: /);
});
