// The running configuration, and what a worker must be told when it changes.
//
// One version counter for everything that changes what workers know: a reload, a name that resolves to other
// addresses, a listener that is finally gone. Updates are computed once and sent to every worker; a worker that begins
// later gets `full`, which is everything at the current version.

import { formatHostPort } from "../config/address.ts";
import type { HostPort, ListenerSnapshot, MeshIdentity, ProxySnapshot, ServiceSnapshot, WorkerUpdate } from "../config/snapshot.ts";
import { endpointsUpdate, isEmptyUpdate, workerUpdate } from "../config/worker-update.ts";

/** The addresses of a name now, sorted; none before its first answer. */
export type Addresses = (name: string) => readonly string[];

export class ConfigState {
  readonly #addresses: Addresses;
  #snapshot: ProxySnapshot;
  #version = 1;
  #ticketKeys: Uint8Array | null;
  #identity: MeshIdentity | null;
  /** Names to the services that have them as endpoints. */
  #servicesOf: ReadonlyMap<string, ReadonlySet<string>>;

  /** @param listeners with the ports that they are really bound to. */
  constructor(snapshot: ProxySnapshot, listeners: readonly ListenerSnapshot[], addresses: Addresses, ticketKeys: Uint8Array | null = null) {
    this.#ticketKeys = ticketKeys;
    this.#identity = snapshot.meshIdentity ?? null;
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

  /** Names of services at one of these ports: of an endpoint, or declared. */
  namesAt(ports: readonly number[]): ReadonlySet<string> {
    const names = new Set<string>();
    for (const { dns, ports: declared } of this.#snapshot.services)
      for (const { host, port } of dns) if (ports.includes(port) || declared.some((one) => ports.includes(one.port))) names.add(host);
    return names;
  }

  /** Everything, for a worker that begins now. */
  full(): WorkerUpdate {
    const update = workerUpdate(this.#version, null, this.#snapshot, this.#resolved);
    return {
      ...update,
      ...(this.#ticketKeys !== null && { ticketKeys: this.#ticketKeys }),
      ...(this.#identity !== null && { identity: this.#identity }),
    };
  }

  /** The next configuration: what is different, or null when nothing is that concerns a worker. */
  replace(snapshot: ProxySnapshot, listeners: readonly ListenerSnapshot[]): WorkerUpdate | null {
    const previous = this.#snapshot;
    this.#snapshot = { ...snapshot, listeners };
    if (previous.services !== snapshot.services) this.#servicesOf = indexNames(snapshot.services);
    const update = workerUpdate(this.#version + 1, previous, this.#snapshot, this.#resolved);
    const identity = snapshot.meshIdentity;
    if (identity === undefined || isSameIdentity(identity, this.#identity)) return this.#step(update);
    this.#identity = identity;
    return this.#step({ ...update, identity });
  }

  /** The proxy has another certificate, or believes other roots. */
  identify(identity: MeshIdentity): WorkerUpdate | null {
    this.#identity = identity;
    return this.#step({ version: this.#version + 1, proxy: null, services: [], removed: [], identity });
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

  readonly #resolved = ({ host, port }: HostPort): readonly string[] =>
    this.#addresses(host).map((address) => formatHostPort({ host: address, port }));
}

function isSameIdentity(a: MeshIdentity, b: MeshIdentity | null): boolean {
  return b !== null && a.name === b.name && a.cert === b.cert && a.key === b.key && a.trust === b.trust;
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
