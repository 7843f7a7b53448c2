// From the address that a redirected connection was going to, to the service that lives there.
//
// An address and port belong to a service that has them as an endpoint; else to one that has an endpoint with that address and
// declares the port; else to one that says the address is its own (`addresses`), with a port that it declares, or any
// if it declares none. Where several services claim the same, the first by key has it: the answer depends on the
// configuration alone and not on the order in which it came. Everything else belongs to nobody.

/** What the table needs to know of a service. */
export interface AddressedService {
  readonly key: string;
  /** `ip:port` or `[ip6]:port`. */
  readonly endpoints: readonly string[];
  /** IP addresses, canonical, by which clients reach it beside those of its endpoints. */
  readonly addresses?: readonly string[];
  readonly ports: readonly { readonly port: number }[];
}

export class AddressTable {
  /** By `ip:port`, in the three steps of the rules. */
  readonly #endpoints = new Map<string, string>();
  readonly #declared = new Map<string, string>();
  readonly #own = new Map<string, string>();
  /** By address: services that own it with all its ports. */
  readonly #anyPort = new Map<string, string>();

  constructor(services: Iterable<AddressedService>) {
    for (const { key, endpoints, addresses = [], ports } of services) {
      for (const endpoint of endpoints) {
        claim(this.#endpoints, endpoint, key);
        for (const { port } of ports) claim(this.#declared, `${endpoint.slice(0, endpoint.lastIndexOf(":"))}:${port}`, key);
      }
      for (const address of addresses) {
        if (ports.length === 0) claim(this.#anyPort, address, key);
        for (const { port } of ports) claim(this.#own, formatDestination(address, port), key);
      }
    }
  }

  /** The key of the service at a canonical address (IPv6 without brackets) and port; null when it is nobody's. */
  lookup(host: string, port: number): string | null {
    const at = formatDestination(host, port);
    return this.#endpoints.get(at) ?? this.#declared.get(at) ?? this.#own.get(at) ?? this.#anyPort.get(host) ?? null;
  }
}

/** `ip:port`, IPv6 in brackets. */
export function formatDestination(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function claim(table: Map<string, string>, at: string, key: string): void {
  const other = table.get(at);
  if (other === undefined || key < other) table.set(at, key);
}
