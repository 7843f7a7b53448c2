// Tokens of service accounts, from Kubernetes or any OIDC issuer that says `system:serviceaccount:<namespace>:<account>`.
//
// The issuer is named in the configuration; its keys come from its JWKS, by address or from a file. Only signatures by public keys are allowed
// (no `none`, no HMAC: whoever knows the public key could make one). Such a token serves every replica until it expires.

import { statSync } from "node:fs";
import { createLocalJWKSet, createRemoteJWKSet, customFetch, jwtVerify } from "jose";
import type { JSONWebKeySet, JWTVerifyGetKey } from "jose";
import { identityProblem } from "../../core/identity/names.ts";
import type { WorkloadIdentity } from "../../core/identity/names.ts";
import { SERVICE_ACCOUNT_SUBJECT } from "../../core/identity/service-account-token.ts";
import { FileProblem, readBounded } from "./private-files.ts";
import { Refusal } from "./refusal.ts";
import { tokenRefusal } from "./token-refusal.ts";

const ALGORITHMS = ["ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"];

/** An issuer that does not answer must not hold a proxy's request for long. */
const FETCH_TIMEOUT_MS = 5_000;
/** Keys are fetched again at most so often when a token names an unknown one, and at least so often. */
const FETCH_COOLDOWN_MS = 30_000;
const KEYS_MAX_AGE_MS = 600_000;

export interface ServiceAccountSettings {
  /** `iss` of the tokens, exactly. */
  readonly issuer: string;
  /** `https://` (or `http://` on loopback) address of the JWKS, or the path of a file with it. */
  readonly jwks: string;
  /** File with a token to show when they are fetched, read each time; Kubernetes tells its keys to its service accounts only. */
  readonly jwksToken?: string;
  /** `aud` that they must have. */
  readonly audience: string;
}

export class ServiceAccountTokens {
  readonly issuer: string;
  readonly #audience: string;
  readonly #keys: JWTVerifyGetKey;
  readonly #nowMs: () => number;

  /** Throws a FileProblem or an Error when the keys cannot be had. */
  constructor({ issuer, jwks, jwksToken, audience }: ServiceAccountSettings, nowMs: () => number = () => Date.now()) {
    this.issuer = issuer;
    this.#audience = audience;
    this.#nowMs = nowMs;
    this.#keys = /^https?:\/\//.test(jwks) ? remoteKeys(jwks, jwksToken) : fileKeys(jwks);
  }

  /** The workload that the token is of. Rejects with a Refusal. */
  async check(
    token: string,
    names: { readonly controlNamespace: string; readonly trustDomain: string },
    toleranceS: number,
  ): Promise<WorkloadIdentity> {
    let subject: unknown;
    let isOurs = false;
    try {
      const { payload } = await jwtVerify(token, this.#keys, {
        algorithms: ALGORITHMS,
        issuer: this.issuer,
        audience: this.#audience,
        requiredClaims: ["sub", "exp"],
        clockTolerance: toleranceS,
        currentDate: new Date(this.#nowMs()),
      });
      // Whoever else it was made for has seen it, and could join with it.
      isOurs = payload.aud === this.#audience || (Array.isArray(payload.aud) && payload.aud.length === 1);
      subject = payload.sub;
    } catch (error) {
      throw tokenRefusal(error);
    }
    if (!isOurs) throw new Refusal("WEFT_IDENTITY_TOKEN_AUDIENCE");
    const match = typeof subject === "string" ? SERVICE_ACCOUNT_SUBJECT.exec(subject) : null;
    if (match === null) throw new Refusal("WEFT_IDENTITY_TOKEN_SUBJECT");
    const { controlNamespace, trustDomain } = names;
    const identity = { account: match[2]!, namespace: match[1]!, controlNamespace, trustDomain };
    if (identityProblem(identity) !== null) throw new Refusal("WEFT_IDENTITY_TOKEN_SUBJECT");
    return identity;
  }
}

function remoteKeys(address: string, tokenFile?: string): JWTVerifyGetKey {
  const url = new URL(address);
  if (url.protocol !== "https:" && !/^(127(\.\d+){3}|localhost|\[::1\])$/.test(url.hostname)) {
    throw new Error(`${address}: keys that come over plain HTTP could be anybody's; use https, or a file`);
  }
  const times = { timeoutDuration: FETCH_TIMEOUT_MS, cooldownDuration: FETCH_COOLDOWN_MS, cacheMaxAge: KEYS_MAX_AGE_MS };
  if (tokenFile === undefined) return createRemoteJWKSet(url, times);
  // Fails at the start, not at the first proxy.
  readShown(tokenFile);
  return createRemoteJWKSet(url, {
    ...times,
    [customFetch]: (place, options) => {
      const headers = new Headers(options.headers);
      headers.set("authorization", `Bearer ${readShown(tokenFile)}`);
      return fetch(place, { ...options, headers });
    },
  });
}

function readShown(path: string): string {
  try {
    return readBounded(path).trim();
  } catch (error) {
    if (error instanceof FileProblem) throw error;
    throw new FileProblem(`${path} cannot be read (${(error as NodeJS.ErrnoException).code}); it must hold the token to show for the keys`);
  }
}

/** Keys of a file, read again when it changes; a file that became unreadable or wrong leaves the keys as they were. */
function fileKeys(path: string): JWTVerifyGetKey {
  let seen = -1;
  let keys = readKeys(path);
  return async (header, token) => {
    try {
      const { mtimeMs } = statSync(path);
      if (mtimeMs !== seen) {
        keys = readKeys(path);
        seen = mtimeMs;
      }
    } catch {
      // The keys that were read before are still the issuer's.
    }
    return await keys(header, token);
  };
}

function readKeys(path: string): JWTVerifyGetKey {
  let set: unknown;
  try {
    set = JSON.parse(readBounded(path));
  } catch (error) {
    throw new FileProblem(`${path} cannot be read as a JWKS (${(error as NodeJS.ErrnoException).code ?? "no JSON"})`);
  }
  try {
    return createLocalJWKSet(set as JSONWebKeySet);
  } catch {
    throw new FileProblem(`${path} is no JWKS`);
  }
}
