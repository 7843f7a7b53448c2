// Names of workloads: what is one, what is not, and that both forms say the same.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  identityName,
  identityProblem,
  isDnsLabel,
  isSameIdentity,
  isTrustDomain,
  parseIdentity,
  parseIdentityName,
  parseSpiffeUri,
  spiffeUri,
} from "../../../src/core/identity/names.ts";

const WEB = { account: "web", namespace: "shop", controlNamespace: "weft", trustDomain: "cluster.local" };
const WEB_NAME = "web.shop.serviceaccount.identity.weft.cluster.local";
const WEB_URI = "spiffe://cluster.local/ns/shop/sa/web";

test("a workload's name in both forms", () => {
  assert.equal(identityName(WEB), WEB_NAME);
  assert.equal(spiffeUri(WEB), WEB_URI);
  assert.deepEqual(parseIdentityName(WEB_NAME), WEB);
  assert.deepEqual(parseSpiffeUri(WEB_URI), WEB);
  assert.deepEqual(parseSpiffeUri(WEB_URI, "linkerd"), { ...WEB, controlNamespace: "linkerd" });
  assert.deepEqual(parseIdentity(WEB_NAME), WEB);
  assert.deepEqual(parseIdentity(WEB_URI), WEB);
});

const label = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?$/);
const identity = fc
  .record({
    account: label,
    namespace: label,
    controlNamespace: label,
    trustDomain: fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join(".")),
  })
  .map((parts) => ({ ...parts }));

test("whatever is built is read back as the same, in both forms", () => {
  fc.assert(
    fc.property(identity, (it) => {
      assert.equal(identityProblem(it), null);
      assert.deepEqual(parseIdentityName(identityName(it)), it);
      assert.deepEqual(parseSpiffeUri(spiffeUri(it), it.controlNamespace), it);
    }),
    { numRuns: 2_000 },
  );
});

test("whatever is read as an identity is exactly the text that it builds: no two texts are one identity", () => {
  const nearly = fc
    .tuple(identity, fc.nat(), fc.constantFrom("", ".", "\0", "A", "-", "/", "%", " ", "ß", "*", "_", "@", "\n", ":"))
    .map(([it, at, extra]): string => {
      const text = at % 2 === 0 ? identityName(it) : spiffeUri(it);
      const place = at % (text.length + 1);
      return text.slice(0, place) + extra + text.slice(place);
    });
  fc.assert(
    fc.property(fc.oneof(nearly, fc.string(), fc.string({ unit: "binary" })), (text) => {
      const byName = parseIdentityName(text);
      if (byName !== null) assert.equal(identityName(byName), text);
      const byUri = parseSpiffeUri(text);
      if (byUri !== null) assert.equal(spiffeUri(byUri), text);
      assert.ok(byName === null || byUri === null);
    }),
    { numRuns: 5_000 },
  );
});

const REFUSED_NAMES = [
  "",
  "web",
  "web.shop.serviceaccount.identity.weft",
  "Web.shop.serviceaccount.identity.weft.cluster.local",
  "web.shop.ServiceAccount.identity.weft.cluster.local",
  "web.shop.serviceaccount.identity.weft.cluster.LOCAL",
  "web.shop.serviceaccount.identity.weft.cluster.local.",
  ".web.shop.serviceaccount.identity.weft.cluster.local",
  "web..serviceaccount.identity.weft.cluster.local",
  "web.shop.serviceaccount.identity..cluster.local",
  "web.shop.serviceaccount.identity.weft.cluster..local",
  "web\0.shop.serviceaccount.identity.weft.cluster.local",
  "web.shop.serviceaccount.identity.weft.cluster.local\0.evil.example",
  "web.shop.serviceaccount.identity.weft.cluster.local\n",
  "*.shop.serviceaccount.identity.weft.cluster.local",
  "web_1.shop.serviceaccount.identity.weft.cluster.local",
  "-web.shop.serviceaccount.identity.weft.cluster.local",
  "web-.shop.serviceaccount.identity.weft.cluster.local",
  "wéb.shop.serviceaccount.identity.weft.cluster.local",
  // A Kelvin sign, which lower-cases to k.
  "\u212aiosk.shop.serviceaccount.identity.weft.cluster.local",
  "web.shop.identity.serviceaccount.weft.cluster.local",
  "a.web.shop.serviceaccount.identity.weft.cluster.local",
  `${"a".repeat(64)}.shop.serviceaccount.identity.weft.cluster.local`,
  `web.shop.serviceaccount.identity.weft.${"a.".repeat(120)}local`,
  WEB_URI,
];

for (const text of REFUSED_NAMES) {
  test(`is no identity: ${JSON.stringify(text.slice(0, 80))}`, () => assert.equal(parseIdentityName(text), null));
}

const REFUSED_URIS = [
  "SPIFFE://cluster.local/ns/shop/sa/web",
  "spiffe://Cluster.local/ns/shop/sa/web",
  "spiffe://cluster.local/ns/shop/sa/Web",
  "spiffe://cluster.local/ns/shop/sa/web/",
  "spiffe://cluster.local//ns/shop/sa/web",
  "spiffe://cluster.local/ns/shop/sa/web?x=1",
  "spiffe://cluster.local/ns/shop/sa/web#x",
  "spiffe://cluster.local/ns/shop/sa/w%65b",
  "spiffe://cluster.local/ns/shop/sa/..",
  "spiffe://cluster.local/ns/../sa/web",
  "spiffe://cluster.local:443/ns/shop/sa/web",
  "spiffe://user@cluster.local/ns/shop/sa/web",
  "spiffe://cluster.local/ns/shop/sa/web\0",
  "spiffe://cluster.local\\ns/shop/sa/web",
  "spiffe:///ns/shop/sa/web",
  "spiffe://cluster.local/sa/web/ns/shop",
  "spiffe://cluster.local/ns/shop/sa/",
  "https://cluster.local/ns/shop/sa/web",
  WEB_NAME,
];

for (const text of REFUSED_URIS) {
  test(`is no SPIFFE identity: ${JSON.stringify(text)}`, () => assert.equal(parseSpiffeUri(text), null));
}

test("a name of 253 characters is one, of 254 none", () => {
  const domainOf = (length: number): string => `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(length - 192)}`;
  const before = "web.shop.serviceaccount.identity.weft.".length;
  const longest = { ...WEB, trustDomain: domainOf(253 - before) };
  assert.equal(identityName(longest).length, 253);
  assert.equal(identityProblem(longest), null);
  assert.deepEqual(parseIdentityName(identityName(longest)), longest);
  const over = { ...WEB, trustDomain: domainOf(254 - before) };
  assert.match(identityProblem(over)!, /254 characters/);
  assert.equal(parseIdentityName(identityName(over)), null);
  assert.equal(parseSpiffeUri(spiffeUri(over)), null);
});

test("what is wrong with a part is said by its name", () => {
  assert.match(identityProblem({ ...WEB, account: "Web" })!, /"Web" is no name/);
  assert.match(identityProblem({ ...WEB, namespace: "a.b" })!, /"a\.b" is no namespace/);
  assert.match(identityProblem({ ...WEB, controlNamespace: "" })!, /"" is no control namespace/);
  assert.match(identityProblem({ ...WEB, trustDomain: "x..y" })!, /"x\.\.y" is no trust domain/);
});

test("labels and trust domains", () => {
  for (const text of ["a", "0", "a-b", "a".repeat(63)]) assert.ok(isDnsLabel(text), text);
  for (const text of ["", "-", "a-", "-a", "A", "a.b", "a_b", "a".repeat(64), "a\n"]) assert.ok(!isDnsLabel(text), text);
  assert.ok(isTrustDomain("local") && isTrustDomain("a.b.c"));
  assert.ok(!isTrustDomain("") && !isTrustDomain("a..b") && !isTrustDomain("a.") && !isTrustDomain("a.B"));
});

test("two identities are the same when every part is", () => {
  assert.ok(isSameIdentity(WEB, { ...WEB }));
  for (const part of ["account", "namespace", "controlNamespace", "trustDomain"] as const) {
    assert.ok(!isSameIdentity(WEB, { ...WEB, [part]: "other" }), part);
  }
});
