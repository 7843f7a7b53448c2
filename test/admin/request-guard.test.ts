// Loopback in every form, Hosts and Origins that may ask.

import assert from "node:assert/strict";
import { test } from "node:test";
import { isAllowedHost, isLoopbackBytes, isLoopbackText, isOwnOrigin, isSafeMethod } from "../../src/admin/request-guard.ts";

/** Text, network bytes, loopback or not. */
const ADDRESSES: readonly (readonly [string, readonly number[], boolean])[] = [
  ["127.0.0.1", [127, 0, 0, 1], true],
  ["127.8.9.10", [127, 8, 9, 10], true],
  ["10.0.0.1", [10, 0, 0, 1], false],
  ["128.0.0.1", [128, 0, 0, 1], false],
  ["::1", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], true],
  ["::", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], false],
  ["::2", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2], false],
  ["fe80::1", [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], false],
  ["::ffff:127.0.0.1", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1], true],
  ["::FFFF:127.1.2.3", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 1, 2, 3], true],
  ["::ffff:10.0.0.1", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1], false],
  ["64:ff9b::127.0.0.1", [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, 127, 0, 0, 1], false],
];

test("loopback is recognised in text and in bytes, IPv4-mapped too", () => {
  for (const [text, bytes, isLoopback] of ADDRESSES) {
    assert.equal(isLoopbackText(text), isLoopback, text);
    assert.equal(isLoopbackBytes(new Uint8Array(bytes)), isLoopback, text);
  }
});

test("an address of no known form is not loopback", () => {
  for (const text of ["", "localhost", "127", "127.0.0.1.evil.example", "::ffff:"]) assert.equal(isLoopbackText(text), false, text);
  for (const size of [0, 3, 5, 15, 17]) assert.equal(isLoopbackBytes(new Uint8Array(size)), false);
});

test("a Host may be an address, localhost, or what Weft listens on", () => {
  for (const host of [
    "127.0.0.1",
    "10.1.2.3:4191",
    "[::1]:4191",
    "[fe80::1]",
    "localhost:1",
    "LOCALHOST",
    "localhost.",
    "admin.local:80",
    undefined,
    "",
  ]) {
    assert.equal(isAllowedHost(host, "admin.local"), true, host);
  }
});

test("a Host that is another name, or malformed, may not ask", () => {
  for (const host of [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.nip.io",
    "local host",
    "[::1",
    "::1",
    "user@localhost",
    "localhost/x",
    ":80",
    ".",
  ]) {
    assert.equal(isAllowedHost(host, "127.0.0.1"), false, host);
  }
});

test("an empty listen address allows no name", () => {
  assert.equal(isAllowedHost("evil.example", ""), false);
  assert.equal(isAllowedHost(":80", ""), false);
});

test("an Origin is ours only with the same host and port", () => {
  assert.equal(isOwnOrigin(undefined, "localhost:4191"), true);
  assert.equal(isOwnOrigin("http://localhost:4191", "LocalHost:4191"), true);
  for (const origin of [
    "null",
    "",
    "http://localhost:4192",
    "http://localhost",
    "http://evil.example",
    "http://localhost:4191.evil.example",
    "http://localhost:4191/x",
  ]) {
    assert.equal(isOwnOrigin(origin, "localhost:4191"), false, origin);
  }
  assert.equal(isOwnOrigin("http://localhost:4191", undefined), false);
});

test("methods that change something are told from those that do not", () => {
  assert.deepEqual(["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "get", "FROBNICATE"].map(isSafeMethod), [
    true,
    true,
    true,
    false,
    false,
    false,
    false,
    false,
  ]);
});
