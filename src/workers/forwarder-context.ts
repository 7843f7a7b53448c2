// What the connections, exchanges and endpoints of one forwarding thread share. Types only; forwarder.ts makes it.

import type { Buffer } from "node:buffer";
import type { RequestEdits } from "../core/http/exchange.ts";
import type { Random } from "../core/util/random.ts";
import type { ListenerSnapshot } from "../config/snapshot.ts";
import type { EndpointMetrics } from "../core/telemetry/endpoint-metrics.ts";
import type { TransportMetrics } from "../core/telemetry/transport-metrics.ts";
import type { ForeignTlsClients, PeerLabels } from "./client-peer.ts";
import type { EndpointOwner, EndpointParts } from "./endpoint.ts";
import type { LogFields, LogLevel } from "./forwarder-types.ts";
import type { H1Shared } from "./h1-shared.ts";
import type { H2Shared } from "./h2-shared.ts";
import type { MeshTls } from "./mesh-tls.ts";
import type { PortGate } from "./port-gate.ts";
import type { Router } from "./router.ts";
import type { TlsContext } from "./tls-context.ts";
import type { Transport } from "./transport.ts";
import type { WorkerLoop } from "./worker-loop.ts";

export interface ForwarderContext {
  readonly loop: WorkerLoop;
  readonly shared: H1Shared;
  readonly h2: H2Shared;
  readonly random: Random;
  readonly router: Router;
  readonly mesh: MeshTls;
  readonly foreignTls: ForeignTlsClients;
  readonly counters: Counters;
  /** Requests may carry on, but every answer says close. */
  readonly isDraining: boolean;
  readonly allowConnect: boolean;
  /** X-Forwarded-For and Via are added. */
  readonly forwarded: boolean;
  /** Weft's name in Via, null while `forwarded` is off. */
  readonly via: Buffer | null;
  /** Filled for each request that is sent: no object per request. */
  readonly edits: { -readonly [K in keyof RequestEdits]: RequestEdits[K] };
  /** Null while the access log is off: nothing is gathered then. */
  readonly accessLog: AccessLog | null;
  /** The inbound listener at this port, or the one with such a target. */
  inboundListener(port: number): ListenerState | null;
  /** The same for a connection that came in at `listener`, which any port will do for where it is transparent. */
  inboundPort(listener: ListenerState, transport: Transport, port: number): ListenerState | null;
  recordOverhead(us: number): void;
  /** What an endpoint needs from its first use on. */
  endpointParts(owner: EndpointOwner, address: string): EndpointParts;
  /** Requests of one peer to an inbound endpoint. */
  endpointMetrics(owner: EndpointOwner, address: string, labels: PeerLabels): EndpointMetrics;
  onConnectFailed(serviceKey: string, address: string, errno: number): void;
  log(level: LogLevel, message: string, fields?: LogFields): void;
}

/** Rare events by name; the common ones have slots of their own. */
export interface Counters {
  retried(): void;
  /** An answer of Weft's own, or an exchange that broke. */
  httpError(direction: string, label: string): void;
  detected(direction: string, result: string): void;
  tcpError(direction: string, label: string): void;
  /** Another proxy of the mesh answered in its application's place. */
  peerError(service: string, namespace: string, label: string): void;
  /** A connection with a transport header, for a port that is there. */
  transportHeader(sessionProtocol: string, port: number, clientId: string): void;
}

/** One finished exchange, for the access log. */
export interface AccessRecord {
  readonly peer: string;
  /** The client's identity in the mesh, `-` without. */
  readonly clientId: string;
  readonly method: string;
  readonly target: string;
  readonly version: number;
  readonly host: string;
  readonly status: number;
  readonly responseBytes: number;
  readonly durationMs: number;
  readonly service: string;
  readonly endpoint: string;
  readonly userAgent: string;
  readonly referer: string;
  readonly error: string;
}

export interface AccessLog {
  write(record: AccessRecord): void;
}

/** Where a client connection came in. */
export interface ListenerState {
  readonly snapshot: ListenerSnapshot;
  readonly metrics: TransportMetrics;
  /** Set where connections are TLS. */
  readonly tls: TlsContext | null;
  /** Set when the listener serves one service. */
  readonly fixedService: string | null;
  /** Inbound: who may come in. The same object for all states of a listener. */
  readonly gate: PortGate | null;
  /** Its HTTP/2 connections are those of other proxies of the mesh. */
  readonly isMesh: boolean;
  /** False at an inbound listener of a mesh, until the first bytes have told whether a client comes by mesh TLS: nothing is counted before. */
  readonly isDecided: boolean;
}
