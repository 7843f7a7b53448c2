// `weft proxy --job` in a process namespace with others, told apart by real control groups, as engines have them: a short application ends
// it, and whoever passes through on the way into another container does not.
//
// Needs root, util-linux, and a hierarchy of control groups that may be written.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { waitUntil } from "../support/wait.ts";
import { childrenOf, MAIN, PATIENCE_MS } from "../support/weft-run.ts";

const CONFIG = `apiVersion: weft.dev/v1alpha1
kind: Proxy
metadata: {name: job}
spec: {workers: 1, admin: {listen: off}, outbound: {listen: "127.0.0.1:0"}}
`;

/** Of the control groups' second version, wherever that is mounted, else of any kind. */
function hierarchy(): string {
  const mounts = readFileSync("/proc/mounts", "utf8").split("\n");
  const line = mounts.find((text) => / cgroup2 /.test(text)) ?? mounts.find((text) => / cgroup /.test(text));
  assert.ok(line !== undefined, "there are no control groups");
  return line.split(" ")[1]!;
}

const root = join(hierarchy(), `weft-test-${process.pid}`);
const container = (letter: string): string => join(root, `box-${letter.repeat(64)}`);
const [HOLDER, PROXY, APPLICATION, ENGINE] = [container("a"), container("b"), container("c"), join(root, "engine")];

describe("a job's proxy among others", () => {
  const children: ChildProcess[] = [];
  let holderPid = 0;
  let proxy: ChildProcess;
  let log = "";

  /** A program in a control group. */
  function start(group: string, command: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
    const script = 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"';
    const child = spawn("sh", ["-c", script, "sh", group, ...command], {
      env: { ...process.env, NODE_OPTIONS: "", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    children.push(child);
    return child;
  }

  /** The same in the holder's process namespace. */
  const enter = (group: string, command: readonly string[], env?: Readonly<Record<string, string>>): ChildProcess =>
    start(group, ["nsenter", "--target", String(holderPid), "--pid", "--mount", ...command], env);

  const ended = (child: ChildProcess): Promise<number | null> => new Promise((resolve) => child.once("exit", resolve));

  before(() => {
    for (const group of [root, HOLDER, PROXY, APPLICATION, ENGINE]) mkdirSync(group);
  });
  after(() => {
    for (const group of [HOLDER, PROXY, APPLICATION, ENGINE, root]) rmdirSync(group);
  });
  beforeEach(async () => {
    const unshare = start(HOLDER, ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", "while sleep 1; do :; done"]);
    holderPid = await waitUntil(
      "the holder",
      () => childrenOf(unshare.pid!).find(({ line }) => line.includes("while sleep"))?.pid,
      PATIENCE_MS,
    );
    log = "";
    proxy = enter(PROXY, [process.execPath, MAIN, "proxy", "--job"], { WEFT_CONFIG: CONFIG });
    for (const stream of [proxy.stdout!, proxy.stderr!]) stream.on("data", (chunk: Buffer) => (log += chunk.toString("utf8")));
    await waitUntil("the proxy", () => log.includes('"msg":"ready"'), PATIENCE_MS);
  });
  afterEach(async () => {
    // With the holder the namespace ends, and whoever is in it.
    for (const child of children.splice(0)) child.kill("SIGKILL");
    const groups = [HOLDER, PROXY, APPLICATION, ENGINE];
    await waitUntil("all to end", () => groups.every((group) => readFileSync(join(group, "cgroup.procs"), "utf8") === ""), PATIENCE_MS);
  });

  it("ends after an application that was there for half a second, and not before it", async () => {
    assert.equal(await ended(enter(ENGINE, ["sleep", "1.1"])), 0);
    // More than one look long there is nobody.
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    assert.doesNotMatch(log, /"reason"/, "who passes is no application");
    const end = ended(proxy);
    assert.equal(await ended(enter(APPLICATION, ["sh", "-c", "sleep 0.5; exit 3"])), 3);
    assert.equal(await end, 0, log);
    assert.match(log, /"reason":"the application has ended"/);
  });

  it("takes for the application who stays, whatever its control group", async () => {
    const application = enter(ENGINE, ["sleep", "1000"]);
    const end = ended(proxy);
    // Longer than who passes; then one more look tells that it is there.
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    const [sleeping] = childrenOf(application.pid!);
    process.kill(sleeping!.pid, "SIGTERM");
    assert.equal(await end, 0, log);
    assert.match(log, /"reason":"the application has ended"/);
  });
});
