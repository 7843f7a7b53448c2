// A client connection whose protocol is not known yet (issue: detection on the first bytes).
//
//   silent --(first bytes)--> reading --> HTTP/1 (for good) | HTTP/2 | opaque (TLS passes through as such)
//     | detectTimeoutMs without a byte
//     v
//   server-first: the upstream is dialled; whoever speaks first decides. If it is the client, and with HTTP after all,
//   the dialled connection joins the pool. An HTTP/2 server always speaks at once: that decides nothing, and the client is waited for.
//
// At an inbound listener of a mesh, whatever protocol it has, the first bytes tell before that whether the client asks for this proxy by
// its name in the mesh (linkerd.md 7.6): then mesh TLS begins. Any other TLS is the application's own and passes through untouched; what is
// not TLS goes on as the listener's protocol says.

import { Buffer } from "node:buffer";
import { ERRORS } from "../core/errors/error-codes.ts";
import type { Lease } from "../core/http/exchange.ts";
import { readClientHello } from "../core/tcp/client-hello.ts";
import { Detected, detectProtocol, isForForwardProxy } from "../core/tcp/detect.ts";
import { isHttp2Server } from "../core/tcp/detect-server.ts";
import type { ClientConnection, ClientOwner } from "./client-connection.ts";
import { type ClientPeer, PLAIN_CLIENT } from "./client-peer.ts";
import { DownstreamH1 } from "./downstream-h1.ts";
import { DownstreamH2 } from "./downstream-h2.ts";
import type { Endpoint } from "./endpoint.ts";
import type { ForwarderContext, ListenerState } from "./forwarder-context.ts";
import { isIdleForLong } from "./idle-drain.ts";
import { MeshConnection } from "./mesh-connection.ts";
import { type DialledUpstream, Relay } from "./relay.ts";
import type { RelayEnd } from "./relay-end.ts";
import { CONNECT_ATTEMPTS_MAX, type Service } from "./service.ts";
import { Stash } from "./stash.ts";
import { isStraightKey } from "./straight-services.ts";
import { SilentUpstream } from "./silent-upstream.ts";
import { NOBODY, type Transport, type TransportOwner } from "./transport.ts";

/** What a record of a TLS handshake begins with. */
const TLS_HANDSHAKE = 0x16;

const RESULT_LABELS = ["read_timeout", "tls", "http/2", "http/1", "not_http"] as const;

export class DetectConnection implements TransportOwner, ClientConnection {
  readonly #context: ForwarderContext;
  #listener: ListenerState;
  readonly #owner: ClientOwner;
  readonly #transport: Transport;
  #stash: Stash | null = null;
  #endpoint: Endpoint | null = null;
  #upstream: RelayEnd | null = null;
  #isConnected = false;
  #attempts = 0;
  #isDecided = false;
  /** It waits in the queue of silent connections. */
  isSilent = true;

  constructor(context: ForwarderContext, listener: ListenerState, owner: ClientOwner, transport: Transport) {
    this.#context = context;
    this.#listener = listener;
    this.#owner = owner;
    this.#transport = transport;
    transport.owner = this;
    transport.deadlineAt = context.loop.now + context.shared.limits.idleTimeoutMs;
  }

  onBytes(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    this.isSilent = false;
    const stash = this.#stash;
    if (stash === null) {
      this.#decide(buffer, start, end, lease);
    } else {
      stash.append(buffer, start, end);
      this.#decide(stash.bytes, stash.start, stash.end, null);
    }
  }

  #decide(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    if (!this.#listener.isDecided && !this.#decidePeer(buffer, start, end)) return;
    const { direction, protocol } = this.#listener.snapshot;
    const detected = protocol === "detect" ? this.#detect(buffer, start, end) : this.#declared;
    if (detected === Detected.undecided) {
      this.#wait(buffer, start, end);
      return;
    }
    this.#isDecided = true;
    if (protocol === "detect") this.#context.counters.detected(direction, RESULT_LABELS[detected] ?? "error");
    if (detected === Detected.http1) {
      this.#becomeHttp(buffer, start, end, lease);
      return;
    }
    if (detected === Detected.http2) {
      this.#becomeHttp2(buffer, start, end, lease);
      return;
    }
    const service = this.#service();
    if (service === null || service.isHttpOnly) {
      const name = RESULT_LABELS[detected];
      this.#refuse(
        service === null ? `${name}: no service for connections that name none` : `${name}: the ports of ${service.key} are declared HTTP`,
      );
      return;
    }
    this.#becomeRelay(service, buffer, start, end);
  }

  /** A redirected connection to a forward proxy is that proxy's business: what it is asked for is not ours to take apart. */
  #detect(buffer: Buffer, start: number, end: number): Detected {
    const detected = detectProtocol(buffer, start, end);
    const { snapshot, fixedService } = this.#listener;
    if (detected !== Detected.http1 || snapshot.transparent !== true || fixedService === null || !isStraightKey(fixedService))
      return detected;
    const isForProxy = isForForwardProxy(buffer, start, end);
    if (isForProxy === undefined) return Detected.undecided;
    return isForProxy ? Detected.opaque : detected;
  }

  /** More has to come. */
  #wait(buffer: Buffer, start: number, end: number): void {
    if (this.#stash !== null) return;
    this.#stash = new Stash();
    this.#stash.append(buffer, start, end);
    this.#transport.deadlineAt = this.#context.loop.now + this.#context.shared.limits.headerDeadlineMs;
  }

  /** Does the client come by mesh TLS? True: it does not, and what it speaks is the next question. */
  #decidePeer(buffer: Buffer, start: number, end: number): boolean {
    if (buffer[start] !== TLS_HANDSHAKE) {
      this.#identify(PLAIN_CLIENT);
      return true;
    }
    const hello = readClientHello(buffer, start, end);
    if (hello === "incomplete") {
      this.#wait(buffer, start, end);
      return false;
    }
    if (hello === "malformed" || hello.serverName === null || hello.serverName !== this.#context.mesh.name) {
      const isTls = detectProtocol(buffer, start, end) === Detected.tls;
      const serverName = hello === "malformed" ? null : hello.serverName;
      this.#identify(isTls ? this.#context.foreignTls.get(serverName) : PLAIN_CLIENT);
      return true;
    }
    this.#isDecided = true;
    // What was dialled for a silent client has spoken to nobody: the service gets its connection when the peer is known.
    this.#takeDialled()?.transport.close(false);
    const next = new MeshConnection(this.#context, this.#listener, this.#owner, this.#transport);
    this.#owner.replace(this, next);
    next.begin(Buffer.from(buffer.subarray(start, end)));
    return false;
  }

  #identify(peer: ClientPeer): void {
    this.#listener = this.#owner.identified(this, this.#transport, this.#listener, peer);
  }

  /** Where the protocol is declared, only an application's own TLS is something else. */
  get #declared(): Detected {
    const { protocol } = this.#listener.snapshot;
    if (protocol === "opaque") return Detected.opaque;
    if (this.#transport.peer.labels.tls === "opaque") return Detected.tls;
    return protocol === "http1" ? Detected.http1 : Detected.http2;
  }

  #service(): Service | null {
    const fixed = this.#listener.fixedService;
    return fixed === null ? this.#context.router.default() : this.#context.router.fixed(fixed);
  }

  #becomeHttp(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    const next = new DownstreamH1(this.#context, this.#listener, this.#owner, this.#transport);
    this.#owner.replace(this, next);
    const dialled = this.#takeDialled();
    if (dialled !== null) dialled.endpoint.adopt(dialled.transport);
    next.onBytes(buffer, start, end, lease);
  }

  #becomeHttp2(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    // A connection dialled because the client was silent spoke to nobody yet: HTTP/2 makes its own.
    this.#takeDialled()?.transport.close(false);
    const next = new DownstreamH2(this.#context, this.#listener, this.#owner, this.#transport);
    this.#owner.replace(this, next);
    next.onBytes(buffer, start, end, lease);
  }

  /** Where the listener's policy refuses the client: closed without a byte. */
  #isAdmitted(): boolean {
    const { gate } = this.#listener;
    if (gate === null || gate.current.admitConnection(this.#transport)) return true;
    this.cut();
    return false;
  }

  #becomeRelay(service: Service, buffer: Buffer, start: number, end: number): void {
    if (!this.#isAdmitted()) return;
    const next = new Relay(this.#context, this.#listener, this.#owner, this.#transport, service, false);
    this.#owner.replace(this, next);
    // Kept first: a connect may fail at once, and the bytes belong to the connection.
    const dialled = this.#takeDialled();
    if (dialled === null) {
      next.onBytes(buffer, start, end, null);
      next.start(null);
    } else {
      next.start(dialled);
      next.onBytes(buffer, start, end, null);
    }
  }

  /** The connection to the upstream if it is established; one in the making is given up. */
  #takeDialled(): DialledUpstream | null {
    const upstream = this.#upstream;
    const endpoint = this.#endpoint;
    this.#upstream = null;
    if (upstream === null || endpoint === null) return null;
    if (this.#isConnected && !upstream.isClosed) return { endpoint, transport: upstream };
    if (!this.#isConnected) endpoint.inFlight--;
    upstream.close(false);
    return null;
  }

  #refuse(detail: string): void {
    const row = ERRORS.WEFT_OPAQUE_NOT_ALLOWED;
    this.#context.counters.tcpError(this.#listener.snapshot.direction, row.label);
    this.#context.log("warn", `[WEFT_OPAQUE_NOT_ALLOWED] ${row.cause}`, { listener: this.#listener.snapshot.id, detail });
    this.cut();
  }

  /** detectTimeoutMs passed without a byte: perhaps the server speaks first. */
  onSilence(): void {
    this.isSilent = false;
    if (this.#isDecided || this.#transport.isClosed || this.#stash !== null) return;
    const { protocol } = this.#listener.snapshot;
    const service = protocol === "detect" || protocol === "opaque" ? this.#service() : null;
    if (service === null || service.isHttpOnly) return;
    // Nothing is dialled for who is not admitted. It may still be HTTP that is slow to begin and gets an answer, or somebody of the mesh
    // who is admitted once it is known: it has to begin within the time for a head. Who is admitted is counted when it is a relay.
    if (this.#listener.gate?.current.admits(this.#transport) === false) this.#mustBegin();
    else this.#dial(service);
  }

  /** For a client that may be waiting for the server's word. Where nobody can be reached it has to begin itself, within the time for a head. */
  #dial(service: Service): void {
    const endpoint = service.pick();
    if (endpoint?.isOwnListener === true) return;
    if (endpoint === null || this.#attempts === CONNECT_ATTEMPTS_MAX) {
      this.#mustBegin();
      return;
    }
    this.#attempts++;
    this.#endpoint = endpoint;
    const dialledAt = this.#context.loop.now;
    endpoint.inFlight++;
    const upstream = endpoint.dialRaw(new SilentUpstream(this), (status) => {
      if (this.#upstream === null) return;
      if (status !== 0) {
        this.onServerFailed(status);
        return;
      }
      endpoint.inFlight--;
      this.#isConnected = true;
      upstream.deadlineAt = 0;
      endpoint.ewma.observe(this.#context.loop.now - dialledAt, this.#context.loop.now);
      endpoint.relayOpened(upstream);
    });
    this.#upstream = upstream;
  }

  /** Not connected. Another endpoint may be; a client that chose this address itself is told as the server would have. */
  onServerFailed(errno: number): void {
    const upstream = this.#upstream;
    const endpoint = this.#endpoint;
    if (upstream === null || endpoint === null) return;
    endpoint.inFlight--;
    this.#upstream = null;
    // Its end is told later, when the next attempt is in its place: nobody must hear of it.
    upstream.owner = NOBODY;
    upstream.close(false);
    endpoint.relayFailed(errno, upstream.refusal ?? null);
    const service = this.#service();
    if (endpoint.isStraight) this.#end(true);
    else if (service === null || service.isHttpOnly || upstream.refusal?.isFinal === true) this.#mustBegin();
    else this.#dial(service);
  }

  #mustBegin(): void {
    const { loop, shared } = this.#context;
    this.#transport.deadlineAt = Math.min(this.#transport.deadlineAt, loop.now + shared.limits.headerDeadlineMs);
  }

  /** The server speaks first: an opaque protocol. */
  onServerSpoke(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    const service = this.#service();
    if (this.#isDecided) return;
    if (this.#isInHello) {
      // A proxy of the mesh, perhaps, whose hello is on its way: what the service says is not for it. The service gets another connection.
      this.onServerGone();
      return;
    }
    if (isHttp2Server(buffer, start, end)) {
      // A relay would tie all requests of a client that was only slow to this one endpoint, and could not be told to go away.
      this.onServerGone();
      return;
    }
    if (service === null) {
      // A reload took it away while nobody spoke.
      this.cut();
      return;
    }
    this.#isDecided = true;
    const mayBeProxy = !this.#listener.isDecided;
    if (mayBeProxy) this.#identify(PLAIN_CLIENT);
    if (!this.#isAdmitted()) return;
    this.#context.counters.detected(this.#listener.snapshot.direction, "read_timeout");
    const next = new Relay(this.#context, this.#listener, this.#owner, this.#transport, service, false);
    this.#owner.replace(this, next);
    if (mayBeProxy) next.refuseLateHello();
    next.start(this.#takeDialled());
    const stash = this.#stash;
    if (stash !== null) next.onBytes(stash.bytes, stash.start, stash.end, null);
    next.toClient(buffer, start, end, lease);
  }

  /** Part of a TLS hello is here, at a port where proxies of the mesh come in. */
  get #isInHello(): boolean {
    const stash = this.#stash;
    return stash !== null && !this.#listener.isDecided && stash.bytes[stash.start] === TLS_HANDSHAKE;
  }

  /** The dialled connection failed, ended, or is of no use: as if it had never been there. */
  onServerGone(): void {
    const upstream = this.#upstream;
    if (upstream === null) return;
    this.#upstream = null;
    if (!this.#isConnected) this.#endpoint!.inFlight--;
    upstream.close(false);
  }

  /** Before anybody spoke. A client that chose this address itself is told as the server would have: it may wait for its word. */
  onServerLeft(): void {
    const isStraight = this.#endpoint?.isStraight === true;
    this.onServerGone();
    if (isStraight && !this.#isDecided) this.#end(false);
  }

  onServerClosed(errno: number): void {
    if (this.#isConnected) this.#endpoint!.relayClosed(errno);
    this.#upstream = null;
    if (errno !== 0 && this.#endpoint?.isStraight === true && !this.#isDecided) this.#end(true);
  }

  onEnd(): void {
    const stash = this.#stash;
    if (stash === null || this.#isDecided) {
      this.cut();
      return;
    }
    // All that will ever come is here, and it is no HTTP.
    this.#isDecided = true;
    if (!this.#listener.isDecided) this.#identify(PLAIN_CLIENT);
    const service = this.#service();
    if (service === null || service.isHttpOnly) {
      this.#refuse("incomplete first line");
      return;
    }
    this.#becomeRelay(service, stash.bytes, stash.start, stash.end);
    this.#transport.owner.onEnd();
  }

  onWritable(): void {}

  onDeadline(): void {
    const { gate, isDecided } = this.#listener;
    if (gate?.current.admits(this.#transport) === false) {
      if (!isDecided) this.#identify(PLAIN_CLIENT);
      this.#isAdmitted();
    }
    this.cut();
  }

  onClosed(errno: number): void {
    this.onServerGone();
    this.#owner.onConnectionClosed(this, errno);
  }

  drain(): void {
    if (this.#stash === null && isIdleForLong(this.#context, this.#transport)) this.onDeadline();
  }

  /** What was dialled for a silent client is no longer its. */
  recheck(): void {
    if (this.#upstream !== null && this.#listener.gate?.current.mayStay(this.#transport) === false) this.cut();
  }

  cut(): void {
    this.#end(false);
  }

  #end(isAbort: boolean): void {
    this.#isDecided = true;
    this.#transport.close(isAbort);
  }
}
