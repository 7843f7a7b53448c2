// The parts of `weft run` that are rules: whose signal it was, where a command lies, what a job's application is, the proxy's address.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ListenerSnapshot } from "../../src/config/snapshot.ts";
import { ApplicationWatch, othersOf } from "../../src/cli/run/application-watch.ts";
import { commandMistake } from "../../src/cli/run/command-file.ts";
import { proxyAddress, withHttpProxy } from "../../src/cli/run/http-proxy.ts";
import { readRunArguments } from "../../src/cli/run/run-arguments.ts";
import { parseTerminal, wasForAll } from "../../src/cli/run/terminal.ts";

test("a process with a terminal, in its foreground, in its background, and one without", () => {
  const stat = (tail: string): string => `42 (a) b (c) S 1 ${tail} 0 0 0`;
  assert.deepEqual(parseTerminal(stat("42 40 34816 42")), { isThere: true, isForeground: true });
  assert.deepEqual(parseTerminal(stat("42 40 34816 40")), { isThere: true, isForeground: false });
  assert.deepEqual(parseTerminal(stat("42 42 0 -1")), { isThere: false, isForeground: false });
});

test("a terminal's own signals are not passed on, others are", () => {
  const foreground = { isThere: true, isForeground: true };
  const background = { isThere: true, isForeground: false };
  const gone = { isThere: false, isForeground: false };
  assert.ok(wasForAll("SIGINT", foreground));
  assert.ok(wasForAll("SIGQUIT", foreground));
  assert.ok(!wasForAll("SIGINT", background));
  assert.ok(!wasForAll("SIGTERM", foreground));
  assert.ok(!wasForAll("SIGUSR1", foreground));
  assert.ok(!wasForAll("SIGHUP", foreground), "kill -HUP: it is still there");
  assert.ok(wasForAll("SIGHUP", gone), "it hung up");
});

test("what stands before -- is Weft's, what stands behind it is the command's", () => {
  const options = readRunArguments([
    "--listen",
    "127.0.0.1:1",
    "--to=a:1",
    "--to",
    "b:2",
    "--http-proxy",
    "--",
    "run",
    "--",
    "--config",
    "x",
  ]);
  assert.deepEqual(options, {
    proxy: ["--listen=127.0.0.1:1", "--to=a:1", "--to=b:2"],
    httpProxy: true,
    readyTimeoutMs: 120_000,
    proxyLog: null,
    command: ["run", "--", "--config", "x"],
  });
  assert.equal(readRunArguments(["--ready-timeout", "1500ms", "--proxy-log", "-", "--", "x"])?.readyTimeoutMs, 1500);
  for (const wrong of [
    [],
    ["x"],
    ["--"],
    ["--", ""],
    ["--help"],
    ["--config", "--", "x"],
    ["--job", "--", "x"],
    ["--ready-timeout", "0s", "--", "x"],
    ["--ready-timeout", "25d", "--", "x"],
  ]) {
    assert.equal(readRunArguments(wrong), null, wrong.join(" "));
  }
});

test("a command is looked up as execvp does", () => {
  assert.equal(commandMistake("sh", "/nowhere:/bin"), null);
  assert.equal(commandMistake("sh", undefined), null);
  assert.equal(commandMistake("sh", "/nowhere")?.code, 127);
  assert.equal(commandMistake("bin", "/usr")?.code, 126, "a folder");
  assert.equal(commandMistake("passwd", "/etc:/nowhere")?.code, 126, "not executable");
});

const listener = (change: Partial<ListenerSnapshot>): ListenerSnapshot[] => [
  { id: "outbound", direction: "outbound", listen: { host: "127.0.0.1", port: 4140 }, protocol: "detect", service: null, ...change },
];

test("the proxy's address is one that can be connected to", () => {
  const url = (host: string) => proxyAddress(listener({ listen: { host, port: 4140 } }));
  assert.deepEqual(url("127.0.0.2"), { url: "http://127.0.0.2:4140" });
  assert.deepEqual(url("0.0.0.0"), { url: "http://127.0.0.1:4140" });
  assert.deepEqual(url("::"), { url: "http://[::1]:4140" });
  assert.ok("mistake" in proxyAddress([]));
  assert.ok("mistake" in proxyAddress(listener({ transparent: true })));
});

test("names that were exempt stay so, and nothing else changes", () => {
  assert.deepEqual(withHttpProxy({ A: "1", NO_PROXY: "x, ,::1" }, "http://p"), {
    A: "1",
    http_proxy: "http://p",
    HTTP_PROXY: "http://p",
    no_proxy: "x,::1,localhost,127.0.0.1",
    NO_PROXY: "x,::1,localhost,127.0.0.1",
  });
});

const ID = (letter: string): string => letter.repeat(64);
const group = (path: string): string => `0::${path}\n`;
const holder = { pid: 1, groups: group(`/../docker-${ID("a")}.scope`), uid: "2102", parent: 0 };
const proxy = { pid: 7, groups: group("/"), uid: "2102", parent: 0 };
const check = { pid: 90, groups: group("/"), uid: "2102", parent: 0 };
const application = { pid: 20, groups: group(`/../docker-${ID("b")}.scope`), uid: "2102", parent: 0 };

test("whose process it is, its control group says", () => {
  assert.deepEqual(othersOf([holder, proxy, check, application], 7), { certain: [application], doubtful: [] });
  assert.deepEqual(othersOf([holder, proxy, check], 7), { certain: [], doubtful: [] });
});

test("whoever is on the way into a container is in doubt: in the engine's group, in that of a container's keeper, in half of a container's", () => {
  for (const groups of [
    group("/../docker.service"),
    group("/../../containerd.service"),
    group(`/../libpod-conmon-${ID("a")}.scope`),
    `1:cpu:/../docker-${ID("b")}.scope\n${group("/../docker.service")}`,
  ]) {
    const passing = { pid: 91, groups, uid: "0", parent: 0 };
    assert.deepEqual(othersOf([holder, proxy, passing], 7), { certain: [], doubtful: [passing] });
  }
});

test("where control groups name no containers, or do not tell them apart, all others are in doubt", () => {
  const named = { ...holder, groups: group("/../web-net") };
  const other = { ...application, groups: group("/../web") };
  assert.deepEqual(othersOf([named, proxy, check, other], 7), { certain: [], doubtful: [other] });
  const all = [
    { pid: 1, groups: group("/"), uid: "2102", parent: 0 },
    { pid: 7, groups: group("/"), uid: "2102", parent: 0 },
    { pid: 9, groups: group("/"), uid: "2102", parent: 0 },
    { pid: 20, groups: group("/"), uid: "0", parent: 0 },
    { pid: 30, groups: group("/"), uid: "0", parent: 1 },
  ];
  assert.deepEqual(
    othersOf(all, 7).doubtful.map(({ pid }) => pid),
    [20],
  );
  assert.deepEqual(othersOf(all.slice(0, 3), 7).doubtful, []);
});

test("an application that is seen once has begun, and has ended when it is gone", () => {
  const watch = new ApplicationWatch();
  const nobody = { certain: [], doubtful: [] };
  assert.equal(watch.look(nobody, 0), "awaited");
  assert.equal(watch.look({ certain: [application], doubtful: [] }, 20), "running");
  assert.equal(watch.look(nobody, 1_020), "ended");
});

test("who passes is no application; who stays is one", () => {
  const nobody = { certain: [], doubtful: [] };
  const passing = (pid: number) => ({ certain: [], doubtful: [{ ...application, pid }] });
  const watch = new ApplicationWatch();
  for (let nowMs = 0; nowMs < 60_000; nowMs += 500) assert.equal(watch.look(passing(100 + nowMs), nowMs), "awaited");
  assert.equal(watch.look(nobody, 60_000), "awaited");
  assert.equal(watch.look(passing(5), 61_000), "awaited");
  assert.equal(watch.look(passing(5), 62_999), "awaited");
  assert.equal(watch.look(passing(5), 63_000), "running");
  assert.equal(watch.look(passing(6), 64_000), "ended");
});
