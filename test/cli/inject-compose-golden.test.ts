// Compose files as projects write them, injected: the whole output and the whole report, and back to the same bytes.
//
// test/fixtures/compose/NAME is the input, NAME.meshed and NAME.report are what comes out. WEFT_UPDATE_GOLDEN=1 writes them anew: read the difference.

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { runWeft } from "../support/weft-command.ts";

const FIXTURES = fileURLToPath(new URL("../fixtures/compose/", import.meta.url));
const FILES = ["shop.yml", "blog-v2.yml", "pipeline.yml", "extends.yml", "flow.yml", "services.json", "notes.yml"];

let folder = "";
before(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-inject-"));
  cpSync(FIXTURES, folder, { recursive: true });
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** Without what depends on who runs the tests: root needs no group to read tokens. */
function normal(text: string): string {
  return text.replace(/^ *group_add: .*\r?\n/gm, "");
}

function golden(name: string, actual: string): void {
  const path = join(FIXTURES, name);
  if (process.env["WEFT_UPDATE_GOLDEN"] === "1") writeFileSync(path, actual);
  assert.equal(actual, readFileSync(path, "utf8"), `${name} is not what came out; WEFT_UPDATE_GOLDEN=1 writes it anew`);
}

for (const name of FILES) {
  describe(name, () => {
    test("is injected as expected", async () => {
      const { code, stdout, stderr } = await runWeft(["inject", "--dry-run", name], { cwd: folder });
      assert.equal(code, 0, stderr);
      golden(`${name}.meshed`, normal(stdout));
      golden(`${name}.report`, stderr);
    });

    test("stays as it is when it is injected again, and comes back byte for byte", async () => {
      const meshed = await runWeft(["inject", "--dry-run", name], { cwd: folder });
      writeFileSync(join(folder, "meshed.yml"), meshed.stdout);
      const again = await runWeft(["inject", "--dry-run", "meshed.yml"], { cwd: folder });
      assert.equal(again.code, 0, again.stderr);
      assert.equal(again.stdout, meshed.stdout);
      assert.doesNotMatch(again.stderr, / injected$/m);
      assert.match(again.stderr, / skipped: it is injected already$/m);
      const back = await runWeft(["uninject", "meshed.yml"], { cwd: folder });
      assert.equal(back.code, 0, back.stderr);
      assert.equal(back.stdout, readFileSync(join(folder, name), "utf8"));
      assert.match(back.stderr, / uninjected$/m);
    });
  });
}
