// The host names of a service, and which texts may be names at all.
//
// A service `web` in namespace `shop` is `web.shop` and `web.shop.svc.cluster.local` for everybody, and plain `web` for the
// proxies of its own namespace. Names are single labels, so no two services can have a host name in common.

/** The cluster's domain, as Kubernetes calls it; clients that were written for Kubernetes use it in full. */
export const CLUSTER_SUFFIX = "svc.cluster.local";

/** Characters per name: one DNS label (RFC 1035 section 2.3.4). */
export const NAME_LENGTH_MAX = 63;

/**
 * True for a service's or namespace's name: lower-case letters, digits, `-` and `_`, beginning with a letter. The letter
 * keeps names apart from addresses and ports; `_` is there because docker-compose has it; `localhost` names no service.
 */
export function isServiceName(text: string): boolean {
  return text.length <= NAME_LENGTH_MAX && /^[a-z]([-_a-z0-9]*[a-z0-9])?$/.test(text) && text !== "localhost";
}

/** The lower-case host names, without port, by which a proxy of `proxyNamespace` knows the service. */
export function serviceHosts(name: string, namespace: string, proxyNamespace: string): string[] {
  const qualified = [`${name}.${namespace}`, `${name}.${namespace}.${CLUSTER_SUFFIX}`];
  return namespace === proxyNamespace ? [name, ...qualified] : qualified;
}
