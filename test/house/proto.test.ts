// The committed TypeScript of src/api is what its .proto files give.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { generateApi } from "../../scripts/proto.ts";
import { readText, trackedBelow } from "./support/files.ts";

test("every generated file of src/api is what its source gives", () => {
  const sources = trackedBelow("src/api/", ".proto");
  assert.ok(sources.length > 0);
  const folder = mkdtempSync(join(tmpdir(), "weft-proto-"));
  try {
    generateApi(folder);
    for (const path of sources.map((source) => source.replace(/\.proto$/, "_pb.ts"))) {
      const generated = readFileSync(join(folder, path.slice("src/api/".length)), "utf8");
      assert.equal(readText(path), generated, "run `node scripts/run.mjs proto` and commit the result");
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("nothing else is in src/api", () => {
  for (const path of trackedBelow("src/api/", ".ts")) {
    assert.ok(trackedBelow("src/api/", ".proto").includes(path.replace(/_pb\.ts$/, ".proto")), `${path} has no source`);
  }
});
