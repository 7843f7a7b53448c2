// Authorities: what is one, and what it names.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAuthority } from "../../../src/core/route/authority.ts";

const GOOD: readonly [text: string, host: string, port: number | null, isIp: boolean][] = [
  ["", "", null, false],
  ["web", "web", null, false],
  ["Web.Shop:80", "web.shop", 80, false],
  ["web.", "web", null, false],
  ["web.shop.svc.cluster.local.:8080", "web.shop.svc.cluster.local", 8080, false],
  ["web:", "web", null, false],
  ["web:0", "web", 0, false],
  ["web:00080", "web", 80, false],
  ["my_service-1:65535", "my_service-1", 65535, false],
  ["1password.com", "1password.com", null, false],
  ["127.0.0.1", "127.0.0.1", null, true],
  ["127.0.0.1:4140", "127.0.0.1", 4140, true],
  ["[::1]", "::1", null, true],
  ["[2001:DB8::0:1]:80", "2001:db8::1", 80, true],
  ["[::ffff:10.0.0.1]:80", "10.0.0.1", 80, true],
];

for (const [text, host, port, isIp] of GOOD) {
  test(`reads ${JSON.stringify(text)}`, () => assert.deepEqual(parseAuthority(text), { host, port, isIp }));
}

const BAD: readonly [text: string, why: string][] = [
  [":80", "no host"],
  ["web:80:80", "two ports"],
  ["web:65536", "port too high"],
  ["web:+80", "port is no digits"],
  ["web:8 0", "space"],
  ["user@web", "user information (RFC 9110 section 4.2.4)"],
  ["web/path", "path"],
  ["web..shop", "empty label (RFC 1035 section 2.3.1)"],
  [".web", "empty label"],
  ["web..", "two trailing dots"],
  [".", "only the root"],
  ["we b", "space"],
  ["wéb", "not ASCII"],
  ["we%62", "percent encoding"],
  [`${"a".repeat(64)}`, "label over 63"],
  [`${"a.".repeat(127)}aa`, "name over 253"],
  ["::1", "IPv6 without brackets"],
  ["[::1", "bracket not closed"],
  ["[::1]80", "no colon before the port"],
  ["[127.0.0.1]", "IPv4 in brackets"],
  ["[fe80::1%25eth0]", "zone"],
  ["[]", "empty brackets"],
  ["127.1", "short IPv4, which resolvers take for 127.0.0.1"],
  ["2130706433", "IPv4 as one number"],
  ["0x7f.0.0.1", "hexadecimal IPv4"],
  ["0x7f000001", "hexadecimal IPv4"],
  ["127.0.0.01", "octal-looking IPv4"],
  ["127.0.0.256", "no IPv4"],
  ["web.123", "last label a number"],
];

for (const [text, why] of BAD) {
  test(`refuses ${JSON.stringify(text.slice(0, 40))}: ${why}`, () => assert.equal(parseAuthority(text), null));
}
