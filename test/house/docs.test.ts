// docs/errors.md, docs/limits.md and docs/checks.md say what the tables in the source say.

import assert from "node:assert/strict";
import { test } from "node:test";
import { CHECKS } from "../../src/cli/check/catalogue.ts";
import { LIMITS } from "../../src/config/limits.ts";
import { ERRORS } from "../../src/core/errors/error-codes.ts";
import { checksDocument, errorsDocument, limitsDocument } from "../../scripts/docs-tables.ts";
import { readText } from "./support/files.ts";

const HOW = "run `node scripts/run.mjs docs` and commit the result";

test("docs/errors.md is what the error table renders to", () => {
  assert.equal(readText("docs/errors.md"), errorsDocument(), HOW);
});

test("docs/limits.md is what the table of limits renders to", () => {
  assert.equal(readText("docs/limits.md"), limitsDocument(), HOW);
});

test("docs/checks.md is what the catalogue of checks renders to, with a heading for each", () => {
  const text = readText("docs/checks.md");
  assert.equal(text, checksDocument(), HOW);
  for (const id of Object.keys(CHECKS)) assert.equal(text.split(`\n### ${id}\n`).length, 2, id);
});

test("a new row changes the documents", () => {
  const more = errorsDocument({ ...ERRORS, WEFT_NEW: { ...ERRORS.WEFT_INTERNAL, id: 99, cause: "A | new one." } });
  assert.notEqual(more, errorsDocument());
  assert.match(more, /\| `WEFT_NEW` \| 99 \| 500 \| yes \| never \| `unexpected` \| A \\\| new one\. \|/);
  const limits = limitsDocument({ ...LIMITS, newMax: { default: 65536, min: 0, max: 5000, unit: "bytes", reason: "new" } });
  assert.match(limits, /\| `newMax` \| 64 KiB \| bytes \| 0 \| 5000 bytes \| new \|/);
});

test("every error code is in the document exactly once, and no id is used twice", () => {
  const text = errorsDocument();
  for (const code of Object.keys(ERRORS)) assert.equal(text.split(`\`${code}\``).length, 2, code);
  const ids = Object.values(ERRORS).map((row) => row.id);
  assert.equal(new Set(ids).size, ids.length);
});

test("the default of every limit is within its range", () => {
  for (const [name, limit] of Object.entries(LIMITS)) {
    assert.ok(limit.min <= limit.default && limit.default <= limit.max, name);
  }
});
