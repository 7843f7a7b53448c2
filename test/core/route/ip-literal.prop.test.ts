// IP literals against Node's own parser and printer, and the forms that are refused on purpose.

import assert from "node:assert/strict";
import { isIPv4, isIPv6 } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { isLoopback, isWildcard, parseIp, parseIpv4, parseIpv6 } from "../../../src/core/route/ip-literal.ts";

test("writes IPv6 by RFC 5952", () => {
  const pairs = [
    ["0:0:0:0:0:0:0:0", "::"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["2001:DB8:0:0:0:0:2:1", "2001:db8::2:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["1::", "1::"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
  ] as const;
  assert.deepEqual(
    pairs.map(([text]) => parseIpv6(text)),
    pairs.map(([, canonical]) => canonical),
  );
});

test("writes IPv4-mapped addresses as IPv4", () => {
  assert.equal(parseIp("::ffff:127.0.0.1"), "127.0.0.1");
  assert.equal(parseIp("::FFFF:7f00:1"), "127.0.0.1");
});

test("refuses what is no address", () => {
  for (const text of [
    "",
    ":",
    ":::",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1::2::3",
    "1:2:3:4:5:6:7::8:9",
    "12345::",
    "g::",
    "::1%lo",
    "1.2.3.4::",
  ]) {
    assert.equal(parseIp(text), null, text);
  }
  for (const text of ["1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.256", "1.2.3.4 ", "1.2.3.a", "+1.2.3.4"])
    assert.equal(parseIp(text), null, text);
});

test("knows loopback and wildcard addresses", () => {
  assert.deepEqual(["127.0.0.1", "127.9.9.9", "::1", "10.0.0.1", "::", "127::1"].map(isLoopback), [true, true, true, false, false, false]);
  assert.deepEqual(["0.0.0.0", "::", "127.0.0.1"].map(isWildcard), [true, true, false]);
});

test("agrees with Node on random text that is nearly an address", () => {
  const near = fc
    .array(fc.constantFrom("0", "1", "f", "ffff", "255", "256", ":", "::", ".", "%"), { maxLength: 18 })
    .map((parts) => parts.join(""));
  fc.assert(
    fc.property(near, (text) => {
      assert.equal(parseIpv4(text) !== null, isIPv4(text), text);
      if (!text.includes("%")) assert.equal(parseIpv6(text) !== null, isIPv6(text), text);
    }),
    { numRuns: 20_000 },
  );
});

test("every IPv6 address has one text", () => {
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      const canonical = parseIp(text);
      assert.ok(canonical !== null);
      assert.equal(parseIp(canonical), canonical);
    }),
    { numRuns: 2_000 },
  );
});
