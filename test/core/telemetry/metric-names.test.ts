// docs/metrics.md and the metric table say the same, the names are valid, and each is used.

import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { type MetricName, METRICS, metricRow } from "../../../src/core/telemetry/metric-names.ts";

const NAMES = Object.keys(METRICS) as MetricName[];

test("docs/metrics.md has a row for every metric, with its type, labels and meaning, and no other", () => {
  const page = readFileSync(new URL("../../../docs/metrics.md", import.meta.url), "utf8");
  const documented = page.split("\n").filter((line) => /^\| `[a-z_]+` \| (counter|gauge|histogram|summary) \|/.test(line));
  const expected = NAMES.map((name) => {
    const { type, labels, help } = metricRow(name);
    return `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(" ")} | ${help} |`;
  });
  assert.deepEqual(documented.toSorted(), expected.toSorted());
});

test("names and labels are valid in Prometheus, and counters end in _total", () => {
  for (const name of NAMES) {
    assert.match(name, /^[a-z][a-z0-9_]*$/);
    assert.equal(name.endsWith("_total"), metricRow(name).type === "counter", name);
    for (const label of metricRow(name).labels) assert.match(label, /^[a-z][a-z0-9_]*$/);
  }
});

test("every metric of the table is recorded somewhere", () => {
  const source = new URL("../../../src/", import.meta.url).pathname;
  const files = globSync("**/*.ts", { cwd: source }).filter((path) => !path.endsWith("metric-names.ts"));
  const code = files.map((path) => readFileSync(source + path, "utf8")).join("\n");
  assert.ok(files.length > 20);
  assert.deepEqual(
    NAMES.filter((name) => !code.includes(`"${name}"`)),
    [],
  );
});
