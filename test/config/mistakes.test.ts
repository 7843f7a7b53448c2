// The golden cases of test/fixtures/config/mistakes.md: what is said about each mistake, word by word.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { checkConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";

const CORPUS = readFileSync(new URL("../fixtures/config/mistakes.md", import.meta.url), "utf8");
const CASE = /^## (.+)\n\n```yaml\n([\s\S]*?)```\n\n```text\n([\s\S]*?)```$/gm;
const CASES_MIN = 35;

const cases = [...CORPUS.matchAll(CASE)].map(([, title = "", yaml = "", expected = ""]) => ({ title, yaml, expected }));

test("the corpus is read whole", () => {
  assert.equal(cases.length, CORPUS.match(/^## /gm)?.length);
  assert.ok(cases.length >= CASES_MIN);
});

for (const { title, yaml, expected } of cases) {
  test(`tells: ${title}`, () => {
    const { problems } = checkConfig({ text: yaml, label: "x" });
    const said = problems.map((problem) => `${formatProblem(problem)}\n`).join("");
    assert.equal(said === "" ? "<ok>\n" : said, expected);
  });
}
