// The command line as a user meets it: a process, its two outputs, its exit code.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
const RUN_DEADLINE_MS = 30_000;

const PROXY = "apiVersion: weft.dev/v1alpha1\nkind: Proxy\nmetadata: {name: p}\n";
const SERVICE = "apiVersion: weft.dev/v1alpha1\nkind: Service\nmetadata: {name: web}\n";

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

let folder = "";
before(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-cli-"));
});
after(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return name;
}

/** Runs `weft` in the test's folder, so that file names in messages are short. */
function weft(args: readonly string[], { input = "", config }: { input?: string; config?: string } = {}): Promise<Result> {
  return new Promise((resolve, reject) => {
    const { WEFT_CONFIG: _, ...environment } = process.env;
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: folder,
      env: { ...environment, NO_COLOR: "1", ...(config !== undefined && { WEFT_CONFIG: config }) },
      timeout: RUN_DEADLINE_MS,
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => {
      stdout += chunk.toString("utf8");
    });
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString("utf8");
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
    // A command that reads no input may be gone already.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });
}

test("validate says what it found in a valid file", async () => {
  const result = await weft(["validate", write("good.yaml", `${PROXY}---\n${SERVICE}spec: {endpoints: [{address: 10.0.0.1:80}]}\n`)]);
  assert.deepEqual(result, { code: 0, stdout: "good.yaml: valid: 1 Proxy document, 1 Service document\n", stderr: "" });
});

test("validate prints every mistake with its place, and fails", async () => {
  const result = await weft(["validate", write("bad.yaml", `${PROXY}spec: {workrs: 1}\n---\n${SERVICE}spec: {loadBalancer: ewmaa}\n`)]);
  assert.deepEqual(result, {
    code: 1,
    stdout: "",
    stderr:
      "bad.yaml:4:8: workrs is not a key of spec; did you mean workers?\n" +
      'bad.yaml:9:22: spec.loadBalancer is "ewmaa"; did you mean ewma? Expected one of ewma, p2c, round-robin\n' +
      "bad.yaml: not valid: 2 errors\n",
  });
});

test("validate lets warnings pass, and says them", async () => {
  const result = await weft(["validate", write("warn.yaml", `${PROXY}---\n${SERVICE}`)]);
  assert.equal(result.code, 0);
  assert.equal(result.stdout, "warn.yaml: valid: 1 Proxy document, 1 Service document, 1 warning\n");
  assert.match(result.stderr, /^warn\.yaml:5:1: warning: Service web has no endpoints/);
});

test("validate -o json is for programs, the exit code included", async () => {
  const result = await weft(["validate", write("json.yaml", `${PROXY}spec: {workrs: 1}\n`), "-o", "json"]);
  assert.equal(result.code, 1);
  assert.equal(result.stderr, "");
  assert.deepEqual(JSON.parse(result.stdout), {
    valid: false,
    problems: [
      { file: "json.yaml", line: 4, column: 8, severity: "error", message: "workrs is not a key of spec", hint: "did you mean workers?" },
    ],
    proxies: ["default/p"],
    services: [],
  });
});

test("validate - reads standard input", async () => {
  const result = await weft(["validate", "-"], { input: PROXY });
  assert.deepEqual(result, { code: 0, stdout: "standard input: valid: 1 Proxy document, 0 Service documents\n", stderr: "" });
});

test("validate without a path checks WEFT_CONFIG", async () => {
  const result = await weft(["validate"], { config: "kind: Prxy\n" });
  assert.equal(result.code, 1);
  assert.match(result.stderr, /^WEFT_CONFIG:1:7: kind is "Prxy"; did you mean Proxy\?\n/);
});

test("validate without anything to check fails and says what to give it", async () => {
  const result = await weft(["validate"]);
  assert.equal(result.code, 1);
  assert.match(result.stderr, /nothing to check; give it a path, or the YAML itself in WEFT_CONFIG/);
});

test("version tells the package's version", async () => {
  const [text, option, json] = await Promise.all([weft(["version", "--client"]), weft(["--version"]), weft(["version", "-o", "json"])]);
  assert.deepEqual(option, text);
  assert.deepEqual(text, { code: 0, stdout: `Client version: ${version} (Node ${process.version})\n`, stderr: "" });
  assert.deepEqual(JSON.parse(json.stdout), { client: { version, node: process.version } });
});

test("without a command the help is shown and the exit code is 1", async () => {
  const result = await weft([]);
  assert.equal(result.code, 1);
  assert.match(result.stderr, /^Usage: weft /);
});

test("an unknown command is told with its likely name", async () => {
  const result = await weft(["validat", "x"]);
  assert.equal(result.code, 1);
  assert.match(result.stderr, /unknown command 'validat'\n\(Did you mean validate\?\)/);
});

test("help that was asked for goes to standard output", async () => {
  const result = await weft(["proxy", "--help"]);
  assert.equal(result.code, 0);
  assert.match(result.stdout, /^Usage: weft proxy /);
  for (const option of ["--config", "--listen", "--to", "--workers", "--admin", "--name", "WEFT_CONFIG"])
    assert.ok(result.stdout.includes(option), option);
});

test("proxy with an unknown option ends with 64 and the likely one", async () => {
  const result = await weft(["proxy", "--confg", "x"]);
  assert.equal(result.code, 64);
  assert.match(result.stderr, /unknown option '--confg'\n\(Did you mean --config\?\)/);
});

test("a mistake names the help of the command that it was made in", async () => {
  const cases: [args: string[], help: string][] = [
    [["nonsense"], "(weft --help lists the commands)"],
    [["proxy", "extra"], "(weft proxy --help lists the options)"],
    [["identity", "token", "--nonsense"], "(weft identity token --help lists the commands)"],
    [["identity", "token", "create", "--nonsense"], "(weft identity token create --help lists the options)"],
  ];
  for (const [args, help] of cases) assert.ok((await weft(args)).stderr.endsWith(`${help}\n`), args.join(" "));
});
