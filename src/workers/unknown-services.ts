// `outbound.unknown: forward`: names that no Service document has are looked up and forwarded to, as a plain forward proxy would.
//
// A service is made for each such host and port (bounded), with the addresses that the system's resolver gives (so /etc/hosts and
// search domains hold). Looked up again every few seconds while it is used, forgotten when it was not for a while. A
// failed lookup keeps the last addresses; without any, who waits is told at once.

import { lookup } from "node:dns";
import { isIPv6 } from "node:net";
import type { WorkerService } from "../config/snapshot.ts";
import { ERRORS } from "../core/errors/error-codes.ts";
import type { Service } from "./service.ts";
import type { WorkerLoop } from "./worker-loop.ts";

/** Hosts and ports known at one time; more are refused (404), so that a client cannot grow the table with invented names. */
const SERVICES_MAX = 1024;
const REFRESH_MS = 5_000;
/** Unused for so many refreshes: forgotten. Ten minutes. */
const UNUSED_REFRESHES_MAX = 120;
const HTTP_PORT = 80;

interface Entry {
  readonly service: Service;
  readonly host: string;
  readonly port: number;
  assigned: number;
  unused: number;
  isLooking: boolean;
}

export interface UnknownServicesOwner {
  makeService(config: WorkerService): Service;
  /** Remembered routes may name a service that is gone. */
  forgetRoutes(): void;
}

export class UnknownServices {
  readonly #loop: WorkerLoop;
  readonly #owner: UnknownServicesOwner;
  readonly #entries = new Map<string, Entry>();
  #timer: NodeJS.Timeout | null = null;

  constructor(loop: WorkerLoop, owner: UnknownServicesOwner) {
    this.#loop = loop;
    this.#owner = owner;
  }

  /** The service for a host that has no document; null when there are too many. */
  get(host: string, port: number | null): Service | null {
    const target = port ?? HTTP_PORT;
    const key = `forward/${host}:${target}`;
    const known = this.#entries.get(key);
    if (known !== undefined) return known.service;
    if (this.#entries.size >= SERVICES_MAX) return null;
    const service = this.#owner.makeService(configOf(key, host, []));
    const entry: Entry = { service, host, port: target, assigned: 0, unused: 0, isLooking: false };
    this.#entries.set(key, entry);
    this.#lookUp(entry);
    this.#timer ??= setInterval(() => this.#loop.run(() => this.#refresh()), REFRESH_MS);
    return service;
  }

  #lookUp(entry: Entry): void {
    if (entry.isLooking) return;
    entry.isLooking = true;
    lookup(entry.host, { all: true }, (error, addresses) => {
      this.#loop.run(() => {
        entry.isLooking = false;
        if (error !== null) {
          entry.service.failWaiting(ERRORS.WEFT_CONNECT_FAILED.id, `${entry.host}: ${error.code ?? error.message}`);
          return;
        }
        const endpoints = addresses.map(({ address }) => (isIPv6(address) ? `[${address}]:${entry.port}` : `${address}:${entry.port}`));
        entry.service.update(configOf(entry.service.key, entry.host, endpoints));
      });
    });
  }

  #refresh(): void {
    let isForgotten = false;
    for (const [key, entry] of this.#entries) {
      if (entry.service.assigned !== entry.assigned) {
        entry.assigned = entry.service.assigned;
        entry.unused = 0;
        this.#lookUp(entry);
      } else if (++entry.unused > UNUSED_REFRESHES_MAX) {
        this.#entries.delete(key);
        entry.service.remove();
        isForgotten = true;
      }
    }
    if (isForgotten) this.#owner.forgetRoutes();
    if (this.#entries.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  services(): Service[] {
    return [...this.#entries.values()].map(({ service }) => service);
  }

  /** Ends: idle connections go. */
  clear(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    for (const { service } of this.#entries.values()) service.remove();
    this.#entries.clear();
  }
}

function configOf(key: string, host: string, endpoints: readonly string[]): WorkerService {
  return { key, name: host, namespace: "", hosts: [], ports: [], loadBalancer: "ewma", endpoints };
}
