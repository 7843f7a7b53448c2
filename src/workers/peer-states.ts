// What is known of a listener's connections by who they are from: the same listener, with the metrics of that peer.
//
// Kept per listener and peer, at most STATES_MAX of them: peers beyond are counted as `other`, and are who they are all the same.

import type { TransportMetrics } from "../core/telemetry/transport-metrics.ts";
import type { ClientPeer, PeerLabels } from "./client-peer.ts";
import type { ListenerState } from "./forwarder-context.ts";

/** Identities per listener and thread that have metrics of their own; seriesMax is the limit of all series together. */
const STATES_MAX = 512;

const OTHER = "other";

export class PeerStates {
  readonly #makeMetrics: (listener: ListenerState, labels: PeerLabels) => TransportMetrics;
  readonly #states = new WeakMap<ListenerState, Map<string, ListenerState>>();

  constructor(makeMetrics: (listener: ListenerState, labels: PeerLabels) => TransportMetrics) {
    this.#makeMetrics = makeMetrics;
  }

  /** The state of `listener` for connections of `peer`. */
  get(listener: ListenerState, peer: ClientPeer): ListenerState {
    let states = this.#states.get(listener);
    if (states === undefined) {
      states = new Map();
      this.#states.set(listener, states);
    }
    const { labels } = peer;
    const key = `${labels.tls} ${labels.client_id ?? ""} ${labels.no_tls_reason ?? ""} ${labels.sni ?? ""}`;
    const known = states.get(key);
    if (known !== undefined) return known;
    if (states.size < STATES_MAX || peer.identity === null) {
      const state = this.#make(listener, labels, peer.identity !== null);
      states.set(key, state);
      return state;
    }
    let other = states.get(OTHER);
    if (other === undefined) {
      other = this.#make(listener, { tls: "true", client_id: OTHER }, true);
      states.set(OTHER, other);
    }
    return other;
  }

  #make(listener: ListenerState, labels: PeerLabels, isVerified: boolean): ListenerState {
    return { ...listener, metrics: this.#makeMetrics(listener, labels), isDecided: true, isMesh: listener.isMesh || isVerified };
  }
}
