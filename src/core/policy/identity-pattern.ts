// Which identities a rule means: `*` any, `*.shop.serviceaccount.identity.weft.cluster.local` everybody below that name, else exactly one.
//
// Who somebody is, is decided by names.ts alone: an exact name must be a workload's, in either form. A suffix begins at a dot and is DNS labels; it
// works on the DNS form. A SPIFFE URI means that workload in any control namespace, because it says nothing of one. Clients come here
// by their DNS form. A star anywhere else is refused, and so is anything that no certificate could prove.

import { isTrustDomain, parseIdentityName, parseSpiffeUri, spiffeUri } from "../identity/names.ts";

export type IdentityPattern =
  | { readonly kind: "any" }
  | { readonly kind: "exact"; readonly identity: string }
  | { readonly kind: "uri"; readonly uri: string }
  /** With its leading dot. */
  | { readonly kind: "suffix"; readonly suffix: string };

/** Null for a text that is no pattern. */
export function parseIdentityPattern(text: string): IdentityPattern | null {
  if (text === "*") return { kind: "any" };
  // A trust domain is labels joined by dots, as any part of a name behind a dot is.
  if (text.startsWith("*.")) return isTrustDomain(text.slice(2)) ? { kind: "suffix", suffix: text.slice(1) } : null;
  if (parseIdentityName(text) !== null) return { kind: "exact", identity: text };
  const byUri = parseSpiffeUri(text);
  return byUri === null ? null : { kind: "uri", uri: spiffeUri(byUri) };
}

/** Does the pattern mean this identity (its DNS form)? */
export function matchesIdentity(pattern: IdentityPattern, identity: string): boolean {
  switch (pattern.kind) {
    case "any":
      return true;
    case "exact":
      return identity === pattern.identity;
    case "suffix":
      return identity.length > pattern.suffix.length && identity.endsWith(pattern.suffix);
    case "uri": {
      const workload = parseIdentityName(identity);
      return workload !== null && spiffeUri(workload) === pattern.uri;
    }
  }
}
