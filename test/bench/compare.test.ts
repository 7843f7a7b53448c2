// Comparing two kept results: what is found, what is noise, and what is not compared but named.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Comparison, compareResults } from "../../bench/compare/comparison.ts";
import { comparisonExitCode, comparisonText, outcome } from "../../bench/compare.ts";
import type { BenchResult } from "../../bench/result.ts";
import { SAMPLE_SUBJECTS, type SampleOptions, sampleResult } from "./support/sample-result.ts";

/** The sample with Weft (or all) slower or faster, and other luck. */
function run(
  seed: number,
  factors: { weftCpu?: number; weftLatency?: number; machine?: number } = {},
  more: SampleOptions = {},
): BenchResult {
  const { weftCpu = 1, weftLatency = 1, machine = 1 } = factors;
  const subjects = SAMPLE_SUBJECTS.map(({ name, latencyUs, cpuUs }) => ({
    name,
    latencyUs: latencyUs * (name === "weft" ? weftLatency : 1),
    cpuUs: cpuUs === null ? null : cpuUs * machine * (name === "weft" ? weftCpu : 1),
  }));
  return sampleResult({ seed, subjects, rounds: 9, ...more });
}

function verdicts(comparison: Comparison): Record<string, string> {
  return Object.fromEntries(comparison.figures.map(({ figure, change }) => [figure.id, change.verdict]));
}

test("two runs of the same programs show no difference", () => {
  for (const seed of [2, 3, 4, 5, 6]) {
    const comparison = compareResults(run(1), run(seed), false);
    assert.deepEqual(new Set(Object.values(verdicts(comparison))), new Set(["same"]));
    assert.match(comparisonText(comparison), /No difference beyond noise in \d+ figures\.\n$/);
    assert.equal(comparisonExitCode(comparison, true), 0);
  }
});

test("a third more CPU is worse, a third less is better, and nothing else is", () => {
  const worse = compareResults(run(1), run(2, { weftCpu: 1.33 }), false);
  const found = verdicts(worse);
  assert.deepEqual([found["wrk/cpu-ratio"], found["open-loop/p50"], found["memory"]], ["worse", "same", "same"]);
  assert.match(comparisonText(worse), /plain, weft, wrk: CPU per request, x nginx +1\.\d\d +1\.\d\d +\+\d\d\.\d % .+ WORSE/);
  assert.deepEqual([comparisonExitCode(worse, true), comparisonExitCode(worse, false)], [1, 0]);
  const better = compareResults(run(1), run(2, { weftCpu: 0.7 }), false);
  assert.equal(verdicts(better)["wrk/cpu-ratio"], "better");
  assert.equal(comparisonExitCode(better, true), 0);
  assert.match(outcome(better), /^Of \d+ figures 2 got better and 0 worse beyond noise\.$/);
});

test("latency that is added on top is found", () => {
  const found = verdicts(compareResults(run(1), run(2, { weftLatency: 2 }), false));
  assert.deepEqual([found["open-loop/p50"], found["open-loop/p90"]], ["worse", "worse"]);
});

test("a machine that has become twice as slow is not blamed on Weft", () => {
  const found = verdicts(compareResults(run(1), run(2, { machine: 2 }), false));
  assert.equal(found["wrk/cpu-ratio"], "same");
});

test("a change as large as that of a peer that has not changed is noise", () => {
  // Weft and HAProxy both a fifth slower beside nginx: the machine treats nginx otherwise than before.
  const subjects = SAMPLE_SUBJECTS.map((one) => ({
    ...one,
    cpuUs: one.cpuUs === null ? null : one.cpuUs * (one.name === "haproxy" ? 1.25 : one.name === "weft" ? 1.2 : 1),
  }));
  const comparison = compareResults(run(1), sampleResult({ seed: 2, subjects, rounds: 9 }), false);
  assert.equal(verdicts(comparison)["wrk/cpu-ratio"], "same");
});

test("only Weft and peers of another version are judged; unchanged peers are the measure", () => {
  const names = (comparison: Comparison): string[] => [...new Set(comparison.figures.map((one) => one.subject))];
  assert.deepEqual(names(compareResults(run(1), run(2), false)), ["weft"]);
  const after = run(2);
  const newer = {
    ...after,
    versions: { ...after.versions, haproxy: "haproxy 2.0" },
    scenarios: after.scenarios.map((scenario) => ({
      ...scenario,
      subjects: scenario.subjects.map((one) => (one.name === "haproxy" ? { ...one, version: "haproxy 2.0" } : one)),
    })),
  };
  const comparison = compareResults(run(1), newer, false);
  assert.deepEqual(names(comparison), ["weft", "haproxy"]);
  assert.ok(comparison.differences.includes("version of haproxy: haproxy 1.0 before, haproxy 2.0 after"));
});

test("another machine is named and ends the comparison, unless it is wanted", () => {
  const other = run(2, {}, { cpuModel: "Another CPU" });
  const refused = compareResults(run(1), other, false);
  assert.equal(refused.figures.length, 0);
  assert.match(comparisonText(refused), /processor: Example CPU before, Another CPU after/);
  assert.match(comparisonText(refused), /Nothing is compared: the two runs are from different machines/);
  assert.deepEqual([comparisonExitCode(refused, false), comparisonExitCode(refused, true)], [2, 2]);
  assert.ok(compareResults(run(1), other, true).figures.length > 0);
});

test("a scenario that only one run has is named, the others are compared", () => {
  const comparison = compareResults(run(1, {}, { scenarios: ["plain", "upload"] }), run(2, {}, { scenarios: ["plain", "tls"] }), false);
  assert.ok(comparison.differences.includes("scenarios only before: upload"));
  assert.ok(comparison.differences.includes("scenarios only after: tls"));
  assert.deepEqual(new Set(comparison.figures.map((one) => one.scenario)), new Set(["plain"]));
});

test("a load that was another one is named and left out", () => {
  const comparison = compareResults(run(1), run(2, {}, { requests: 1200 }), false);
  assert.ok(
    comparison.differences.some((text) =>
      /^plain, open-loop is not compared: 1000 requests\/s .+ before, 1200 requests\/s .+ after$/.test(text),
    ),
  );
  assert.deepEqual(Object.keys(verdicts(comparison)).sort(), ["memory", "wrk/cpu-ratio"]);
});

test("without a peer in both runs CPU is compared as it is, and that is said", () => {
  const subjects = SAMPLE_SUBJECTS.filter((one) => one.name === "direct" || one.name === "weft");
  const comparison = compareResults(run(1, {}, { subjects }), run(2, {}, { subjects }), false);
  assert.ok("wrk/cpu" in verdicts(comparison));
  assert.ok(comparison.differences.some((text) => text.includes("drift of the machine with it")));
});

test("fewer than five rounds tell nothing, and --fail-on-worse does not take that for good news", () => {
  const comparison = compareResults(run(1, {}, { rounds: 2 }), run(2, { weftCpu: 3 }, { rounds: 2 }), false);
  assert.deepEqual(new Set(Object.values(verdicts(comparison))), new Set(["unknown"]));
  assert.deepEqual([comparisonExitCode(comparison, false), comparisonExitCode(comparison, true)], [0, 2]);
  assert.match(outcome(comparison), /nothing can be told: an interval needs five rounds in both runs/);
});

test("a failed subject is named and not compared", () => {
  const after = run(2);
  const failed = {
    ...after,
    scenarios: after.scenarios.map((scenario) => ({
      ...scenario,
      subjects: scenario.subjects.map((one) => (one.name === "weft" ? { ...one, state: "failed" as const, failure: "gone" } : one)),
    })),
  };
  const comparison = compareResults(run(1), failed, false);
  assert.ok(comparison.differences.includes("plain: weft is not compared: it failed after"));
  assert.equal(comparisonExitCode(comparison, true), 2);
});

const MAIN = fileURLToPath(new URL("../../bench/main.ts", import.meta.url));

function bench(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

test("the command reads files and ends with the code that scripts go by", async () => {
  const folder = mkdtempSync(join(tmpdir(), "weft-compare-"));
  try {
    const [before, after] = [join(folder, "a.json"), join(folder, "b.json")];
    writeFileSync(before, JSON.stringify(run(1)));
    writeFileSync(after, JSON.stringify(run(2, { weftCpu: 1.5 })));
    const worse = await bench("compare", before, after, "--fail-on-worse");
    assert.equal(worse.code, 1);
    assert.match(worse.stdout, /WORSE/);
    assert.equal((await bench("compare", before, after)).code, 0);
    assert.equal((await bench("compare", before, before, "--fail-on-worse")).code, 0);
    const missing = await bench("compare", before, join(folder, "missing.json"));
    assert.equal(missing.code, 3);
    assert.match(missing.stderr, /missing\.json: ENOENT/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
