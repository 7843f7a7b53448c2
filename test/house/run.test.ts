// The starter script and the launcher, as somebody with the wrong Node or a wrong word meets them.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT, readText } from "./support/files.ts";

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a script of the project under a Node that believes to be `version`. */
function runAs(version: string | null, script: string, ...args: string[]): Outcome {
  const folder = mkdtempSync(join(tmpdir(), "weft-run-"));
  try {
    const preload = join(folder, "pretend.mjs");
    const versions = `{ ...process.versions, node: ${JSON.stringify(version)} }`;
    writeFileSync(
      preload,
      version === null
        ? ""
        : `Object.defineProperty(process, "versions", { value: ${versions} });\nObject.defineProperty(process, "version", { value: "v${version}" });\n`,
    );
    const result = spawnSync(process.execPath, ["--import", preload, join(ROOT, script), ...args], { encoding: "utf8", cwd: folder });
    return { code: result.status, out: result.stdout, err: result.stderr };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("weft under an older Node says which one it needs, and ends with 1", () => {
  for (const version of ["18.20.4", "20.20.2", "22.17.1"]) {
    const { code, err } = runAs(version, "bin/weft.mjs", "version");
    assert.equal(code, 1);
    assert.equal(err, `weft: this Node is v${version}; Weft needs Node 22.18 or newer\n`);
  }
});

test("the launcher is written in syntax that old engines parse", () => {
  assert.doesNotMatch(readText("bin/weft.mjs"), /=>|\?\.|\?\?|`\$\{|\bconst\b|\blet\b|\basync\b|\bawait\b/);
});

test("the starter under a Node older than 20 says so, and ends with 1", () => {
  const { code, err } = runAs("18.20.4", "scripts/run.mjs", "build");
  assert.equal(code, 1);
  assert.match(err, /^weft: this Node is v18\.20\.4; Weft needs Node 20 or newer/);
});

test("an unknown task is refused with the list of tasks", () => {
  const { code, err } = runAs(null, "scripts/run.mjs", "strat");
  assert.equal(code, 1);
  assert.match(err, /there is no task 'strat'; there are: start, weft, test, /);
});

test("every npm script is a task of the starter", () => {
  const scripts = JSON.parse(readText("package.json")).scripts as Record<string, string>;
  for (const [name, command] of Object.entries(scripts)) {
    assert.equal(command, `node scripts/run.mjs ${name}`);
    assert.match(readText("scripts/run.mjs"), new RegExp(`^  "?${name}"?: \\{ build:|^  ${name}: \\{$`, "m"), name);
  }
});

test("CI runs npm test, and every test file of npm run test:peers in one of its parts", () => {
  const script = `
    import { CI_PARTS, peerTests } from "./scripts/test-files.mjs";
    const parts = Object.entries(CI_PARTS).map(([name, files]) => [name, files()]);
    console.log(JSON.stringify({ parts, all: peerTests() }));`;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "--eval", script], { encoding: "utf8", cwd: ROOT });
  const { parts, all } = JSON.parse(stdout) as { parts: [string, string[]][]; all: string[] };
  assert.ok(all.length > 20, `${all.length}`);
  assert.deepEqual(parts.flatMap(([, files]) => files).sort(), all.sort());
  const ci = readText(".ci/run");
  for (const name of ["test", ...parts.map(([part]) => part), "test:containers"])
    assert.equal(ci.match(new RegExp(` tests ${name}[;\n]`, "g"))?.length, 1, name);
});

test("a task's exit code and arguments pass through", () => {
  const folder = mkdtempSync(join(tmpdir(), "weft-run-"));
  try {
    mkdirSync(folder, { recursive: true });
    const failing = join(folder, "failing.test.mjs");
    writeFileSync(failing, 'import { test } from "node:test";\ntest("fails", () => { throw new Error("on purpose"); });\n');
    const env = { ...process.env };
    // Node's runner does not run inside itself.
    delete env["NODE_TEST_CONTEXT"];
    const result = spawnSync(process.execPath, [join(ROOT, "scripts/run.mjs"), "test:house", failing], { encoding: "utf8", env });
    assert.equal(result.status, 1);
    assert.match(result.stdout, /on purpose/);
    assert.match(result.stdout, /tests 1\b/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
