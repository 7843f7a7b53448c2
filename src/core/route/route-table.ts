// From an authority to a service: the naming rules of a proxy's outbound side.
//
// Used once per connection and authority that was not seen before (callers remember the answer by bytes), so it is written to
// be read. An authority names a service, names none (nothing, `localhost`, an address: the default serves those), or is
// unknown; nothing else is possible, and an unknown one never silently becomes the default.

import { isLocalhost, parseAuthority } from "./authority.ts";

/** What routing needs to know of a service. */
export interface RoutedService {
  readonly key: string;
  /** Lower-case host names without port. */
  readonly hosts: readonly string[];
  /** Empty: any port may be named. */
  readonly ports: readonly { readonly port: number; readonly protocol: string }[];
}

export interface RouteRules {
  /** Key of the service for requests that name none. */
  readonly default: string | null;
}

export type UnknownReason =
  /** Not `host[:port]`: never forwarded, whatever the rules say. */
  | "malformed"
  /** No service has this name. */
  | "name"
  /** The service has a list of ports, and this one is not in it. */
  | "port";

export type RouteLookup<S extends RoutedService> =
  | { readonly kind: "service"; readonly service: S; readonly port: number | null }
  | { readonly kind: "none" }
  | { readonly kind: "unknown"; readonly reason: UnknownReason; readonly host: string; readonly port: number | null };

const NONE = Object.freeze({ kind: "none" });
const MALFORMED = Object.freeze({ kind: "unknown", reason: "malformed", host: "", port: null });

export class RouteTable<S extends RoutedService> {
  readonly #services = new Map<string, S>();
  readonly #byHost = new Map<string, S>();
  #rules: RouteRules;

  constructor(services: Iterable<S>, rules: RouteRules) {
    this.#rules = rules;
    this.update(services, [], rules);
  }

  /** Adds or replaces services, removes others by key, and takes new rules where there are any. */
  update(changed: Iterable<S>, removed: Iterable<string>, rules: RouteRules | null): void {
    for (const key of removed) this.#remove(key);
    for (const service of changed) {
      this.#remove(service.key);
      this.#services.set(service.key, service);
      for (const host of service.hosts) this.#byHost.set(host, service);
    }
    if (rules !== null) this.#rules = rules;
  }

  /** The service with this key, for listeners that serve a single one. */
  get(key: string): S | null {
    return this.#services.get(key) ?? null;
  }

  /** The service for requests that name none, `null` without one. */
  defaultService(): S | null {
    return this.#rules.default === null ? null : this.get(this.#rules.default);
  }

  /** What the authority of a request names; the empty text is a request without one (HTTP/1.0). */
  lookup(authority: string): RouteLookup<S> {
    const parsed = parseAuthority(authority);
    if (parsed === null) return MALFORMED;
    if (parsed.host === "" || parsed.isIp || isLocalhost(parsed.host)) return NONE;
    return this.#named(parsed.host, parsed.port);
  }

  /** As `lookup`, for the value of l5d-dst-override: it must name a service, so nothing else is `none`. */
  lookupOverride(value: string): RouteLookup<S> {
    const parsed = parseAuthority(value.trim());
    return parsed === null || parsed.host === "" ? MALFORMED : this.#named(parsed.host, parsed.port);
  }

  #named(host: string, port: number | null): RouteLookup<S> {
    const service = this.#byHost.get(host);
    if (service === undefined) return { kind: "unknown", reason: "name", host, port };
    if (port !== null && !hasPort(service, port)) return { kind: "unknown", reason: "port", host, port };
    return { kind: "service", service, port };
  }

  #remove(key: string): void {
    const service = this.#services.get(key);
    if (service === undefined) return;
    this.#services.delete(key);
    for (const host of service.hosts) {
      if (this.#byHost.get(host) === service) this.#byHost.delete(host);
    }
  }
}

function hasPort(service: RoutedService, port: number): boolean {
  return service.ports.length === 0 || service.ports.some((entry) => entry.port === port);
}
