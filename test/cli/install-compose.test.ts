// `weft install` and `weft inject` on a machine of their own: what they print, what they lay down, who may read it, and that a component started from it
// knows the tokens.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { parse } from "yaml";
import { certify, connect } from "../control/support/identity-client.ts";
import { WEFT, runWeft } from "../support/weft-command.ts";
import { waitUntil } from "../support/wait.ts";

const COMPOSE = "services:\n  web: {image: a, expose: [80]}\n  db_1: {image: b, expose: [5432]}\n";
const START_MS_MAX = 60_000;
const IS_ROOT = process.geteuid?.() === 0;
/** Somebody who is not root. */
const NOBODY = 65_534;

let parent = "";
let folder = "";
let count = 0;
before(() => {
  parent = mkdtempSync(join(tmpdir(), "weft-install-"));
  chmodSync(parent, 0o755);
});
after(() => rmSync(parent, { recursive: true, force: true }));
beforeEach(() => {
  folder = mkdtempSync(join(parent, `${++count}-`));
  writeFileSync(join(folder, "docker-compose.yml"), COMPOSE);
});

function weft(...args: readonly string[]): ReturnType<typeof runWeft> {
  return runWeft(args, { cwd: folder });
}

function mode(path: string): string {
  return (statSync(join(folder, path)).mode & 0o777).toString(8);
}

/** Every secret that lies below the folder: keys, tokens, and the parts of them. */
function secrets(): string[] {
  const found: string[] = [];
  for (const [sub, pattern] of [
    ["identity", /\.key$|token-key|secret/],
    ["tokens", /\.token$/],
  ] as const) {
    const path = join(folder, ".weft", sub);
    for (const name of existsSync(path) ? readdirSync(path) : []) {
      if (pattern.test(name)) found.push(...(readFileSync(join(path, name), "utf8").match(/[A-Za-z0-9_+/-]{24,}/g) ?? []));
    }
  }
  return found;
}

test("install prints the identity component as a compose file and lays out its folder; inject makes tokens; nothing secret is printed", async () => {
  const install = await weft("install");
  assert.deepEqual([install.code, install.stderr], [0, ""]);
  const { services, networks } = parse(install.stdout) as { services: Record<string, Record<string, unknown>>; networks: unknown };
  assert.deepEqual(Object.keys(services), ["weft-identity"]);
  const component = services["weft-identity"]!;
  const owner = IS_ROOT ? "2102:2102" : `${process.geteuid?.()}:${process.getegid?.()}`;
  assert.deepEqual(
    ["image", "user", "restart", "read_only", "cap_drop", "networks", "volumes", "labels"].map((key) => component[key]),
    [
      "weft",
      owner,
      "unless-stopped",
      true,
      ["ALL"],
      ["weft-mesh"],
      ["./.weft/identity:/var/lib/weft/identity"],
      { "weft.dev/part": "identity" },
    ],
  );
  assert.deepEqual(networks, { "weft-mesh": { internal: true } });
  assert.equal(readFileSync(join(folder, ".weft/.gitignore"), "utf8"), "*\n");
  assert.equal(mode(".weft/identity"), "700");

  const inject = await weft("inject", "docker-compose.yml");
  assert.equal(inject.code, 0, inject.stderr);
  assert.match(inject.stderr, /^tokens made in \.weft\/tokens, good for a year: default\.web\.token, default\.db-1\.token$/m);
  assert.equal(mode(".weft/tokens"), "700");
  assert.equal(mode(".weft/tokens/default.web.token"), IS_ROOT ? "600" : "640");
  if (IS_ROOT) assert.equal(statSync(join(folder, ".weft/tokens/default.web.token")).uid, 2102);
  const found = secrets();
  assert.ok(found.length >= 10);
  for (const secret of found) for (const text of [install.stdout, inject.stdout, inject.stderr]) assert.ok(!text.includes(secret));
});

test("a component started from the folder knows the tokens, and they are for a year", async () => {
  assert.equal((await weft("inject", "docker-compose.yml")).code, 0);
  const data = join(folder, ".weft/identity");
  const child = spawn(process.execPath, [WEFT, "identity-controller", "--data", data, "--listen", "127.0.0.1:0", "--admin", "off"], {
    env: { ...process.env, NODE_OPTIONS: "" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    let log = "";
    child.stdout.on("data", (chunk: Buffer) => {
      log += chunk.toString();
    });
    const line = await waitUntil(
      "the component to serve",
      () => log.split("\n").find((text) => text.includes("identity component serves")),
      START_MS_MAX,
    );
    const { port } = JSON.parse(line) as { port: number };
    const token = readFileSync(join(folder, ".weft/tokens/default.web.token"), "utf8").trim();
    const connection = connect({ port, ca: readFileSync(join(data, "bundle.pem"), "utf8") });
    await certify(connection, "web.default.serviceaccount.identity.weft.cluster.local", token);
    connection.close();
    const { exp, iat } = JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString()) as { exp: number; iat: number };
    assert.equal(exp - iat, 365 * 86_400);
  } finally {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await ended;
  }
});

test("tokens that are good stay; a damaged one, one of another mesh name and one of another workload are made anew", async () => {
  assert.equal((await weft("inject", "docker-compose.yml")).code, 0);
  const path = join(folder, ".weft/tokens/default.web.token");
  const first = readFileSync(path, "utf8");
  const again = await weft("inject", "docker-compose.yml");
  assert.doesNotMatch(again.stderr, /tokens made/);
  assert.equal(readFileSync(path, "utf8"), first);
  const { ino } = statSync(path);
  writeFileSync(path, readFileSync(join(folder, ".weft/tokens/default.db-1.token")));
  assert.match((await weft("inject", "docker-compose.yml")).stderr, /good for a year: default\.web\.token$/m);
  // The same file: a container that has it mounted sees the new token.
  assert.equal(statSync(path).ino, ino);
  assert.equal(mode(".weft/tokens/default.web.token"), IS_ROOT ? "600" : "640");
  const other = await weft("inject", "--trust-domain", "mesh.example", "docker-compose.yml");
  assert.deepEqual([other.code, other.stdout], [1, ""]);
  assert.match(other.stderr, /\.weft\/identity is of cluster\.local, not of mesh\.example/);
});

test("--dry-run and --no-tokens change nothing on the machine, and print the same", async () => {
  const dry = await weft("inject", "--dry-run", "docker-compose.yml");
  const install = await weft("install", "--dry-run");
  const none = await weft("inject", "--no-tokens", "docker-compose.yml");
  assert.deepEqual([dry.code, install.code, none.code], [0, 0, 0]);
  assert.deepEqual(readdirSync(folder), ["docker-compose.yml"]);
  assert.equal(none.stdout, dry.stdout);
  assert.equal((await weft("inject", "docker-compose.yml")).stdout, dry.stdout);
  assert.equal((await weft("install")).stdout, install.stdout);
});

test("a folder that cannot be used is an error with a way out, and there is no output", async () => {
  writeFileSync(join(folder, ".weft"), "a file");
  for (const args of [["install"], ["inject", "docker-compose.yml"]]) {
    const { code, stdout, stderr } = await weft(...args);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /^weft \w+: \.weft cannot be made \(EEXIST\): name a folder that this user may write with --folder\n$/);
  }
});

test("--ha says what it means for one component", async () => {
  const { code, stdout, stderr } = await weft("install", "--ha", "--dry-run", "-o", "weft.yaml");
  assert.deepEqual([code, stdout], [0, ""]);
  assert.match(readFileSync(join(folder, "weft.yaml"), "utf8"), /restart: always/);
  assert.match(stderr, /^weft install: --ha: on one machine there is one identity component, since a second cannot share its folder/);
});

test("a proxy that runs as another user can read its token", async () => {
  writeFileSync(join(folder, "docker-compose.yml"), "services:\n  web: {image: a, labels: {config.linkerd.io/proxy-uid: '3000'}}\n");
  assert.equal((await weft("inject", "docker-compose.yml")).code, 0);
  assert.equal(statSync(join(folder, ".weft/tokens/default.web.token")).uid, IS_ROOT ? 3000 : process.geteuid?.());
});

test("who is not root shares tokens with sidecars by the group", async () => {
  chmodSync(folder, 0o777);
  chmodSync(join(folder, "docker-compose.yml"), 0o644);
  const somebody = IS_ROOT ? { user: NOBODY } : {};
  const [uid, gid] = IS_ROOT ? [NOBODY, NOBODY] : [process.geteuid?.(), process.getegid?.()];
  const { code, stdout, stderr } = await runWeft(["inject", "docker-compose.yml"], { cwd: folder, ...somebody });
  assert.equal(code, 0, stderr);
  assert.equal(mode(".weft/tokens/default.web.token"), "640");
  assert.equal(mode(".weft/tokens"), "700");
  const { services } = parse(stdout) as { services: Record<string, Record<string, unknown>> };
  assert.deepEqual(services["web-proxy"]!["group_add"], [String(gid)]);
  const install = await runWeft(["install"], { cwd: folder, ...somebody });
  assert.match(install.stdout, new RegExp(`user: "${uid}:${gid}"`));
});

test("links in .weft are refused: what they lead to is neither written nor given away", async () => {
  assert.equal((await weft("install")).code, 0);
  const victim = join(folder, "victim");
  writeFileSync(victim, "mine\n", { mode: 0o600 });
  const before = statSync(victim);
  const isUntouched = (): void => {
    const { uid, mode: bits, mtimeMs } = statSync(victim);
    assert.deepEqual([readFileSync(victim, "utf8"), uid, bits, mtimeMs], ["mine\n", before.uid, before.mode, before.mtimeMs]);
  };
  mkdirSync(join(folder, ".weft", "tokens"));
  symlinkSync("../../victim", join(folder, ".weft", "tokens", "default.web.token"));
  const inject = await weft("inject", "docker-compose.yml");
  assert.deepEqual([inject.code, inject.stdout], [1, ""]);
  assert.match(inject.stderr, /default\.web\.token is a symbolic link.*remove it/);
  isUntouched();

  for (const name of ["identity", "tokens", ".gitignore"]) {
    const other = mkdtempSync(join(parent, "linked-"));
    mkdirSync(join(other, ".weft"));
    mkdirSync(join(other, "target"), { mode: 0o700 });
    symlinkSync("../target", join(other, ".weft", name));
    writeFileSync(join(other, "docker-compose.yml"), COMPOSE);
    const result = await runWeft(["inject", "docker-compose.yml"], { cwd: other });
    assert.equal(result.code, 1, name);
    assert.match(result.stderr, /is a symbolic link/, name);
    assert.deepEqual([readdirSync(join(other, "target")), statSync(join(other, "target")).uid], [[], process.geteuid?.()], name);
  }
});

test("a token file that others could read is theirs no more", async () => {
  mkdirSync(join(folder, ".weft", "tokens"), { recursive: true, mode: 0o755 });
  writeFileSync(join(folder, ".weft", "tokens", "default.web.token"), "", { mode: 0o644 });
  assert.equal((await weft("inject", "docker-compose.yml")).code, 0);
  assert.deepEqual([mode(".weft/tokens"), mode(".weft/tokens/default.web.token")], ["700", IS_ROOT ? "600" : "640"]);
});

test("root does not take over an identity folder of another user", async () => {
  if (!IS_ROOT) return;
  assert.equal((await weft("install")).code, 0);
  chownSync(join(folder, ".weft", "identity"), NOBODY, NOBODY);
  const again = await weft("install");
  assert.equal(again.code, 1);
  assert.match(again.stderr, /identity belongs to another user \(uid 65534\).*remove it/);
});
