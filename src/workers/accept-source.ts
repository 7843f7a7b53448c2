// One listening socket, without a net.Server: the kernel says that connections wait, and they are taken as descriptors.
//
// libuv accepts by itself only into handles, one per turn of the loop, and each handle would have to be duplicated and
// closed again to pass it on. So its poller is borrowed: a UDP handle opened on the listening descriptor never finds a
// datagram, but calls back whenever the descriptor is readable, and `accept4` empties the queue (native-notes/hand-off.md has
// the numbers). It refuses nothing and counts nothing: that is the acceptor's. Where Node lacks those handles, `net.Server` is
// used by its public events instead (`EventSource`), at twice the cost.
//
// Invariants: a descriptor that was delivered belongs to the receiver. TCP_NODELAY and TCP_NOTSENT_LOWAT are set once, on the
// listening socket: Linux lets accepted sockets inherit them.

import { createServer, isIPv6, type Server, type Socket } from "node:net";
import { getSystemErrorName } from "node:util";
import { ListenError } from "./listen-error.ts";
import {
  abortConnection,
  acceptConnection,
  closeDescriptor,
  duplicate,
  EAGAIN,
  ECONNABORTED,
  EINTR,
  EMFILE,
  ENFILE,
  limitUnsentBytes,
  refuseNewConnections,
} from "./system-calls.ts";

/** The kernel's queue of connections that nobody accepted; it takes the smaller of this and net.core.somaxconn. */
const BACKLOG = 4096;

/** Connections taken per readable event, so that a flood does not keep the loop from everything else. */
const ACCEPTS_PER_EVENT = 64;

/** Pause after an error that would come again at once: the socket stays readable, and the loop must not spin. */
const PAUSE_MS = 100;

export interface AcceptHandler {
  /** A connection: the descriptor is the handler's. */
  onConnection(fd: number): void;
  /** After the connections of one event. */
  onBatchEnd(): void;
  /** `accept` failed with this errno (EMFILE: a connection was refused). Called once per failure: count, do not log each. */
  onAcceptError(errno: number): void;
}

/** A bound and listening socket. It delivers nothing before `start`. */
export interface AcceptSource {
  /** The address it is bound to; the port is the real one where 0 was asked for. */
  readonly host: string;
  readonly port: number;
  start(handler: AcceptHandler): void;
  /** From so many unsent bytes on the kernel takes no more for a connection that is accepted from now on. */
  limitUnsent(bytes: number): void;
  /** Lets no new handshake begin. What is under way still arrives. */
  refuseNew(): void;
  /** Delivers everything that the kernel has accepted, then closes. */
  close(): void;
}

interface ServerHandle {
  readonly fd: number;
  bind(host: string, port: number): number;
  bind6(host: string, port: number, flags: number): number;
  listen(backlog: number): number;
  setNoDelay(on: boolean): number;
  getsockname(out: { port?: number }): number;
  close(): void;
}

interface PollHandle {
  onmessage: (result: number) => void;
  open(fd: number): number;
  recvStart(): number;
  recvStop(): number;
  close(): void;
}

interface Bindings {
  readonly TCP: new (type: number) => ServerHandle;
  readonly constants: { readonly SERVER: number };
  readonly UDP: new () => PollHandle;
}

/** Node's own handles, or null where they are not what this file needs. */
function loadBindings(): Bindings | null {
  try {
    const binding = (process as unknown as { binding(name: string): Partial<Bindings> }).binding;
    const { TCP, constants } = binding("tcp_wrap");
    const { UDP } = binding("udp_wrap");
    if (TCP === undefined || constants === undefined || UDP === undefined) return null;
    const tcp = ["bind", "bind6", "listen", "setNoDelay", "getsockname", "close"].every((name) => name in TCP.prototype);
    const udp = ["open", "recvStart", "recvStop", "close"].every((name) => name in UDP.prototype);
    return tcp && udp ? { TCP, constants, UDP } : null;
  } catch {
    return null;
  }
}

/** Binds and listens. Rejects with a ListenError. `mode` is for tests; by default the faster one that this Node offers. */
export async function openAcceptSource(host: string, port: number, mode: "poll" | "event" | "auto" = "auto"): Promise<AcceptSource> {
  const bindings = mode === "event" ? null : loadBindings();
  if (bindings !== null) return new PollSource(bindings, host, port);
  return await EventSource.open(host, port);
}

function listenError(code: string, host: string, port: number): ListenError {
  return new ListenError(code, { host, port }, "choose another by `listen` in the configuration or by --listen HOST:PORT");
}

class PollSource implements AcceptSource {
  readonly host: string;
  readonly port: number;
  readonly #fd: number;
  readonly #poll: PollHandle;
  #handler: AcceptHandler | null = null;
  #pause: NodeJS.Timeout | null = null;
  /** A descriptor to give up when there is none left: with it one connection can be taken and refused. -1: none. */
  #reserve = -1;

  constructor(bindings: Bindings, host: string, port: number) {
    const handle = new bindings.TCP(bindings.constants.SERVER);
    const bound: { port?: number } = {};
    // libuv reports an address in use at `listen`, not at `bind`.
    const failed =
      (isIPv6(host) ? handle.bind6(host, port, 0) : handle.bind(host, port)) ||
      handle.setNoDelay(true) ||
      handle.listen(BACKLOG) ||
      handle.getsockname(bound);
    // libuv's own poll of the socket has not begun: it does with the next turn of the loop, and the handle is gone by then.
    this.#fd = failed === 0 ? duplicate(handle.fd) : failed;
    handle.close();
    this.#poll = new bindings.UDP();
    if (this.#fd < 0) throw listenError(getSystemErrorName(this.#fd), host, port);
    const opened = this.#poll.open(this.#fd);
    if (opened !== 0) {
      closeDescriptor(this.#fd);
      throw listenError(getSystemErrorName(opened), host, port);
    }
    this.host = host;
    this.port = bound.port ?? port;
  }

  start(handler: AcceptHandler): void {
    this.#handler = handler;
    this.#reserve = duplicate(this.#fd);
    this.#poll.onmessage = () => this.#take(ACCEPTS_PER_EVENT);
    this.#poll.recvStart();
  }

  limitUnsent(bytes: number): void {
    limitUnsentBytes(this.#fd, bytes);
  }

  refuseNew(): void {
    refuseNewConnections(this.#fd);
  }

  close(): void {
    if (this.#handler !== null) this.#take(Number.POSITIVE_INFINITY);
    if (this.#pause !== null) clearTimeout(this.#pause);
    if (this.#reserve >= 0) closeDescriptor(this.#reserve);
    this.#poll.close();
  }

  #take(max: number): void {
    const handler = this.#handler!;
    for (let count = 0; count < max; count++) {
      const fd = acceptConnection(this.#fd);
      if (fd >= 0) {
        handler.onConnection(fd);
        continue;
      }
      if (-fd === EAGAIN) break;
      // Gone before it was taken: the next one may be there.
      if (-fd === ECONNABORTED || -fd === EINTR) continue;
      const refused = -fd === EMFILE || -fd === ENFILE ? this.#refuseOne() : fd;
      // Without descriptors the kernel says so before it looks whether anybody waits.
      if (-refused === EAGAIN) break;
      handler.onAcceptError(-fd);
      if (refused >= 0) continue;
      this.#pauseForAWhile();
      break;
    }
    handler.onBatchEnd();
  }

  /**
   * Without descriptors a connection would wait in the queue for ever: it is taken with the reserve's, and refused.
   * Returns what `accept` said then.
   */
  #refuseOne(): number {
    if (this.#reserve < 0) return -EMFILE;
    closeDescriptor(this.#reserve);
    const fd = acceptConnection(this.#fd);
    if (fd >= 0) abortConnection(fd);
    this.#reserve = duplicate(this.#fd);
    return fd;
  }

  #pauseForAWhile(): void {
    this.#poll.recvStop();
    this.#pause ??= setTimeout(() => {
      this.#pause = null;
      if (this.#reserve < 0) this.#reserve = duplicate(this.#fd);
      this.#poll.recvStart();
    }, PAUSE_MS);
  }
}

/** The same on public API alone. libuv itself closes what it has no descriptors for, unseen. */
class EventSource implements AcceptSource {
  readonly host: string;
  readonly port: number;
  readonly #server: Server;
  #handler: AcceptHandler | null = null;

  static async open(host: string, port: number): Promise<EventSource> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(error.code ?? error.message, host, port)));
      server.listen({ host, port, backlog: BACKLOG }, resolve);
    });
    return new EventSource(server, host);
  }

  private constructor(server: Server, host: string) {
    this.#server = server;
    this.host = host;
    this.port = (server.address() as { port: number }).port;
    server.on("connection", (socket) => this.#deliver(socket));
    server.on("error", () => this.#handler?.onAcceptError(0));
  }

  start(handler: AcceptHandler): void {
    this.#handler = handler;
  }

  limitUnsent(bytes: number): void {
    limitUnsentBytes(this.#fd, bytes);
  }

  get #fd(): number {
    return (this.#server as unknown as { _handle: { fd: number } })._handle.fd;
  }

  refuseNew(): void {
    refuseNewConnections(this.#fd);
  }

  close(): void {
    this.#server.close();
  }

  #deliver(socket: Socket): void {
    const handler = this.#handler;
    const fd = handler === null ? 0 : duplicate((socket as unknown as { _handle: { fd: number } })._handle.fd);
    // Only ever `destroy`: `end` would shut the shared socket down.
    socket.destroy();
    if (handler === null) return;
    if (fd < 0) handler.onAcceptError(-fd);
    else handler.onConnection(fd);
    handler.onBatchEnd();
  }
}
