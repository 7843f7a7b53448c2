// The import matrix, and the proof that the check can fail.

import assert from "node:assert/strict";
import { test } from "node:test";
import { readText, trackedBelow } from "./support/files.ts";
import { importProblems, importsOf, loadedBy } from "./support/imports.ts";
import { maskSource } from "./support/mask.ts";

test("every file under src imports only what its layer may", () => {
  const files = trackedBelow("src/", ".ts");
  assert.ok(files.length > 0);
  assert.deepEqual(
    files.flatMap((path) => importProblems(path, readText(path))),
    [],
  );
});

test("no test, benchmark or script is imported by src", () => {
  assert.deepEqual(importProblems("src/cli/a.ts", 'import { x } from "../../test/support/origin.ts";'), [
    "src/cli/a.ts:1: src/cli/ may not import test/support/origin.ts",
  ]);
});

/** koffi: when a write stalls (worker-loop.ts), not before. */
const OF_WORKERS: readonly string[] = ["hdr-histogram-js", "koffi"];

test("a worker thread loads no package but the histogram classes and koffi", () => {
  for (const entry of ["src/workers/worker-main.ts", "src/workers/forwarder.ts"]) {
    const { files, packages } = loadedBy(entry, readText);
    assert.ok(files.size > 5, entry);
    assert.deepEqual(
      [...packages].filter((name) => !OF_WORKERS.includes(name)),
      [],
      entry,
    );
    assert.deepEqual(
      [...files].filter((path) => path.startsWith("src/config/") && path !== "src/config/limits.ts"),
      [],
      entry,
    );
  }
});

test("a proxy's main thread loads neither the schema nor the YAML parser nor the command line's library, nor what certificates take", () => {
  const { packages } = loadedBy("src/cli/proxy-command.ts", readText);
  assert.deepEqual(
    ["yaml", "zod", "commander", "@bufbuild/protobuf", "@connectrpc/connect-node", "@peculiar/x509"].filter((name) => packages.has(name)),
    [],
  );
});

test("what a chain of imports loads is found, types are not", () => {
  const sources: Record<string, string> = {
    "src/a.ts": 'import { b } from "./b/b.ts";\nimport type { T } from "zod";',
    "src/b/b.ts": 'import { a } from "../a.ts";\nconst x = await import("@scope/name/file.js");',
  };
  const { files, packages } = loadedBy("src/a.ts", (path) => sources[path]!);
  assert.deepEqual([[...files], [...packages]], [["src/a.ts", "src/b/b.ts"], ["@scope/name"]]);
});

const REFUSED: readonly [string, string, RegExp][] = [
  ["src/core/h1/a.ts", 'import { connect } from "node:net";', /core is pure/],
  ["src/core/h1/a.ts", 'import type { Socket } from "node:net";', /core is pure/],
  ["src/core/h1/a.ts", 'import { LIMITS } from "../../config/limits.ts";', /may not import src\/config\/limits\.ts/],
  ["src/core/h1/a.ts", 'export { x } from "../../workers/pool.ts";', /may not import src\/workers\/pool\.ts/],
  ["src/core/h1/a.ts", 'import pino from "pino";', /pino is imported from/],
  ["src/core/telemetry/a.ts", 'import * as hdr from "hdr-histogram-js";', /by its own file/],
  ["src/config/a.ts", 'import { x } from "../workers/pool.ts";', /may not import/],
  ["src/workers/a.ts", 'const schema = await import("../config/schema.ts");', /may not import src\/config\/schema\.ts/],
  ["src/workers/a.ts", 'import {\n  z,\n} from "zod";', /zod is imported from/],
  ["src/admin/a.ts", 'import "../workers/pool.ts";', /may not import/],
  ["src/api/a.ts", 'import { x } from "../core/http/head.ts";', /src\/api\/ may not import/],
  ["src/control/a.ts", 'import { x } from "../workers/pool.ts";', /src\/control\/ may not import/],
  ["src/control/a.ts", 'import { x } from "jose";', /jose is imported from/],
  ["src/cli/a.ts", 'import { x } from "left-pad";', /no package that src may import/],
  ["src/cli/a.ts", 'import { x } from "../config/load";', /does not end in \.ts/],
  ["src/config/index.ts", "export const a = 1;", /no barrels/],
  ["src/stray/a.ts", 'import { x } from "../core/http/head.ts";', /in no layer/],
];

for (const [path, source, expected] of REFUSED) {
  test(`refuses ${JSON.stringify(source)} in ${path}`, () => {
    const problems = importProblems(path, source);
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.match(problems[0]!, expected);
  });
}

test("allows what the matrix allows", () => {
  assert.deepEqual(importProblems("src/core/h1/a.ts", 'import { Buffer } from "node:buffer";\nimport { b } from "./b.ts";'), []);
  assert.deepEqual(importProblems("src/core/telemetry/a.ts", 'import H from "hdr-histogram-js/dist/Int32Histogram.js";'), []);
  assert.deepEqual(importProblems("src/workers/a.ts", 'import type { Limits } from "../config/limits.ts";'), []);
});

test("an import in a comment or in a string is none", () => {
  assert.deepEqual(importsOf('// import "a"\n/* import "b" */\nconst text = `import "c"`;\nconst other = "import \'d\'";'), []);
});

test("masking keeps every line and column", () => {
  const source = 'a = "x // y"; // z\nb = /["`]/.test(`p ${q + `r ${"}"}`} s`); /* t\n u */ c / d / e';
  const masked = maskSource(source, "blank-strings");
  assert.equal(masked.length, source.length);
  assert.equal(masked.replace(/ +/g, " "), 'a = " "; \nb = .test(` ${q + ` ${" "}`} `); \n c / d / e');
});
