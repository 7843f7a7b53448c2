// What a service account's token (Kubernetes) says to the one who holds it: who it is, in a mesh that the token does not name.
//
// Unlike a join token it pins no roots: who holds it must know from elsewhere which ones it may be sent to. Only a token for the identity
// component alone is taken: one that is also for others would be given to them, too. Whether it is genuine is for that component to say.

import { identityProblem } from "./names.ts";
import type { WorkloadIdentity } from "./names.ts";
import { readClaims, TOKEN_AUDIENCE } from "./join-token.ts";

/** `sub` of a service account's token. */
export const SERVICE_ACCOUNT_SUBJECT = /^system:serviceaccount:([^:]+):([^:]+)$/;

export type Mesh = Pick<WorkloadIdentity, "controlNamespace" | "trustDomain">;

export interface ServiceAccountToken {
  readonly identity: WorkloadIdentity;
  /** Seconds since 1970. */
  readonly expiresAtS: number;
}

/** The claims of a token, or why it is none of a service account, in words that never repeat the token. */
export function readServiceAccountToken(text: string, mesh: Mesh): ServiceAccountToken | { readonly problem: string } {
  const claims = readClaims(text);
  if ("problem" in claims) return claims;
  const { sub, aud, exp } = claims.claims;
  const [namespace, account] = typeof sub === "string" ? (SERVICE_ACCOUNT_SUBJECT.exec(sub)?.slice(1) ?? []) : [];
  if (namespace === undefined || account === undefined) return { problem: "it is no service account's" };
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (audiences.length !== 1 || audiences[0] !== TOKEN_AUDIENCE) return { problem: `it is not for ${TOKEN_AUDIENCE} alone` };
  if (typeof exp !== "number" || !Number.isSafeInteger(exp) || exp <= 0) return { problem: "it has no end" };
  const identity = { account, namespace, ...mesh };
  const problem = identityProblem(identity);
  return problem === null ? { identity, expiresAtS: exp } : { problem };
}
