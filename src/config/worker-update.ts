// What a worker is told when the configuration or a service's addresses change: only what is different. Pure.

import { serviceHosts } from "../core/route/service-names.ts";
import { formatHostPort } from "./address.ts";
import { serviceKey } from "./service-catalog.ts";
import type { HostPort, ProxySnapshot, ServiceSnapshot, WorkerProxy, WorkerService, WorkerUpdate } from "./snapshot.ts";

/** The addresses of one of a service's `dns` entries at this moment, as `ip:port` or `[ip6]:port`. */
export type ResolvedAddresses = (entry: HostPort) => readonly string[];

/**
 * The step from one snapshot to the next; with `null` before it, everything. Services are compared by what was configured:
 * when only the addresses behind their names have moved, use `endpointsUpdate`.
 */
export function workerUpdate(
  version: number,
  previous: ProxySnapshot | null,
  next: ProxySnapshot,
  resolved: ResolvedAddresses,
): WorkerUpdate {
  const nextKeys = new Set(next.services.map((service) => service.key));
  // Another namespace changes the host names of every service.
  const before = new Map(previous?.namespace === next.namespace ? previous.services.map((service) => [service.key, service]) : []);
  const changed = next.services.filter((service) => !isSame(before.get(service.key), service));
  const proxy = workerProxy(next);
  return {
    version,
    proxy: previous !== null && isSame(workerProxy(previous), proxy) ? null : proxy,
    services: changed.map((service) => workerService(service, next.namespace, resolved)),
    removed: (previous?.services ?? []).map((service) => service.key).filter((key) => !nextKeys.has(key)),
  };
}

/** The update when names resolve to other addresses: the services with these keys as they are now. Unknown keys are left out. */
export function endpointsUpdate(
  version: number,
  snapshot: ProxySnapshot,
  keys: ReadonlySet<string>,
  resolved: ResolvedAddresses,
): WorkerUpdate {
  const moved = snapshot.services.filter((service) => keys.has(service.key));
  return { version, proxy: null, services: moved.map((service) => workerService(service, snapshot.namespace, resolved)), removed: [] };
}

/** True when a worker would not notice the update. */
export function isEmptyUpdate(update: WorkerUpdate): boolean {
  return (
    update.proxy === null &&
    update.services.length === 0 &&
    update.removed.length === 0 &&
    update.ticketKeys === undefined &&
    update.identity === undefined
  );
}

/** One service as the workers of a proxy of this namespace see it. */
export function workerService(service: ServiceSnapshot, proxyNamespace: string, resolved: ResolvedAddresses): WorkerService {
  const { key, name, namespace, ports, loadBalancer, ownAddresses } = service;
  // Targets without a document (`inbound/4143`) cannot be named by a request.
  const hosts = key === serviceKey(namespace, name) ? serviceHosts(name, namespace, proxyNamespace) : [];
  const identities: Record<string, string> = {};
  const endpoints = new Set<string>();
  const add = (address: string, identity: string | undefined): void => {
    // The first to name an address decides: an address stands above a name.
    if (identity !== undefined && !endpoints.has(address)) identities[address] = identity;
    endpoints.add(address);
  };
  for (const place of service.addresses) add(formatHostPort(place), place.identity);
  for (const entry of service.dns) for (const address of resolved(entry)) add(address, entry.identity);
  const hasIdentities = Object.keys(identities).length > 0;
  return {
    ...{ key, name, namespace, hosts, ports, loadBalancer, endpoints: [...endpoints] },
    ...(hasIdentities && { identities }),
    ...(ownAddresses && { ownAddresses }),
  };
}

function workerProxy(snapshot: ProxySnapshot): WorkerProxy {
  const { listeners, redirectedPorts, outbound, admin, forwarded, allowConnect, accessLog, limits, certificates } = snapshot;
  return {
    ...{ listeners, outbound, admin, forwarded, allowConnect, accessLog, limits },
    ...(redirectedPorts && { redirectedPorts }),
    ...(certificates && { certificates }),
  };
}

/** Equality of plain data by value. */
function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => isSame((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]));
}
