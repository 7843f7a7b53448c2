// Which certificate a client gets that asks for a server by name (SNI, RFC 6066 section 3): the one that has the name, else the one
// with a wildcard that fits, else the first of the list, which clients without SNI get too, as in nginx.
//
// A wildcard stands for exactly one label, the leftmost (RFC 9525 section 6.3). Case does not matter. Where several certificates have
// a name, the first has it.

export class ServerNames {
  readonly #exact = new Map<string, number>();
  /** By what follows `*.`. */
  readonly #wildcards = new Map<string, number>();

  /** @param certificates DNS names of each certificate, lower case, `*.` in front of some */
  constructor(certificates: readonly (readonly string[])[]) {
    for (const [index, names] of certificates.entries()) {
      for (const name of names) {
        const isWildcard = name.startsWith("*.");
        const place = isWildcard ? this.#wildcards : this.#exact;
        const key = isWildcard ? name.slice(2) : name;
        if (!place.has(key)) place.set(key, index);
      }
    }
  }

  /** Index of the certificate for this name; 0, the first, for a name that none has. */
  find(serverName: string): number {
    const name = serverName.toLowerCase();
    const exact = this.#exact.get(name);
    if (exact !== undefined) return exact;
    const dot = name.indexOf(".");
    return dot <= 0 ? 0 : (this.#wildcards.get(name.slice(dot + 1)) ?? 0);
  }
}
