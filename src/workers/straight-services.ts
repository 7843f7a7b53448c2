// Where redirected connections go that were made to nobody's address: straight to that address and port.
//
// A service with one endpoint is made for each such destination, so that pools, metrics, deadlines and detection are those of
// any other. The table is bounded: the one that was used least lately makes room, and one that nobody used for a while is
// forgotten. Being forgotten closes idle pooled connections only; a request on an old connection brings its destination back.

import type { WorkerService } from "../config/snapshot.ts";
import { formatDestination } from "../core/route/address-table.ts";
import type { Service } from "./service.ts";
import type { WorkerLoop } from "./worker-loop.ts";

/** Destinations per worker at one time: each costs a few kilobytes and its pooled connections. */
const DESTINATIONS_MAX = 1024;
/** Destinations with metrics of their own, in a worker's life; the rest counts as `other`, so that a crawler does not use up the series. */
const LABELLED_MAX = 128;
const SWEEP_MS = 60_000;
/** Unused for so long: forgotten. */
const UNUSED_MS = 600_000;

/** Name of those. */
const OTHER = "other";
const OUTBOUND = "straight/";
const INBOUND = "inbound/";
/** Of an inbound key, which is `inbound/PORT` where the configuration has a target. */
const INBOUND_ADDRESS = /^inbound\/.*:/;

/** True for the keys that `straightKey` makes. */
export function isStraightKey(key: string): boolean {
  return key.startsWith(OUTBOUND) || INBOUND_ADDRESS.test(key);
}

/** False for straight services that are counted together. */
export function hasOwnLabels({ key, name }: { readonly key: string; readonly name: string }): boolean {
  return name !== OTHER || !isStraightKey(key);
}

/** The key of the service for an address (canonical, IPv6 without brackets) and port. */
export function straightKey(direction: "inbound" | "outbound", host: string, port: number): string {
  return `${direction === "inbound" ? INBOUND : OUTBOUND}${formatDestination(host, port)}`;
}

interface Entry {
  readonly service: Service;
  /** Milliseconds of the loop's clock. */
  usedAt: number;
  assigned: number;
}

export class StraightServices {
  readonly #loop: WorkerLoop;
  readonly #make: (config: WorkerService) => Service;
  /** The least lately used first. */
  readonly #entries = new Map<string, Entry>();
  readonly #labelled = new Set<string>();
  #timer: NodeJS.Timeout | null = null;

  constructor(loop: WorkerLoop, make: (config: WorkerService) => Service) {
    this.#loop = loop;
    this.#make = make;
  }

  /** The service of a straight key, null for any other key. */
  get(key: string): Service | null {
    const known = this.#entries.get(key);
    if (known !== undefined) return known.service;
    return isStraightKey(key) ? this.#add(key).service : null;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /** A connection is for it: it is the last to be forgotten. */
  use(key: string): void {
    const entry = this.#entries.get(key) ?? this.#add(key);
    entry.usedAt = this.#loop.now;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
  }

  #add(key: string): Entry {
    if (this.#entries.size >= DESTINATIONS_MAX) {
      const [oldest] = this.#entries.keys();
      this.#forget(oldest!);
    }
    const address = key.slice(key.indexOf("/") + 1);
    if (this.#labelled.size < LABELLED_MAX) this.#labelled.add(key);
    const service = this.#make(configOf(key, this.#labelled.has(key) ? address : OTHER, address));
    const entry: Entry = { service, usedAt: this.#loop.now, assigned: 0 };
    this.#entries.set(key, entry);
    this.#timer ??= setInterval(() => this.#loop.run(() => this.#sweep()), SWEEP_MS);
    return entry;
  }

  #forget(key: string): void {
    this.#entries.get(key)?.service.remove();
    this.#entries.delete(key);
  }

  #sweep(): void {
    const { now } = this.#loop;
    for (const [key, entry] of this.#entries) {
      if (entry.service.assigned !== entry.assigned) {
        entry.assigned = entry.service.assigned;
        entry.usedAt = now;
      } else if (now - entry.usedAt > UNUSED_MS) {
        this.#forget(key);
      }
    }
    if (this.#entries.size === 0) this.clear();
  }

  services(): Service[] {
    return [...this.#entries.values()].map(({ service }) => service);
  }

  /** All are forgotten. */
  clear(): void {
    for (const key of [...this.#entries.keys()]) this.#forget(key);
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }
}

function configOf(key: string, name: string, address: string): WorkerService {
  return { key, name, namespace: "", hosts: [], ports: [], loadBalancer: "round-robin", endpoints: [address] };
}
