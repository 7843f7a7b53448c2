// Which identities a rule means: `*` any, `*.shop.serviceaccount.identity.weft.cluster.local` everybody below that name, else exactly one.
//
// A suffix begins at a dot and works on DNS-like names only; a SPIFFE ID is matched exactly or by `*`. Names are compared as they are:
// identities are lower case where they are made. A star anywhere else is refused.

export type IdentityPattern =
  | { readonly kind: "any" }
  | { readonly kind: "exact"; readonly identity: string }
  /** With its leading dot. */
  | { readonly kind: "suffix"; readonly suffix: string };

const NAME = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;
const SPIFFE = /^spiffe:\/\/[a-z0-9._-]+(?:\/[A-Za-z0-9._-]+)+$/;

/** Characters of a DNS name; SPIFFE IDs keep to it too. */
const LENGTH_MAX = 253;

/** Null for a text that is no pattern. */
export function parseIdentityPattern(text: string): IdentityPattern | null {
  if (text === "*") return { kind: "any" };
  if (text.length > LENGTH_MAX) return null;
  if (text.startsWith("*.")) return NAME.test(text.slice(2)) ? { kind: "suffix", suffix: text.slice(1) } : null;
  return NAME.test(text) || SPIFFE.test(text) ? { kind: "exact", identity: text } : null;
}

/** Does the pattern mean this identity? */
export function matchesIdentity(pattern: IdentityPattern, identity: string): boolean {
  switch (pattern.kind) {
    case "any":
      return true;
    case "exact":
      return identity === pattern.identity;
    default:
      return identity.length > pattern.suffix.length && identity.endsWith(pattern.suffix) && !identity.includes("://");
  }
}
