// Whose certificate this is: the one identity that its subject alternative names hold.
//
// A mesh certificate of Weft has a DNS name and a SPIFFE URI that say the same; Linkerd's have the DNS name only, others' the URI
// only. Anything that could be read in two ways is refused: two DNS names, two URIs, two that differ, other kinds of names beside
// them. The common name never counts (RFC 9525 section 2).

import { DEFAULT_CONTROL_NAMESPACE, identityName, isSameIdentity, parseIdentityName, parseSpiffeUri } from "./names.ts";
import type { WorkloadIdentity } from "./names.ts";

/** The subject alternative names of a certificate or request, decoded from its DER, never from a joined text. */
export interface AltNames {
  readonly dns: readonly string[];
  readonly uris: readonly string[];
  /** Names of all other kinds (IP addresses, e-mail, directory names...). */
  readonly others: number;
}

/** The identity, or why there is none, in words for a log. */
export type PeerIdentity = { readonly identity: WorkloadIdentity } | { readonly problem: string };

/** The one identity of these names. `controlNamespace` is what a certificate with only a URI is taken to belong to. */
export function identityOfAltNames(names: AltNames, controlNamespace: string = DEFAULT_CONTROL_NAMESPACE): PeerIdentity {
  const { dns, uris, others } = names;
  if (others > 0) return { problem: "it has alternative names that are neither DNS names nor URIs" };
  if (dns.length > 1 || uris.length > 1) return { problem: "it has several DNS names or several URIs" };
  const [name] = dns;
  const [uri] = uris;
  const byName = name === undefined ? null : parseIdentityName(name);
  if (name !== undefined && byName === null) return { problem: `its DNS name ${JSON.stringify(name)} is no workload's` };
  const byUri = uri === undefined ? null : parseSpiffeUri(uri, byName?.controlNamespace ?? controlNamespace);
  if (uri !== undefined && byUri === null) return { problem: `its URI ${JSON.stringify(uri)} is no workload's` };
  const identity = byName ?? byUri;
  if (identity === null) return { problem: "it has no alternative name" };
  if (byName !== null && byUri !== null && !isSameIdentity(byName, byUri)) {
    return { problem: `its URI ${JSON.stringify(uri)} is another workload's than its DNS name ${identityName(byName)}` };
  }
  return { identity };
}
