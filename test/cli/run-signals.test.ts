// `weft run` and signals: each reaches the command once, the proxy ends last, and a kill of either leaves nothing behind.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { freePorts } from "../support/ports.ts";
import { waitUntil } from "../support/wait.ts";
import { WEFT } from "../support/weft-command.ts";
import { childrenOf, isRunning, PATIENCE_MS, RunPlace, WeftRun } from "../support/weft-run.ts";

const NODE = process.execPath;
const place = new RunPlace();
let originPort = 0;
let run: WeftRun | null = null;

/** Says each signal that it gets. At SIGTERM it asks the proxy once more, says the answer, and ends with 5. */
const LISTENER = `
const { get } = require("node:http");
const port = Number(process.argv[1]);
const ask = (path, then) => get({ host: "127.0.0.1", port, path, agent: false }, (response) => {
  let text = "";
  response.on("data", (part) => (text += part)).on("end", () => then(text));
}).on("error", (error) => then(error.code));
for (const signal of ["SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"]) process.on(signal, () => console.log(signal));
process.on("SIGTERM", () => {
  console.log("SIGTERM");
  setTimeout(() => ask("/last", (text) => { console.log(text); process.exit(5); }), 300);
});
process.stdin.on("data", (path) => ask(String(path).trim(), (text) => console.log(text)));
// Nobody has its standard input when its parent is gone.
setInterval(() => {}, 1000);
console.log("listening " + process.pid);
`;

async function listener(...options: readonly string[]): Promise<{ run: WeftRun; commandPid: number; proxyPid: number; config: string }> {
  const [port] = await freePorts(1);
  const config = place.configure(port!, originPort);
  run = new WeftRun(["--config", config, ...options, "--", NODE, "-e", LISTENER, String(port)], { cwd: place.folder, stdin: "pipe" });
  const commandPid = Number((await run.said(/listening (\d+)/))[1]);
  return { run, commandPid, proxyPid: run.proxyPid!, config };
}

/** The command asks the proxy for a path, and says what came. */
async function ask(path: string, expected: RegExp): Promise<void> {
  run!.child.stdin!.write(`${path}\n`);
  await run!.said(expected);
}

/** It passes signals on: the start, which ends by telling the proxy whom to end, is behind it. */
async function untilPassedOn(run: WeftRun): Promise<void> {
  run.child.kill("SIGUSR1");
  await run.said(/SIGUSR1/);
}

before(async () => {
  originPort = await place.origin("origin");
});
after(() => place.remove());
afterEach(() => run?.kill());

describe("weft run and signals", () => {
  it("passes each to the command, once; at the end the command goes first, served to its last request", async () => {
    const { run, proxyPid } = await listener();
    for (const signal of ["SIGUSR1", "SIGUSR2", "SIGHUP", "SIGINT", "SIGQUIT"] as const) {
      run.child.kill(signal);
      await run.said(new RegExp(signal));
    }
    run.child.kill("SIGTERM");
    const { code, stdout, stderr } = await run.end;
    const said = stdout.toString().trim().split("\n").slice(1);
    assert.deepEqual(said, ["SIGUSR1", "SIGUSR2", "SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "origin /last"], stderr);
    assert.equal(code, 5);
    assert.ok(!isRunning(proxyPid));
    assert.match(stderr, /"msg":"stopping"/, "the proxy drained");
  });

  it("the proxy does not end before the command, whoever sends it a signal", async () => {
    const { run, proxyPid } = await listener();
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.kill(proxyPid, signal);
    await ask("/still", /origin \/still/);
    assert.equal(run.proxyPid, proxyPid);
    run.child.kill("SIGTERM");
    assert.equal((await run.end).code, 5);
  });

  it("tells the code of a signal that the command does not outlive", async () => {
    const [port] = await freePorts(1);
    run = new WeftRun(["--config", place.configure(port!, originPort), "--", "sh", "-c", "echo here; exec sleep 100"]);
    await run.said(/here/);
    run.child.kill("SIGINT");
    assert.equal((await run.end).code, 130);
  });
});

describe("weft run and a hang-up", () => {
  /** Says what it ignores, as bits; SIGHUP is the lowest. */
  const COMMAND = ["sh", "-c", "grep SigIgn /proc/$$/status; env | grep WEFT_SIGHUP; echo here $$; exec sleep 1000"];
  /** The launcher takes the Node of PATH. */
  const PATH = `${dirname(NODE)}:${process.env.PATH}`;
  const env = { ...process.env, PATH, NODE_OPTIONS: undefined, NODE_TEST_CONTEXT: undefined, WEFT_CONFIG: undefined };

  async function started(start: readonly string[]): Promise<{ run: WeftRun; commandPid: number; isIgnored: boolean }> {
    const [port] = await freePorts(1);
    run = new WeftRun(["--config", place.configure(port!, originPort), "--", ...COMMAND], { cwd: place.folder, start, env });
    const commandPid = Number((await run.said(/here (\d+)/))[1]);
    const [, mask] = /SigIgn:\s+([0-9a-f]+)/.exec(run.stdout)!;
    assert.doesNotMatch(run.stdout, /WEFT_SIGHUP/);
    return { run, commandPid, isIgnored: (Number.parseInt(mask!, 16) & 1) === 1 };
  }

  for (const [what, start] of [
    ["nohup", ["nohup", WEFT]],
    ["a shell that ignores SIGHUP", ["sh", "-c", `trap "" HUP; "$@"; exit $?`, "sh", WEFT]],
  ] as const) {
    it(`under ${what} neither ends, and the command ignores it, too`, async () => {
      const { run, commandPid, isIgnored } = await started(start);
      assert.ok(isIgnored);
      const weftPid = childrenOf(run.pid).find(({ line }) => line.includes("weft.mjs run"))?.pid ?? run.pid;
      for (const pid of [weftPid, commandPid]) process.kill(pid, "SIGHUP");
      // Of two signals the lower number is handled first.
      process.kill(weftPid, "SIGTERM");
      const { code, stderr } = await run.end;
      assert.equal(code, 143, stderr);
      assert.ok(!isRunning(commandPid));
    });
  }

  it("otherwise it goes to the command, and both end", async () => {
    const { run, commandPid, isIgnored } = await started([WEFT]);
    assert.ok(!isIgnored);
    run.child.kill("SIGHUP");
    const { code, stderr } = await run.end;
    assert.equal(code, 129);
    assert.ok(!isRunning(commandPid));
    assert.doesNotMatch(stderr, /weft\.mjs:/, "the launcher's shell has nothing to say");
  });
});

describe("weft run and accidents", () => {
  it("a proxy that dies is started again; the command goes on and does not notice but for the gap", async () => {
    const { run, commandPid, proxyPid } = await listener();
    await ask("/before", /origin \/before/);
    process.kill(proxyPid, "SIGKILL");
    await waitUntil("the proxy to be back", () => run.stderr.includes("weft run: the proxy is back\n"), PATIENCE_MS);
    await ask("/after", /origin \/after/);
    assert.match(run.stderr, /^weft run: the proxy ended by SIGKILL, 1 within a minute; it is started again, the command goes on$/m);
    assert.notEqual(run.proxyPid, proxyPid);
    assert.ok(isRunning(commandPid));
    run.child.kill("SIGTERM");
    assert.equal((await run.end).code, 5);
  });

  it("a command that ends while the proxy is away ends it all", async () => {
    const { run, commandPid, proxyPid } = await listener();
    process.kill(proxyPid, "SIGKILL");
    process.kill(commandPid, "SIGKILL");
    assert.equal((await run.end).code, 137);
    assert.deepEqual(childrenOf(run.pid), []);
  });

  it("a reload is the proxy's alone", async () => {
    const { run, commandPid, proxyPid, config } = await listener();
    await ask("/one", /origin \/one/);
    const port = Number(/127\.0\.0\.1:(\d+)/.exec(readFileSync(config, "utf8"))![1]);
    place.configure(port, await place.origin("other"));
    await waitUntil(
      "the other origin to answer",
      async () => {
        run.child.stdin!.write("/two\n");
        await new Promise((resolve) => setTimeout(resolve, 100));
        return run.stdout.includes("other /two");
      },
      PATIENCE_MS,
    );
    assert.equal(run.proxyPid, proxyPid);
    assert.ok(isRunning(commandPid));
    run.child.kill("SIGTERM");
    assert.equal((await run.end).code, 5);
  });

  it("when weft run is killed, the proxy ends the command, which is served to its end, and then itself", async () => {
    const { run, commandPid, proxyPid } = await listener();
    await untilPassedOn(run);
    run.child.kill("SIGKILL");
    await waitUntil("both to be gone", () => !isRunning(commandPid) && !isRunning(proxyPid), PATIENCE_MS);
    const { stdout } = await run.end;
    assert.match(stdout.toString(), /SIGTERM\norigin \/last\n$/);
  });

  it("when weft run is killed, a command that does not listen is killed, too", async () => {
    const [port] = await freePorts(1);
    const stubborn = ["sh", "-c", "trap '' TERM; trap 'echo SIGUSR1' USR1; echo here $$; while :; do sleep 1; done"];
    run = new WeftRun(["--config", place.configure(port!, originPort), "--", ...stubborn], { cwd: place.folder });
    const commandPid = Number((await run.said(/here (\d+)/))[1]);
    const proxyPid = run.proxyPid!;
    await untilPassedOn(run);
    run.child.kill("SIGKILL");
    await waitUntil("both to be gone", () => !isRunning(commandPid) && !isRunning(proxyPid), PATIENCE_MS);
  });
});
