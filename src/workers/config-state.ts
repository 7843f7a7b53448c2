// The running configuration, and what a worker must be told when it changes.
//
// One version counter for everything that changes what workers know: a reload, a name that resolves to other
// addresses, a listener that is finally gone. Updates are computed once and sent to every worker; a worker that begins
// later gets `full`, which is everything at the current version.

import { formatHostPort } from "../config/address.ts";
import type { ListenerSnapshot, ProxySnapshot, ServiceSnapshot, WorkerUpdate } from "../config/snapshot.ts";
import { endpointsUpdate, isEmptyUpdate, workerUpdate } from "../config/worker-update.ts";

/** The addresses of a name now, sorted; none before its first answer. */
export type Addresses = (name: string) => readonly string[];

export class ConfigState {
  readonly #addresses: Addresses;
  #snapshot: ProxySnapshot;
  #version = 1;
  #ticketKeys: Uint8Array | null;
  /** Names to the services that have them as endpoints. */
  #servicesOf: ReadonlyMap<string, ReadonlySet<string>>;

  /** @param listeners with the ports that they are really bound to. */
  constructor(snapshot: ProxySnapshot, listeners: readonly ListenerSnapshot[], addresses: Addresses, ticketKeys: Uint8Array | null = null) {
    this.#ticketKeys = ticketKeys;
    this.#addresses = addresses;
    this.#snapshot = { ...snapshot, listeners };
    this.#servicesOf = indexNames(snapshot.services);
  }

  /** What runs now. */
  get snapshot(): ProxySnapshot {
    return this.#snapshot;
  }

  get version(): number {
    return this.#version;
  }

  /** Names that must be kept resolved. */
  get names(): Iterable<string> {
    return this.#servicesOf.keys();
  }

  /** Names behind one service, to be asked for again when a connect fails. */
  namesOf(serviceKey: string): readonly string[] {
    return this.#snapshot.services.find((service) => service.key === serviceKey)?.dns.map((entry) => entry.host) ?? [];
  }

  /** Everything, for a worker that begins now. */
  full(): WorkerUpdate {
    const update = workerUpdate(this.#version, null, this.#snapshot, this.#resolved);
    return this.#ticketKeys === null ? update : { ...update, ticketKeys: this.#ticketKeys };
  }

  /** The next configuration: what is different, or null when nothing is that concerns a worker. */
  replace(snapshot: ProxySnapshot, listeners: readonly ListenerSnapshot[]): WorkerUpdate | null {
    const previous = this.#snapshot;
    this.#snapshot = { ...snapshot, listeners };
    if (previous.services !== snapshot.services) this.#servicesOf = indexNames(snapshot.services);
    return this.#step(workerUpdate(this.#version + 1, previous, this.#snapshot, this.#resolved));
  }

  /** Names resolve to other addresses. */
  moved(names: ReadonlySet<string>): WorkerUpdate | null {
    const keys = new Set<string>();
    for (const name of names) for (const key of this.#servicesOf.get(name) ?? []) keys.add(key);
    return this.#step(endpointsUpdate(this.#version + 1, this.#snapshot, keys, this.#resolved));
  }

  /** TLS sessions from now on are sealed with other keys. */
  rotate(ticketKeys: Uint8Array): WorkerUpdate | null {
    this.#ticketKeys = ticketKeys;
    return this.#step({ version: this.#version + 1, proxy: null, services: [], removed: [], ticketKeys });
  }

  #step(update: WorkerUpdate): WorkerUpdate | null {
    if (isEmptyUpdate(update)) return null;
    this.#version = update.version;
    return update;
  }

  readonly #resolved = (service: ServiceSnapshot): readonly string[] =>
    service.dns.flatMap(({ host, port }) => this.#addresses(host).map((address) => formatHostPort({ host: address, port })));
}

function indexNames(services: readonly ServiceSnapshot[]): ReadonlyMap<string, ReadonlySet<string>> {
  const index = new Map<string, Set<string>>();
  for (const service of services) {
    for (const { host } of service.dns) {
      const keys = index.get(host);
      if (keys === undefined) index.set(host, new Set([service.key]));
      else keys.add(service.key);
    }
  }
  return index;
}
