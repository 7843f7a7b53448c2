// The examples of the documentation, and the YAML inside docs/configuration.md, are valid without a warning.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { checkConfig, loadConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";

const DOCS = fileURLToPath(new URL("../../docs/", import.meta.url));
const examples = readdirSync(join(DOCS, "examples")).filter((name) => name.endsWith(".yaml"));

test("there is an example for each way to deploy a proxy", () => {
  assert.deepEqual(examples.sort(), [
    "per-host.yaml",
    "sidecar-proxy-to-proxy.yaml",
    "sidecar-proxy-to-service.yaml",
    "sidecar-service-to-proxy.yaml",
  ]);
});

for (const name of examples) {
  test(`${name} is valid`, () => {
    const path = join(DOCS, "examples", name);
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
