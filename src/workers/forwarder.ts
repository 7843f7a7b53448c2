// The data path of one thread: takes accepted descriptors, owns everything that becomes of them (ForwarderLike).
//
// Shares nothing with other threads but the recorder's slots, which it alone writes, and updates of the configuration, which it
// applies between events: services and endpoints that stay keep their connections, pools and estimates.
// Long because it is where the parts of a thread meet: each has a few lines here and a file of its own.

import { Buffer } from "node:buffer";
import { closeSync } from "node:fs";
import { DEFAULT_LIMITS } from "../config/limits.ts";
import type { WorkerProxy, WorkerService, WorkerUpdate } from "../config/snapshot.ts";
import type { RequestEdits } from "../core/http/exchange.ts";
import { EndpointMetrics } from "../core/telemetry/endpoint-metrics.ts";
import { GrpcMetrics } from "../core/telemetry/grpc-metrics.ts";
import type { HdrLatency } from "../core/telemetry/hdr.ts";
import { TransportMetrics } from "../core/telemetry/transport-metrics.ts";
import { createRandom, type Random } from "../core/util/random.ts";
import { AccessLogWriter } from "./access-log-writer.ts";
import type { ClientConnection, ClientOwner } from "./client-connection.ts";
import { type ClientPeer, ForeignTlsClients, type PeerLabels } from "./client-peer.ts";
import { DetectConnection } from "./detect-connection.ts";
import { DownstreamH1 } from "./downstream-h1.ts";
import { DownstreamH2 } from "./downstream-h2.ts";
import type { EndpointOwner, EndpointParts } from "./endpoint.ts";
import { errnoName, isOwnErrno } from "./errno.ts";
import { ForwarderCounters } from "./forwarder-counters.ts";
import type { AccessLog, Counters, ForwarderContext, ListenerState } from "./forwarder-context.ts";
import type { ForwarderLike, ForwarderOptions, LogFields, LogLevel } from "./forwarder-types.ts";
import { H1Shared } from "./h1-shared.ts";
import { H2Shared } from "./h2-shared.ts";
import { ListenerTable } from "./listener-table.ts";
import { MeshTls } from "./mesh-tls.ts";
import { assertNativeHandles } from "./native-handles.ts";
import { OwnListeners, splitAddress } from "./own-listeners.ts";
import { PolicyLog } from "./policy-log.ts";
import { INBOUND_ID, inboundPortId } from "./port-gate.ts";
import { Redirects } from "./redirects.ts";
import { Relay } from "./relay.ts";
import { Router, type RouterEntry } from "./router.ts";
import { NO_TLS, type ServerLabels, serverLabels } from "./server-labels.ts";
import { Service } from "./service.ts";
import { SilenceQueue } from "./silence-queue.ts";
import { isMeshPlain } from "./test-hooks.ts";
import { hasOwnLabels, isStraightKey } from "./straight-services.ts";
import { TlsConnection } from "./tls-connection.ts";
import { TlsContexts } from "./tls-contexts.ts";
import { NOBODY, type Transport } from "./transport.ts";
import { adoptConnection } from "./transport-open.ts";
import { UnknownServices } from "./unknown-services.ts";
import { WorkerLoop } from "./worker-loop.ts";

const VIA_NAME = Buffer.from("weft", "latin1");
const UNREACHABLE = "an endpoint cannot be reached";
const NO_RULES = { default: null, unknown: "refuse", allowOverride: false } as const;

export class Forwarder implements ForwarderLike, ForwarderContext, ClientOwner {
  readonly loop: WorkerLoop;
  readonly shared = new H1Shared(DEFAULT_LIMITS);
  readonly h2 = new H2Shared(DEFAULT_LIMITS);
  readonly random: Random = createRandom((Math.random() * 0x7fffffff) | 0);
  readonly router: Router;
  readonly mesh: MeshTls;
  readonly foreignTls = new ForeignTlsClients();
  readonly counters: Counters;
  readonly edits: { -readonly [K in keyof RequestEdits]: RequestEdits[K] } = {
    hostFallback: Buffer.alloc(0),
    forwardedFor: null,
    via: null,
    clientId: null,
  };
  isDraining = false;
  allowConnect = false;
  forwarded = false;
  via: Buffer | null = null;
  accessLog: AccessLog | null = null;

  readonly #options: ForwarderOptions;
  readonly #overhead: HdrLatency;
  readonly #silence: SilenceQueue;
  readonly #unknown: UnknownServices;
  readonly #redirects: Redirects;
  readonly #tls: TlsContexts;
  readonly #services = new Map<string, Service>();
  readonly #listeners: ListenerTable;
  readonly #clients = new Map<ClientConnection, ListenerState>();
  readonly #policyLog: PolicyLog;
  #ownListeners = new OwnListeners([]);
  readonly #bugSlot: number;
  readonly #isMeshPlain: boolean;

  constructor(options: ForwarderOptions) {
    assertNativeHandles();
    this.#options = options;
    this.#isMeshPlain = options.testHooks && isMeshPlain(process.env);
    const { recorder } = options;
    this.#overhead = recorder.hdr("proxy_overhead_us", {}, 3);
    const delay = recorder.hdr("proxy_loop_delay_us", {}, 3);
    this.#bugSlot = recorder.counter("proxy_callback_errors_total", {});
    this.counters = new ForwarderCounters(recorder);
    this.loop = new WorkerLoop(DEFAULT_LIMITS, {
      slots: recorder.slots,
      bodySlot: recorder.counter("proxy_body_bytes_total", {}),
      copiedSlot: recorder.counter("proxy_body_bytes_copied_total", {}),
      recordDelay: (us) => delay.record(us),
      onBug: (error) => this.#onBug(error),
    });
    this.#silence = new SilenceQueue(this.loop);
    this.#tls = new TlsContexts(recorder, options.log);
    this.#policyLog = new PolicyLog(options.log, () => this.loop.now);
    this.mesh = new MeshTls(recorder, options.log, this.#policyLog);
    this.#listeners = new ListenerTable({
      recorder,
      policyLog: this.#policyLog,
      tls: this.#tls,
      mesh: this.mesh,
      isMeshPlain: this.#isMeshPlain,
    });
    this.#unknown = new UnknownServices(this.loop, {
      makeService: (config) => this.#makeService(config),
      forgetRoutes: () => this.router.forget(),
    });
    this.#redirects = new Redirects(this.loop, {
      services: this.#services,
      redirectedPort: (port) => this.#listeners.get(inboundPortId(port)) ?? null,
      adopt: (fd, listenerId) => this.adopt(fd, listenerId),
      onStrangers: (ports) => this.#options.onStrangers(ports),
      onSettled: () => this.#options.onOpenConnections(this.#clients.size),
      openConnections: () => this.#clients.size,
      log: options.log,
      makeService: (config) => {
        const service = this.#makeService(config);
        service.update(config);
        return service;
      },
    });
    this.router = new Router(
      NO_RULES,
      (host, port) => this.#unknown.get(host, port),
      (key) => this.#redirects.service(key),
    );
  }

  // --- configuration ------------------------------------------------------------------------------------------------

  update(update: WorkerUpdate): void {
    this.loop.run(() => {
      const { proxy, ticketKeys, identity } = update;
      if (ticketKeys !== undefined) this.#tls.setTicketKeys(ticketKeys);
      const wasInMesh = this.mesh.name !== null;
      if (identity !== undefined) this.mesh.update(identity);
      if (proxy !== null) this.#updateProxy(proxy);
      else if (!wasInMesh && this.mesh.name !== null) this.#listeners.joinMesh();
      const entries: RouterEntry[] = [];
      for (const config of update.services) entries.push(this.#updateService(config));
      for (const key of update.removed) {
        this.#services.get(key)?.remove();
        this.#services.delete(key);
      }
      this.router.update(entries, update.removed, proxy?.outbound ?? null);
      // Behind the services: a connection that is cut must not find what is gone.
      if (proxy !== null) this.#recheck();
      this.#redirects.changed(proxy !== null);
    });
  }

  /** The one case in which a reload ends connections: a policy that does not admit them any more. */
  #recheck(): void {
    if (!this.#listeners.takePolicyChange()) return;
    for (const [client, { gate }] of [...this.#clients]) {
      // A tunnel may be for another port than its connection came in at.
      if (gate !== null) client.recheck();
    }
  }

  #updateProxy(proxy: WorkerProxy): void {
    this.loop.limits = proxy.limits;
    this.shared.setLimits(proxy.limits);
    this.h2.setLimits(proxy.limits);
    this.allowConnect = proxy.allowConnect;
    this.forwarded = proxy.forwarded;
    this.via = proxy.forwarded ? VIA_NAME : null;
    if (proxy.accessLog === "off") this.accessLog = null;
    else this.accessLog = new AccessLogWriter(proxy.accessLog);
    const own = proxy.listeners.map(({ listen }) => listen);
    this.#ownListeners = new OwnListeners(proxy.admin === null ? own : [...own, proxy.admin]);
    // Nothing listens at a redirected port: its connections come in at the transparent listener.
    const listeners = [...proxy.listeners, ...(proxy.redirectedPorts ?? [])];
    this.#tls.update(listeners, proxy.certificates ?? []);
    this.#listeners.update(listeners);
  }

  #updateService(config: WorkerService): RouterEntry {
    let service = this.#services.get(config.key);
    if (service === undefined) {
      service = this.#makeService(config);
      this.#services.set(config.key, service);
    }
    service.update(config);
    return { key: config.key, hosts: config.hosts, ports: config.ports, service };
  }

  #makeService(config: WorkerService): Service {
    const grpc = new GrpcMetrics(this.#options.recorder, {
      direction: directionOf(config),
      dst_service: config.name,
      dst_namespace: config.namespace,
    });
    return new Service(this, config, this.#endpointMetrics(config, "", "", ""), grpc);
  }

  /** Called when an endpoint is used for the first time, not when it is configured. */
  endpointParts(owner: EndpointOwner, address: string): EndpointParts {
    const { host, port } = splitAddress(address);
    const label = addressLabels(owner, address);
    const identity = owner.identityOf(address);
    const labels = serverLabels(this.mesh.name !== null, directionOf(owner), identity);
    return {
      host,
      port,
      isIpv6: host.includes(":"),
      isOwnListener: this.#ownListeners.has(host, port),
      isMesh: identity !== null,
      isSecure: !this.#isMeshPlain,
      isStraight: isStraightKey(owner.key),
      isInbound: directionOf(owner) === "inbound",
      hostFallback: Buffer.from(address, "latin1"),
      metrics: this.#endpointMetrics(owner, ...label, labels),
      transportMetrics: new TransportMetrics(this.#options.recorder, {
        direction: directionOf(owner),
        peer: "dst",
        target_addr: label[0],
        target_ip: label[1],
        target_port: label[2],
        ...labels,
        dst_service: owner.name,
        dst_namespace: owner.namespace,
      }),
    };
  }

  endpointMetrics(owner: EndpointOwner, address: string, labels: PeerLabels): EndpointMetrics {
    return this.#endpointMetrics(owner, ...addressLabels(owner, address), labels);
  }

  #endpointMetrics(
    owner: Pick<EndpointOwner, "key" | "name" | "namespace">,
    address: string,
    ip: string,
    port: string,
    labels: ServerLabels | PeerLabels = NO_TLS,
  ): EndpointMetrics {
    return new EndpointMetrics(this.#options.recorder, {
      direction: directionOf(owner),
      dst_service: owner.name,
      dst_namespace: owner.namespace,
      target_addr: address,
      target_ip: ip,
      target_port: port,
      ...labels,
    });
  }

  // --- connections --------------------------------------------------------------------------------------------------

  adopt(fd: number, listenerId: string): void {
    this.loop.run(() => this.#adopt(fd, listenerId));
  }

  namesAsked(): void {
    this.#redirects.namesAsked();
  }

  #adopt(fd: number, listenerId: string): void {
    let listener = this.#listeners.get(listenerId);
    if (listener?.snapshot.transparent === true) {
      const redirected = this.#redirects.resolve(fd, listener);
      if (redirected === null) return;
      listener = redirected;
    }
    if (listener === undefined) {
      // Its listener went with a reload while it was on its way; nobody knows what it was for.
      closeSync(fd);
      this.log("warn", "a connection came from a listener that is gone", { listener: listenerId });
      return;
    }
    const transport = adoptConnection(this.loop, fd, NOBODY);
    if (listener.isDecided) {
      transport.setMeter(listener.metrics);
      listener.metrics.opened();
    }
    const client = listener.snapshot.tls === undefined ? this.#connection(listener, transport, "") : this.#handshake(listener, transport);
    if (client === null) {
      transport.close(false);
      listener.metrics.closed("");
      return;
    }
    this.#register(client, listener);
    if (client instanceof Relay) client.start(null);
    else if (this.isDraining) client.drain();
  }

  #handshake(listener: ListenerState, transport: Transport): TlsConnection | null {
    return listener.tls === null ? null : new TlsConnection(this, this.#tls, listener, listener.tls, this, transport);
  }

  secured(previous: ClientConnection, transport: Transport, listener: ListenerState, protocol: string): void {
    const next = this.#connection(listener, transport, protocol);
    if (next === null) {
      transport.close(false);
      return;
    }
    this.replace(previous, next);
    if (next instanceof Relay) next.start(null);
  }

  /** What a connection speaks: as its listener says, as ALPN has settled it ("" for nothing), else by its first bytes. Null: no service. */
  #connection(listener: ListenerState, transport: Transport, alpn: string): ClientConnection | null {
    const { protocol } = listener.snapshot;
    const isDetecting = protocol === "detect" || !listener.isDecided;
    if (alpn === "h2") return new DownstreamH2(this, listener, this, transport);
    if (!isDetecting && (protocol === "http2" || protocol === "grpc")) return new DownstreamH2(this, listener, this, transport);
    if (isDetecting ? alpn.startsWith("http/1.") : protocol === "http1") return new DownstreamH1(this, listener, this, transport);
    if (isDetecting) {
      const detecting = new DetectConnection(this, listener, this, transport);
      this.#silence.add(detecting);
      return detecting;
    }
    const service = listener.fixedService === null ? this.router.default() : this.router.fixed(listener.fixedService);
    if (listener.gate?.current.admitConnection(transport) === false) return null;
    if (service !== null) return new Relay(this, listener, this, transport, service, false);
    this.counters.tcpError(listener.snapshot.direction, "no route");
    return null;
  }

  #register(client: ClientConnection, listener: ListenerState): void {
    this.#clients.set(client, listener);
    this.#options.onOpenConnections(this.#clients.size);
  }

  replace(previous: ClientConnection, next: ClientConnection): void {
    const listener = this.#clients.get(previous);
    if (listener === undefined) return;
    this.#clients.delete(previous);
    this.#clients.set(next, listener);
    if (this.isDraining) next.drain();
  }

  identified(connection: ClientConnection, transport: Transport, listener: ListenerState, peer: ClientPeer): ListenerState {
    const known = this.#listeners.forPeer(listener, peer);
    transport.peer = peer;
    transport.setMeter(known.metrics);
    known.metrics.opened();
    // What was read so far is the client's own, unless it was a handshake.
    if (!peer.isMeshed) this.loop.slots[known.metrics.readSlot]! += transport.bytesRead;
    if (this.#clients.has(connection)) this.#clients.set(connection, known);
    return known;
  }

  becomeRelay(previous: ClientConnection, transport: Transport, listener: ListenerState, service: Service): void {
    const relay = new Relay(this, listener, this, transport, service, true);
    this.replace(previous, relay);
    relay.start(null);
  }

  onConnectionClosed(client: ClientConnection, errno: number): void {
    const listener = this.#clients.get(client);
    if (listener === undefined) return;
    this.#clients.delete(client);
    if (!listener.isDecided) listener.metrics.opened();
    listener.metrics.closed(errnoName(errno));
    this.#options.onOpenConnections(this.#clients.size);
  }

  get openConnections(): number {
    return this.#clients.size;
  }

  idle(): boolean {
    return this.#clients.size === 0 && !this.#redirects.isWaiting;
  }

  drain(): void {
    if (this.isDraining) return;
    this.isDraining = true;
    this.loop.run(() => {
      for (const client of this.#clients.keys()) client.drain();
    });
  }

  cut(): number {
    const count = this.#clients.size;
    this.loop.run(() => {
      for (const client of [...this.#clients.keys()]) client.cut();
      for (const service of this.#services.values()) service.remove();
      this.#policyLog.flush();
      this.#unknown.clear();
      this.#redirects.clear();
      this.loop.closeAll();
    });
    return count;
  }

  inboundListener(port: number): ListenerState | null {
    return this.#listeners.inboundAt(port, (key) => this.router.fixed(key)?.config.endpoints ?? []);
  }

  inboundPort(listener: ListenerState, transport: Transport, port: number): ListenerState | null {
    const known = this.inboundListener(port);
    if (listener.snapshot.transparent !== true || (known !== null && known.fixedService !== null)) return known;
    // The rules of the port that it came in at are not those of the one that it names.
    return this.#redirects.toPort(transport.fd, known ?? this.#listeners.get(INBOUND_ID) ?? listener, port);
  }

  // --- what others of this thread use -------------------------------------------------------------------------------

  recordOverhead(us: number): void {
    this.#overhead.record(us);
  }

  onConnectFailed(serviceKey: string, address: string, errno: number): void {
    // What is Weft's own reason has been logged with its details.
    if (!isOwnErrno(errno)) this.#policyLog.note(UNREACHABLE, address, { service: serviceKey, detail: errnoName(errno) }, "endpoint");
    this.#options.onConnectFailed(serviceKey, address);
  }

  log(level: LogLevel, message: string, fields?: LogFields): void {
    this.#options.log(level, message, fields);
  }

  #onBug(error: unknown): void {
    this.loop.slots[this.#bugSlot]! += 1;
    this.log("error", "[WEFT_INTERNAL] an exception in a callback; that connection was closed", {
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  }

  stats(): object {
    return {
      connections: this.#clients.size,
      transports: this.loop.size,
      buffers: { stream: this.loop.readBuffers.inUse, out: this.loop.outChunks.inUse },
      services: [...this.#services.values(), ...this.#unknown.services(), ...this.#redirects.services()].map((service) => service.stats()),
    };
  }

  histograms(): object {
    return {};
  }
}

/** An address, its host and its port as labels. */
function addressLabels(owner: EndpointOwner, address: string): readonly [string, string, string] {
  if (!hasOwnLabels(owner)) return ["", "", ""];
  const { host, port } = splitAddress(address);
  return [address, host, String(port)];
}

function directionOf({ key }: { readonly key: string }): "inbound" | "outbound" {
  return key.startsWith("inbound/") ? "inbound" : "outbound";
}

export function createForwarder(options: ForwarderOptions): ForwarderLike {
  return new Forwarder(options);
}
