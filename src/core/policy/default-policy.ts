// The policies that a port has without any resource: Linkerd's names and meanings (linkerd.md 6.2).
//
//   all-unauthenticated      anyone                       cluster-unauthenticated   clients in the cluster's networks
//   all-authenticated        any mesh identity            cluster-authenticated     both
//   deny                     nobody                       audit                     anyone, and it is logged

import type { Authorization } from "./authorization.ts";
import type { Network } from "./network.ts";

export const DEFAULT_POLICIES = [
  "all-unauthenticated",
  "all-authenticated",
  "cluster-unauthenticated",
  "cluster-authenticated",
  "deny",
  "audit",
] as const;
export type DefaultPolicy = (typeof DEFAULT_POLICIES)[number];

/**
 * The cluster's networks unless others are given: Linkerd's (private addresses, RFC 1918 and 4193, and the shared ones of RFC 6598), and
 * loopback, because several services of one mesh may share a host.
 */
export const DEFAULT_CLUSTER_NETWORKS = [
  "10.0.0.0/8",
  "100.64.0.0/10",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "fd00::/8",
  "127.0.0.0/8",
  "::1/128",
] as const;

/** Does the policy ask clients who they are? */
export function needsIdentity(policy: DefaultPolicy): boolean {
  return policy === "all-authenticated" || policy === "cluster-authenticated";
}

/** Does the policy look at where clients are? */
export function needsNetworks(policy: DefaultPolicy): boolean {
  return policy === "cluster-unauthenticated" || policy === "cluster-authenticated";
}

/** The policy as authorizations; `networks` count for `cluster-*` only. */
export function authorizationsOf(policy: DefaultPolicy, networks: readonly Network[]): readonly Authorization[] {
  if (policy === "deny") return [];
  return [
    {
      kind: "default",
      name: policy,
      networks: needsNetworks(policy) ? networks.map((network) => ({ network, except: [] })) : null,
      identities: needsIdentity(policy) ? [{ kind: "any" }] : null,
    },
  ];
}
