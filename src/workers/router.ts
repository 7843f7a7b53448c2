// Which service a request is for. The answer is remembered by the bytes of the authority, so that the usual request costs a
// hash and a comparison and no string; the naming rules themselves are core/route's.

import type { Buffer } from "node:buffer";
import { ERRORS } from "../core/errors/error-codes.ts";
import { FIELD_STRIDE, FieldId, type MessageHead } from "../core/http/head.ts";
import { type RoutedService, RouteTable } from "../core/route/route-table.ts";
import type { OutboundRules, Protocol } from "../config/snapshot.ts";
import type { Service } from "./service.ts";

export interface Route {
  readonly service: Service | null;
  /** What the named port is declared to speak; `detect`: upstreams get what the client spoke. */
  readonly protocol: Protocol;
  /** Why there is none, or why the request may not go there; else 0. */
  readonly errorId: number;
  readonly detail: string;
}

interface Remembered {
  readonly authority: Uint8Array;
  readonly route: Route;
}

/** Direct-mapped: a power of two. */
const MEMORY = 256;

/** A service's row in the table: the rules need its names, forwarding needs the service itself. */
export interface RouterEntry extends RoutedService {
  readonly service: Service;
}

export class Router {
  readonly #table: RouteTable<RouterEntry>;
  #rules: OutboundRules;
  #memory: (Remembered | undefined)[] = new Array(MEMORY).fill(undefined);

  readonly #forward: (host: string, port: number | null) => Service | null;
  readonly #straight: (key: string) => Service | null;

  /** `forward` makes services for unknown names, where the rules allow them; `straight` has those of addresses that are nobody's. */
  constructor(
    rules: OutboundRules,
    forward: (host: string, port: number | null) => Service | null,
    straight: (key: string) => Service | null,
  ) {
    this.#rules = rules;
    this.#forward = forward;
    this.#straight = straight;
    this.#table = new RouteTable<RouterEntry>([], rules);
  }

  /** What changed in the configuration. Requests in flight keep the service that they have. */
  update(changed: readonly RouterEntry[], removed: readonly string[], rules: OutboundRules | null): void {
    if (rules !== null) this.#rules = rules;
    this.#table.update(changed, removed, rules);
    this.forget();
  }

  /** Remembered answers may be out of date. */
  forget(): void {
    this.#memory = new Array(MEMORY).fill(undefined);
  }

  /** For listeners that serve one service, and redirected connections. */
  fixed(key: string): Service | null {
    return this.#table.get(key)?.service ?? this.#straight(key);
  }

  /** For connections that name nothing: opaque ones. */
  default(): Service | null {
    return this.#table.defaultService()?.service ?? null;
  }

  /** For the requests of a listener that serves one service. */
  routeTo(key: string): Route {
    const service = this.fixed(key);
    if (service !== null) return found(service, null);
    return none(ERRORS.WEFT_NO_ROUTE.id, `${key}: not configured`);
  }

  /** The service that an authority names and the configuration has; for CONNECT, which goes nowhere else. */
  named(head: MessageHead): Service | null {
    const answer = this.#table.lookup(head.text(head.authorityStart, head.authorityEnd));
    return answer.kind === "service" ? answer.service.service : null;
  }

  /** By the head's authority, or by a client's l5d-dst-override where that counts. */
  route(head: MessageHead): Route {
    if (this.#rules.allowOverride && head.hasEdits) {
      const override = this.#override(head);
      if (override !== null) return override;
    }
    const from = head.start + head.authorityStart;
    const to = head.start + head.authorityEnd;
    const { buffer } = head;
    let hash = to - from;
    for (let i = from; i < to; i++) hash = (Math.imul(hash, 31) + buffer[i]!) | 0;
    const slot = hash & (MEMORY - 1);
    const known = this.#memory[slot];
    if (known !== undefined && isEqual(known.authority, buffer, from, to)) return known.route;
    const route = this.#lookup(buffer.toString("latin1", from, to));
    this.#memory[slot] = { authority: Uint8Array.prototype.slice.call(buffer, from, to), route };
    return route;
  }

  #lookup(authority: string): Route {
    const answer = this.#table.lookup(authority);
    switch (answer.kind) {
      case "service":
        return found(answer.service.service, answer.port);
      case "none": {
        const service = this.default();
        if (service !== null) return found(service, null);
        return none(ERRORS.WEFT_NO_ROUTE.id, `${authority || "no Host"}: names no service, and outbound.default is not set`);
      }
      default:
        return this.#unknown(authority, answer);
    }
  }

  #unknown(authority: string, answer: { reason: keyof typeof UNKNOWN; host: string; port: number | null }): Route {
    if (this.#rules.unknown === "forward" && answer.reason === "name") {
      const service = this.#forward(answer.host, answer.port);
      if (service !== null) return found(service, null);
    }
    return none(ERRORS.WEFT_NO_ROUTE.id, `${authority}: ${UNKNOWN[answer.reason]}`);
  }

  #override(head: MessageHead): Route | null {
    for (let i = 0; i < head.count; i++) {
      if (head.ids[i] !== FieldId.l5dDstOverride) continue;
      const at = i * FIELD_STRIDE;
      const value = head.text(head.fields[at + 2]!, head.fields[at + 3]!);
      const answer = this.#table.lookupOverride(value);
      if (answer.kind === "service") return found(answer.service.service, answer.port);
      return none(ERRORS.WEFT_BAD_OVERRIDE.id, value);
    }
    return null;
  }
}

const UNKNOWN = { malformed: "not host[:port]", name: "no service has this name", port: "the service has no such port" } as const;

function found(service: Service, port: number | null): Route {
  return { service, protocol: service.protocolOf(port), errorId: 0, detail: "" };
}

function none(errorId: number, detail: string): Route {
  return { service: null, protocol: "detect", errorId, detail };
}

function isEqual(known: Uint8Array, buffer: Buffer, from: number, to: number): boolean {
  if (known.length !== to - from) return false;
  for (let i = 0; i < known.length; i++) {
    if (known[i] !== buffer[from + i]) return false;
  }
  return true;
}
