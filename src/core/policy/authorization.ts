// May this client come in? A list of authorizations, of which one is enough (linkerd.md 6.3).
//
// An authorization admits a client whose address is in one of its networks and who is who it asks for. Fail closed: an address that
// is unknown is in no network, a client without an identity matches no pattern, and an empty list admits nobody.

import type { IdentityPattern } from "./identity-pattern.ts";
import { matchesIdentity } from "./identity-pattern.ts";
import type { Address, Network } from "./network.ts";
import { isInNetwork } from "./network.ts";

/** A network without some parts of it. */
export interface ClientNetwork {
  readonly network: Network;
  readonly except: readonly Network[];
}

export interface Authorization {
  /** `default` of the policies with a name of their own, `authorizationpolicy` of rules that somebody wrote. */
  readonly kind: string;
  readonly name: string;
  /** Null: any address, also one that is unknown. */
  readonly networks: readonly ClientNetwork[] | null;
  /** Null: nobody has to say who it is. Else one of them must match; with an empty list, none does. */
  readonly identities: readonly IdentityPattern[] | null;
}

/** What is known of a client. */
export interface Client {
  /** Null: unknown. */
  readonly address: Address | null;
  /** By mesh TLS, verified. Null: none. */
  readonly identity: string | null;
}

/** The first authorization that admits the client, null when none does. */
export function authorize(authorizations: readonly Authorization[], client: Client): Authorization | null {
  for (const authorization of authorizations) {
    if (hasAddress(authorization.networks, client.address) && hasIdentity(authorization.identities, client.identity)) return authorization;
  }
  return null;
}

function hasAddress(networks: readonly ClientNetwork[] | null, address: Address | null): boolean {
  if (networks === null) return true;
  if (address === null) return false;
  return networks.some(({ network, except }) => isInNetwork(address, network) && !except.some((part) => isInNetwork(address, part)));
}

function hasIdentity(patterns: readonly IdentityPattern[] | null, identity: string | null): boolean {
  if (patterns === null) return true;
  return identity !== null && patterns.some((pattern) => matchesIdentity(pattern, identity));
}
