// The tables in docs/configuration.md are what the schema says. To renew them: WEFT_UPDATE_DOCS=1 npm test.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { type Kind, KINDS, listKeys } from "../../src/config/schema.ts";

const PAGE = new URL("../../docs/configuration.md", import.meta.url);

/** Markdown for one kind; the limits are one row each in docs/limits.md and only summed up here. */
function table(kind: Kind): string {
  const rows = listKeys(kind)
    .filter((row) => !row.key.startsWith("spec.limits."))
    .map(
      ({ key, expects, byDefault, about }) => `| \`${key}\` | ${expects} | ${byDefault === null ? "" : `\`${byDefault}\``} | ${about} |\n`,
    );
  return `| key | takes | default | meaning |\n| --- | --- | --- | --- |\n${rows.join("")}`;
}

for (const kind of KINDS) {
  test(`docs/configuration.md has every key of ${kind}`, () => {
    const page = readFileSync(PAGE, "utf8");
    const section = new RegExp(String.raw`(<!-- keys of ${kind} -->\n)([\s\S]*?)(<!-- end -->)`);
    const match = section.exec(page);
    assert.ok(match, `the page has no section for ${kind}`);
    if (process.env["WEFT_UPDATE_DOCS"] === "1")
      writeFileSync(
        PAGE,
        page.replace(section, (_, begin, __, end) => `${begin}${table(kind)}${end}`),
      );
    else assert.equal(match[2], table(kind));
  });
}
