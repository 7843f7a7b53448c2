// The services of a configuration by the names that a Proxy document may call them.
//
// A service whose document has mistakes is known by name all the same, so that one mistake is not reported twice.

import { CLUSTER_SUFFIX, serviceHosts } from "../core/route/service-names.ts";
import { nearest } from "./did-you-mean.ts";
import type { ServiceSnapshot } from "./snapshot.ts";

export interface CatalogEntry {
  readonly name: string;
  readonly namespace: string;
  /** `null` for a service whose document has mistakes. */
  readonly service: ServiceSnapshot | null;
}

export type ServiceReference =
  | { readonly kind: "known"; readonly entry: CatalogEntry; readonly port: number | null }
  | { readonly kind: "unknown"; readonly hint: string | null };

/** `namespace/name`: how a service is called inside Weft. */
export function serviceKey(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

export class ServiceCatalog {
  readonly #entries: readonly CatalogEntry[];
  readonly #hosts = new Map<string, Map<string, CatalogEntry>>();

  constructor(entries: readonly CatalogEntry[]) {
    this.#entries = entries;
  }

  /** What `web`, `web.shop`, `web.shop.svc.cluster.local`, each with or without a port, means to a proxy of the namespace. */
  find(reference: string, proxyNamespace: string): ServiceReference {
    const [, host = "", portText] = /^([^:]*)(?::([0-9]{1,5}))?$/.exec(reference) ?? [];
    const hosts = this.#hostsFor(proxyNamespace);
    const entry = hosts.get(host.toLowerCase());
    if (entry !== undefined) return { kind: "known", entry, port: portText === undefined ? null : Number(portText) };
    const slash = /^([^/:]+)\/([^/:]+)$/.exec(reference);
    const swapped = slash === null ? null : `${slash[2]}.${slash[1]}`;
    if (swapped !== null && hosts.has(swapped)) return { kind: "unknown", hint: `did you mean ${swapped}?` };
    return { kind: "unknown", hint: this.#guess(host, hosts) };
  }

  #guess(host: string, hosts: ReadonlyMap<string, CatalogEntry>): string {
    const elsewhere = this.#entries.find((entry) => entry.name === host);
    if (elsewhere !== undefined) return `did you mean ${elsewhere.name}.${elsewhere.namespace}?`;
    const near = nearest(
      host,
      [...hosts.keys()].filter((name) => !name.endsWith(CLUSTER_SUFFIX)),
    );
    if (near !== null) return `did you mean ${near}?`;
    if (this.#entries.length === 0) return "there is no Service document";
    const names = [...hosts.keys()].filter((name) => !name.endsWith(CLUSTER_SUFFIX)).slice(0, 6);
    return `services here: ${names.join(", ")}${this.#entries.length > 3 ? ", ..." : ""}`;
  }

  #hostsFor(proxyNamespace: string): Map<string, CatalogEntry> {
    let hosts = this.#hosts.get(proxyNamespace);
    if (hosts === undefined) {
      hosts = new Map();
      for (const entry of this.#entries)
        for (const host of serviceHosts(entry.name, entry.namespace, proxyNamespace)) hosts.set(host, entry);
      this.#hosts.set(proxyNamespace, hosts);
    }
    return hosts;
  }
}
