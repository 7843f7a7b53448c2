// Socket addresses as Linux writes them, byte by byte.

import assert from "node:assert/strict";
import { test } from "node:test";
import { readSocketAddress } from "../../../src/core/tcp/socket-address.ts";

/** From hexadecimal, filled up to the size of the larger structure. */
function address(hex: string): Buffer {
  return Buffer.concat([Buffer.from(hex.replaceAll(" ", ""), "hex")], 28);
}

test("an IPv4 address", () => {
  assert.deepEqual(readSocketAddress(address("0200 1f90 0a000205")), { host: "10.0.2.5", port: 8080 });
  assert.deepEqual(readSocketAddress(address("0200 ffff ffffffff")), { host: "255.255.255.255", port: 65535 });
});

test("an IPv6 address in its canonical form", () => {
  const fd00 = "fd00 0000 0000 0000 0000 0000 0000 00a1";
  assert.deepEqual(readSocketAddress(address(`0a00 0050 00000000 ${fd00} 00000000`)), { host: "fd00::a1", port: 80 });
  const full = "2001 0db8 0001 0002 0003 0004 0005 abcd";
  assert.deepEqual(readSocketAddress(address(`0a00 0050 00000000 ${full} 00000000`)), { host: "2001:db8:1:2:3:4:5:abcd", port: 80 });
});

test("flow label and scope are no part of it", () => {
  assert.deepEqual(readSocketAddress(address("0a00 0035 12345678 fe80 0000 0000 0000 0000 0000 0000 0001 02000000")), {
    host: "fe80::1",
    port: 53,
  });
});

test("an IPv4-mapped IPv6 address is the IPv4 one; others that end like it are not", () => {
  const at = (groups: string) => readSocketAddress(address(`0a00 0050 00000000 ${groups} 00000000`))?.host;
  assert.equal(at("0000 0000 0000 0000 0000 ffff 0a00 0205"), "10.0.2.5");
  assert.equal(at("0000 0000 0000 0000 0000 0000 0a00 0205"), "::a00:205");
  assert.equal(at("0000 0000 0000 0000 0001 ffff 0a00 0205"), "::1:ffff:a00:205");
});

test("other families are none", () => {
  assert.equal(readSocketAddress(address("0100 2f74 6d70")), null);
  assert.equal(readSocketAddress(address("")), null);
});
