// Networks against a naive reader that compares strings of bits, and the texts that are refused.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatNetwork, isInNetwork, isNetworkWithin, type Network, parseAddress, parseNetwork } from "../../../src/core/policy/network.ts";

function network(text: string): Network {
  const parsed = parseNetwork(text);
  assert.ok("ok" in parsed, `${text}: ${JSON.stringify(parsed)}`);
  return parsed.ok;
}

function has(cidr: string, ip: string): boolean {
  const address = parseAddress(ip);
  return address !== null && isInNetwork(address, network(cidr));
}

/** 32 or 128 characters, made from the text in another way than the code does. */
function bitsOf(ip: string): string {
  if (!ip.includes(":"))
    return ip
      .split(".")
      .map((byte) => Number(byte).toString(2).padStart(8, "0"))
      .join("");
  const [head = "", tail = ""] = ip.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === "" ? [] : tail.split(":");
  const zeros = ip.includes("::") ? new Array<string>(8 - left.length - right.length).fill("0") : [];
  return [...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16).toString(2).padStart(16, "0")).join("");
}

function ipOf(bits: string): string {
  if (bits.length === 32)
    return bits
      .match(/.{8}/g)!
      .map((byte) => Number.parseInt(byte, 2))
      .join(".");
  return bits
    .match(/.{16}/g)!
    .map((group) => Number.parseInt(group, 2).toString(16))
    .join(":");
}

const bit = fc.constantFrom("0", "1");
const bits = (size: number) => fc.array(bit, { minLength: size, maxLength: size }).map((all) => all.join(""));
/** A network, and an address that shares a random number of its first bits. */
const pair = fc
  .constantFrom(32, 128)
  .chain((size) => fc.record({ base: bits(size), other: bits(size), prefix: fc.nat(size), shared: fc.nat(size) }));

test("an address is in a network exactly when the first bits are equal", () => {
  fc.assert(
    fc.property(pair, ({ base, other, prefix, shared }) => {
      const start = base.slice(0, prefix).padEnd(base.length, "0");
      const address = base.slice(0, shared) + other.slice(shared);
      // ::ffff:0:0/96 has no networks of its own, and addresses in it are IPv4.
      fc.pre(!/^0{80}1{16}/.test(start) && !/^0{80}1{16}/.test(address));
      const cidr = `${ipOf(start)}/${prefix}`;
      assert.equal(bitsOf(ipOf(address)), address);
      assert.equal(has(cidr, ipOf(address)), address.startsWith(base.slice(0, prefix)), `${cidr} ${ipOf(address)}`);
    }),
    { numRuns: 3000 },
  );
});

test("address bits behind the prefix are refused, and the network that may be meant is named", () => {
  fc.assert(
    fc.property(pair, ({ base, prefix }) => {
      fc.pre(!/^0{80}1{16}/.test(base));
      const start = base.slice(0, prefix).padEnd(base.length, "0");
      const parsed = parseNetwork(`${ipOf(base)}/${prefix}`);
      assert.equal("ok" in parsed, start === base);
      if ("mistake" in parsed) {
        const [, meant = ""] = /did you mean (\S+),/.exec(parsed.mistake.hint) ?? [];
        assert.equal(formatNetwork(network(meant)), meant);
        assert.ok(has(meant, ipOf(base)));
      }
    }),
    { numRuns: 1000 },
  );
});

test("families do not mix: IPv4-mapped is IPv4, and no IPv6 network has it", () => {
  assert.ok(has("127.0.0.0/8", "::ffff:127.0.0.1"));
  assert.ok(has("0.0.0.0/0", "::ffff:10.1.2.3"));
  assert.ok(!has("::/0", "::ffff:10.1.2.3"));
  assert.ok(!has("::/0", "10.1.2.3"));
  assert.ok(!has("0.0.0.0/0", "::1"));
  assert.ok(has("::/0", "::1"));
});

test("a zone does not matter, and what is no address is in no network", () => {
  assert.ok(has("fe80::/10", "fe80::1%eth0"));
  for (const text of ["unknown", "", "localhost", "127.1", "%eth0", "10.0.0.1:80"]) assert.equal(parseAddress(text), null, text);
});

test("what is no network is refused with a hint", () => {
  for (const [text, problem, hint] of [
    ["10.0.0.0", /no network/, /10\.0\.0\.0\/32/],
    ["fd00::1", /no network/, /fd00::1\/128/],
    ["10.0.0.0/", /no network/, /10\.0\.0\.0\/8/],
    ["10.0.0.0/08", /no network/, /10\.0\.0\.0\/8/],
    ["10.0.0/8", /no network/, /10\.0\.0\.0\/8/],
    ["10.0.0.0/33", /more than 32 bits/, /10\.0\.0\.0\/32/],
    ["fd00::/129", /more than 128 bits/, /fd00::\/128/],
    ["10.0.0.0/255.0.0.0", /no network/, /write it as/],
    ["fe80::%eth0/10", /no network/, /write it as/],
    [" 10.0.0.0/8", /no network/, /write it as/],
    ["::ffff:10.0.0.0/104", /IPv4 network as IPv6/, /10\.0\.0\.0\/8/],
    ["::ffff:0.0.0.0/8", /IPv4 network as IPv6/, /10\.0\.0\.0\/8/],
    ["10.1.2.3/8", /address bits/, /10\.0\.0\.0\/8, or 10\.1\.2\.3\/32/],
    ["*", /no network/, /write it as/],
  ] as const) {
    const parsed = parseNetwork(text);
    assert.ok("mistake" in parsed, text);
    assert.match(parsed.mistake.problem, problem, text);
    assert.match(parsed.mistake.hint, hint, text);
  }
});

test("a network is within another when every address of it is", () => {
  for (const [inner, outer, isWithin] of [
    ["10.1.0.0/16", "10.0.0.0/8", true],
    ["10.0.0.0/8", "10.0.0.0/8", true],
    ["10.0.0.0/8", "10.0.0.0/9", false],
    ["11.0.0.0/16", "10.0.0.0/8", false],
    ["fd00:1::/32", "fd00::/8", true],
    ["::/128", "0.0.0.0/0", false],
    ["0.0.0.0/32", "::/0", false],
  ] as const) {
    assert.equal(isNetworkWithin(network(inner), network(outer)), isWithin, `${inner} in ${outer}`);
  }
});
