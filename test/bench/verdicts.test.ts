import assert from "node:assert/strict";
import { test } from "node:test";
import { verdictsOf } from "../../bench/engine/verdicts.ts";
import { CLOSED_LOOP, OPEN_LOOP, ORDINARY, type Bar, type Scenario } from "../../bench/load/scenario.ts";
import type { SelfCheck, SubjectResult, Verdict } from "../../bench/result.ts";
import { CLOSED, latency, OPEN, round, subject } from "./support/rounds.ts";

function scenario(...bars: readonly Bar[]): Scenario {
  return { ...ORDINARY, name: "one", what: "", loads: [CLOSED_LOOP, OPEN_LOOP], bars };
}

const CPU: Bar = { measure: "cpu", load: "closed", against: "nginx", bar: 1.25, goal: 1 };
const P50: Bar = { measure: "added-latency", load: "open", percentile: 50, bar: 0.15, goal: 0.1 };

/** Nine rounds whose CPU per request drifts with the machine, times a factor. */
function costing(name: string, factor: (index: number) => number, count = 9): SubjectResult {
  const rounds = Array.from({ length: count }, (_, i) => {
    const totalUs = (10 + i * 5) * factor(i + 1);
    return round(CLOSED, i + 1, { cpu: { userUs: 0, systemUs: totalUs, totalUs } });
  });
  return subject(name, rounds);
}

function only(verdicts: readonly Verdict[]): Pick<Verdict, "value" | "state" | "reason"> {
  assert.equal(verdicts.length, 1);
  const { value, state, reason } = verdicts[0]!;
  return { value: value === null ? null : Math.round(value * 1000) / 1000, state, reason };
}

test("CPU is the median of the ratios of rounds that belong together, whatever the machine did between them", () => {
  const nginx = costing("nginx", () => 1);
  const judge = (factor: (index: number) => number) => only(verdictsOf(scenario(CPU), [costing("weft", factor), nginx], []));
  assert.deepEqual(
    judge(() => 0.9),
    { value: 0.9, state: "goal", reason: null },
  );
  assert.deepEqual(
    judge(() => 1.2),
    { value: 1.2, state: "met", reason: null },
  );
  assert.deepEqual(
    judge(() => 1.3),
    { value: 1.3, state: "missed", reason: null },
  );
  assert.deepEqual(
    judge((index) => (index === 4 ? 50 : 1.2)),
    { value: 1.2, state: "met", reason: null },
  );
});

test("several ratios of one scenario have names of their own", () => {
  const bars = ["nginx", "haproxy"].map((against): Bar => ({ ...CPU, against }));
  const subjects = ["weft", "nginx", "haproxy"].map((name) => costing(name, () => 1));
  assert.deepEqual(
    verdictsOf(scenario(...bars), subjects, []).map(({ id, value }) => [id, value]),
    [
      ["one/cpu-closed-nginx", 1],
      ["one/cpu-closed-haproxy", 1],
    ],
  );
  assert.equal(verdictsOf(scenario(CPU), subjects, [])[0]!.id, "one/cpu");
});

test("fewer than nine pairs give a figure and no verdict", () => {
  const found = only(verdictsOf(scenario(CPU), [costing("weft", () => 2, 8), costing("nginx", () => 1, 8)], []));
  assert.deepEqual(found, { value: 2, state: "unknown", reason: "rounds: 8, at least 9 are asked for" });
});

test("a subject with errors, or one that is not there, decides nothing, and is named", () => {
  const failed = { ...costing("nginx", () => 1), state: "failed", failure: "3 requests failed" } as const;
  const weft = costing("weft", () => 1);
  assert.deepEqual(only(verdictsOf(scenario(CPU), [weft, failed], [])).reason, "nginx failed: 3 requests failed");
  assert.deepEqual(only(verdictsOf(scenario(CPU), [weft], [])), { value: null, state: "unknown", reason: "nginx did not take part" });
});

function answering(name: string, us: (index: number) => number, othersCpuShare = 0, rounds = 7): SubjectResult {
  const many = (index: number): number[] => Array.from({ length: 200 }, () => us(index));
  return subject(
    name,
    Array.from({ length: rounds }, (_, index) => round(OPEN, index + 1, { latency: latency(...many(index)), othersCpuShare })),
  );
}
const direct = answering("direct", () => 100);
const weft = (us: number): SubjectResult => answering("weft", () => us);

test("added latency is the difference to direct, in milliseconds", () => {
  const found = only(verdictsOf(scenario(P50), [direct, weft(180)], []));
  assert.deepEqual(found, { value: 0.08, state: "goal", reason: null });
  assert.equal(only(verdictsOf(scenario(P50), [direct, weft(400)], [])).state, "missed");
});

test("rounds of a busy machine decide nothing about latency, and do not count beside quiet ones", () => {
  const busy = answering("weft", () => 400, 0.5);
  assert.deepEqual(only(verdictsOf(scenario(P50), [direct, busy], [])), {
    value: 0.3,
    state: "unknown",
    reason: "the machine was quiet in 0 of 7 pairs of rounds, 5 are needed",
  });
  const twoSlow = answering("direct", (index) => (index < 2 ? 900 : 100));
  const found = only(verdictsOf(scenario(P50), [twoSlow, answering("weft", (index) => (index < 2 ? 5_000 : 180))], []));
  assert.deepEqual(found, { value: 0.08, state: "goal", reason: null });
});

test("a bar within the interval is neither met nor missed", () => {
  const found = only(verdictsOf(scenario(P50), [direct, answering("weft", (index) => (index % 2 === 0 ? 180 : 400))], []));
  assert.equal(found.state, "unknown");
  assert.match(found.reason ?? "", /^the bar lies within the interval, 0\.080 to 0\.300 ms$/);
});

test("a late generator takes the meaning out of a latency, and not out of CPU per request", () => {
  const late: SelfCheck = {
    name: "generator-late",
    load: "open",
    subject: "weft",
    state: "fail",
    value: 5000,
    limit: 100,
    unit: "us at p99",
    message: "late",
  };
  const subjects = [direct, weft(400)];
  assert.deepEqual(only(verdictsOf(scenario(P50), subjects, [late])), {
    value: 0.3,
    state: "unknown",
    reason: "self-check generator-late: late",
  });
  const others = { ...late, subject: "haproxy" };
  assert.equal(only(verdictsOf(scenario(P50), subjects, [others])).state, "missed");
  const cpu = [costing("weft", () => 1), costing("nginx", () => 1)];
  assert.equal(only(verdictsOf(scenario(CPU), cpu, [{ ...late, load: "closed" }])).state, "goal");
  assert.equal(only(verdictsOf(scenario(CPU), cpu, [{ ...late, load: "closed", name: "others", subject: null }])).state, "unknown");
});
