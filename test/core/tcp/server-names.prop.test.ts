// Certificates by server name, against a naive search.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ServerNames } from "../../../src/core/tcp/server-names.ts";

test("the exact name goes before a wildcard, the first certificate before a later one, and the first of all serves the rest", () => {
  const names = new ServerNames([["a.example"], ["*.b.example", "b.example"], ["www.b.example", "b.example"], ["*.c.example"]]);
  for (const [name, expected] of [
    ["a.example", 0],
    ["A.EXAMPLE", 0],
    ["b.example", 1],
    ["x.b.example", 1],
    ["www.b.example", 2],
    ["WWW.b.Example", 2],
    ["www.c.example", 3],
    ["c.example", 0],
    ["x.www.c.example", 0],
    ["unknown", 0],
    ["", 0],
    [".c.example", 0],
    ["*.c.example", 3],
    ["__proto__", 0],
  ] as const) {
    assert.equal(names.find(name), expected, name);
  }
});

test("any names are found as by looking at each", () => {
  const label = fc.constantFrom("a", "b", "c");
  const dns = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join("."));
  const pattern = fc.tuple(fc.boolean(), dns).map(([isWildcard, name]) => (isWildcard ? `*.${name}` : name));
  fc.assert(
    fc.property(fc.array(fc.array(pattern, { maxLength: 4 }), { maxLength: 4 }), dns, (certificates, name) => {
      const exact = certificates.findIndex((names) => names.includes(name));
      const wildcard = certificates.findIndex((names) => names.includes(name.replace(/^[^.]+/, "*")));
      const expected = exact >= 0 ? exact : name.includes(".") && wildcard >= 0 ? wildcard : 0;
      assert.equal(new ServerNames(certificates).find(name), expected);
    }),
    { numRuns: 2000 },
  );
});
