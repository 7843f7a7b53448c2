// Tokens of service accounts as their holder reads them: who it is, and only when the token is for the identity component alone.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { parseMesh } from "../../../src/core/identity/names.ts";
import { readServiceAccountToken } from "../../../src/core/identity/service-account-token.ts";

const MESH = { controlNamespace: "weft", trustDomain: "cluster.local" };
const GOOD = {
  sub: "system:serviceaccount:shop:web",
  aud: ["identity.weft.dev"],
  exp: 2_000_000_000,
  iss: "https://kubernetes.default.svc",
};

function token(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "RS256" })}.${part(claims)}.c2ln`;
}

describe("a service account's token", () => {
  it("says who its holder is, in the mesh that it is told", () => {
    const expected = { identity: { account: "web", namespace: "shop", ...MESH }, expiresAtS: 2_000_000_000 };
    assert.deepEqual(readServiceAccountToken(token(GOOD), MESH), expected);
    assert.deepEqual(readServiceAccountToken(token({ ...GOOD, aud: "identity.weft.dev" }), MESH), expected);
  });

  for (const [what, claims, expected] of [
    ["another subject", { ...GOOD, sub: "system:node:a" }, /no service account's/],
    ["a subject with more parts", { ...GOOD, sub: "system:serviceaccount:a:b:c" }, /no service account's/],
    ["no subject", { ...GOOD, sub: undefined }, /no service account's/],
    ["another audience", { ...GOOD, aud: ["https://kubernetes.default.svc"] }, /not for identity\.weft\.dev alone/],
    ["a second audience", { ...GOOD, aud: ["identity.weft.dev", "vault"] }, /not for identity\.weft\.dev alone/],
    ["no audience", { ...GOOD, aud: [] }, /not for identity\.weft\.dev alone/],
    ["no end", { ...GOOD, exp: undefined }, /no end/],
    ["an end that is no time", { ...GOOD, exp: "soon" }, /no end/],
    ["an account that is no label", { ...GOOD, sub: "system:serviceaccount:shop:a.b" }, /"a\.b" is no name/],
  ] as const) {
    it(`is refused with ${what}`, () => {
      const result = readServiceAccountToken(token(claims), MESH);
      assert.ok("problem" in result);
      assert.match(result.problem, expected);
    });
  }

  it("is refused when it is no JWT", () => {
    for (const text of ["", "a.b", "a.b.c", `${token(GOOD)}.x`, "x".repeat(9000)])
      assert.ok("problem" in readServiceAccountToken(text, MESH), text.slice(0, 20));
  });
});

describe("a mesh's name", () => {
  it("is a control namespace and a trust domain", () => {
    assert.deepEqual(parseMesh("weft.cluster.local"), MESH);
    assert.deepEqual(parseMesh("mesh.example"), { controlNamespace: "mesh", trustDomain: "example" });
    for (const text of ["", "weft", "weft.", ".local", "Weft.cluster.local", "weft..local", "we_ft.local"])
      assert.equal(parseMesh(text), null, text);
  });
});
