// What is counted about one endpoint's exchanges: request_total, response_total, response_latency_ms, and the HDR
// histograms of the endpoint and of its service.
//
// Constructing one costs three fields: a configuration of 5000 endpoints makes 5000 of these on a reload, and most never
// get a request. Series are registered by the first event that needs them. A status finds its slots by one comparison
// (the status of the previous response) or one Map look-up.

import type { HdrLatency } from "./hdr.ts";
import type { Labels } from "./labels.ts";
import { observeLatency } from "./latency-buckets.ts";
import type { Recorder } from "./recorder.ts";

/** Labels of an endpoint: `direction` and `target_addr` always, the rest as linkerd.md 2.2 has them. */
export interface EndpointLabels {
  readonly direction: "outbound" | "inbound";
  readonly dst_service: string;
  readonly dst_namespace: string;
  /** `ip:port`, IPv6 in brackets. */
  readonly target_addr: string;
  readonly target_ip: string;
  readonly target_port: string;
  readonly tls: "true" | "no_identity" | "disabled" | "opaque";
  readonly [name: string]: string;
}

/** Slots of one status; -1 until needed. */
interface StatusSlots {
  readonly status: number;
  readonly latency: number;
  success: number;
  failure: number;
}

/** Statuses of 500 and more are failures (Linkerd's default classification). */
export function isFailureStatus(status: number): boolean {
  return status >= 500;
}

export class EndpointMetrics {
  readonly #recorder: Recorder;
  readonly #labels: EndpointLabels;
  #series: EndpointSeries | null = null;

  constructor(recorder: Recorder, labels: EndpointLabels) {
    this.#recorder = recorder;
    this.#labels = labels;
  }

  /** The request's head was sent. */
  requestStarted(): void {
    const series = this.#series ?? this.#open();
    this.#recorder.slots[series.requests]! += 1;
  }

  /** The first byte of the response's body arrived, or its end without one. Microseconds since the request's head. */
  firstByte(status: number, latencyUs: number): void {
    const series = this.#series ?? this.#open();
    observeLatency(this.#recorder.slots, series.status(status).latency, latencyUs / 1000);
    series.serviceLatency.record(latencyUs);
    series.endpointLatency.record(latencyUs);
  }

  /** The response ended. `isFailure`: `isFailureStatus(status)`, or what a response classifier says. */
  ended(status: number, isFailure: boolean): void {
    const series = this.#series ?? this.#open();
    const slots = series.status(status);
    let slot = isFailure ? slots.failure : slots.success;
    if (slot < 0) slot = series.openResponse(slots, isFailure);
    this.#recorder.slots[slot]! += 1;
  }

  /** As `ended`, for a gRPC call: its status is a label of its own. */
  endedGrpc(status: number, isFailure: boolean, grpcStatus: number): void {
    const series = this.#series ?? this.#open();
    this.#recorder.slots[series.grpc(status, isFailure, grpcStatus)]! += 1;
  }

  /** The exchange broke. `status`: what the client was told or had been told, 0 for nothing; `error`: a label of the error table. */
  failed(status: number, error: string): void {
    const series = this.#series ?? this.#open();
    this.#recorder.slots[series.failure(status, error)]! += 1;
  }

  #open(): EndpointSeries {
    this.#series = new EndpointSeries(this.#recorder, this.#labels);
    return this.#series;
  }
}

/** What an endpoint has once it was used. */
class EndpointSeries {
  readonly requests: number;
  readonly serviceLatency: HdrLatency;
  readonly endpointLatency: HdrLatency;
  readonly #recorder: Recorder;
  readonly #labels: EndpointLabels;
  readonly #byStatus = new Map<number, StatusSlots>();
  readonly #byError = new Map<string, number>();
  /** By HTTP status and gRPC status (0 to 16): `32 * status + grpcStatus`, the failures' negative. */
  readonly #byGrpc = new Map<number, number>();
  #last: StatusSlots;

  constructor(recorder: Recorder, labels: EndpointLabels) {
    this.#recorder = recorder;
    this.#labels = labels;
    this.requests = recorder.counter("request_total", labels);
    const { direction, dst_service, dst_namespace, target_addr } = labels;
    this.serviceLatency = recorder.hdr("service_latency_us", { direction, dst_service, dst_namespace }, 2);
    this.endpointLatency = recorder.hdr("endpoint_latency_us", { direction, dst_service, dst_namespace, target_addr }, 2);
    this.#last = { status: -1, latency: -1, success: -1, failure: -1 };
  }

  status(status: number): StatusSlots {
    if (this.#last.status === status) return this.#last;
    let slots = this.#byStatus.get(status);
    if (slots === undefined) {
      const latency = this.#recorder.histogram("response_latency_ms", { ...this.#labels, status_code: String(status) });
      slots = { status, latency, success: -1, failure: -1 };
      this.#byStatus.set(status, slots);
    }
    this.#last = slots;
    return slots;
  }

  openResponse(slots: StatusSlots, isFailure: boolean): number {
    const labels: Labels = { ...this.#labels, status_code: String(slots.status), classification: isFailure ? "failure" : "success" };
    const slot = this.#recorder.counter("response_total", labels);
    if (isFailure) slots.failure = slot;
    else slots.success = slot;
    return slot;
  }

  grpc(status: number, isFailure: boolean, grpcStatus: number): number {
    const row = 32 * status + grpcStatus;
    const key = isFailure ? -row : row;
    let slot = this.#byGrpc.get(key);
    if (slot === undefined) {
      const classification = isFailure ? "failure" : "success";
      const labels: Labels = { ...this.#labels, status_code: String(status), classification, grpc_status: String(grpcStatus) };
      slot = this.#recorder.counter("response_total", labels);
      this.#byGrpc.set(key, slot);
    }
    return slot;
  }

  failure(status: number, error: string): number {
    const key = `${status} ${error}`;
    let slot = this.#byError.get(key);
    if (slot === undefined) {
      const told = status === 0 ? {} : { status_code: String(status) };
      slot = this.#recorder.counter("response_total", { ...this.#labels, ...told, classification: "failure", error });
      this.#byError.set(key, slot);
    }
    return slot;
  }
}
