// The examples' configurations, and the YAML inside docs/configuration.md, are valid without a warning.

import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { checkConfig, loadConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";

const DOCS = fileURLToPath(new URL("../../docs/", import.meta.url));
const EXAMPLES = fileURLToPath(new URL("../../examples/", import.meta.url));
const examples = globSync("*/*.yaml", { cwd: EXAMPLES }).sort();

test("there is an example for each way to deploy a proxy", () => {
  const ways = ["mutual-tls", "per-host", "proxy-to-proxy", "proxy-to-service", "service-to-proxy"];
  assert.deepEqual([...new Set(examples.map((path) => dirname(path)))], ways);
});

for (const name of examples) {
  test(`${name} is valid`, () => {
    const path = join(EXAMPLES, name);
    assert.deepEqual(checkConfig({ path }).problems.map(formatProblem), []);
    assert.ok("snapshot" in loadConfig({ path }));
  });
}

const blocks = [...readFileSync(join(DOCS, "configuration.md"), "utf8").matchAll(/^```yaml\n([\s\S]*?)^```$/gm)];

test("docs/configuration.md shows YAML", () => assert.ok(blocks.length >= 2));

for (const [index, [, text = ""]] of blocks.entries()) {
  test(`the YAML block ${index + 1} of docs/configuration.md is valid`, () => {
    assert.deepEqual(checkConfig({ text }).problems.map(formatProblem), []);
  });
}
