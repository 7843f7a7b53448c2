// Opaque TCP: bytes both ways between a client and an endpoint, half-close included, nothing looked at.
//
//   dialling --(connected)--> relaying --(FIN both ways)--> closed
//      |  the client's first bytes wait in the stash (pipelinedBytesMax), so that a failed connect can go to another endpoint
//
// The balanced "request" is the connect: its latency is what EWMA sees, an established connection does not count as load
// (Linkerd's opaque balancing). A failure before or after is a closed connection; nothing of Weft's own is ever written,
// except the answer to an accepted CONNECT.

import { Buffer } from "node:buffer";
import { ERRORS, errorCode, errorRow } from "../core/errors/error-codes.ts";
import { writeErrorResponse } from "../core/h1/serialize.ts";
import type { Lease } from "../core/http/exchange.ts";
import { mayBeClientHello } from "../core/tcp/client-hello.ts";
import type { ClientConnection, ClientOwner } from "./client-connection.ts";
import type { Endpoint } from "./endpoint.ts";
import { connectErrorId, errnoName, UV_ETIMEDOUT } from "./errno.ts";
import type { ForwarderContext, ListenerState } from "./forwarder-context.ts";
import { CONNECT_ATTEMPTS_MAX, type Service } from "./service.ts";
import { Stash } from "./stash.ts";
import type { RelayEnd } from "./relay-end.ts";
import { ReadMode } from "./read-buffer.ts";
import { NOBODY, type Transport, type TransportOwner } from "./transport.ts";

const CONNECTED = Buffer.from("HTTP/1.1 200 OK\r\n\r\n", "latin1");

/** A connection to the endpoint that exists already: dialled before the protocol was known. */
export interface DialledUpstream {
  readonly endpoint: Endpoint;
  readonly transport: RelayEnd;
}

/** The endpoint's side: passes its events on. */
class UpstreamSide implements TransportOwner {
  readonly #relay: Relay;

  constructor(relay: Relay) {
    this.#relay = relay;
  }

  onBytes(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    this.#relay.toClient(buffer, start, end, lease);
  }

  onEnd(): void {
    this.#relay.onUpstreamEnd();
  }

  onWritable(): void {
    this.#relay.onUpstreamWritable();
  }

  onDeadline(): void {
    this.#relay.onUpstreamDeadline();
  }

  onClosed(errno: number): void {
    this.#relay.onUpstreamClosed(errno);
  }
}

export class Relay implements TransportOwner, ClientConnection {
  readonly #context: ForwarderContext;
  readonly #listener: ListenerState;
  readonly #owner: ClientOwner;
  readonly #client: Transport;
  readonly #service: Service;
  #endpoint: Endpoint | null = null;
  #upstream: RelayEnd | null = null;
  #isConnected = false;
  #stash: Stash | null = null;
  #attempts = 0;
  #dialledAt = 0;
  #isClientEnded = false;
  #isUpstreamEnded = false;
  #isClosed = false;
  /** An accepted CONNECT waits for its answer. */
  #answersConnect: boolean;
  /** The service has spoken first, and the client, which has not spoken yet, may be a proxy that was late with its hello. */
  #mayBeLateProxy = false;

  constructor(
    context: ForwarderContext,
    listener: ListenerState,
    owner: ClientOwner,
    client: Transport,
    service: Service,
    answersConnect: boolean,
  ) {
    this.#context = context;
    this.#listener = listener;
    this.#owner = owner;
    this.#client = client;
    this.#service = service;
    this.#answersConnect = answersConnect;
    client.owner = this;
    client.readMode = ReadMode.adaptive;
    client.deadlineAt = 0;
  }

  /** Dials, or goes on with a connection that is there. */
  start(dialled: DialledUpstream | null): void {
    if (dialled === null) {
      this.#dial();
      return;
    }
    this.#endpoint = dialled.endpoint;
    this.#upstream = dialled.transport;
    dialled.transport.owner = new UpstreamSide(this);
    this.#established();
  }

  /**
   * The service has spoken first, at a port where proxies of the mesh come in. One whose hello was late takes the service's word for a broken
   * handshake and comes again; its hello is not for the service, which would never get one from a client of its own at this place.
   */
  refuseLateHello(): void {
    this.#mayBeLateProxy = true;
  }

  #dial(): void {
    const endpoint = this.#service.pick();
    if (endpoint === null) {
      this.#failed(ERRORS.WEFT_FAIL_FAST.id, "no endpoint is ready");
      return;
    }
    if (endpoint.isOwnListener) {
      this.#failed(ERRORS.WEFT_LOOP.id, endpoint.address);
      return;
    }
    this.#endpoint = endpoint;
    this.#attempts++;
    this.#dialledAt = this.#context.loop.now;
    endpoint.inFlight++;
    this.#upstream = endpoint.dialRaw(new UpstreamSide(this), (status) => this.#onConnect(status));
  }

  #onConnect(status: number): void {
    const endpoint = this.#endpoint!;
    endpoint.inFlight--;
    if (status !== 0) {
      this.#onDialFailed(status);
      return;
    }
    const { loop } = this.#context;
    endpoint.ewma.observe(loop.now - this.#dialledAt, loop.now);
    endpoint.relayOpened(this.#upstream!);
    this.#established();
  }

  #onDialFailed(status: number): void {
    const endpoint = this.#endpoint!;
    const failed = this.#upstream;
    this.#upstream = null;
    if (failed !== null) {
      // Its end is told later, when the next attempt is in its place: nobody must hear of it.
      failed.owner = NOBODY;
      failed.close(false);
    }
    const refusal = failed?.refusal ?? null;
    if (refusal?.isFinal === true) {
      this.#failed(ERRORS.WEFT_TUNNEL_REFUSED.id, `${endpoint.address}: ${refusal.reason}`);
      return;
    }
    endpoint.relayFailed(status, refusal);
    // The only one whose proxy is there: it would say the same again.
    const isLast = refusal?.isAnswer === true && endpoint.isReady;
    if (this.#attempts < CONNECT_ATTEMPTS_MAX && this.#service.hasReady && !isLast && !this.#isClosed) {
      this.#dial();
      return;
    }
    this.#failed(connectErrorId(status), `${endpoint.address}: ${refusal?.reason ?? errnoName(status)}`);
  }

  #established(): void {
    this.#isConnected = true;
    const upstream = this.#upstream!;
    upstream.readMode = ReadMode.adaptive;
    upstream.deadlineAt = 0;
    upstream.finishConnect();
    this.#touch();
    if (this.#answersConnect) {
      this.#client.write(CONNECTED, 0, CONNECTED.length, null);
      this.#client.flush();
    }
    const stash = this.#stash;
    this.#stash = null;
    if (stash !== null) {
      upstream.write(stash.bytes, stash.start, stash.end, null);
      upstream.flush();
    }
    if (this.#isClientEnded) upstream.shutdown();
    this.#client.resume();
  }

  /** No endpoint: the client sees a closed connection, the log says why. */
  #failed(errorId: number, detail: string): void {
    const row = errorRow(errorId);
    const code = errorCode(errorId);
    this.#context.counters.tcpError(this.#listener.snapshot.direction, row.label);
    this.#context.log("warn", `[${code}] ${row.cause}`, { service: this.#service.key, listener: this.#listener.snapshot.id, detail });
    if (this.#answersConnect) {
      const chunk = this.#client.reserve(1024);
      chunk.length = writeErrorResponse(chunk.bytes, chunk.length, {
        status: row.status,
        code,
        detail,
        close: true,
        isHead: false,
        now: new Date().toUTCString(),
      });
      this.#client.flush();
      this.#close(false);
      return;
    }
    this.#close(true);
  }

  #touch(): void {
    const { limits } = this.#context.shared;
    const isHalfOpen = this.#isClientEnded || this.#isUpstreamEnded;
    this.#client.deadlineAt = this.#context.loop.now + (isHalfOpen ? limits.halfClosedIdleMs : limits.tunnelIdleTimeoutMs);
  }

  // --- the client's side --------------------------------------------------------------------------------------------

  onBytes(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    const upstream = this.#upstream;
    if (!this.#isConnected || upstream === null) {
      this.#stash ??= new Stash();
      this.#stash.append(buffer, start, end);
      if (this.#stash.size >= this.#context.shared.limits.pipelinedBytesMax) this.#client.pause();
      return;
    }
    if (this.#mayBeLateProxy) {
      this.#mayBeLateProxy = false;
      if (mayBeClientHello(buffer, start, end)) {
        this.#close(true);
        return;
      }
    }
    this.#touch();
    upstream.write(buffer, start, end, lease);
    upstream.flush();
    if (upstream.isCongested) this.#client.pause();
  }

  onEnd(): void {
    this.#isClientEnded = true;
    if (!this.#isConnected) {
      // Nothing was said and nobody will read an answer that was not asked for.
      if (this.#stash === null) this.#close(false);
      return;
    }
    this.#touch();
    this.#upstream?.shutdown();
    this.#finishIfEnded();
  }

  onWritable(): void {
    if (this.#isUpstreamEnded) this.#finishIfEnded();
    else this.#upstream?.resume();
  }

  onDeadline(): void {
    this.#close(true);
  }

  onClosed(errno: number): void {
    const wasClosed = this.#isClosed;
    this.#isClosed = true;
    const upstream = this.#upstream;
    if (!wasClosed && upstream !== null) {
      if (!this.#isConnected) this.#endpoint!.inFlight--;
      upstream.close(errno !== 0);
    }
    this.#owner.onConnectionClosed(this, errno);
  }

  // --- the endpoint's side ------------------------------------------------------------------------------------------

  toClient(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    this.#touch();
    this.#client.write(buffer, start, end, lease);
    this.#client.flush();
    if (this.#client.isCongested) this.#upstream?.pause();
  }

  onUpstreamEnd(): void {
    this.#isUpstreamEnded = true;
    this.#touch();
    this.#client.shutdown();
    this.#finishIfEnded();
  }

  onUpstreamWritable(): void {
    if (this.#isClientEnded) this.#finishIfEnded();
    else this.#client.resume();
  }

  onUpstreamDeadline(): void {
    if (this.#isConnected) return;
    this.#endpoint!.inFlight--;
    this.#onDialFailed(UV_ETIMEDOUT);
  }

  onUpstreamClosed(errno: number): void {
    if (this.#isConnected) this.#endpoint!.relayClosed(errno);
    this.#upstream = null;
    if (this.#isConnected) this.#close(errno !== 0);
  }

  #finishIfEnded(): void {
    const upstream = this.#upstream;
    if (!this.#isClientEnded || !this.#isUpstreamEnded || upstream === null) return;
    if (this.#client.unsentBytes > 0 || upstream.unsentBytes > 0) return;
    this.#close(false);
  }

  #close(isAbort: boolean): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const upstream = this.#upstream;
    if (upstream !== null && !this.#isConnected) this.#endpoint!.inFlight--;
    upstream?.close(isAbort);
    this.#client.close(isAbort);
  }

  /** Opaque connections have no end that Weft could ask for: they go on until the grace period is over. */
  drain(): void {}

  recheck(): void {
    if (!this.#isClosed && this.#listener.gate?.current.mayStay(this.#client) === false) this.#close(true);
  }

  cut(): void {
    this.#close(true);
  }
}
