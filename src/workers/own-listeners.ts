// Is an address one of this proxy's own listeners? Forwarding there would be a loop.

import { isIPv4 } from "node:net";
import { networkInterfaces } from "node:os";
import type { HostPort } from "../config/snapshot.ts";

/** `ip:port` or `[ip6]:port` into its parts. */
export function splitAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon);
  return { host: host.startsWith("[") ? host.slice(1, -1) : host, port: Number(address.slice(colon + 1)) };
}

export class OwnListeners {
  readonly #exact = new Set<string>();
  readonly #wildcardPorts = new Set<number>();
  #ownAddresses: Set<string> | null = null;

  constructor(listens: readonly HostPort[]) {
    for (const { host, port } of listens) {
      if (host === "0.0.0.0" || host === "::") this.#wildcardPorts.add(port);
      else this.#exact.add(`${host} ${port}`);
    }
  }

  has(host: string, port: number): boolean {
    if (this.#exact.has(`${host} ${port}`)) return true;
    return this.#wildcardPorts.has(port) && (isLoopback(host) || this.#addresses().has(host));
  }

  /** Asked only when a port is that of a wildcard listener. */
  #addresses(): Set<string> {
    if (this.#ownAddresses === null) {
      const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
      this.#ownAddresses = new Set(["0.0.0.0", "::", ...all.map(({ address }) => address)]);
    }
    return this.#ownAddresses;
  }
}

function isLoopback(host: string): boolean {
  return host === "::1" || (isIPv4(host) && host.startsWith("127."));
}
