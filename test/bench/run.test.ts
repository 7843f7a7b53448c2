// The engine, really: an origin, Weft, the generator, one round each. What is checked is that the document is whole and that its parts
// agree with each other; no figure is held against a clock.

import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { before, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { decodeFromCompressedBase64 } from "hdr-histogram-js";
import type { RunRequest } from "../../bench/engine/request.ts";
import { runBench } from "../../bench/engine/run.ts";
import { closeAll, openIdle } from "../../bench/load/idle-connections.ts";
import { CLOSED_LOOP, type Load, OPEN_LOOP, ORDINARY, type Scenario } from "../../bench/load/scenario.ts";
import { WEBSOCKET_ECHO } from "../../bench/load/websocket-echo.ts";
import { LINKERD2_PROXY } from "../../bench/peers/linkerd2-proxy.ts";
import { WEFT } from "../../bench/peers/weft.ts";
import { type BenchResult, decodeResult, type Round, type ScenarioResult } from "../../bench/result.ts";

const OWN_CLOSED: Load = { ...CLOSED_LOOP, tools: ["open-loop"], connections: 8 };
const OWN: Scenario = { ...ORDINARY, name: "own", what: "our generator alone", loads: [OWN_CLOSED, OPEN_LOOP], warmRequests: 500 };

function request(scenarios: readonly Scenario[], more: Partial<RunRequest> = {}): RunRequest {
  return {
    title: "a test",
    preset: "test",
    commandLine: "node --test",
    scenarios,
    peers: [WEFT, LINKERD2_PROXY],
    origin: "uws",
    quick: true,
    pairs: 1,
    workers: 1,
    rateRps: 200,
    connections: 4,
    seconds: null,
    deadlineMs: 60_000,
    probe: false,
    crossCheck: false,
    isSilent: true,
    ...more,
  };
}

let result: BenchResult;

before(async () => {
  result = await runBench(request([OWN], { probe: true }));
});

function roundOf(scenario: ScenarioResult, subject: string, load: string): Round {
  const found = scenario.subjects.find((one) => one.name === subject);
  assert.equal(found?.failure, null);
  const rounds = found?.rounds.filter((one) => one.load === load) ?? [];
  assert.equal(rounds.length, 1);
  return rounds[0]!;
}

test("the document is plain JSON: nothing in it is undefined, not a number or infinite", () => {
  assert.deepEqual(decodeResult(JSON.stringify(result)), result);
  assert.equal(result.options.preset, "test");
  assert.equal(result.machine.kernel.startsWith("Linux "), true);
  assert.deepEqual(Object.keys(result.versions), ["node", "weft", "origin uws"]);
});

test("subjects are direct and Weft; one that cannot be had is named with how", () => {
  const [scenario] = result.scenarios;
  assert.deepEqual(
    scenario?.subjects.map((subject) => [subject.name, subject.role, subject.state]),
    [
      ["direct", "direct", "measured"],
      ["weft", "weft", "measured"],
    ],
  );
  assert.deepEqual(result.skipped, [{ name: "linkerd2-proxy", reason: "not installed", install: LINKERD2_PROXY.install }]);
});

test("a closed loop counts requests, CPU of the subject alone, and connections on both sides", () => {
  const scenario = result.scenarios[0]!;
  const weft = roundOf(scenario, "weft", "closed");
  assert.ok(weft.requests > 0 && weft.cpu !== null && weft.cpu.totalUs > 0);
  assert.equal(weft.connections.downstreamOpened, OWN_CLOSED.connections);
  assert.ok(weft.connections.upstreamOpened! < weft.requests, "connections to the origin are used again");
  assert.ok(weft.memory!.privateKb > 0 && weft.memory!.rssKb >= weft.memory!.privateKb);
  const direct = roundOf(scenario, "direct", "closed");
  assert.deepEqual([direct.cpu, direct.memory, direct.subjectCpuShare], [null, null, null]);
  assert.equal(direct.connections.upstreamOpened, OWN_CLOSED.connections);
});

test("an open loop offers exactly its rate; histogram, percentiles and time line tell of the same requests", () => {
  for (const name of ["direct", "weft"]) {
    const round = roundOf(result.scenarios[0]!, name, "open");
    assert.deepEqual([round.requests, round.errors, round.offeredRps], [200, 0, 200]);
    const histogram = decodeFromCompressedBase64(round.latency!.histogram);
    assert.equal(histogram.totalCount, 200);
    assert.equal(round.latency!.count, 200);
    assert.equal(histogram.getValueAtPercentile(99), round.latency!.p99Us);
    assert.equal(
      round.slices.reduce((sum, slice) => sum + slice.count, 0),
      200,
    );
    assert.equal(round.generatorLateness!.count, 200);
  }
});

test("Weft says what only Weft knows: its overhead, its event loops, its garbage", () => {
  const weft = result.scenarios[0]!.subjects.find((subject) => subject.role === "weft")!.weft!;
  assert.ok(weft.overheadP50Us! > 0 && weft.overheadP99Us! >= weft.overheadP50Us!);
  const worker = weft.threads.find((thread) => thread.thread.startsWith("worker"));
  assert.ok(worker !== undefined, "a worker thread was seen by the probe");
  assert.ok(worker.eventLoopUtilization > 0 && worker.eventLoopUtilization <= 1);
  assert.ok(weft.threads.some((thread) => thread.thread === "main"));
});

test("a figure without a peer beside it is unknown, with the reason", async () => {
  const bars: Scenario["bars"] = [{ measure: "cpu", load: "closed", against: "nginx", bar: 1.25, goal: 1 }];
  const { verdicts } = await runBench(request([{ ...OWN, loads: [OWN_CLOSED], bars }]));
  assert.deepEqual(
    verdicts.map((verdict) => [verdict.id, verdict.value, verdict.state, verdict.reason]),
    [["own/cpu", null, "unknown", "nginx did not take part"]],
  );
});

test("WebSocket messages come back through Weft, in both loops", async () => {
  const { scenarios } = await runBench(request([{ ...WEBSOCKET_ECHO, warmRequests: 100 }]));
  assert.equal(roundOf(scenarios[0]!, "weft", "open").requests, 200);
  assert.ok(roundOf(scenarios[0]!, "weft", "closed").requests > 0);
});

test("a proxy that answers wrongly fails by name, and the others go on", async () => {
  const scenario: Scenario = { ...OWN, loads: [{ ...OWN_CLOSED, path: "/nowhere" }] };
  const { scenarios } = await runBench(request([scenario]));
  const states = scenarios[0]!.subjects.map((subject) => [subject.name, subject.state, /requests failed/.test(subject.failure ?? "")]);
  assert.deepEqual(states, [
    ["direct", "failed", true],
    ["weft", "failed", true],
  ]);
});

test("a rate that nobody can send is found: the generator is the bottleneck", async () => {
  const scenario: Scenario = { ...OWN, loads: [{ ...OPEN_LOOP, rate: 200_000 }] };
  const { scenarios } = await runBench(request([scenario]));
  const failed = scenarios[0]!.selfChecks.filter((check) => check.state === "fail").map((check) => `${check.name} ${check.subject}`);
  assert.ok(failed.includes("rate weft") || scenarios[0]!.subjects.some((subject) => subject.failure !== null), failed.join(", "));
  assert.ok(failed.includes("rate direct") || scenarios[0]!.subjects[0]!.failure !== null, failed.join(", "));
});

test("an origin that works hard for every answer is found: it is the bottleneck, not Weft", async () => {
  const scenario: Scenario = { ...OWN, loads: [{ ...OWN_CLOSED, path: "/busy?us=2000" }] };
  const { scenarios } = await runBench(request([scenario]));
  const checks = scenarios[0]!.selfChecks.filter((check) => check.state !== "ok");
  // As fast as direct is what gives it away even where others take the origin's core.
  assert.ok(
    checks.some((check) => check.name === "origin-cpu" || check.name === "direct" || check.name === "others"),
    JSON.stringify(scenarios[0]!.selfChecks),
  );
});

test("a scenario that cannot be run keeps the figures of those before it, is named with its error, and its bars are unknown", async () => {
  const broken: Scenario = {
    ...OWN,
    name: "broken",
    get origin(): never {
      throw new Error("no origin today");
    },
    bars: [{ measure: "cpu", load: "closed", against: "nginx", bar: 1, goal: 1 }],
  };
  const both = await runBench(request([{ ...OWN, loads: [OWN_CLOSED] }, broken]));
  assert.deepEqual(
    both.scenarios.map((scenario) => scenario.name),
    ["own"],
  );
  assert.equal(both.notes[0], "broken FAILED and has no figures: no origin today.");
  assert.deepEqual(
    both.verdicts.map((verdict) => verdict.state),
    ["unknown"],
  );
  await assert.rejects(runBench(request([broken])), /no origin today/);
});

test("idle connections: a subject's memory is the one that was read beside them", async () => {
  const many: Scenario = { ...OWN, name: "many", loads: [OWN_CLOSED], idleConnections: 200 };
  const { scenarios } = await runBench(request([many]));
  const weft = scenarios[0]?.subjects.find((one) => one.name === "weft");
  assert.equal(weft?.failure, null);
  assert.deepEqual(weft?.memoryAtEnd, weft?.rounds[0]?.memory);
});

test("idle connections are all there, or none: those before a refused one are closed", async () => {
  let open = 0;
  let most = 250;
  const server = createServer((socket) => {
    if (open >= most) return void socket.destroy();
    open++;
    socket.on("error", () => {});
    socket.once("close", () => open--);
    socket.once("data", () => socket.write("HTTP/1.1 204 No Content\r\n\r\n"));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const sockets = await openIdle(port, 250);
  assert.equal(open, 250);
  closeAll(sockets);
  while (open > 0) await setTimeout(5);
  most = 120;
  await assert.rejects(openIdle(port, 250));
  while (open > 0) await setTimeout(5);
  server.close();
});
