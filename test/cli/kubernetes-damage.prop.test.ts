// Manifests that somebody has damaged: each is refused with its place, or injected and given back byte for byte. Nothing in between.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { parseAllDocuments, stringify } from "yaml";
import { injectKubernetes } from "../../src/cli/inject/kubernetes/inject.ts";
import { ManifestProblem } from "../../src/cli/inject/kubernetes/manifest-problem.ts";
import { defaultInjectOptions } from "../../src/cli/inject/kubernetes/options.ts";
import { uninjectKubernetes } from "../../src/cli/inject/kubernetes/uninject.ts";

const FOLDER = fileURLToPath(new URL("../fixtures/kubernetes/", import.meta.url));
const RUNS = 150;

const fixtures = readdirSync(FOLDER)
  .filter((name) => name.endsWith(".yaml"))
  .map((name) => readFileSync(join(FOLDER, name), "utf8"));

function inject(text: string): string {
  return injectKubernetes([{ file: "app.yaml", text }], defaultInjectOptions()).text;
}

function uninject(text: string): string {
  return uninjectKubernetes([{ file: "app.yaml", text }]).text;
}

type Damage = (text: string, at: number, length: number) => string;

const PIECES = [
  "\n",
  " ",
  "  ",
  "- ",
  ": ",
  "{",
  "}",
  "[",
  "]",
  ",",
  '"',
  "'",
  "#",
  " # x\n",
  "---\n",
  "...\n",
  "&a ",
  "*a",
  "|\n",
  ">-\n",
  "? ",
  "!!str ",
  "null",
  "~",
  "\r\n",
  "\t",
  "%YAML 1.1\n",
  "<<: ",
  "\uFEFF",
  "é",
];

const damages: fc.Arbitrary<Damage> = fc.oneof(
  fc.constant<Damage>((text, at, length) => text.slice(0, at) + text.slice(at + length)),
  fc.constant<Damage>((text, at, length) => text.slice(0, at + length) + text.slice(at)),
  fc.constantFrom(...PIECES).map<Damage>((piece) => (text, at) => text.slice(0, at) + piece + text.slice(at)),
  fc.constant<Damage>((text, at) => text.slice(0, at)),
  // Whole lines: less, twice, at another depth.
  fc.constant<Damage>((text, at) => onLine(text, at, () => "")),
  fc.constant<Damage>((text, at) => onLine(text, at, (line) => line + line)),
  fc.constant<Damage>((text, at) => onLine(text, at, (line) => `  ${line}`)),
  fc.constant<Damage>((text, at) => onLine(text, at, (line) => line.replace(/^ {2}/, ""))),
  fc.constant<Damage>((text) => text.replaceAll("\n", "\r\n")),
  fc.constant<Damage>((text) => `\uFEFF${text}`),
);

function onLine(text: string, at: number, change: (line: string) => string): string {
  const start = text.lastIndexOf("\n", at) + 1;
  const end = text.indexOf("\n", at) + 1 || text.length;
  return start >= end ? text : text.slice(0, start) + change(text.slice(start, end)) + text.slice(end);
}

const damaged = fc
  .tuple(fc.constantFrom(...fixtures), fc.array(fc.tuple(damages, fc.nat(), fc.nat(40)), { minLength: 1, maxLength: 3 }))
  .map(([text, steps]) => steps.reduce((now, [damage, at, length]) => damage(now, at % (now.length + 1), length), text));

describe("a damaged manifest", () => {
  it("is refused with its place, or comes back byte for byte", () => {
    let taken = 0;
    fc.assert(
      fc.property(damaged, (text) => {
        let injected: string;
        try {
          injected = inject(text);
        } catch (error) {
          assert.ok(error instanceof ManifestProblem, String((error as Error).stack));
          assert.match(error.message, /^app\.yaml(?::\d+:\d+)?: ./);
          return;
        }
        taken++;
        assert.equal(uninject(injected), text);
      }),
      { numRuns: RUNS },
    );
    assert.ok(taken > 0, "nothing was ever taken");
  });
});

/** As the API server gives objects back: keys in the order of the alphabet, no comments, one style. */
function reordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reordered);
  if (typeof value !== "object" || value === null) return value;
  const pairs = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
  return Object.fromEntries(pairs.map(([key, inner]) => [key, reordered(inner)]));
}

/** Without what is the same to Kubernetes as if it were not there: nulls, and empty maps and lists. */
function meant(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(meant);
  if (typeof value !== "object" || value === null) return value;
  const pairs = Object.entries(value).map(([key, inner]) => [key, meant(inner)] as const);
  return Object.fromEntries(pairs.filter(([, inner]) => inner !== null && (typeof inner !== "object" || Object.keys(inner).length > 0)));
}

describe("what has been through the API server", () => {
  for (const [index, text] of fixtures.entries()) {
    it(`is undone as well (${index})`, () => {
      const values = (source: string) => (parseAllDocuments(source) as { toJS(): unknown }[]).map((document) => document.toJS());
      const asServed = values(inject(text))
        .map((value) => stringify(reordered(value), { indentSeq: false }))
        .join("---\n");
      assert.ok(asServed.includes("weft-proxy"));
      assert.deepEqual(values(uninject(asServed)).map(meant), values(text).map(meant));
    });
  }
});
