// The index of refusals in docs/threat-model.md: every test that it names is there under that name, and every code is one.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const ROOT = new URL("../../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), "utf8");
const page = read("docs/threat-model.md");
const rows = page.split("\n").filter((line) => /^\| .*: (?:test\/|the same)/.test(line));
/** What "the same" means. */
const SAME = ["test/support/mesh-certificates.ts"];
const CODES = read("src/core/errors/error-codes.ts") + read("docs/errors.md");
const ROWS_MIN = 18;

test("the index has its rows", () => assert.ok(rows.length >= ROWS_MIN, `${rows.length} rows`));

for (const row of rows) {
  const [what = "", code = "", tests = ""] = row.replace(/^\| | \|$/g, "").split(" | ");
  test(`the index of refusals: ${what}`, () => {
    for (const [name] of code.matchAll(/WEFT_[A-Z_]+/g)) assert.ok(new RegExp(`\\b${name}\\b`).test(CODES), `${name} is no error`);
    const parts = tests.split("; ");
    for (const part of parts) {
      const titles = [...part.matchAll(/"([^"]+)"/g)].map(([, title = ""]) => title);
      const files = [...part.matchAll(/test\/[\w./-]+\.ts/g)].map(([file]) => file);
      assert.ok(titles.length > 0, part);
      const texts = [...files, ...(part.includes("the same") ? SAME : [])].map(read);
      assert.ok(texts.length > 0, part);
      for (const title of titles)
        assert.ok(
          texts.some((text) => text.includes(title)),
          `${title} is in none of ${files.join(", ")}`,
        );
    }
  });
}
