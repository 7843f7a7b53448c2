// A join token as its holder reads it, and the root that it pins.

import assert from "node:assert/strict";
import { test } from "node:test";
import { pinnedRoot, readJoinToken } from "../../../src/core/identity/join-token.ts";

const ROOT = "ab".repeat(32);
const CLAIMS = {
  iss: "identity.weft.dev",
  aud: "identity.weft.dev",
  sub: "web.shop.serviceaccount.identity.weft.cluster.local",
  trust_domain: "cluster.local",
  roots: [ROOT],
  use: "file",
  exp: 2_000_000_000,
  iat: 1_900_000_000,
  jti: "x",
};

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
const token = (claims: unknown): string => `${encode({ alg: "ES256", typ: "weft-join+jwt" })}.${encode(claims)}.c2ln`;

test("says who, for how long, how often, and which roots", () => {
  assert.deepEqual(readJoinToken(token(CLAIMS)), {
    identity: { account: "web", namespace: "shop", controlNamespace: "weft", trustDomain: "cluster.local" },
    use: "file",
    roots: [ROOT],
    expiresAtS: 2_000_000_000,
  });
});

const REFUSED: readonly (readonly [string, string, RegExp])[] = [
  ["an empty text", "", /no JWT/],
  ["other characters", `${token(CLAIMS)}\n`, /no JWT/],
  ["two parts", "a.b", /no JWT/],
  ["claims that are no JSON", "YQ.YQ.YQ", /no JSON/],
  ["claims that are a list", token([]), /no JSON object/],
  ["another issuer", token({ ...CLAIMS, iss: "https://kubernetes.default.svc" }), /no join token/],
  ["another audience", token({ ...CLAIMS, aud: "x" }), /no join token/],
  ["no workload", token({ ...CLAIMS, sub: "web" }), /no workload/],
  ["another trust domain", token({ ...CLAIMS, trust_domain: "x" }), /no workload/],
  ["no roots", token({ ...CLAIMS, roots: [] }), /pin/],
  ["nine roots", token({ ...CLAIMS, roots: Array.from({ length: 9 }, () => ROOT) }), /pin/],
  ["a root in upper case", token({ ...CLAIMS, roots: [ROOT.toUpperCase()] }), /pin/],
  ["another use", token({ ...CLAIMS, use: "twice" }), /use/],
  ["no end", token({ ...CLAIMS, exp: undefined }), /end/],
  ["a text of 9000", "a".repeat(9000), /longer/],
];

for (const [what, text, problem] of REFUSED) {
  test(`refuses ${what}`, () => {
    const found = readJoinToken(text);
    assert.ok("problem" in found);
    assert.match(found.problem, problem);
  });
}

test("the pinned root is found in what a server sent, in Node's spelling too; another's is not", () => {
  const colons = ROOT.toUpperCase().match(/../g)!.join(":");
  const chain = [{ fingerprint256: "cd".repeat(32) }, { fingerprint256: colons }];
  assert.equal(pinnedRoot(chain, { roots: [ROOT] }), chain[1]);
  assert.equal(pinnedRoot(chain.slice(0, 1), { roots: [ROOT] }), null);
  assert.equal(pinnedRoot([], { roots: [ROOT] }), null);
});
