// `weft identity-controller` and `weft identity token create` as a user meets them: processes, files, exit codes, and a kill at the worst moment.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { certify, connect, WEB } from "../control/support/identity-client.ts";
import type { Certified } from "../control/support/identity-client.ts";
import { refusalOf } from "../control/support/refusal.ts";
import { freePorts } from "../support/ports.ts";
import { waitUntil } from "../support/wait.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const RUN_DEADLINE_MS = 60_000;

let folder = "";
let data = "";
before(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-identity-cli-"));
  data = join(folder, "data");
});
after(() => rmSync(folder, { recursive: true, force: true }));

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function weft(...args: readonly string[]): Promise<Result> {
  const child = start(args);
  return await new Promise((resolve) =>
    child.process.on("close", (code) => resolve({ code, stdout: child.stdout(), stderr: child.stderr() })),
  );
}

/** A token for workload web. */
async function createToken(...args: readonly string[]): Promise<Result> {
  return await weft("identity", "token", "create", "--name", "web", "--namespace", "shop", ...args);
}

interface Running {
  readonly process: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
}

function start(args: readonly string[]): Running {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: folder,
    env: { ...process.env, NODE_OPTIONS: "", NO_COLOR: "1" },
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
  return { process: child, stdout: () => stdout, stderr: () => stderr };
}

interface Component extends Running {
  readonly port: number;
  readonly adminPort: number;
}

async function startComponent(): Promise<Component> {
  const running = start(["identity-controller", "--data", data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
  const line = await waitUntil(
    "the component to serve",
    () => {
      if (running.process.exitCode !== null) throw new Error(running.stderr());
      return running
        .stdout()
        .split("\n")
        .find((text) => text.includes("the identity component serves"));
    },
    RUN_DEADLINE_MS,
  );
  const { port, adminPort } = JSON.parse(line) as { port: number; adminPort: number };
  return { ...running, port, adminPort };
}

async function stop({ process: child }: Running, signal: NodeJS.Signals): Promise<number | null> {
  const code = new Promise<number | null>((resolve) => child.once("exit", resolve));
  child.kill(signal);
  return await code;
}

async function joinMesh(port: number, token: string): Promise<Certified> {
  const connection = connect({ port, ca: readFileSync(join(data, "bundle.pem"), "utf8") });
  try {
    return await certify(connection, WEB, token);
  } finally {
    connection.close();
  }
}

test("tokens by the folder and by the admin port, certificates, a kill, a restart, and an end by SIGTERM", async () => {
  let component = await startComponent();
  try {
    const ready = await fetch(`http://127.0.0.1:${component.adminPort}/ready`);
    assert.deepEqual([ready.status, await ready.text()], [200, "ready\n"]);

    const printed = await createToken("--data", data);
    assert.deepEqual([printed.code, printed.stderr], [0, ""]);
    assert.match(printed.stdout, /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\n$/);
    await joinMesh(component.port, printed.stdout.trim());

    const file = join(folder, "web.token");
    const secret = join(data, "admin.secret");
    const admin = `127.0.0.1:${component.adminPort}`;
    const written = await createToken("--file", file, "--admin", admin, "--admin-secret", secret);
    assert.deepEqual(written, { code: 0, stdout: "", stderr: "" });
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const token = readFileSync(file, "utf8").trim();
    await joinMesh(component.port, token);

    // The answer was sent, so the use is on disk: a kill at this moment must not forget it.
    await stop(component, "SIGKILL");
    component = await startComponent();
    assert.equal(await refusalOf(joinMesh(component.port, printed.stdout.trim())), "WEFT_IDENTITY_TOKEN_USED");
    await joinMesh(component.port, token);

    assert.equal(await stop(component, "SIGTERM"), 0);
    assert.equal(component.stderr(), "");
    for (const part of [...token.split("."), readFileSync(secret, "utf8").trim()]) assert.ok(!component.stdout().includes(part));
  } finally {
    component.process.kill("SIGKILL");
  }
});

test("a token from the admin port needs the secret, a good order and this machine's address", async () => {
  const component = await startComponent();
  try {
    const post = async (path: string, body: string, headers: Record<string, string>): Promise<[number, string]> => {
      const answer = await fetch(`http://127.0.0.1:${component.adminPort}${path}`, { method: "POST", body, headers });
      return [answer.status, await answer.text()];
    };
    const good = JSON.stringify({ name: "web", namespace: "shop", use: "file", ttlSeconds: 60 });
    const authorization = `Bearer ${readFileSync(join(data, "admin.secret"), "utf8").trim()}`;
    assert.equal((await post("/identity/tokens", good, {}))[0], 401);
    assert.equal((await post("/identity/tokens", good, { authorization: "Bearer x" }))[0], 401);
    assert.equal((await post("/identity/rotate?what=root", "", {}))[0], 401);
    assert.equal((await post("/identity/tokens", good, { authorization, origin: "http://evil.example" }))[0], 403);
    for (const bad of [
      "",
      "{",
      "null",
      '{"name":"web"}',
      good.replace("web", "Web"),
      good.replace("60", "1e12"),
      good.replace("shop", "weft").replace("web", "identity"),
    ]) {
      assert.equal((await post("/identity/tokens", bad, { authorization }))[0], 400, bad);
    }
    assert.equal((await post("/identity/tokens", good, { authorization }))[0], 200);
    assert.equal((await post("/identity/rotate?what=all", "", { authorization }))[0], 400);
    assert.equal((await post("/identity/rotate?what=root", "", { authorization }))[0], 200);
    assert.equal((await post("/identity/rotate?what=root", "", { authorization }))[0], 409);
    const status = (await (await fetch(`http://127.0.0.1:${component.adminPort}/identity/status`)).json()) as {
      roots: { phase: string }[];
    };
    assert.deepEqual(
      status.roots.map(({ phase }) => phase),
      ["active", "announced"],
    );
    const metrics = await (await fetch(`http://127.0.0.1:${component.adminPort}/metrics`)).text();
    assert.match(metrics, /^identity_bundle_roots 2$/m);
    assert.match(metrics, /^identity_bundle_version 2$/m);
    assert.match(metrics, /^process_resident_memory_bytes \d+$/m);
  } finally {
    await stop(component, "SIGTERM");
  }
});

test("rotate begins a rotation of the issuer or the root, says so, and says why it does not", async () => {
  const component = await startComponent();
  try {
    const rotate = async (...args: readonly string[]): Promise<Result> =>
      await weft("identity", "rotate", "--admin", `127.0.0.1:${component.adminPort}`, ...args);
    assert.deepEqual(await rotate("--data", data), { code: 0, stdout: "a new issuer signs from now on\n", stderr: "" });
    // The test before has begun a rotation of the root.
    const second = await rotate("--data", data, "--root");
    assert.deepEqual([second.code, second.stdout], [1, ""]);
    assert.match(second.stderr, /409: a new root is being distributed already/);
    const without = await rotate();
    assert.deepEqual([without.code, without.stdout], [1, ""]);
    assert.match(without.stderr, /--admin-secret/);
  } finally {
    await stop(component, "SIGTERM");
  }
});

const MISTAKES: readonly (readonly [string, readonly string[], RegExp])[] = [
  ["no folder", [], /--data is missing/],
  ["an address that is none", ["--data", "x", "--listen", "8080"], /--listen: "8080".*did you mean/],
  ["an address without a port", ["--data", "x", "--listen", "0.0.0.0"], /--listen: "0\.0\.0\.0": .*did you mean 0\.0\.0\.0:8080\?/],
  ["an admin address without a port", ["--data", "x", "--admin", "::1"], /--admin: "::1": .*did you mean \[::1\]:8089\?/],
  ["a duration that is none", ["--data", "x", "--leaf-lifetime", "1 day"], /--leaf-lifetime: "1 day" is no duration/],
  [
    "a leaf that outlives its issuer",
    ["--data", "x", "--leaf-lifetime", "20d"],
    /--issuer-lifetime must be at least 3 times --leaf-lifetime/,
  ],
  ["a root that is too short", ["--data", "x", "--root-lifetime", "40d"], /--root-lifetime must be at least 3 times --issuer-lifetime/],
  ["a trust domain in upper case", ["--data", "x", "--trust-domain", "Shop"], /--trust-domain: "Shop" is none/],
  ["half of an issuer", ["--data", "x", "--issuer-cert", "a.pem"], /belong together/],
  ["half of an OIDC issuer", ["--data", "x", "--oidc-issuer", "https://a"], /belong together/],
  ["an unknown option", ["--dta", "x"], /unknown option '--dta'/],
];

for (const [what, args, message] of MISTAKES) {
  test(`identity-controller with ${what} says so and ends with 64`, async () => {
    const { code, stderr } = await weft("identity-controller", ...args);
    assert.equal(code, 64);
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, / {4}at /);
  });
}

const ORDERS: readonly (readonly [string, readonly string[], RegExp])[] = [
  ["no folder", [], /--data, or its admin port/],
  ["a lifetime over the limit", ["--data", "@", "--ttl", "2d"], /lives 1 to 86400 seconds, not 172800/],
  ["a lifetime that is none", ["--data", "@", "--ttl", "soon"], /--ttl: "soon" is no duration/],
  ["a port on which nobody listens", ["--admin", "127.0.0.1:1", "--admin-secret", "@/admin.secret"], /ECONNREFUSED/],
];

for (const [what, args, message] of ORDERS) {
  test(`token create with ${what} says so and ends with 1`, async () => {
    const { code, stdout, stderr } = await createToken(...args.map((arg) => arg.replace("@", data)));
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, / {4}at /);
  });
}

test("a component that is down, or was never started, is said to be that by rotate", async () => {
  const fresh = join(folder, "fresh");
  const port = String((await freePorts(1))[0]);
  const rotate = async () => await weft("identity", "rotate", "--data", fresh, "--admin", `127.0.0.1:${port}`);
  const made = await createToken("--data", fresh);
  assert.equal(made.code, 0, made.stderr);
  const never = await rotate();
  assert.deepEqual([never.code, never.stdout], [1, ""]);
  assert.match(
    never.stderr,
    /^weft identity rotate: .*admin\.secret is not there: the identity component makes it in its folder when it starts\n$/,
  );
  writeFileSync(join(fresh, "admin.secret"), "secret\n", { mode: 0o600 });
  const down = await rotate();
  assert.deepEqual([down.code, down.stdout], [1, ""]);
  assert.match(
    down.stderr,
    new RegExp(
      `^weft identity rotate: nobody listens at 127\\.0\\.0\\.1:${port} \\(ECONNREFUSED\\), where the identity component's admin port should be: start .* --admin HOST:PORT\n$`,
    ),
  );
});

test("a token for a folder that does not exist is refused by the path that was given", async () => {
  const file = join(folder, "no/such/shop.web.token");
  const { code, stdout, stderr } = await createToken("--data", data, "--file", file);
  assert.deepEqual([code, stdout], [1, ""]);
  assert.equal(
    stderr,
    `weft identity token create: ${file} cannot be written: the folder ${join(folder, "no/such")} does not exist; make it first (mkdir -p ${join(folder, "no/such")})\n`,
  );
});

test("token create that is refused has laid nothing out", async () => {
  const fresh = join(folder, "fresh-of-refused");
  const create = (...args: readonly string[]) => weft("identity", "token", "create", "--data", fresh, ...args);
  const web = ["--name", "web", "--namespace", "shop"];
  writeFileSync(join(folder, "a-file"), "");
  for (const [args, message] of [
    [[...web, "--file", join(folder, "no/such.token")], /the folder .*\/no does not exist; make it first/],
    [[...web, "--file", folder], /cannot be written: it is a folder; name a file in it/],
    [[...web, "--file", join(folder, "a-file", "token")], /cannot be written: .*a-file is no folder/],
    [[...web, "--ttl", "2d"], /lives 1 to 86400 seconds/],
    [["--name", "Web", "--namespace", "shop"], /"Web" is no name/],
    [[...web, "--trust-domain", "Shop"], /"Shop" is no trust domain/],
  ] as const) {
    const { code, stdout, stderr } = await create(...args);
    assert.deepEqual([code, stdout], [1, ""], stderr);
    assert.match(stderr, message);
    assert.ok(!existsSync(fresh), stderr);
  }
  const file = join(folder, "good.token");
  const made = await create(...web, "--file", file);
  assert.equal(made.code, 0, made.stderr);
  assert.match(readFileSync(file, "utf8"), /^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/);
});

test("a taken port is said, and ends with 1", async () => {
  const component = await startComponent();
  try {
    const other = join(folder, "other");
    const { code, stderr } = await weft(
      "identity-controller",
      "--data",
      other,
      "--listen",
      `127.0.0.1:${component.port}`,
      "--admin",
      "off",
    );
    assert.equal(code, 1);
    assert.match(stderr, /cannot listen on .*EADDRINUSE/);
  } finally {
    await stop(component, "SIGTERM");
  }
});
