// Who is admitted by which authorization: the default policies as a table, patterns of identities, and properties against naive forms.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Authorization, authorize, type Client } from "../../../src/core/policy/authorization.ts";
import { authorizationsOf, DEFAULT_CLUSTER_NETWORKS, DEFAULT_POLICIES } from "../../../src/core/policy/default-policy.ts";
import { type IdentityPattern, matchesIdentity, parseIdentityPattern } from "../../../src/core/policy/identity-pattern.ts";
import { type Network, parseAddress, parseNetwork } from "../../../src/core/policy/network.ts";

const WEB = "web.shop.serviceaccount.identity.weft.cluster.local";

function network(text: string): Network {
  const parsed = parseNetwork(text);
  assert.ok("ok" in parsed, text);
  return parsed.ok;
}

function pattern(text: string): IdentityPattern {
  const parsed = parseIdentityPattern(text);
  assert.ok(parsed !== null, text);
  return parsed;
}

function client(address: string, identity: string | null): Client {
  return { address: parseAddress(address), identity };
}

describe("default policies", () => {
  const networks = DEFAULT_CLUSTER_NETWORKS.map(network);
  const clients = {
    inside: client("10.9.8.7", null),
    outside: client("203.0.113.9", null),
    insideMeshed: client("fd00::7", WEB),
    outsideMeshed: client("2001:db8::9", WEB),
    unknown: client("unknown", null),
  };
  const everybody = Object.keys(clients);
  const expected: Record<(typeof DEFAULT_POLICIES)[number], readonly string[]> = {
    "all-unauthenticated": everybody,
    "all-authenticated": ["insideMeshed", "outsideMeshed"],
    "cluster-unauthenticated": ["inside", "insideMeshed"],
    "cluster-authenticated": ["insideMeshed"],
    deny: [],
    audit: everybody,
  };
  for (const policy of DEFAULT_POLICIES) {
    it(`${policy} admits ${expected[policy].join(", ") || "nobody"}`, () => {
      const rules = authorizationsOf(policy, networks);
      const admitted = Object.entries(clients).filter(([, one]) => authorize(rules, one)?.name === policy);
      assert.deepEqual(
        admitted.map(([name]) => name),
        expected[policy],
      );
    });
  }

  it("have loopback and the private ranges as the cluster's networks, and nothing around them", () => {
    const rules = authorizationsOf("cluster-unauthenticated", networks);
    const isIn = (ip: string): boolean => authorize(rules, client(ip, null)) !== null;
    const inside = [
      "10.0.0.0",
      "10.255.255.255",
      "100.64.0.1",
      "172.31.255.255",
      "192.168.1.1",
      "127.0.0.9",
      "::1",
      "fd12::1",
      "::ffff:10.1.1.1",
    ];
    const outside = [
      "9.255.255.255",
      "11.0.0.0",
      "100.63.255.255",
      "100.128.0.0",
      "172.32.0.0",
      "192.169.0.0",
      "128.0.0.0",
      "::2",
      "fc00::1",
      "fe80::1",
      "8.8.8.8",
    ];
    assert.deepEqual(inside.filter(isIn), inside);
    assert.deepEqual(outside.filter(isIn), []);
  });
});

describe("patterns of identities", () => {
  it("are any, everybody below a name, or one", () => {
    const below = pattern("*.shop.serviceaccount.identity.weft.cluster.local");
    assert.ok(matchesIdentity(pattern("*"), WEB));
    assert.ok(matchesIdentity(below, WEB));
    assert.ok(matchesIdentity(pattern("*.cluster.local"), WEB));
    assert.ok(!matchesIdentity(below, "shop.serviceaccount.identity.weft.cluster.local"));
    assert.ok(!matchesIdentity(below, ".shop.serviceaccount.identity.weft.cluster.local"));
    assert.ok(!matchesIdentity(below, "web.workshop.serviceaccount.identity.weft.cluster.local"));
    assert.ok(matchesIdentity(pattern(WEB), WEB));
    assert.ok(!matchesIdentity(pattern(WEB), `${WEB}.`));
    assert.ok(!matchesIdentity(pattern(WEB), WEB.toUpperCase()));
    assert.ok(matchesIdentity(pattern("spiffe://cluster.local/ns/shop/sa/web"), WEB));
    assert.ok(matchesIdentity(pattern("spiffe://cluster.local/ns/shop/sa/web"), WEB.replace(".weft.", ".linkerd.")), "says no namespace");
    assert.ok(!matchesIdentity(pattern("spiffe://cluster.local/ns/shop/sa/web"), WEB.replace("shop", "other")));
    assert.ok(!matchesIdentity(pattern("spiffe://cluster.local/ns/shop/sa/web"), "web.shop"));
  });

  it("are refused in any other form", () => {
    for (const text of [
      "",
      "**",
      "*web",
      "web*",
      "a.*.b",
      "*.",
      "*..a",
      ".a",
      "a..b",
      "A.b",
      "a b",
      "spiffe://",
      "spiffe://*/ns/a",
      "spiffe://cluster.local/ns/shop/sa/Web",
      "spiffe://cluster.local/ns/shop",
      "web.shop",
      WEB.toUpperCase(),
      `${WEB}.`,
      `${WEB}\0`,
      `*.${"a".repeat(64)}.local`,
      "*.spiffe://a/b",
      `${"a".repeat(254)}`,
    ]) {
      assert.equal(parseIdentityPattern(text), null, text);
    }
  });

  it("match as a naive comparison of labels does", () => {
    const labels = fc.array(fc.constantFrom("a", "b", "shop", "web"), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(labels, labels, (name, suffix) => {
        const isBelow = name.length > suffix.length && name.slice(-suffix.length).join() === suffix.join();
        assert.equal(matchesIdentity(pattern(`*.${suffix.join(".")}`), name.join(".")), isBelow);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("authorizations", () => {
  const rule = (name: string, networks: Authorization["networks"], identities: Authorization["identities"]): Authorization => ({
    kind: "default",
    name,
    networks,
    identities,
  });

  it("ask for network and identity both, and the first that admits is told", () => {
    const office = [{ network: network("10.0.0.0/8"), except: [network("10.66.0.0/16"), network("10.0.0.1/32")] }];
    const rules = [rule("a", office, [pattern(WEB)]), rule("b", office, null)];
    assert.equal(authorize(rules, client("10.1.1.1", WEB))?.name, "a");
    assert.equal(authorize(rules, client("10.1.1.1", WEB.replace("web", "other")))?.name, "b");
    assert.equal(authorize(rules, client("10.66.1.1", WEB)), null);
    assert.equal(authorize(rules, client("10.0.0.1", WEB)), null);
    assert.equal(authorize(rules, client("11.1.1.1", WEB)), null);
  });

  it("admit nobody when the list, its networks or its identities are empty", () => {
    const anybody = client("10.0.0.1", WEB);
    assert.equal(authorize([], anybody), null);
    assert.equal(authorize([rule("a", [], null)], anybody), null);
    assert.equal(authorize([rule("a", null, [])], anybody), null);
    assert.equal(authorize([rule("a", null, null)], anybody)?.name, "a");
  });
});
