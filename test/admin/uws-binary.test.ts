// The binary that runs inside the proxy is the one that docs/adr/0003-uwebsockets-repack.md names, bit for bit.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const ADR = readFileSync(new URL("../../docs/adr/0003-uwebsockets-repack.md", import.meta.url), "utf8");
const BINARIES = new URL("../../node_modules/uWebSockets.js/dist/bin/", import.meta.url);

/** Rows of the ADR's table: file name to SHA-256. */
const documented = new Map(
  [...ADR.matchAll(/^\| `(uws_[a-z0-9_]+\.node)` \| `([0-9a-f]{64})` \|$/gm)].map((match) => [match[1]!, match[2]!]),
);

test("the binaries of Node 22 for Linux have the documented SHA-256", () => {
  assert.deepEqual([...documented.keys()].toSorted(), ["uws_linux_arm64_127.node", "uws_linux_x64_127.node"]);
  for (const [name, sha256] of documented) {
    const actual = createHash("sha256")
      .update(readFileSync(new URL(name, BINARIES)))
      .digest("hex");
    assert.equal(actual, sha256, name);
  }
});

test("the package and its version are the documented ones", () => {
  const { dependencies } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const [, name, version] = /^npm:(.+)@(\d[^@]*)$/.exec(dependencies["uWebSockets.js"])!;
  assert.ok(ADR.includes(`\`${name}\` ${version}`));
});
