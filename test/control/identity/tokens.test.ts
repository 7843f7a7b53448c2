// Tokens that must be refused, each by its name: forged, altered, expired, for somebody else; Weft's own and service accounts'.
//
// The forger here knows everything but what a token's check must stop: where it needs a good signature it takes the key from the folder.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, SignJWT } from "jose";
import type { CryptoKey, JWK } from "jose";
import { readJoinToken } from "../../../src/core/identity/join-token.ts";
import { certify, DB, makeRequest, WEB } from "../support/identity-client.ts";
import { IdentityComponent } from "../support/identity-component.ts";
import { refusalOf } from "../support/refusal.ts";

const ISSUER = "https://kubernetes.default.svc";

let component: IdentityComponent;
let key: CryptoKey;
let kid: string;
let clusterKey: CryptoKey;
let folder: string;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "weft-jwks-"));
  const pair = await generateKeyPair("RS256", { extractable: true });
  clusterKey = pair.privateKey;
  const jwk = { ...(await exportJWK(pair.publicKey)), kid: "cluster", alg: "RS256", use: "sig" };
  writeFileSync(join(folder, "jwks.json"), JSON.stringify({ keys: [jwk] }));
  component = await IdentityComponent.start({
    serviceAccounts: { issuer: ISSUER, jwks: join(folder, "jwks.json"), audience: "identity.weft.dev" },
  });
  await component.token();
  const own = JSON.parse(readFileSync(join(component.folder, "token-key.json"), "utf8")) as JWK;
  key = (await importJWK(own, "ES256")) as CryptoKey;
  const { d: _, ...publicJwk } = own;
  kid = await calculateJwkThumbprint(publicJwk);
});
after(async () => {
  await component.remove();
  rmSync(folder, { recursive: true, force: true });
});

const nowS = (): number => Math.floor(Date.now() / 1000);

function claims(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    iss: "identity.weft.dev",
    aud: "identity.weft.dev",
    sub: WEB,
    trust_domain: "cluster.local",
    roots: ["ab".repeat(32)],
    use: "file",
    iat: nowS(),
    exp: nowS() + 60,
    jti: "AAAAAAAAAAAAAAAAAAAAAA",
    ...changes,
  };
}

async function signed(changes: Record<string, unknown> = {}, header: Record<string, unknown> = {}, by: CryptoKey = key): Promise<string> {
  return await new SignJWT(claims(changes)).setProtectedHeader({ alg: "ES256", typ: "weft-join+jwt", kid, ...header }).sign(by);
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

async function use(token: string, identity = WEB): Promise<string> {
  return await refusalOf(certify(component.connect(), identity, token, await makeRequest(identity)));
}

test("a token with the key of the folder and good claims is good: what is refused below is refused for its fault", async () => {
  assert.equal(await use(await signed()), "none");
});

test("what a token says to its holder is what was ordered", async () => {
  const token = readJoinToken(await component.token("web", "once", 600));
  assert.ok(!("problem" in token));
  assert.equal(token.use, "once");
  assert.equal(token.identity.account, "web");
  assert.match(token.roots.join(), /^[0-9a-f]{64}$/);
  assert.ok(Math.abs(token.expiresAtS - nowS() - 600) < 30);
});

const CLAIMS: readonly (readonly [string, Record<string, unknown>, string])[] = [
  ["that has expired", { iat: 1, exp: 1_000_000 }, "TOKEN_EXPIRED"],
  ["of tomorrow", { iat: 4_000_000_000, exp: 4_000_000_100 }, "TOKEN_EARLY"],
  ["for another audience", { aud: "identity.l5d.io" }, "TOKEN_AUDIENCE"],
  ["for two audiences", { aud: ["identity.weft.dev", "other"] }, "TOKEN_AUDIENCE"],
  ["of another trust domain", { trust_domain: "evil.example", sub: WEB.replace("cluster.local", "evil.example") }, "TOKEN_DOMAIN"],
  ["whose subject is of another trust domain", { sub: WEB.replace("cluster.local", "evil.example") }, "TOKEN_SUBJECT"],
  ["whose subject is no workload", { sub: "web" }, "TOKEN_SUBJECT"],
  ["of another workload", { sub: DB }, "OTHER_WORKLOAD"],
  ["of another issuer", { iss: "evil.example" }, "TOKEN_ISSUER"],
  ["without an issuer", { iss: undefined }, "TOKEN_MALFORMED"],
  ["without an end", { exp: undefined }, "TOKEN_MALFORMED"],
  ["with an end that is a text", { exp: "2100" }, "TOKEN_MALFORMED"],
  ["without a number of its own", { jti: undefined }, "TOKEN_MALFORMED"],
  ["with a number that is no random one", { jti: "x y\n" }, "TOKEN_MALFORMED"],
  ["with another use", { use: "always" }, "TOKEN_MALFORMED"],
];

for (const [what, changes, code] of CLAIMS) {
  test(`refuses a token ${what}`, async () => assert.equal(await use(await signed(changes)), `WEFT_IDENTITY_${code}`));
}

test("refuses a token that is not signed: alg none, in every spelling, with and without a signature", async () => {
  const [, payload, signature] = (await signed()).split(".");
  for (const alg of ["none", "None", "NONE", "nOnE", ""]) {
    for (const end of ["", signature]) {
      const code = await use(`${encode({ alg, typ: "weft-join+jwt", kid })}.${payload}.${end}`);
      assert.match(code, /^WEFT_IDENTITY_TOKEN_(ALGORITHM|MALFORMED)$/, `${alg} ${end}`);
    }
  }
  assert.equal(await use(`${encode({ alg: "none" })}.${payload}.`), "WEFT_IDENTITY_TOKEN_ALGORITHM");
});

test("refuses a token with HMAC by what is public", async () => {
  const secret = new TextEncoder().encode(component.bundle);
  const token = await new SignJWT(claims()).setProtectedHeader({ alg: "HS256", typ: "weft-join+jwt", kid }).sign(secret);
  assert.equal(await use(token), "WEFT_IDENTITY_TOKEN_ALGORITHM");
});

test("refuses a token of another key, with our kid and with its own", async () => {
  const { privateKey } = await generateKeyPair("ES256");
  assert.equal(await use(await signed({}, {}, privateKey)), "WEFT_IDENTITY_TOKEN_SIGNATURE");
  assert.equal(await use(await signed({}, { kid: "mine" }, privateKey)), "WEFT_IDENTITY_TOKEN_SIGNATURE");
});

test("refuses a token that brings its key along", async () => {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = await exportJWK(publicKey);
  assert.equal(await use(await signed({}, { jwk, kid: await calculateJwkThumbprint(jwk) }, privateKey)), "WEFT_IDENTITY_TOKEN_SIGNATURE");
});

test("refuses another kind of JWT that our key signed", async () => {
  assert.equal(await use(await signed({}, { typ: "JWT" })), "WEFT_IDENTITY_TOKEN_MALFORMED");
});

test("refuses a token with any character changed, in each of its parts", async () => {
  const token = await signed();
  for (let at = 0; at < token.length - 1; at += 7) {
    if (token[at] === ".") continue;
    const changed = token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);
    assert.match(await use(changed), /^WEFT_IDENTITY_TOKEN_/, `character ${at}`);
  }
});

for (const [what, text] of [
  ["no JWT", "hello"],
  ["two parts", "a.b"],
  ["five parts", "a.b.c.d.e"],
  ["zero bytes", "\0\0\0"],
  ["claims that are a number", `${encode({ alg: "ES256" })}.${encode(1)}.AAAA`],
] as const) {
  test(`refuses a token with ${what}`, async () => assert.equal(await use(text), "WEFT_IDENTITY_TOKEN_MALFORMED"));
}

test("refuses a token of 9000 characters before it is looked at", async () => {
  assert.equal(await use(`${await signed()}${"A".repeat(9000)}`), "WEFT_IDENTITY_TOKEN_MALFORMED");
});

async function serviceAccount(
  changes: Record<string, unknown> = {},
  alg = "RS256",
  by: CryptoKey | Uint8Array = clusterKey,
): Promise<string> {
  return await new SignJWT({
    iss: ISSUER,
    aud: ["identity.weft.dev"],
    sub: "system:serviceaccount:shop:web",
    iat: nowS(),
    exp: nowS() + 60,
    ...changes,
  })
    .setProtectedHeader({ alg, kid: "cluster" })
    .sign(by);
}

test("a service account's token proves that account, as often as it likes", async () => {
  const token = await serviceAccount();
  assert.equal(await use(token), "none");
  assert.equal(await use(token), "none");
  assert.equal(await use(token, DB), "WEFT_IDENTITY_OTHER_WORKLOAD");
});

const ACCOUNTS: readonly (readonly [string, Record<string, unknown>, string])[] = [
  ["that has expired", { exp: 1_000_000 }, "TOKEN_EXPIRED"],
  ["that is not valid yet", { nbf: 4_000_000_000, exp: 4_000_000_100 }, "TOKEN_EARLY"],
  ["for the API server", { aud: ["https://kubernetes.default.svc"] }, "TOKEN_AUDIENCE"],
  ["for somebody else, too", { aud: ["identity.weft.dev", "vault"] }, "TOKEN_AUDIENCE"],
  ["of a user", { sub: "admin" }, "TOKEN_SUBJECT"],
  ["with a namespace that is no label", { sub: "system:serviceaccount:Shop:web" }, "TOKEN_SUBJECT"],
  ["with too many parts", { sub: "system:serviceaccount:shop:web:x" }, "TOKEN_SUBJECT"],
  ["without an end", { exp: undefined }, "TOKEN_MALFORMED"],
];

for (const [what, changes, code] of ACCOUNTS) {
  test(`refuses a service account's token ${what}`, async () => {
    assert.equal(await use(await serviceAccount(changes)), `WEFT_IDENTITY_${code}`);
  });
}

test("refuses a service account's token by another key, or by HMAC with the public one", async () => {
  const { privateKey } = await generateKeyPair("RS256");
  assert.equal(await use(await serviceAccount({}, "RS256", privateKey)), "WEFT_IDENTITY_TOKEN_SIGNATURE");
  const secret = new TextEncoder().encode(readFileSync(join(folder, "jwks.json"), "utf8"));
  assert.equal(await use(await serviceAccount({}, "HS256", secret)), "WEFT_IDENTITY_TOKEN_ALGORITHM");
});

test("refuses a service account's token that says that Weft issued it", async () => {
  assert.match(await use(await serviceAccount({ iss: "identity.weft.dev" })), /^WEFT_IDENTITY_TOKEN_/);
});

test("keys of a service account's issuer come by address too; while they cannot be had, it is said so, and later tried again", async () => {
  let answers = false;
  const server = createServer((_request, response) => {
    if (answers) response.setHeader("content-type", "application/json").end(readFileSync(join(folder, "jwks.json")));
    else response.writeHead(503).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const jwks = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
  const remote = await IdentityComponent.start({ serviceAccounts: { issuer: ISSUER, jwks, audience: "identity.weft.dev" } });
  try {
    const call = async (): Promise<string> => await refusalOf(certify(remote.connect(), WEB, await serviceAccount()));
    assert.equal(await call(), "WEFT_IDENTITY_TOKEN_KEYS");
    answers = true;
    assert.equal(await call(), "none");
  } finally {
    await remote.remove();
    server.close();
  }
});

test("keys over plain HTTP from elsewhere are refused at the start", async () => {
  await assert.rejects(
    IdentityComponent.start({ serviceAccounts: { issuer: ISSUER, jwks: "http://keys.example/jwks", audience: "x" } }),
    /plain HTTP/,
  );
});
