import assert from "node:assert/strict";
import { test } from "node:test";
import { selfChecks } from "../../bench/engine/self-check.ts";
import type { LoadDescription, Round, SelfCheck } from "../../bench/result.ts";
import { CLOSED, latency, OPEN, round, subject } from "./support/rounds.ts";

/** States of one check of Weft (or of all), by a round of Weft and one of direct. */
function stateOf(name: string, load: LoadDescription, weft: Partial<Round>, direct: Partial<Round> = {}): SelfCheck["state"] | "absent" {
  const noCpu = { cpu: null, subjectCpuShare: null };
  const subjects = [
    subject("direct", [round(load, 1, { achievedRps: 3000, offeredRps: null, ...noCpu, ...direct })]),
    subject("weft", [round(load, 1, weft)]),
  ];
  const found = selfChecks([load], subjects, 1).filter((one) => one.name === name && (one.subject === null || one.subject === "weft"));
  assert.ok(found.length <= 1);
  return found[0]?.state ?? "absent";
}

test("a generator that is late measures itself", () => {
  assert.equal(stateOf("generator-late", OPEN, { generatorLateness: latency(20, 30, 40) }), "ok");
  assert.equal(stateOf("generator-late", OPEN, { generatorLateness: latency(20, 30, 400) }), "warn");
  assert.equal(stateOf("generator-late", OPEN, { generatorLateness: latency(20, 30, 4000) }), "fail");
  assert.equal(stateOf("generator-late", CLOSED, {}), "absent");
});

test("an offered rate that was not served is a queue, not a latency", () => {
  assert.equal(stateOf("rate", OPEN, { achievedRps: 995 }), "ok");
  assert.equal(stateOf("rate", OPEN, { achievedRps: 900 }), "fail");
});

test("requests that waited for a connection are told", () => {
  assert.equal(stateOf("queue", OPEN, { queuedAtGenerator: 5 }), "ok");
  assert.equal(stateOf("queue", OPEN, { queuedAtGenerator: 50 }), "warn");
});

test("a busy origin counts only while the proxy has time left", () => {
  assert.equal(stateOf("origin-cpu", CLOSED, { originCpuShare: 0.97, subjectCpuShare: 0.5 }), "warn");
  assert.equal(stateOf("origin-cpu", OPEN, { originCpuShare: 0.97, subjectCpuShare: 0.5 }), "fail");
  assert.equal(stateOf("origin-cpu", CLOSED, { originCpuShare: 0.97, subjectCpuShare: 0.97 }), "ok");
  assert.equal(stateOf("origin-cpu", CLOSED, { originCpuShare: 0.5, subjectCpuShare: 0.5 }), "ok");
});

test("a load tool at its limit counts in a closed loop; ours spins on purpose in an open one", () => {
  assert.equal(stateOf("generator-cpu", CLOSED, { generatorCpuShare: 0.99, subjectCpuShare: 0.5 }), "warn");
  assert.equal(stateOf("generator-cpu", CLOSED, { generatorCpuShare: 0.99, subjectCpuShare: 0.97 }), "ok");
  assert.equal(stateOf("generator-cpu", OPEN, { generatorCpuShare: 0.99, subjectCpuShare: 0.5 }), "absent");
});

test("a proxy that is as fast as no proxy was not what limited", () => {
  assert.equal(stateOf("direct", CLOSED, { achievedRps: 1000 }, { achievedRps: 2000 }), "ok");
  assert.equal(stateOf("direct", CLOSED, { achievedRps: 1000 }, { achievedRps: 1020 }), "warn");
});

test("other programs on the machine disturb a run, or ruin its latencies", () => {
  assert.equal(stateOf("others", OPEN, { othersCpuShare: 0.02 }, { othersCpuShare: 0.02 }), "ok");
  assert.equal(stateOf("others", OPEN, { othersCpuShare: 0.2 }, { othersCpuShare: 0.2 }), "warn");
  assert.equal(stateOf("others", OPEN, { othersCpuShare: 0.5 }, { othersCpuShare: 0.5 }), "fail");
  assert.equal(stateOf("others", CLOSED, { othersCpuShare: 0.5 }, { othersCpuShare: 0.5 }), "warn");
});

test("one disturbed round of three changes no check", () => {
  const rounds = [1, 2, 3].map((index) => round(OPEN, index, { generatorLateness: latency(index === 2 ? 9000 : 20) }));
  const found = selfChecks([OPEN], [subject("weft", rounds)], 1).find((one) => one.name === "generator-late");
  assert.equal(found?.state, "ok");
});
