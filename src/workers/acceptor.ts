// The main thread's listeners: takes connections from the kernel and places them, and never reads a byte of them.
//
// One AcceptSource per configured address. A reload is a transaction: `prepare` opens what is new and fails without
// having changed anything; `commit` starts it and retires what is gone. Retiring a listener never closes a connection: no new
// handshake begins, those under way may finish (SETTLE_MS), the kernel's queue is emptied, and only then the socket closes,
// because the kernel resets what is still in the queue of a socket that closes.
//
// Refuses (closes at once, counts) what is over the connection limit, which is the configured one or what the process's
// descriptors allow: half of those that are free at the start, because each client may need a connection to an upstream.

import { readdirSync, readFileSync } from "node:fs";
import type { Limits } from "../config/limits.ts";
import type { HostPort, ListenerSnapshot } from "../config/snapshot.ts";
import { type AcceptHandler, type AcceptSource, openAcceptSource } from "./accept-source.ts";
import { abortConnection } from "./system-calls.ts";

/** Where accepted connections go: the workers, or this thread. */
export interface Placement {
  /** Connections that are open or on their way. */
  readonly openConnections: number;
  /** Takes the descriptor. `listener` is an index into the acceptor's `listenerIds`. */
  place(fd: number, listener: number): void;
  /** After the connections of one event. */
  flush(): void;
}

export type RefusalReason = "connections_max" | "descriptors" | "accept_error";

/** Of the configuration's limits, those that are kept here. */
export type AcceptLimits = Pick<Limits, "connectionsMax" | "kernelUnsentBytesMax">;

export interface AcceptorOptions {
  readonly placement: Placement;
  readonly onRefused: (reason: RefusalReason, errno: number) => void;
  readonly mode?: "poll" | "event" | "auto";
}

/** What a listening socket is closed after: a handshake that had begun needs one more round trip. */
const SETTLE_MS = 50;

/** Descriptors beyond those that are open at the start: admin connections, files that are read, lookups. */
const DESCRIPTORS_KEPT = 16;

interface Listening {
  readonly key: string;
  readonly source: AcceptSource;
  /** Index of the id that its connections get; a reload may give the address to another listener. */
  listener: number;
}

/** What `prepare` found: either `commit` or `abort` must follow. */
export interface PreparedListeners {
  /** The listeners with the ports that they are really bound to. */
  readonly listeners: readonly ListenerSnapshot[];
  /** Starts the new ones, retires the old; resolves when those are closed. `onRetired` hears of it. */
  commit(): Promise<void>;
  abort(): void;
}

export class Acceptor {
  /** Ids by index. Grows only: indexes are in flight in the rings. */
  readonly listenerIds: string[] = [];
  readonly #options: AcceptorOptions;
  readonly #indexes = new Map<string, number>();
  #open = new Map<string, Listening>();
  #retiring = new Map<string, Promise<void>>();
  #connectionsMax = 0;
  #descriptorConnectionsMax = -1;

  constructor(options: AcceptorOptions) {
    this.#options = options;
  }

  /** Opens what is not open yet. Rejects with a ListenError, and then nothing has changed. */
  async prepare(listeners: readonly ListenerSnapshot[], limits: AcceptLimits): Promise<PreparedListeners> {
    const wanted = new Map<string, Listening>();
    const opened: AcceptSource[] = [];
    const bound: ListenerSnapshot[] = [];
    try {
      for (const listener of listeners) {
        const key = addressKey(listener);
        await this.#retiring.get(key);
        const known = this.#open.get(key);
        const source = known?.source ?? (await openAcceptSource(listener.listen.host, listener.listen.port, this.#options.mode));
        if (known === undefined) {
          opened.push(source);
          // At once: the kernel accepts into its queue from here on.
          source.limitUnsent(limits.kernelUnsentBytesMax);
        }
        wanted.set(key, known ?? { key, source, listener: -1 });
        // Before any worker is told of this configuration: the update carries the list of ids.
        this.#indexOf(listener.id);
        bound.push({ ...listener, listen: { host: source.host, port: source.port } });
      }
    } catch (error) {
      for (const source of opened) source.close();
      throw error;
    }
    return {
      listeners: bound,
      commit: () => this.#commit(wanted, listeners, limits),
      abort: () => {
        for (const source of opened) source.close();
      },
    };
  }

  /** The addresses that are open, for people. */
  get addresses(): HostPort[] {
    return [...this.#open.values()].map(({ source }) => ({ host: source.host, port: source.port }));
  }

  /** Retires every listener: resolves when nothing can arrive any more and everything that had arrived is placed. */
  async close(): Promise<void> {
    await this.#commit(new Map(), [], null);
  }

  /** Index of an id, a new one for an id that was never seen. */
  #indexOf(id: string): number {
    const known = this.#indexes.get(id);
    if (known !== undefined) return known;
    const index = this.listenerIds.push(id) - 1;
    this.#indexes.set(id, index);
    return index;
  }

  async #commit(wanted: Map<string, Listening>, listeners: readonly ListenerSnapshot[], limits: AcceptLimits | null): Promise<void> {
    if (limits !== null) {
      this.#connectionsMax = limits.connectionsMax;
      for (const { source } of wanted.values()) source.limitUnsent(limits.kernelUnsentBytesMax);
    }
    if (this.#descriptorConnectionsMax < 0) this.#descriptorConnectionsMax = connectionsByDescriptors();
    const before = this.#open;
    this.#open = wanted;
    for (const listener of listeners) {
      const listening = wanted.get(addressKey(listener))!;
      listening.listener = this.#indexOf(listener.id);
      if (!before.has(listening.key)) listening.source.start(this.#handlerOf(listening));
    }
    const gone = [...before.values()].filter((listening) => !wanted.has(listening.key));
    for (const listening of gone) this.#retiring.set(listening.key, this.#retire(listening));
    await Promise.all(gone.map((listening) => this.#retiring.get(listening.key)));
  }

  async #retire(listening: Listening): Promise<void> {
    listening.source.refuseNew();
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    listening.source.close();
    this.#retiring.delete(listening.key);
  }

  #handlerOf(listening: Listening): AcceptHandler {
    const { placement, onRefused } = this.#options;
    return {
      onConnection: (fd) => {
        const open = placement.openConnections;
        if (open < this.#connectionsMax && open < this.#descriptorConnectionsMax) {
          placement.place(fd, listening.listener);
        } else {
          abortConnection(fd);
          onRefused(open < this.#connectionsMax ? "descriptors" : "connections_max", 0);
        }
      },
      onBatchEnd: () => placement.flush(),
      onAcceptError: (errno) => onRefused("accept_error", errno),
    };
  }
}

/** Two listeners with port 0 are two sockets. */
function addressKey({ id, listen }: ListenerSnapshot): string {
  return `${listen.host} ${listen.port === 0 ? id : listen.port}`;
}

/** Client connections for which the process has descriptors; asked once, when everything but connections is open. */
function connectionsByDescriptors(): number {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1];
    if (limit === undefined) return Number.POSITIVE_INFINITY;
    return Math.max(1, Math.floor((Number(limit) - readdirSync("/proc/self/fd").length - DESCRIPTORS_KEPT) / 2));
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
