// Connections that were redirected to a transparent listener: where they were going decides what becomes of them.
//
//   outbound  the address of a service (its endpoints', or its own) -> that service; any other -> straight there, after names were asked for
//   inbound   a port with rules of its own (`inbound.ports`) -> those; any other -> straight to the address and port
//   a connection that was made to the listener itself -> the listener's target if it has one, else a loop: refused
//   a connection of the proxy's own user -> a loop: refused (redirect-guard.ts)
//
// What a request names counts for nothing. The decision is made once, when the connection comes: it stays with its service when
// names move on, so a client that keeps connections to an address of yesterday is still served. Who may come in to a port is another
// question, asked anew when the port gets or loses rules (port-gate.ts). Refused, too (as endpoints that are own listeners): the admin
// port. What makes system calls is loaded with the first transparent listener; a connection that comes before waits.
//
// An address that was nobody's at the last answer may have become a service's since: a container that has just begun, say. The first connection to it
// waits for a new answer to the names of services at its port, so that it does not go past the mesh in plain text.

import { closeSync } from "node:fs";
import type { Protocol, WorkerService } from "../config/snapshot.ts";
import { AddressTable } from "../core/route/address-table.ts";
import type { Log } from "./forwarder-types.ts";
import type { ListenerState } from "./forwarder-context.ts";
import type { Service } from "./service.ts";
import { RedirectGuard } from "./redirect-guard.ts";
import { StraightServices, straightKey } from "./straight-services.ts";
import type { WorkerLoop } from "./worker-loop.ts";

type OriginalDestination = typeof import("./system-calls.ts").originalDestination;

export interface RedirectsOwner {
  /** The configured ones. */
  readonly services: ReadonlyMap<string, Service>;
  /** What is different for connections to a port, null where nothing is. */
  redirectedPort(port: number): ListenerState | null;
  makeService(config: WorkerService): Service;
  adopt(fd: number, listenerId: string): void;
  /** Names of services at these ports are to be asked for; `namesAsked` is called then. */
  onStrangers(ports: readonly number[]): void;
  /** No connection waits any longer. */
  onSettled(): void;
  /** Of this worker. */
  openConnections(): number;
  readonly log: Log;
}

/** States kept per listener, one per destination; over it they are made again. */
const STATES_MAX = 1024;

/** Connections that wait for names; those that come then go straight at once. */
const STRANGERS_MAX = 1024;

interface Waiting {
  readonly fd: number;
  readonly listenerId: string;
}

/** To an address that is nobody's, by its straight key. */
interface Stranger extends Waiting {
  readonly key: string;
  readonly port: number;
}

export class Redirects {
  readonly #loop: WorkerLoop;
  readonly #owner: RedirectsOwner;
  readonly #straight: StraightServices;
  readonly #guard: RedirectGuard;
  /** Made anew for the first connection after a change. */
  #table: AddressTable | null = null;
  /** The same object for the same destination, because others remember what they know of a listener by it. */
  #states = new WeakMap<ListenerState, Map<string, ListenerState>>();
  #originalDestination: OriginalDestination | null = null;
  #isLoading = false;
  #waiting: Waiting[] = [];
  /** For the answer that is on its way, null for none; and for the one after it, because they came later. */
  #asked: readonly Stranger[] | null = null;
  #strangers: Stranger[] = [];
  /** The key of the one that has waited and is adopted now. */
  #hasWaited: string | null = null;

  constructor(loop: WorkerLoop, owner: RedirectsOwner) {
    this.#loop = loop;
    this.#owner = owner;
    this.#guard = new RedirectGuard(owner.log);
    this.#straight = new StraightServices(loop, (config) => owner.makeService(config));
  }

  /** What serves the connection. Null: it waits (`adopt` will be called again), or was no connection and is closed. */
  resolve(fd: number, listener: ListenerState): ListenerState | null {
    if (this.#originalDestination === null) {
      this.#waiting.push({ fd, listenerId: listener.snapshot.id });
      this.#load();
      return null;
    }
    const to = this.#originalDestination(fd);
    if (to === null) {
      closeSync(fd);
      return null;
    }
    const { direction, listen } = listener.snapshot;
    if (to.isDirect && listener.fixedService !== null) return listener;
    const isOwn = direction === "outbound" && !to.isDirect && to.peer !== null && this.#guard.isOwn(to.peer, this.#owner.openConnections());
    const isLoop = to.isDirect || isOwn;
    let state = listener;
    if (direction === "outbound") {
      const service = isLoop ? null : this.#serviceAt(to.host, to.port);
      if (service !== null) return this.#servedBy(listener, service.key, declaredProtocol(service, to.port), to.port);
    } else {
      state = this.#owner.redirectedPort(to.port) ?? listener;
      if (state.fixedService !== null) return state;
    }
    // The listener's own address, as it was configured, is known as such whatever addresses the host has had since.
    const { host, port } = isLoop ? listen : to;
    const key = straightKey(direction, host, port);
    if (
      direction === "outbound" &&
      !isLoop &&
      !this.#straight.has(key) &&
      key !== this.#hasWaited &&
      this.#strangers.length < STRANGERS_MAX
    ) {
      this.#strangers.push({ fd, listenerId: listener.snapshot.id, key, port });
      this.#ask();
      return null;
    }
    this.#straight.use(key);
    return this.#servedBy(state, key, "detect", to.port);
  }

  #ask(): void {
    if (this.#asked !== null || this.#strangers.length === 0) return;
    this.#asked = this.#strangers;
    this.#strangers = [];
    this.#owner.onStrangers([...new Set(this.#asked.map(({ port }) => port))]);
  }

  /** Names that `onStrangers` told of are answered: who waited goes where the address leads now. */
  namesAsked(): void {
    const asked = this.#asked ?? [];
    this.#asked = null;
    for (const { fd, listenerId, key } of asked) {
      this.#hasWaited = key;
      this.#owner.adopt(fd, listenerId);
    }
    this.#hasWaited = null;
    this.#ask();
    this.#owner.onSettled();
  }

  /** What serves a connection to a transparent inbound listener that has said itself for which port it is, as if it had been made to that. */
  toPort(fd: number, listener: ListenerState, port: number): ListenerState | null {
    const to = this.#originalDestination?.(fd) ?? null;
    if (to === null) return null;
    const key = straightKey("inbound", to.host, port);
    this.#straight.use(key);
    return this.#servedBy(listener, key, "detect", port);
  }

  /** The service of a straight key, null for any other key. */
  service(key: string): Service | null {
    return this.#straight.get(key);
  }

  /** The configuration or an address changed. `listeners`: what is an own listener may be another now. */
  changed(listeners: boolean): void {
    this.#table = null;
    this.#states = new WeakMap();
    if (listeners) this.#straight.clear();
  }

  services(): Service[] {
    return this.#straight.services();
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0 || this.#asked !== null;
  }

  /** Ends: what waits is closed. */
  clear(): void {
    this.#straight.clear();
    for (const { fd } of [...this.#waiting, ...(this.#asked ?? []), ...this.#strangers]) closeSync(fd);
    this.#waiting = [];
    this.#asked = null;
    this.#strangers = [];
  }

  #serviceAt(host: string, port: number): Service | null {
    if (this.#table === null) {
      // Targets of inbound ports are no places for others to go to.
      const services = [...this.#owner.services.values()].filter(({ key }) => !key.startsWith("inbound/"));
      this.#table = new AddressTable(
        services.map(({ config }) => ({
          key: config.key,
          endpoints: config.endpoints,
          addresses: config.ownAddresses ?? [],
          ports: config.ports,
        })),
      );
    }
    const key = this.#table.lookup(host, port);
    return key === null ? null : (this.#owner.services.get(key) ?? null);
  }

  #servedBy(listener: ListenerState, service: string, protocol: Protocol, port: number): ListenerState {
    let states = this.#states.get(listener);
    if (states === undefined || states.size >= STATES_MAX) {
      states = new Map();
      this.#states.set(listener, states);
    }
    const key = `${service} ${protocol}`;
    let state = states.get(key);
    if (state === undefined) {
      state = servedBy(listener, service, protocol, port);
      states.set(key, state);
    }
    return state;
  }

  #load(): void {
    if (this.#isLoading) return;
    this.#isLoading = true;
    import("./system-calls.ts").then(
      (calls) => {
        this.#originalDestination = calls.originalDestination;
        this.#settle(({ fd, listenerId }) => this.#owner.adopt(fd, listenerId));
      },
      (error: unknown) => {
        this.#isLoading = false;
        this.#loop.reportBug(error);
        this.#settle(({ fd }) => closeSync(fd));
      },
    );
  }

  #settle(each: (waiting: Waiting) => void): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) each(one);
    this.#owner.onSettled();
  }
}

/** What is declared for the port that was dialled, else what all of the service's ports speak. */
function declaredProtocol(service: Service, port: number): Protocol {
  const isDeclared = service.config.ports.some((one) => one.port === port);
  return service.protocolOf(isDeclared ? port : null);
}

/** The listener as this connection sees it. What the listener itself is declared to speak stands above the service's. */
function servedBy(listener: ListenerState, key: string, protocol: Protocol, port: number): ListenerState {
  const { snapshot } = listener;
  const state = { ...listener, fixedService: key, gate: listener.gate?.ofPort(port) ?? null };
  if (snapshot.protocol !== "detect" || protocol === "detect") return state;
  return { ...state, snapshot: { ...snapshot, protocol } };
}
