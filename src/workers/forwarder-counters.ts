// Rare events of the data path by label. Slots are found by a Map; none of this runs for an ordinary request.

import type { MetricName } from "../core/telemetry/metric-names.ts";
import type { Recorder } from "../core/telemetry/recorder.ts";
import type { Counters } from "./forwarder-context.ts";

/** Labels known at one time; clients beyond it have no name of their own where clients are named. */
const SLOTS_MAX = 4096;

export class ForwarderCounters implements Counters {
  readonly #recorder: Recorder;
  readonly #slots = new Map<string, number>();

  constructor(recorder: Recorder) {
    this.#recorder = recorder;
  }

  #count(metric: MetricName, labels: Record<string, string>, key: string): void {
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = this.#recorder.counter(metric, labels);
      this.#slots.set(key, slot);
    }
    this.#recorder.slots[slot]! += 1;
  }

  retried(): void {
    this.#count("proxy_reused_connection_retries_total", {}, "retried");
  }

  httpError(direction: string, label: string): void {
    const metric = direction === "inbound" ? "inbound_http_errors_total" : "outbound_http_errors_total";
    this.#count(metric, { error: label }, `http ${direction} ${label}`);
  }

  detected(direction: string, result: string): void {
    const metric = direction === "inbound" ? "inbound_tcp_detect_http_results_total" : "outbound_tcp_detect_http_results_total";
    this.#count(metric, { result }, `detect ${direction} ${result}`);
  }

  tcpError(direction: string, label: string): void {
    const metric = direction === "inbound" ? "inbound_tcp_errors_total" : "outbound_tcp_errors_total";
    this.#count(metric, { error: label }, `tcp ${direction} ${label}`);
  }

  peerError(service: string, namespace: string, label: string): void {
    const labels = { dst_service: service, dst_namespace: namespace, error: label };
    this.#count("outbound_http_peer_errors_total", labels, `peer ${namespace} ${service} ${label}`);
  }

  transportHeader(sessionProtocol: string, port: number, clientId: string): void {
    const client = this.#slots.size < SLOTS_MAX ? clientId : "other";
    const labels = { session_protocol: sessionProtocol, target_port: String(port), target_name: "", client_id: client };
    this.#count("inbound_tcp_transport_header_connections_total", labels, `header ${sessionProtocol} ${port} ${client}`);
  }
}
