// The listeners as one worker sees them: for each, what its connections are counted as, its certificate, and who may come in.

import type { ListenerSnapshot } from "../config/snapshot.ts";
import type { Recorder } from "../core/telemetry/recorder.ts";
import { TransportMetrics } from "../core/telemetry/transport-metrics.ts";
import { type ClientPeer, EDGE_CLIENT, LOCAL_CLIENT, type PeerLabels, PLAIN_CLIENT, STRANGER } from "./client-peer.ts";
import type { ListenerState } from "./forwarder-context.ts";
import { type GateLabels, InboundGate } from "./inbound-gate.ts";
import type { MeshTls } from "./mesh-tls.ts";
import { splitAddress } from "./own-listeners.ts";
import { PeerStates } from "./peer-states.ts";
import type { PolicyLog } from "./policy-log.ts";
import { type Gates, PortGate } from "./port-gate.ts";
import type { TlsContexts } from "./tls-contexts.ts";

export interface ListenerTableParts {
  readonly recorder: Recorder;
  readonly policyLog: PolicyLog;
  readonly tls: TlsContexts;
  readonly mesh: MeshTls;
  /** Only in tests: proxies of the mesh speak to each other without TLS. */
  readonly isMeshPlain: boolean;
}

export class ListenerTable implements Gates {
  readonly #parts: ListenerTableParts;
  readonly #listeners = new Map<string, ListenerState>();
  /** By listener, for ever: connections outlive the configuration that they came under. */
  readonly #gates = new Map<string, InboundGate>();
  #hasPolicyChanged = false;
  version = 0;
  readonly #peers = new PeerStates(({ snapshot }, labels) => this.#metrics(snapshot, labels));

  constructor(parts: ListenerTableParts) {
    this.#parts = parts;
  }

  get(id: string): ListenerState | undefined {
    return this.#listeners.get(id);
  }

  /** These, and no others. */
  update(listeners: readonly ListenerSnapshot[]): void {
    const before = this.#names;
    this.version++;
    this.#listeners.clear();
    for (const snapshot of listeners) this.#listeners.set(snapshot.id, this.#state(snapshot));
    // A port without rules of its own any more, or with some that were there before: another gate counts, none has changed.
    if (this.#names !== before) this.#hasPolicyChanged = true;
  }

  get #names(): string {
    return [...this.#listeners.keys()].join(" ");
  }

  /** The first identity has come: from now on clients of inbound listeners may come by mesh TLS. */
  joinMesh(): void {
    this.update([...this.#listeners.values()].map(({ snapshot }) => snapshot));
  }

  /** A listener for the connections of one peer. */
  forPeer(listener: ListenerState, peer: ClientPeer): ListenerState {
    return this.#peers.get(listener, peer);
  }

  /** The inbound listener at this port, else one with such a target. `endpointsOf`: of the service with this key. */
  inboundAt(port: number, endpointsOf: (key: string) => readonly string[]): ListenerState | null {
    let behind: ListenerState | null = null;
    for (const state of this.#listeners.values()) {
      const { direction, listen } = state.snapshot;
      if (direction !== "inbound") continue;
      if (listen.port === port) return state;
      const endpoints = state.fixedService === null ? [] : endpointsOf(state.fixedService);
      if (endpoints.some((address) => splitAddress(address).port === port)) behind ??= state;
    }
    return behind;
  }

  gateOf(listenerId: string): InboundGate | undefined {
    return this.#listeners.has(listenerId) ? this.#gates.get(listenerId) : undefined;
  }

  /** Since the last call: may another policy count for connections that are open? */
  takePolicyChange(): boolean {
    const hasChanged = this.#hasPolicyChanged;
    this.#hasPolicyChanged = false;
    return hasChanged;
  }

  #state(snapshot: ListenerSnapshot): ListenerState {
    const isInbound = snapshot.direction === "inbound";
    const peer = this.#usualPeer(snapshot);
    return {
      snapshot,
      metrics: this.#metrics(snapshot, peer.labels),
      tls: this.#parts.tls.get(snapshot.id),
      fixedService: snapshot.service,
      gate: isInbound ? new PortGate(this, snapshot.id, snapshot.transparent === true, this.#gate(snapshot)) : null,
      isDecided: peer !== PLAIN_CLIENT,
      isMesh: isInbound && this.#parts.isMeshPlain,
    };
  }

  #gate(snapshot: ListenerSnapshot): InboundGate {
    const { id, policy } = snapshot;
    const gate = this.#gates.get(id) ?? new InboundGate(this.#parts.recorder, this.#parts.policyLog);
    this.#gates.set(id, gate);
    if (gate.update(policy, targetLabels(snapshot))) this.#hasPolicyChanged = true;
    return gate;
  }

  /** Who the clients of a listener are, as far as it can be told without looking at them. */
  #usualPeer({ direction, tls }: ListenerSnapshot): ClientPeer {
    if (tls !== undefined) return EDGE_CLIENT;
    if (this.#parts.mesh.name === null) return STRANGER;
    return direction === "inbound" ? PLAIN_CLIENT : LOCAL_CLIENT;
  }

  #metrics(snapshot: ListenerSnapshot, labels: PeerLabels): TransportMetrics {
    const { direction } = snapshot;
    return new TransportMetrics(this.#parts.recorder, { direction, peer: "src", ...targetLabels(snapshot), ...labels });
  }
}

function targetLabels({ listen: { host, port } }: ListenerSnapshot): GateLabels {
  return { target_addr: host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`, target_ip: host, target_port: String(port) };
}
