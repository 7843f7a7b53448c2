// `weft run -- COMMAND` with real processes: what the command gets, what comes back, and that nothing is left.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { freePorts } from "../support/ports.ts";
import { joinToken } from "../support/join-token.ts";
import { waitUntil } from "../support/wait.ts";
import { childrenOf, isRunning, MAIN, PATIENCE_MS, RunPlace, WeftRun } from "../support/weft-run.ts";

const NODE = process.execPath;
const place = new RunPlace();
let originPort = 0;
let run: WeftRun | null = null;

/** Asks the proxy once, absolute-form if http_proxy is set, and prints the answer. */
const ASK = `
const { get } = require("node:http");
const [port, path] = process.argv.slice(1);
const proxy = process.env.http_proxy && new URL(process.env.http_proxy);
const target = proxy ? { host: proxy.hostname, port: proxy.port, path: "http://web" + path } : { host: "127.0.0.1", port, path };
get({ ...target, headers: { host: "web" } }, (response) => response.pipe(process.stdout)).on("error", (e) => { console.log(e.message); process.exit(9); });
`;

function start(args: readonly string[], options: ConstructorParameters<typeof WeftRun>[1] = {}): WeftRun {
  run = new WeftRun(args, { cwd: place.folder, ...options });
  return run;
}

async function withConfig(...args: readonly string[]): Promise<{ port: number; args: string[] }> {
  const [port] = await freePorts(1);
  return { port: port!, args: ["--config", place.configure(port!, originPort), ...args] };
}

before(async () => {
  originPort = await place.origin("origin");
});
after(() => place.remove());
afterEach(() => run?.kill());

describe("weft run", () => {
  it("starts the command when the proxy serves, and leaves nothing when it has ended", async () => {
    const { port, args } = await withConfig();
    const asking = start([...args, "--", NODE, "-e", `${ASK}\nprocess.stdin.resume();`, String(port), "/x"], { stdin: "pipe" });
    await asking.said(/origin \/x/);
    const pids = childrenOf(asking.pid).map(({ pid }) => pid);
    assert.equal(pids.length, 2, "the proxy and the command");
    asking.child.stdin!.end();
    const { code, stderr } = await asking.end;
    assert.equal(code, 0, stderr);
    assert.deepEqual(pids.filter(isRunning), []);
    await new Promise<void>((resolve, reject) => {
      const server = createServer().once("error", reject);
      server.listen(port, "127.0.0.1", () => server.close(() => resolve()));
    });
  });

  it("needs no file", async () => {
    const [port] = await freePorts(1);
    const flags = ["--listen", `127.0.0.1:${port}`, "--to", `127.0.0.1:${originPort}`, "--admin", "off", "--workers", "0"];
    const { code, stdout } = await start([...flags, "--", NODE, "-e", ASK, String(port), "/flags"]).end;
    assert.deepEqual([code, stdout.toString()], [0, "origin /flags"]);
  });

  for (const [script, expected] of [
    ["exit 7", 7],
    ["kill -9 $$", 137],
    ["kill -TERM $$", 143],
    ["exit 64", 64],
  ] as const) {
    it(`ends with ${expected} after ${script}`, async () => {
      const { args } = await withConfig();
      assert.equal((await start([...args, "--", "sh", "-c", script]).end).code, expected);
    });
  }

  it("passes a megabyte through the standard streams, byte for byte, and logs elsewhere if told to", async () => {
    const { args } = await withConfig("--proxy-log", "proxy.log");
    const bytes = randomBytes(1 << 20);
    const copy = start([...args, "--", "sh", "-c", "cat; head -c 1048576 /dev/zero | tr '\\0' x >&2"], { stdin: "pipe" });
    copy.child.stdin!.end(bytes);
    const { code, stdout, stderr } = await copy.end;
    assert.equal(code, 0);
    assert.ok(stdout.equals(bytes));
    assert.equal(stderr.length, 1 << 20);
    assert.ok(stderr === "x".repeat(1 << 20), "nothing but the command's own bytes");
    assert.match(readFileSync(join(place.folder, "proxy.log"), "utf8"), /"msg":"ready"/);
  });

  it("leaves the environment alone", async () => {
    const { args } = await withConfig();
    const env = { PATH: process.env.PATH, HOME: place.folder, ODD: "a=b\nc", http_proxy: "http://other:1" };
    const { stdout } = await start([...args, "--", NODE, "-p", "JSON.stringify(process.env)"], { env }).end;
    assert.deepEqual(JSON.parse(stdout.toString()), env);
  });

  it("keeps the join token, which is the proxy's, from the command", async () => {
    const token = joinToken({ identity: "p.default.serviceaccount.identity.weft.cluster.local" });
    const env = { PATH: process.env.PATH, ODD: "1", WEFT_IDENTITY_TOKEN: token };
    for (const option of [[], ["--http-proxy"]]) {
      const { args } = await withConfig(...option);
      const { code, stdout } = await start([...args, "--", NODE, "-p", "JSON.stringify(process.env)"], { env }).end;
      assert.equal(code, 0);
      const environment = JSON.parse(stdout.toString()) as Record<string, string>;
      assert.equal(environment.ODD, "1");
      assert.ok(!("WEFT_IDENTITY_TOKEN" in environment));
      assert.ok(!stdout.includes(token));
    }
  });

  it("sets the proxy's variables with --http-proxy, and no others", async () => {
    const { port, args } = await withConfig("--http-proxy");
    const env = { PATH: process.env.PATH, no_proxy: "db.internal, localhost" };
    const { stdout } = await start([...args, "--", NODE, "-p", "JSON.stringify(process.env)"], { env }).end;
    const url = `http://127.0.0.1:${port}`;
    const exempt = "db.internal,localhost,127.0.0.1,::1";
    assert.deepEqual(JSON.parse(stdout.toString()), {
      PATH: process.env.PATH,
      http_proxy: url,
      HTTP_PROXY: url,
      no_proxy: exempt,
      NO_PROXY: exempt,
    });
    const asked = await start([...args, "--", NODE, "-e", ASK, "0", "/by-variable"], { env }).end;
    assert.equal(asked.stdout.toString(), "origin /by-variable");
  });

  it("refuses --http-proxy when there is nowhere to point it", async () => {
    const file = place.write(
      "inbound.yaml",
      `apiVersion: weft.dev/v1alpha1
kind: Proxy
metadata: {name: p}
spec: {outbound: {listen: off}, inbound: {listen: "127.0.0.1:0", target: "127.0.0.1:1"}, admin: {listen: off}}
`,
    );
    const { code, stderr } = await start(["--config", file, "--http-proxy", "--", "touch", "started"]).end;
    assert.equal(code, 64);
    assert.match(stderr, /^weft run: --http-proxy: spec\.outbound\.listen is off; the command was not started$/m);
    assert.ok(!existsSync(join(place.folder, "started")));
  });

  it("says 127 and 126 as shells do, before anything else starts", async () => {
    place.write("not-executable", "#!/bin/sh\n");
    chmodSync(join(place.folder, "not-executable"), 0o644);
    mkdirSync(join(place.folder, "folder"), { recursive: true });
    for (const [command, code, said] of [
      ["no-such-command", 127, "no-such-command: not found"],
      ["./no-such-file", 127, "./no-such-file: not found"],
      ["./not-executable", 126, "./not-executable: not executable"],
      ["./folder", 126, "./folder: is a folder"],
    ] as const) {
      const end = await start(["--config", "no-such.yaml", "--", command, "x"]).end;
      assert.deepEqual([end.code, end.stderr], [code, `weft run: ${said}\n`]);
    }
  });

  it("says 127 for a script whose interpreter is not there", async () => {
    const { args } = await withConfig();
    const script = place.write("script", "#!/no/such/interpreter\n");
    const { code, stderr } = await start([...args, "--", script]).end;
    assert.equal(code, 127, stderr);
    assert.match(stderr, /^weft run: .*script could not be started: /m);
  });

  it("runs what only a command like sh can run, as execvp does", async () => {
    const { args } = await withConfig();
    const { code, stdout } = await start([...args, "--", place.write("no-shebang", "echo hello $1\nexit 3\n"), "there"]).end;
    assert.deepEqual([code, stdout.toString()], [3, "hello there\n"]);
  });
});

describe("weft run, when the proxy does not become ready", () => {
  const identity = (port: number): string => `  identity: {controller: "127.0.0.1:${port}", token: token}\n`;

  async function withoutComponent(): Promise<string> {
    const [port, component] = await freePorts(2);
    place.write("token", joinToken({ identity: "p.default.serviceaccount.identity.weft.cluster.local" }));
    return place.configure(port!, originPort, identity(component!));
  }

  it("gives up after --ready-timeout; the command has not run", async () => {
    const path = await withoutComponent();
    const { code, stderr } = await start(["--config", path, "--ready-timeout", "1s", "--", "touch", "too-early"]).end;
    assert.equal(code, 125, stderr);
    assert.match(stderr, /^weft run: the proxy was not ready within 1 s \(--ready-timeout\); the command was not started$/m);
    assert.ok(!existsSync(join(place.folder, "too-early")));
  });

  it("waits for the certificate: the command starts after the identity component", async () => {
    const [port, component] = await freePorts(2);
    const weft = (...args: readonly string[]): ChildProcess =>
      spawn(NODE, [MAIN, ...args], { cwd: place.folder, stdio: ["ignore", "ignore", "inherit"] });
    const created = weft("identity", "token", "create", "--name", "p", "--namespace", "default", "--file", "join", "--data", "data");
    assert.deepEqual(await once(created, "exit"), [0, null]);
    const spec = `  identity: {controller: "127.0.0.1:${component}", token: join}\n`;
    const waiting = start(["--config", place.configure(port!, originPort, spec), "--", NODE, "-p", "Date.now()"]);
    await waitUntil("the proxy to be waiting", () => /certif|identity/.test(waiting.stderr), PATIENCE_MS);
    const componentAt = Date.now();
    const controller = weft("identity-controller", "--data", "data", "--listen", `127.0.0.1:${component}`, "--admin", "off");
    try {
      const { code, stdout, stderr } = await waiting.end;
      assert.equal(code, 0, stderr);
      assert.ok(Number(stdout) > componentAt, stderr);
    } finally {
      controller.kill("SIGTERM");
      await once(controller, "exit");
    }
  });

  it("ends on SIGTERM while it waits", async () => {
    const path = await withoutComponent();
    const waiting = start(["--config", path, "--", "touch", "too-early"]);
    const proxy = await waitUntil("the proxy to be started", () => waiting.proxyPid, PATIENCE_MS);
    waiting.child.kill("SIGTERM");
    const { code, stderr } = await waiting.end;
    assert.equal(code, 143, stderr);
    assert.match(stderr, /^weft run: SIGTERM before the proxy was ready; the command was not started$/m);
    assert.ok(!isRunning(proxy));
    assert.ok(!existsSync(join(place.folder, "too-early")));
  });

  it("tells a bad configuration by the proxy's own words and 64", async () => {
    const { args } = await withConfig();
    const broken = place.write("broken.yaml", readFileSync(args[1]!, "utf8").replace("default: web", "default: wbe"));
    const { code, stderr } = await start(["--config", broken, "--", "touch", "too-early"]).end;
    assert.equal(code, 64);
    assert.match(stderr, /broken\.yaml:6:\d+: .*"wbe".*did you mean web\?/);
    assert.match(stderr, /^weft run: the proxy ended with code 64, its messages tell why; the command was not started$/m);
  });

  it("tells a taken port and 125", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as { port: number };
    const { code, stderr } = await start(["--config", place.configure(port, originPort), "--", "touch", "too-early"]).end;
    taken.close();
    assert.equal(code, 125);
    assert.match(stderr, /EADDRINUSE|in use/);
    assert.match(stderr, /the command was not started$/m);
    assert.ok(!existsSync(join(place.folder, "too-early")));
  });

  for (const [args, said] of [
    [["--config", "x.yaml", "touch", "too-early"], /^weft run: -- is missing/m],
    [["--config", "x.yaml", "--"], /^weft run: there is no command behind --$/m],
    [["--ready-timeout", "soon", "--", "true"], /^weft run: "soon" is no time to wait/m],
    [["--cofnig", "x", "--", "true"], /unknown option '--cofnig'/],
  ] as const) {
    it(`refuses weft run ${args.join(" ")}`, async () => {
      const { code, stderr } = await start(args).end;
      assert.equal(code, 64);
      assert.match(stderr, said);
    });
  }
});
