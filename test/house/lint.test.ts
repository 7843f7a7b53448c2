// The linter is set up to find what the house forbids: each sample, put at its place in an empty project, is refused by the named rule.
//
// A configuration mistake makes a linter silently green; this is the proof that it is not.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { ROOT } from "./support/files.ts";

const LONG = `export function long(): number {\n  let n = 0;\n${"  n += 1;\n".repeat(70)}  return n;\n}\n`;

/** File, content, and the rules that it must break, none for a good one. */
const SAMPLES: readonly (readonly [string, string, readonly string[]])[] = [
  ["src/core/http/net.ts", 'import { connect } from "node:net";\nexport const a = connect;\n', ["noRestrictedImports"]],
  ["src/core/http/config.ts", 'import { LIMITS } from "../../config/limits.ts";\nexport const a = LIMITS;\n', ["noRestrictedImports"]],
  ["src/core/http/pack.ts", 'import { pino } from "pino";\nexport const a = pino;\n', ["noRestrictedImports"]],
  ["src/core/http/histogram.ts", 'import H from "hdr-histogram-js/dist/x.js";\nexport const a = H;\n', ["noRestrictedImports"]],
  ["src/core/telemetry/main.ts", 'import { build } from "hdr-histogram-js";\nexport const a = build;\n', ["noRestrictedImports"]],
  ["src/core/telemetry/one.ts", 'import H from "hdr-histogram-js/dist/x.js";\nexport const a = H;\n', []],
  ["src/config/up.ts", 'import { a } from "../workers/good.ts";\nexport const b = a;\n', ["noRestrictedImports"]],
  ["src/workers/schema.ts", 'import { z } from "zod";\nexport const a = z;\n', ["noRestrictedImports"]],
  ["src/workers/cli.ts", 'import { a } from "../cli/main.ts";\nexport const b = a;\n', ["noRestrictedImports"]],
  ["src/control/up.ts", 'import { a } from "../workers/good.ts";\nexport const b = a;\n', ["noRestrictedImports"]],
  ["src/control/cli.ts", 'import { Command } from "commander";\nexport const b = Command;\n', ["noRestrictedImports"]],
  ["src/admin/up.ts", 'import { a } from "../workers/good.ts";\nexport const b = a;\n', ["noRestrictedImports"]],
  ["src/core/util/one.ts", 'import { two } from "./two.ts";\nexport const one = (): number => two();\n', ["noImportCycles"]],
  ["src/core/util/two.ts", 'import { one } from "./one.ts";\nexport const two = (): number => one();\n', ["noImportCycles"]],
  ["src/workers/floating.ts", "async function f(): Promise<void> {}\nexport function g(): void {\n  f();\n}\n", ["noFloatingPromises"]],
  ["src/workers/console.ts", 'console.log("x");\n', ["noConsole"]],
  ["src/cli/console.ts", 'console.log("x");\n', []],
  ["src/workers/any.ts", "export const a: any = 1;\n", ["noExplicitAny"]],
  ["src/workers/long.ts", LONG, ["noExcessiveLinesPerFunction"]],
  ["src/workers/all.ts", 'export * from "./good.ts";\n', ["noBarrelFile", "noReExportAll"]],
  ["src/workers/builtin.ts", 'import { join } from "path";\nexport const a = join;\n', ["useNodejsImportProtocol"]],
  ["src/workers/good.ts", "export const a = new Uint8Array(1)[0]!;\n", []],
  ["src/workers/layout.ts", "export const a = 'x'\n", ["format"]],
  ["test/a.test.ts", 'import { test } from "node:test";\ntest.only("x", () => {});\n', ["noFocusedTests"]],
  ["test/b.test.ts", 'import { test } from "node:test";\ntest.skip("x", () => {});\n', ["noSkippedTests"]],
];

interface Report {
  readonly diagnostics: readonly { readonly category: string; readonly location: { readonly path: unknown } }[];
}

/** Rules that each sample broke. */
function lint(): Map<string, Set<string>> {
  const folder = mkdtempSync(join(tmpdir(), "weft-lint-"));
  try {
    const config = JSON.parse(readFileSync(join(ROOT, "biome.json"), "utf8"));
    writeFileSync(join(folder, "biome.json"), JSON.stringify({ ...config, $schema: undefined, vcs: { enabled: false } }));
    for (const [path, text] of [
      ...SAMPLES,
      ["src/config/limits.ts", "export const LIMITS = 1;\n"],
      ["src/cli/main.ts", "export const a = 1;\n"],
    ] as const) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    const biome = join(ROOT, "node_modules/@biomejs/biome/bin/biome");
    const args = [biome, "check", "--reporter=json", "--max-diagnostics=none", "src", "test"];
    const result = spawnSync(process.execPath, args, { cwd: folder, encoding: "utf8" });
    const found = new Map<string, Set<string>>();
    for (const { category, location } of (JSON.parse(result.stdout) as Report).diagnostics) {
      const path = typeof location.path === "string" ? location.path : (location.path as { file: string }).file;
      const rules = found.get(path) ?? new Set<string>();
      found.set(path, rules.add(category.split("/").at(-1)!));
    }
    return found;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const found = lint();

for (const [path, , rules] of SAMPLES) {
  test(`${path} breaks ${rules.length === 0 ? "no rule" : rules.join(" and ")}`, () => {
    assert.deepEqual([...(found.get(path) ?? [])].sort(), [...rules].sort());
  });
}
