// What the options of `weft proxy` mean, without running one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type ProxyOptions, readProxyArguments } from "../../src/cli/proxy-arguments.ts";
import { planProxy } from "../../src/cli/proxy-command.ts";
import { formatProblem } from "../../src/config/problem.ts";

function problemsOf(options: ProxyOptions, environment: Record<string, string> = {}): string[] {
  const plan = planProxy(options, environment);
  assert.ok("problems" in plan);
  return plan.problems.map(formatProblem);
}

test("options are read in both spellings", () => {
  assert.deepEqual(
    { ...readProxyArguments(["--config", "a.yaml", "--workers=2", "--name", "p", "--admin", "off"]) },
    {
      config: "a.yaml",
      workers: "2",
      name: "p",
      admin: "off",
    },
  );
  assert.deepEqual(
    { ...readProxyArguments(["--listen=127.0.0.1:1", "--to", "a:1,b:2", "--to", "c:3"]) },
    {
      listen: "127.0.0.1:1",
      to: ["a:1,b:2", "c:3"],
    },
  );
});

test("whatever is not plainly an option is left to the command line library", () => {
  for (const args of [["--help"], ["-h"], ["--confg", "x"], ["--config"], ["extra"]])
    assert.equal(readProxyArguments(args), null, args.join(" "));
});

test("a file with everything that may stand beside it", () => {
  assert.deepEqual(planProxy({ config: "a.yaml", name: "p", workers: "2", admin: "127.0.0.1:0" }, { WEFT_CONFIG: "ignored" }), {
    configPath: "a.yaml",
    configText: null,
    snapshot: null,
    proxyName: "p",
    overrides: { workers: 2, admin: { host: "127.0.0.1", port: 0 } },
  });
});

test("the environment's text, when there is no file", () => {
  assert.deepEqual(planProxy({ admin: "off", workers: "auto" }, { WEFT_CONFIG: "a: 1" }), {
    configPath: null,
    configText: "a: 1",
    snapshot: null,
    proxyName: null,
    overrides: { workers: "auto", admin: null },
  });
});

test("flags make a snapshot, targets from lists and repeated options alike", () => {
  const plan = planProxy(
    { listen: "127.0.0.1:4140", to: ["10.0.0.1:80,10.0.0.2:80", "10.0.0.3:80"], workers: "0", name: "edge" },
    { WEFT_CONFIG: "x" },
  );
  assert.ok(!("problems" in plan) && plan.snapshot);
  assert.deepEqual(
    plan.snapshot.services[0]?.addresses.map((address) => address.host),
    ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
  );
  assert.deepEqual([plan.snapshot.workers, plan.snapshot.name, plan.configPath, plan.configText], [0, "edge", null, null]);
});

test("no configuration at all is told with every way to give one", () => {
  assert.deepEqual(problemsOf({}), [
    "usage: there is no configuration; give it --config PATH, or --listen HOST:PORT --to HOST:PORT, or the YAML itself in WEFT_CONFIG",
  ]);
});

test("a file and flags exclude each other", () => {
  assert.deepEqual(problemsOf({ config: "a.yaml", listen: "127.0.0.1:1", to: ["a:1"] }), [
    "usage: --config and --listen exclude each other; the file has spec.outbound.listen",
  ]);
});

test("half of the flags is not enough", () => {
  assert.deepEqual(problemsOf({ listen: "127.0.0.1:1" }), ["usage: --to is missing; --listen HOST:PORT --to HOST:PORT[,HOST:PORT...]"]);
  assert.deepEqual(problemsOf({ to: ["a:1"] }), ["usage: --listen is missing; --listen HOST:PORT --to HOST:PORT[,HOST:PORT...]"]);
});

test("wrong numbers of workers and wrong admin addresses are told together", () => {
  assert.deepEqual(problemsOf({ config: "a", workers: "many", admin: "4191" }), [
    '--workers: "many" is no number of workers; expected 0 to 256, or auto',
    '--admin: "4191": it has no host; did you mean 127.0.0.1:4191?',
  ]);
});
