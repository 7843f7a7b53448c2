// Texts that are made to hurt: each is refused with a word, in bounded time and memory.

import assert from "node:assert/strict";
import { test } from "node:test";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblem, PROBLEMS_MAX } from "../../src/config/problem.ts";

const HEAD = "apiVersion: weft.dev/v1alpha1\nkind: Proxy\nmetadata: {name: p}\n";

function problemsOf(text: string): string[] {
  const result = loadConfig({ text, label: "x" });
  assert.ok("problems" in result);
  return result.problems.map(formatProblem);
}

test("aliases that multiply are refused by their number", () => {
  const lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"];
  for (let i = 1; i <= 9; i++) lines.push(`a${i}: &a${i} [${new Array(10).fill(`*a${i - 1}`).join(", ")}]`);
  assert.deepEqual(problemsOf(lines.join("\n")), ["x:6:45: there are more than 1000000 values, aliases counted"]);
});

test("an alias inside its own anchor is refused", () => {
  assert.match(problemsOf(`${HEAD}spec: &a {admin: *a}\n`)[0] ?? "", /^x:4:18: there is no anchor &a before this alias/);
});

test("flow collections nested without end are refused by their depth", () => {
  assert.deepEqual(problemsOf("[".repeat(1_000_000)), ["x:1:65: values are nested more than 64 deep"]);
});

test("block collections nested without end are refused by their depth", () => {
  const text = Array.from({ length: 200 }, (_, depth) => `${" ".repeat(depth)}a:`).join("\n");
  assert.match(problemsOf(text)[0] ?? "", /values are nested more than 64 deep/);
});

test("a text over 16 MiB is refused before it is parsed", () => {
  const started = performance.now();
  assert.deepEqual(problemsOf("#".repeat(16 * 1024 * 1024 + 1)), ["x: the configuration is larger than 16777216 bytes"]);
  assert.ok(performance.now() - started < 5_000);
});

test("a map of a hundred thousand keys takes no quadratic time", () => {
  const text = `${HEAD}spec: {${Array.from({ length: 100_000 }, (_, i) => `k${i}: 1`).join(", ")}}\n`;
  const problems = problemsOf(text);
  assert.equal(problems.length, PROBLEMS_MAX + 1);
  assert.match(problems.at(-1) ?? "", /there are more problems, not shown/);
});

test("long values are shortened in messages", () => {
  const [problem = ""] = problemsOf(`${HEAD}spec: {workers: "${"9".repeat(100_000)}"}\n`);
  assert.ok(problem.length < 300, problem.slice(0, 400));
});

test("long keys are shortened in messages", () => {
  const [problem = ""] = problemsOf(`${HEAD}spec: {"${"k".repeat(100_000)}": 1}\n`);
  assert.ok(problem.length < 300, problem.slice(0, 400));
});
