// Join tokens: made and checked with a key of the authority's own (ES256), which is kept in the data folder.
//
//   token-key.json   the private key as JWK with its kid (its RFC 7638 thumbprint)
//
// What a token says, and who may use it how often, is in docs/adr/0006-identity.md. `alg: none` and everything that is not ES256
// by our key is refused before any claim is looked at.

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { calculateJwkThumbprint, decodeJwt, errors, exportJWK, generateKeyPair, importJWK, jwtVerify, SignJWT } from "jose";
import type { CryptoKey, JWK } from "jose";
import { readJoinToken, TOKEN_AUDIENCE, TOKEN_ISSUER, TOKEN_ROOTS_MAX } from "../../core/identity/join-token.ts";
import type { TokenUse } from "../../core/identity/join-token.ts";
import { identityName, parseIdentityName } from "../../core/identity/names.ts";
import type { WorkloadIdentity } from "../../core/identity/names.ts";
import { FileProblem, readPrivateFile, writePrivateFile } from "./private-files.ts";
import { Refusal } from "./refusal.ts";
import { tokenRefusal } from "./token-refusal.ts";

export const TOKEN_KEY_FILE = "token-key.json";
const ALGORITHM = "ES256";

/** The header's `typ`: nothing else that the key may ever sign is a join token. */
const TOKEN_TYPE = "weft-join+jwt";

/** Shortest life of a token, seconds: tests, and scripts that use it at once. */
export const TTL_MIN_S = 1;

/** Longest life of a token for a file: a year. */
export const TTL_FILE_MAX_S: number = 366 * 86_400;

/** Longest life of a printed token: a day. Used ones are remembered so long. */
export const TTL_ONCE_MAX_S = 86_400;

/** Characters that 16 random bytes have in base64url. */
const JTI = /^[A-Za-z0-9_-]{22}$/;

export interface TokenOrder {
  readonly identity: WorkloadIdentity;
  readonly use: TokenUse;
  readonly ttlS: number;
  /** Fingerprints of the bundle's roots. */
  readonly roots: readonly string[];
}

export interface ProvedToken {
  readonly identity: WorkloadIdentity;
  readonly use: TokenUse;
  readonly jti: string;
  readonly expiresAtS: number;
}

/** What a token says that this key has signed, whatever has become of it since. */
export interface OwnToken {
  readonly identity: WorkloadIdentity;
  readonly use: TokenUse;
  /** Fingerprints that it pins. */
  readonly roots: readonly string[];
  readonly issuedAtS: number;
  readonly expiresAtS: number;
}

/** What is wrong with a token's life, or null. */
export function lifeProblem(use: TokenUse, ttlS: number): string | null {
  const ttlMaxS = use === "once" ? TTL_ONCE_MAX_S : TTL_FILE_MAX_S;
  if (Number.isSafeInteger(ttlS) && ttlS >= TTL_MIN_S && ttlS <= ttlMaxS) return null;
  return `a token ${use === "once" ? "for one certificate" : "for a file"} lives ${TTL_MIN_S} to ${ttlMaxS} seconds, not ${ttlS}`;
}

export class JoinTokens {
  readonly #key: CryptoKey;
  readonly #publicKey: CryptoKey;
  readonly #kid: string;
  readonly #trustDomain: string;
  readonly #nowMs: () => number;

  private constructor(key: CryptoKey, publicKey: CryptoKey, kid: string, trustDomain: string, nowMs: () => number) {
    this.#key = key;
    this.#publicKey = publicKey;
    this.#kid = kid;
    this.#trustDomain = trustDomain;
    this.#nowMs = nowMs;
  }

  /** Reads the key of the folder, or makes one. Rejects with a FileProblem. */
  static async open(folder: string, trustDomain: string, nowMs: () => number = () => Date.now()): Promise<JoinTokens> {
    const path = join(folder, TOKEN_KEY_FILE);
    const jwk = readKey(path) ?? (await makeKey(path));
    try {
      const key = (await importJWK(jwk, ALGORITHM)) as CryptoKey;
      const { d: _private, ...publicJwk } = jwk;
      const publicKey = (await importJWK(publicJwk, ALGORITHM)) as CryptoKey;
      return new JoinTokens(key, publicKey, await calculateJwkThumbprint(publicJwk), trustDomain, nowMs);
    } catch {
      throw new FileProblem(`${path} is damaged: restore it, or remove it (tokens that were made with it are then refused)`);
    }
  }

  /** A signed token. Throws an Error when the order is out of bounds. */
  async create({ identity, use, ttlS, roots }: TokenOrder): Promise<string> {
    const problem = lifeProblem(use, ttlS);
    if (problem !== null) throw new RangeError(problem);
    const nowS = Math.floor(this.#nowMs() / 1000);
    const pinned = roots.slice(0, TOKEN_ROOTS_MAX);
    return await new SignJWT({ trust_domain: identity.trustDomain, roots: pinned, use })
      .setProtectedHeader({ alg: ALGORITHM, typ: TOKEN_TYPE, kid: this.#kid })
      .setIssuer(TOKEN_ISSUER)
      .setAudience(TOKEN_AUDIENCE)
      .setSubject(identityName(identity))
      .setJti(randomBytes(16).toString("base64url"))
      .setIssuedAt(nowS)
      .setExpirationTime(nowS + ttlS)
      .sign(this.#key);
  }

  /** What the token proves. Rejects with a Refusal. Whether a `once` token was used before is for UsedTokens to say. */
  async check(token: string, toleranceS: number): Promise<ProvedToken> {
    let payload: Record<string, unknown>;
    try {
      const currentDate = new Date(this.#nowMs());
      ({ payload } = await jwtVerify(token, (header) => this.#keyFor(header.kid), {
        algorithms: [ALGORITHM],
        typ: TOKEN_TYPE,
        issuer: TOKEN_ISSUER,
        audience: TOKEN_AUDIENCE,
        requiredClaims: ["sub", "exp", "iat", "jti"],
        clockTolerance: toleranceS,
        currentDate,
      }));
    } catch (error) {
      throw tokenRefusal(error);
    }
    const { sub, exp, iat, jti, use, aud, trust_domain: trustDomain } = payload;
    if (aud !== TOKEN_AUDIENCE) throw new Refusal("WEFT_IDENTITY_TOKEN_AUDIENCE");
    if (trustDomain !== this.#trustDomain) throw new Refusal("WEFT_IDENTITY_TOKEN_DOMAIN");
    const identity = typeof sub === "string" ? parseIdentityName(sub) : null;
    if (identity === null || identity.trustDomain !== trustDomain) throw new Refusal("WEFT_IDENTITY_TOKEN_SUBJECT");
    if ((use !== "once" && use !== "file") || typeof jti !== "string" || !JTI.test(jti)) throw new Refusal("WEFT_IDENTITY_TOKEN_MALFORMED");
    if (typeof iat !== "number" || iat > this.#nowMs() / 1000 + toleranceS) throw new Refusal("WEFT_IDENTITY_TOKEN_EARLY");
    return { identity, use, jti, expiresAtS: exp as number };
  }

  /** A token of ours, also one that has ended; null for any other text. It proves nothing: it is for making another one like it. */
  async recognize(text: string): Promise<OwnToken | null> {
    const token = readJoinToken(text);
    if ("problem" in token || token.identity.trustDomain !== this.#trustDomain) return null;
    try {
      const { iat } = decodeJwt(text);
      if (typeof iat !== "number" || !Number.isSafeInteger(iat) || iat < 0) return null;
      // Judged by the time that it was made at: its end does not matter here, its signature does.
      const currentDate = new Date(iat * 1000);
      await jwtVerify(text, (header) => this.#keyFor(header.kid), { algorithms: [ALGORITHM], typ: TOKEN_TYPE, currentDate });
      const { identity, use, roots, expiresAtS } = token;
      return { identity, use, roots, issuedAtS: iat, expiresAtS };
    } catch {
      return null;
    }
  }

  #keyFor(kid: string | undefined): CryptoKey {
    if (kid !== this.#kid) throw new errors.JWKSNoMatchingKey();
    return this.#publicKey;
  }
}

function readKey(path: string): JWK | null {
  try {
    return JSON.parse(readPrivateFile(path)) as JWK;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    if (error instanceof FileProblem) throw error;
    throw new FileProblem(`${path} is damaged: restore it, or remove it (tokens that were made with it are then refused)`);
  }
}

async function makeKey(path: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
  const jwk = await exportJWK(privateKey);
  writePrivateFile(path, `${JSON.stringify(jwk)}\n`);
  return jwk;
}
