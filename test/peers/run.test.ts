// `weft run` among programs of others: curl, a terminal with a shell's job control, process 1 of a namespace; and a job's sidecar and holder
// in a process namespace that they share with the application, as containers do. Needs root, as those namespaces do.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, readFileSync } from "node:fs";
import { after, afterEach, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { freePorts } from "../support/ports.ts";
import { waitUntil } from "../support/wait.ts";
import { childrenOf, isRunning, MAIN, PATIENCE_MS, RunPlace, WeftRun } from "../support/weft-run.ts";
import { NODE as MOUNTED_NODE, PROXY_UID, WEFT as MOUNTED_MAIN } from "./support/namespaces.ts";
import { missing } from "./support/tools.ts";

const NODE = process.execPath;
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const place = new RunPlace();
let originPort = 0;

/** A program whose output can be waited for, and which is talked to by its standard input. */
class Program {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  said = "";

  constructor(command: string, args: readonly string[]) {
    const { NODE_TEST_CONTEXT: _, NODE_OPTIONS: _options, WEFT_CONFIG: _config, ...env } = process.env;
    this.child = spawn(command, args, { cwd: place.folder, env, stdio: ["pipe", "pipe", "pipe"] });
    for (const stream of [this.child.stdout!, this.child.stderr!]) stream.on("data", (chunk: Buffer) => (this.said += chunk.toString()));
    this.ended = new Promise((resolve, reject) => {
      this.child.once("error", (error: NodeJS.ErrnoException) => reject(error.code === "ENOENT" ? missing(command) : error));
      this.child.once("close", (code) => resolve(code));
    });
    programs.push(this);
  }

  get isOver(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  async until(pattern: RegExp): Promise<RegExpExecArray> {
    try {
      return await waitUntil(`${pattern}`, () => pattern.exec(this.said), PATIENCE_MS);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.said}`);
    }
  }
}

const programs: Program[] = [];

async function configure(): Promise<{ port: number; config: string }> {
  const [port] = await freePorts(1);
  return { port: port!, config: place.configure(port!, originPort) };
}

before(async () => {
  originPort = await place.origin("origin");
  chmodSync(place.folder, 0o755);
});
after(() => place.remove());
afterEach(() => {
  for (const { child, isOver } of programs.splice(0)) if (!isOver) child.kill("SIGKILL");
});

describe("weft run with curl", () => {
  it("curl finds its proxy by http_proxy", async () => {
    const { config } = await configure();
    const { code, stdout, stderr } = await new WeftRun(["--config", config, "--http-proxy", "--", "curl", "-sS", "http://web/by-curl"]).end;
    assert.deepEqual([code, stdout.toString()], [0, "origin /by-curl"], stderr);
  });
});

/** Counts how often it is interrupted, and ends a moment after the first time with 10 + that number. */
const COUNTER = `
let ints = 0;
process.on("SIGINT", () => {
  if (++ints === 1) setTimeout(() => { console.log("ints=" + ints); process.exit(10 + ints); }, 1000);
});
setInterval(() => {}, 1000);
console.log("counting " + process.pid);
`;

function state(pid: number): string {
  return /^State:\s+(\S)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))![1]!;
}

describe("weft run in a terminal", () => {
  it("Ctrl-C reaches the command once, and the code is the command's", async () => {
    const { config } = await configure();
    const file = place.write("counter.cjs", COUNTER);
    const terminal = new Program("script", [
      "-qec",
      // `exec`: a shell that waited for it would be interrupted, too, and dash makes that its code whatever its command's was.
      `exec ${NODE} ${MAIN} run --config ${config} --proxy-log log -- ${NODE} ${file}`,
      "/dev/null",
    ]);
    await terminal.until(/counting/);
    terminal.child.stdin!.write("\x03");
    await terminal.until(/ints=1\r?\n/);
    assert.equal(await terminal.ended, 11);
  });

  it("Ctrl-Z stops the command and weft run, not the proxy; fg continues them", async () => {
    const { config } = await configure();
    const file = place.write("counter.cjs", COUNTER);
    const shell = new Program("script", ["-qec", "bash --norc -i", "/dev/null"]);
    shell.child.stdin!.write(`${NODE} ${MAIN} run --config ${config} --proxy-log log -- ${NODE} ${file}\n`);
    const command = Number((await shell.until(/counting (\d+)/))[1]);
    const run = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${command}/status`, "latin1"))![1]);
    const proxy = childrenOf(run).find(({ pid }) => pid !== command)!.pid;
    shell.child.stdin!.write("\x1a");
    await shell.until(/Stopped/);
    await waitUntil("both to stop", () => state(command) === "T" && state(run) === "T");
    assert.notEqual(state(proxy), "T");
    shell.child.stdin!.write("fg\n");
    await waitUntil("both to go on", () => state(command) !== "T" && state(run) !== "T", PATIENCE_MS);
    shell.child.stdin!.write("\x03");
    await shell.until(/ints=1\r?\n/);
    shell.child.stdin!.write("echo code=$?\nexit\n");
    await shell.until(/code=11\r?\n/);
    await shell.ended;
    assert.ok(!isRunning(proxy));
  });
});

/** Leaves twenty processes without a parent, and waits until none of them is in the kernel's table, not even as a zombie. */
const PARENTLESS = `
const { spawnSync } = require("node:child_process");
const { readdirSync, readFileSync } = require("node:fs");
for (let i = 0; i < 20; i++) spawnSync("sh", ["-c", "sleep 2 & exit 0"], { stdio: "ignore" });
const count = () => readdirSync("/proc").filter((name) => {
  try { return /^\\d+ \\(sleep\\) . 1 /.test(readFileSync("/proc/" + name + "/stat", "latin1")); } catch { return false; }
}).length;
console.log("orphans=" + count());
const end = Date.now() + 20000;
const timer = setInterval(() => {
  if (count() > 0 && Date.now() < end) return;
  console.log("left=" + count());
  process.exit(4);
}, 50);
`;

describe("weft run as process 1", () => {
  it("asks for those who lost their parent, and ends as anywhere", async () => {
    const { config } = await configure();
    const file = place.write("parentless.cjs", PARENTLESS);
    const command = [NODE, MAIN, "run", "--config", config, "--", NODE, file];
    const space = new Program("unshare", ["--pid", "--fork", "--mount-proc", "--kill-child", ...command]);
    assert.ok(Number((await space.until(/orphans=(\d+)/))[1]) > 0);
    await space.until(/left=0\n/);
    assert.equal(await space.ended, 4, space.said);
  });
});

describe("a job in a process namespace", () => {
  const INSIDE = [MOUNTED_NODE, MOUNTED_MAIN];

  /** A holder as process 1 of a namespace, and what enters it later. The project is at /mnt there: the proxy's user may not reach its folder. */
  async function hold(): Promise<{ holder: Program; enter: (uid: number, ...command: readonly string[]) => Program }> {
    const mounted = ["sh", "-c", 'mount --bind "$0" /mnt && exec "$@"', ROOT, ...INSIDE, "hold", "--job"];
    const holder = new Program("unshare", ["--pid", "--fork", "--mount-proc", "--kill-child", ...mounted]);
    await holder.until(/is here until/);
    const inside = await waitUntil("the holder to be a shell that looks", () => {
      const shell = childrenOf(holder.child.pid!).find(({ line }) => /^sh -c trap /.test(line));
      return shell !== undefined && childrenOf(shell.pid).length > 0 && shell;
    });
    const enter = (uid: number, ...command: readonly string[]): Program => {
      const user = ["setpriv", "--reuid", String(uid), "--regid", String(uid), "--clear-groups"];
      return new Program("nsenter", ["-t", String(inside.pid), "-p", "-m", ...user, ...command]);
    };
    return { holder, enter };
  }

  it("the sidecar ends by its drain when the application has ended, whatever its code, and the holder after it", async () => {
    const { holder, enter } = await hold();
    const { port, config } = await configure();
    const proxy = enter(PROXY_UID, ...INSIDE, "proxy", "--job", "--config", config);
    await proxy.until(/"msg":"ready"/);
    // A health check: another process of the proxy's container that comes and goes.
    assert.equal(await enter(PROXY_UID, "sleep", "1.5").ended, 0);
    assert.ok(!proxy.isOver, "the application has not begun");
    const application = enter(0, "sh", "-c", `sleep 4; curl -sS http://127.0.0.1:${port}/last; exit 3`);
    assert.equal(await application.ended, 3);
    assert.equal(application.said, "origin /last");
    assert.equal(await proxy.ended, 0);
    assert.match(proxy.said, /"reason":"the application has ended"/);
    assert.match(proxy.said, /"msg":"drained/);
    assert.equal(await holder.ended, 0);
  });

  it("the holder ends when it is told to, and when the sidecar could not start", async () => {
    const told = await hold();
    const [inside] = childrenOf(told.holder.child.pid!);
    process.kill(inside!.pid, "SIGTERM");
    assert.equal(await told.holder.ended, 0);
    const { holder, enter } = await hold();
    assert.equal(await enter(PROXY_UID, "sleep", "2.5").ended, 0);
    assert.equal(await holder.ended, 0);
  });

  it("refuses to watch where there is nobody to be seen", async () => {
    const { config } = await configure();
    const space = ["--pid", "--fork", "--mount-proc", "--kill-child"];
    const alone = new Program("unshare", [...space, NODE, MAIN, "proxy", "--job", "--config", config]);
    assert.equal(await alone.ended, 64);
    assert.match(alone.said, /--job has nothing to watch/);
    const host = new Program(NODE, [MAIN, "hold", "--job"]);
    assert.equal(await host.ended, 1);
    assert.match(host.said, /--job is for process 1/);
  });
});
