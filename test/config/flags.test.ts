// `--listen` and `--to` without any file.

import assert from "node:assert/strict";
import { test } from "node:test";
import { flagsToSnapshot } from "../../src/config/flags.ts";
import { formatProblem } from "../../src/config/problem.ts";

function problemsOf(flags: Parameters<typeof flagsToSnapshot>[0]): string[] {
  const result = flagsToSnapshot(flags);
  assert.ok("problems" in result);
  return result.problems.map(formatProblem);
}

test("one listener serves one service over all targets, whatever a request names", () => {
  const result = flagsToSnapshot({ listen: "127.0.0.1:4140", to: ["10.0.0.1:80", "web:8080", "10.0.0.1:80", "[::1]:81"] });
  assert.ok("snapshot" in result);
  const { snapshot } = result;
  assert.deepEqual(snapshot.listeners, [
    { id: "outbound", direction: "outbound", listen: { host: "127.0.0.1", port: 4140 }, protocol: "detect", service: "default/upstream" },
  ]);
  assert.equal(snapshot.outbound.default, "default/upstream");
  assert.deepEqual(snapshot.services, [
    {
      key: "default/upstream",
      name: "upstream",
      namespace: "default",
      ports: [],
      loadBalancer: "ewma",
      addresses: [
        { host: "10.0.0.1", port: 80 },
        { host: "::1", port: 81 },
      ],
      dns: [{ host: "web", port: 8080 }],
    },
  ]);
  assert.deepEqual(snapshot.admin, { host: "127.0.0.1", port: 4191 });
  assert.ok(Object.isFrozen(snapshot.services[0]?.addresses));
});

test("workers, admin and name are taken over", () => {
  const result = flagsToSnapshot({ listen: "127.0.0.1:0", to: ["10.0.0.1:80"], workers: 0, admin: "off", name: "edge" });
  assert.ok("snapshot" in result);
  assert.deepEqual([result.snapshot.workers, result.snapshot.admin, result.snapshot.name], [0, null, "edge"]);
});

test("every wrong flag is told at once", () => {
  assert.deepEqual(problemsOf({ listen: "localhost:4140", to: ["10.0.0.1", "0.0.0.0:80"], admin: "4191" }), [
    '--listen: "localhost:4140": it is a name, not an address; did you mean 127.0.0.1:4140?',
    '--to: "10.0.0.1": it has no port; did you mean 10.0.0.1:8080?',
    '--to: "0.0.0.0:80": no one can connect to the address of all interfaces; did you mean 127.0.0.1:80?',
    '--admin: "4191": it has no host; did you mean 127.0.0.1:4191?',
  ]);
});

test("an admin address without a port is told the admin port", () => {
  assert.deepEqual(problemsOf({ listen: "127.0.0.1", to: ["10.0.0.1:80"], admin: "127.0.0.1" }), [
    '--listen: "127.0.0.1": it has no port; did you mean 127.0.0.1:4140?',
    '--admin: "127.0.0.1": it has no port; did you mean 127.0.0.1:4191?',
  ]);
});

test("a proxy to itself is refused", () => {
  assert.deepEqual(problemsOf({ listen: "0.0.0.0:4140", to: ["localhost:4140", "127.0.0.1:4191"] }), [
    "--to: localhost:4140 is the proxy's own listener; requests would go round in a circle",
    "--to: 127.0.0.1:4191 is the proxy's own admin port; the proxy's clients would count as local there",
  ]);
});

test("listener and admin port must differ", () => {
  assert.deepEqual(problemsOf({ listen: "127.0.0.1:4191", to: ["10.0.0.1:80"] }), [
    "--listen: 127.0.0.1:4191 is the admin port too; choose another, or --admin off",
  ]);
});

test("no target at all is told", () => {
  assert.deepEqual(problemsOf({ listen: "127.0.0.1:4140", to: [] }), ["--to: it names no endpoint; expected HOST:PORT[,HOST:PORT...]"]);
});
