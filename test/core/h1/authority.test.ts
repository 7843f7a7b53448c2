// Host and port as targets and Host carry them (RFC 3986 section 3.2, RFC 4291 section 2.2 for IPv6).

import assert from "node:assert/strict";
import { isIPv6 } from "node:net";
import { it } from "node:test";
import fc from "fast-check";
import { BAD_AUTHORITY, NO_PORT, scanAuthority } from "../../../src/core/h1/authority.ts";
import { bytesOf, poisoned } from "./feed.ts";

function scan(text: string): number {
  const { buffer, start } = poisoned(bytesOf(text));
  return scanAuthority(buffer, start, start + text.length);
}

const ports: readonly [string, number][] = [
  ["a", NO_PORT],
  ["a:", NO_PORT],
  ["a:0", 0],
  ["a:080", 80],
  ["a:65535", 65535],
  ["1.2.3.4:5", 5],
  ["[::]:1", 1],
  ["[1:2:3:4:5:6:7:8]", NO_PORT],
  ["[1::8]:", NO_PORT],
  ["[::ffff:1.2.3.4]:9", 9],
  ["a%2Fb", NO_PORT],
  ["!$&'()*+;=", NO_PORT],
];
for (const [text, port] of ports) it(`reads ${text}`, () => assert.equal(scan(text), port));

const refused = [
  "",
  ":",
  ":80",
  "a:65536",
  "a:123456",
  "a:-1",
  "a:+1",
  "a:1a",
  "a: 1",
  "a:1:2",
  "a b",
  " a",
  "a@b",
  "a/b",
  "a?b",
  "a,b",
  "a#b",
  "a\\b",
];
refused.push(
  "a%",
  "a%1",
  "a%g1",
  "a\0",
  "\xe9",
  "[",
  "[]",
  "[::",
  "[:]",
  "[:::]",
  "[1:2:3:4:5:6:7]",
  "[1:2:3:4:5:6:7:8:9]",
  "[1::2::3]",
  "[12345::]",
  "[::1]x",
  "[::1%25a]",
);
refused.push(
  "[::g]",
  "[1:2:3:4:5:6:7::8]",
  "[::1.2.3]",
  "[::1.2.3.256]",
  "[::1.2.3.4.5]",
  "[::01.2.3.4]",
  "[1:2:3:4:5:6:7:1.2.3.4]",
  "[1.2.3.4]",
  "x[::1]",
  "[v1.a]",
  "<a>",
  '"a"',
);
for (const text of refused) it(`refuses ${JSON.stringify(text)}`, () => assert.equal(scan(text), BAD_AUTHORITY));

it("agrees with Node about IPv6 addresses", () => {
  const group = fc.oneof(fc.constantFrom("", "0", "1", "ffff", "12345", "g", "1.2.3.4", "255.0.0.1", "1.2.3"));
  fc.assert(
    fc.property(fc.array(group, { minLength: 1, maxLength: 10 }), (groups) => {
      const text = groups.join(":");
      assert.equal(scan(`[${text}]`) !== BAD_AUTHORITY, isIPv6(text), text);
    }),
    { numRuns: 5000 },
  );
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      assert.equal(scan(`[${text}]`) !== BAD_AUTHORITY, isIPv6(text), text);
    }),
    { numRuns: 1000 },
  );
});
