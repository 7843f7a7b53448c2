// What one endpoint's requests are counted as, by who sent them: at most PEERS_MAX identities, the others together.

import type { EndpointMetrics } from "../core/telemetry/endpoint-metrics.ts";
import type { PeerLabels } from "./client-peer.ts";

/** Identities per endpoint and thread that have metrics of their own; seriesMax is the limit of all series together. */
const PEERS_MAX = 256;

const OTHER: PeerLabels = { tls: "true", client_id: "other" };

export class PeerMetrics {
  readonly #make: (labels: PeerLabels) => EndpointMetrics;
  /** By identity, or by why there is none. */
  readonly #byPeer = new Map<string, EndpointMetrics>();

  constructor(make: (labels: PeerLabels) => EndpointMetrics) {
    this.#make = make;
  }

  get(labels: PeerLabels): EndpointMetrics {
    const key = labels.client_id ?? labels.no_tls_reason ?? labels.tls;
    const known = this.#byPeer.get(key);
    if (known !== undefined) return known;
    if (this.#byPeer.size >= PEERS_MAX && labels !== OTHER) return this.get(OTHER);
    const metrics = this.#make(labels);
    this.#byPeer.set(key, metrics);
    return metrics;
  }
}
