// The three forms of a report, from a made-up result: what has to be in them, and what must not.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readResult } from "../../bench/report/command.ts";
import { reportDocument } from "../../bench/report/document.ts";
import { duration, figure, milliseconds, percent } from "../../bench/report/figures.ts";
import { htmlReport } from "../../bench/report/html.ts";
import { markdownReport } from "../../bench/report/markdown.ts";
import { markdownTable, plainTable, table } from "../../bench/report/table.ts";
import { beforeAfterTables } from "../../bench/report/tables/run-tables.ts";
import { terminalReport } from "../../bench/report/terminal.ts";
import { writeReport } from "../../bench/report/write.ts";
import type { AbReport, BenchResult, ScenarioResult } from "../../bench/result.ts";
import { sampleResult } from "./support/sample-result.ts";

function forms(result: BenchResult): { terminal: string; markdown: string; html: string } {
  const document = reportDocument(result);
  return { terminal: terminalReport(document), markdown: markdownReport(document, null), html: htmlReport(document) };
}

function withScenario(change: (scenario: ScenarioResult) => ScenarioResult): BenchResult {
  const result = sampleResult();
  return { ...result, scenarios: result.scenarios.map(change) };
}

test("figures carry three digits, and what is not known is a dash", () => {
  assert.deepEqual([0, 0.00314, 0.9996, 1, 12.345, 123.4, 1234, null, Number.NaN].map(figure), [
    "0",
    "0.0031",
    "1.00",
    "1.00",
    "12.3",
    "123",
    "1234",
    "-",
    "-",
  ]);
  assert.deepEqual([84, -12, 12_345, null].map(milliseconds), ["0.084", "-0.012", "12.3", "-"]);
  assert.deepEqual([percent(0.256), percent(null)], ["26\u00a0%", "-"]);
  assert.deepEqual([45_000, 200_000, 3_720_000].map(duration), ["45 s", "3 min 20 s", "1 h 02 min"]);
});

test("every form has each subject, the bars, the remarks and what did not take part", () => {
  for (const [name, text] of Object.entries(forms(sampleResult()))) {
    for (const part of ["weft", "nginx", "haproxy", "1.21", "MISSED|met", "unknown: the generator was late", "late by 240 us", "envoy"]) {
      assert.match(text, new RegExp(part), `${part} in the ${name}`);
    }
  }
});

test("a percentile that the samples cannot carry is a dash in every form", () => {
  const { terminal, markdown } = forms(sampleResult({ rounds: 1, requests: 400 }));
  assert.match(markdown, /\| direct \| 0\.\d+ \| 0\.\d+ \| - \| - \| - \| \d\.\d+ \| 400 \|/);
  assert.match(terminal, /weft +0\.\d+ +0\.\d+ +- +- +- +1\n/);
});

test("fewer than five pairs have figures but no intervals", () => {
  assert.match(forms(sampleResult({ rounds: 3 })).terminal, /weft +[\d.]+ +[\d.]+ +[\d.]+ +1\.\d\d +1\.\d\d to 1\.\d\d/);
  assert.match(forms(sampleResult({ rounds: 6 })).terminal, /weft +[\d.]+ +[\d.]+ +[\d.]+ +1\.\d\d \(1\.\d\d to 1\.\d\d\)/);
});

test("a round with errors does not count", () => {
  const spoilt = withScenario((scenario) => ({
    ...scenario,
    subjects: scenario.subjects.map((subject) =>
      subject.name !== "weft"
        ? subject
        : {
            ...subject,
            rounds: subject.rounds.map((round) =>
              round.index === 1 && round.cpu !== null ? { ...round, errors: 1, cpu: { userUs: 9e6, systemUs: 9e6, totalUs: 9e6 } } : round,
            ),
          },
    ),
  }));
  const { html } = forms(spoilt);
  assert.match(html, /<td class="words">weft<\/td><td>37\.\d<\/td>/);
  assert.doesNotMatch(html, /9000000/);
});

test("a subject that failed is named with the reason and has no figures", () => {
  const failed = withScenario((scenario) => ({
    ...scenario,
    subjects: scenario.subjects.map((subject) =>
      subject.name === "haproxy" ? { ...subject, state: "failed" as const, failure: "it ended at its start" } : subject,
    ),
  }));
  const { terminal, html } = forms(failed);
  assert.match(terminal, /DOES NOT COUNT: haproxy failed and does not count: it ended at its start/);
  assert.doesNotMatch(terminal, /\n {2}haproxy +\d/);
  assert.match(html, /remark fail/);
});

test("what a self-check says of several subjects is said once", () => {
  const check = (subject: string, state: "ok" | "fail") =>
    ({ name: "generator-late", load: "open-loop", subject, state, value: 1, limit: 0, unit: "us", message: "too late" }) as const;
  const checked = withScenario((scenario) => ({
    ...scenario,
    selfChecks: [check("weft", "fail"), check("nginx", "fail"), check("haproxy", "ok")],
  }));
  assert.match(forms(checked).terminal, /\n\nDOES NOT COUNT: weft, nginx; open-loop: too late\n\n/);
});

test("one round has no middle half, in the table or in the picture", () => {
  const { terminal, html } = forms(sampleResult({ rounds: 1 }));
  assert.match(terminal, /weft +[\d.]+ +[\d.]+ +[\d.]+ +1\.\d\d +- +20 000 +1\n/);
  assert.doesNotMatch(html, /class="whisker"/);
});

test("a quick run says that it is one", () => {
  for (const text of Object.values(forms(sampleResult({ quick: true })))) assert.match(text, /quick run: .+ worth little/);
});

test("the page needs no network and no script, and knows light and dark", () => {
  const { html } = forms(sampleResult());
  assert.doesNotMatch(html, /<script|<link|<img|@import|url\(|https?:/);
  assert.match(html, /prefers-color-scheme:dark/);
  assert.equal(html.match(/<svg /g)?.length, 4);
  assert.equal(html.match(/<title id=/g)?.length, 4);
});

test("what a program says about itself cannot break the page, the markdown or a picture", () => {
  const evil = '</title><script>alert("1")</script> | `x` & <b>';
  const result = { ...withScenario((scenario) => ({ ...scenario, what: evil, name: evil })), title: evil, notes: [evil] };
  const { html, markdown } = forms(result);
  assert.doesNotMatch(html, /<script|<b>/);
  assert.match(html, /&lt;script&gt;/);
  assert.doesNotMatch(markdown, /(?<!\\)<script/);
  assert.match(markdownTable(table("t", ["a", "b"], [["x|y", "1"]])), /\| x\\\|y \| 1 \|/);
});

test("tags of the page are closed in order", () => {
  const open: string[] = [];
  for (const [tag, closing, name, self] of forms(sampleResult()).html.matchAll(/<(\/?)([a-z0-9]+)(?:"[^"]*"|[^>"])*?(\/?)>/g)) {
    if (self === "/" || name === "meta") continue;
    if (closing === "/") assert.equal(open.pop(), name, tag);
    else open.push(name!);
  }
  assert.deepEqual(open, []);
});

test("columns of a plain table stand below each other", () => {
  const text = plainTable(
    table(
      "title",
      ["name", "figure", "word"],
      [
        ["a", "1", "x"],
        ["long name", "12345", "y"],
      ],
      { wordColumns: [2] },
    ),
  );
  assert.deepEqual(text.split("\n"), [
    "title",
    "  name       figure  word",
    "  ---------  ------  ----",
    "  a               1  x",
    "  long name   12345  y",
  ]);
});

test("before and after: ab's middle run of each, and the difference", () => {
  const report = (rate: number): AbReport => ({
    commandLine: "ab",
    requests: 10_000,
    failed: 0,
    requestsPerSecond: rate,
    timePerRequestMs: 100_000 / rate,
    timePerRequestConcurrentMs: 1000 / rate,
    transferKbPerSecond: 1,
    percentilesMs: { "50": 8, "99": 12, "100": 20 },
    output: "",
  });
  const result = {
    ...sampleResult(),
    beforeAfter: {
      requests: 10_000,
      concurrency: 100,
      cases: [
        { keepAlive: false, without: [report(9_000), report(10_000), report(12_000)], with: [report(6_000), report(8_000), report(1_000)] },
      ],
    },
  };
  const [only] = beforeAfterTables(result);
  assert.equal(only!.title, "Before and after: ab -n 10000 -c 100");
  assert.deepEqual(only!.rows[0], ["requests per second", "10000", "6000", "-4000 (-40\u00a0%)"]);
  assert.deepEqual(only!.rows[1], ["time per request, mean, ms", "10.000", "16.667", "+6.667 (+67\u00a0%)"]);
});

test("files are written, the document among them comes back as it was, and links lead somewhere", () => {
  const folder = mkdtempSync(join(tmpdir(), "weft-report-"));
  try {
    const result = sampleResult();
    const files = writeReport(result, join(folder, "new"));
    assert.deepEqual(
      files.map((path) => path.slice(folder.length + 5)),
      ["report.html", "report.md", "result.json"],
    );
    assert.deepEqual(readResult(files[2]!), result);
    const pictures = readdirSync(join(folder, "new", "pictures"));
    const linked = [...readFileSync(files[1]!, "utf8").matchAll(/\]\(pictures\/([^)]+)\)/g)].map((match) => match[1]!);
    assert.deepEqual(linked.toSorted(), pictures.toSorted());
    assert.equal(pictures.length, 4);
    const picture = readFileSync(join(folder, "new", "pictures", pictures[0]!), "utf8");
    assert.match(picture, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
    writeFileSync(join(folder, "other.json"), "{}");
    assert.throws(() => readResult(join(folder, "other.json")), /other\.json: not a result that this version reads/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
