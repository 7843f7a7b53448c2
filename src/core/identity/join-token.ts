// What a join token says to the one who holds it: the claims, read without a key. See docs/adr/0006-identity.md.
//
// The proxy trusts its own token, and needs from it who it is and which roots it may send the token to. Whether the token is
// genuine is for the identity component to say, with the key; nothing here replaces that.

import { Buffer } from "node:buffer";
import { parseIdentityName } from "./names.ts";
import type { WorkloadIdentity } from "./names.ts";

/** Who signs join tokens (`iss`), and whom they are for (`aud`). */
export const TOKEN_ISSUER = "identity.weft.dev";
export const TOKEN_AUDIENCE = "identity.weft.dev";

/** Characters: three service-account tokens' worth. */
export const TOKEN_LENGTH_MAX = 8192;

/** Roots that a token pins at most: as many as a bundle ever has. */
export const TOKEN_ROOTS_MAX = 8;

/** `once`: one first certificate. `file`: every replica of the workload, until the end. */
export type TokenUse = "once" | "file";

export interface JoinToken {
  readonly identity: WorkloadIdentity;
  readonly use: TokenUse;
  /** SHA-256 of each root's DER, 64 lower-case hexadecimal digits. */
  readonly roots: readonly string[];
  /** Seconds since 1970. */
  readonly expiresAtS: number;
}

/** The claims of a token, or why it is none of ours, in words that never repeat the token. */
export function readJoinToken(text: string): JoinToken | { readonly problem: string } {
  const read = readClaims(text);
  if ("problem" in read) return read;
  const { sub, iss, aud, use, roots, exp, trust_domain: trustDomain } = read.claims;
  if (iss !== TOKEN_ISSUER || aud !== TOKEN_AUDIENCE) return { problem: "it is no join token of Weft" };
  const identity = typeof sub === "string" ? parseIdentityName(sub) : null;
  if (identity === null || identity.trustDomain !== trustDomain) return { problem: "it names no workload" };
  if (use !== "once" && use !== "file") return { problem: "its use is neither once nor file" };
  if (typeof exp !== "number" || !Number.isSafeInteger(exp) || exp <= 0) return { problem: "it has no end" };
  if (!Array.isArray(roots) || roots.length === 0 || roots.length > TOKEN_ROOTS_MAX || !roots.every(isFingerprint)) {
    return { problem: `it does not pin 1 to ${TOKEN_ROOTS_MAX} roots` };
  }
  return { identity, use, roots, expiresAtS: exp };
}

/** The claims of any JWT, unverified, or why it is none. */
export function readClaims(text: string): { readonly claims: Readonly<Record<string, unknown>> } | { readonly problem: string } {
  if (text.length > TOKEN_LENGTH_MAX) return { problem: `it is longer than ${TOKEN_LENGTH_MAX} characters` };
  const parts = text.split(".");
  if (parts.length !== 3 || !parts.every((part) => /^[A-Za-z0-9_-]+$/.test(part))) return { problem: "it is no JWT" };
  const claims = decodeObject(parts[1]!);
  return claims === null ? { problem: "its claims are no JSON object" } : { claims };
}

/** True for a SHA-256 in 64 lower-case hexadecimal digits. */
function isFingerprint(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
}

/**
 * The first certificate of a chain that the token pins, null without one: the one root to verify that chain with.
 * `fingerprint256` as Node has it (`AB:CD:...`), or plain hexadecimal.
 */
export function pinnedRoot<T extends { readonly fingerprint256: string }>(chain: Iterable<T>, token: Pick<JoinToken, "roots">): T | null {
  for (const certificate of chain) {
    if (token.roots.includes(certificate.fingerprint256.replaceAll(":", "").toLowerCase())) return certificate;
  }
  return null;
}

function decodeObject(base64url: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(base64url, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
