// A service as one worker sees it: its endpoints, the picker among them, and the queue of requests that found none ready.
//
// The queue is bounded (pendingRequestsMax) and has a gate: once a request has waited failFastTimeoutMs in vain, later ones fail at
// once, until any endpoint becomes ready again (Linkerd's fail-fast).

import { createPicker } from "../core/balance/create-picker.ts";
import type { Picker } from "../core/balance/picker.ts";
import { ERRORS } from "../core/errors/error-codes.ts";
import type { EndpointMetrics } from "../core/telemetry/endpoint-metrics.ts";
import type { GrpcMetrics } from "../core/telemetry/grpc-metrics.ts";
import type { LoadBalancer, Protocol, WorkerService } from "../config/snapshot.ts";
import { Endpoint, type EndpointOwner } from "./endpoint.ts";
import type { ForwarderContext } from "./forwarder-context.ts";
import { type Waiter, WaiterQueue } from "./waiter-queue.ts";

/**
 * Endpoints that are tried for one request, opaque connection or silent client while connects fail, ours or those of the proxies there to their
 * applications. One that fails is left alone for a while: the next is another one, where there is one. A client waits for so many timeouts at most.
 */
export const CONNECT_ATTEMPTS_MAX = 3;

export class Service implements EndpointOwner {
  readonly key: string;
  readonly name: string;
  readonly namespace: string;
  readonly endpoints = new Map<string, Endpoint>();
  config: WorkerService;
  /** Its gRPC calls by method. */
  readonly grpc: GrpcMetrics;

  readonly #context: ForwarderContext;
  /** Requests that Weft answered itself before any endpoint was chosen. */
  readonly #synthesized: EndpointMetrics;
  #picker: Picker<Endpoint>;
  #kind: LoadBalancer;
  readonly #queue: WaiterQueue;
  #isGateShut = false;
  /** The last connect that failed, `address: ECONNREFUSED`; '' before the first. */
  #lastFailure = "";

  constructor(context: ForwarderContext, config: WorkerService, synthesized: EndpointMetrics, grpc: GrpcMetrics) {
    this.#context = context;
    this.grpc = grpc;
    this.config = config;
    this.key = config.key;
    this.name = config.name;
    this.namespace = config.namespace;
    this.#synthesized = synthesized;
    this.#kind = config.loadBalancer;
    this.#picker = createPicker(config.loadBalancer);
    this.#queue = new WaiterQueue(context.loop, (late) => {
      this.#isGateShut = true;
      for (const waiter of late) waiter.onUnavailable(ERRORS.WEFT_FAIL_FAST.id, this.#whyNotReady());
    });
  }

  /** Every port is declared to speak HTTP: opaque connections are refused. */
  get isHttpOnly(): boolean {
    const { ports } = this.config;
    return ports.length > 0 && ports.every(({ protocol }) => protocol === "http1" || protocol === "http2" || protocol === "grpc");
  }

  /** What a port is declared to speak. Without a port: what all of them speak, `detect` where they differ or none is declared. */
  protocolOf(port: number | null): Protocol {
    const ports = port === null ? this.config.ports : this.config.ports.filter((one) => one.port === port);
    const first = ports[0]?.protocol ?? "detect";
    return ports.every(({ protocol }) => protocol === first) ? first : "detect";
  }

  identityOf(address: string): string | null {
    return this.config.identities?.[address] ?? null;
  }

  get hasReady(): boolean {
    return this.#picker.readyCount > 0;
  }

  get hasOnlyOne(): boolean {
    return this.endpoints.size === 1;
  }

  hasReadyBeside(endpoint: Endpoint): boolean {
    return this.#picker.readyCount > (endpoint.readyIndex >= 0 ? 1 : 0);
  }

  /** Requests that were assigned so far: tells whether the service is used. */
  assigned = 0;

  /** Finds the waiter an endpoint, now or later; it hears `onEndpoint` or `onUnavailable`. */
  assign(waiter: Waiter): void {
    this.assigned++;
    const endpoint = this.#picker.pick(this.#context.loop.now, this.#context.random);
    if (endpoint !== null) {
      waiter.onEndpoint(endpoint);
      return;
    }
    if (this.#isGateShut) waiter.onUnavailable(ERRORS.WEFT_FAIL_FAST.id, this.#whyNotReady());
    else if (!this.#queue.add(waiter, this.#context.shared.limits)) waiter.onUnavailable(ERRORS.WEFT_LOAD_SHED.id, this.key);
  }

  /** An endpoint for an opaque connection, or null. */
  pick(): Endpoint | null {
    return this.#picker.pick(this.#context.loop.now, this.#context.random);
  }

  connectFailed(endpoint: Endpoint, reason: string): void {
    this.#lastFailure = `${endpoint.address}: ${reason}`;
    this.setReady(endpoint, false);
  }

  #whyNotReady(): string {
    return this.#lastFailure === "" ? this.key : `${this.key}; ${this.#lastFailure}`;
  }

  setReady(endpoint: Endpoint, isReady: boolean): void {
    this.#picker.setReady(endpoint, isReady);
    if (isReady) this.#dispatch();
  }

  #dispatch(): void {
    this.#isGateShut = false;
    if (this.#queue.isEmpty) return;
    for (const waiter of this.#queue.takeAll()) this.assign(waiter);
  }

  /** There will be no endpoint: those who wait are told now. */
  failWaiting(errorId: number, detail: string): void {
    for (const waiter of this.#queue.takeAll()) waiter.onUnavailable(errorId, detail);
  }

  /** New configuration or addresses: what stays is not touched. */
  update(config: WorkerService): void {
    this.config = config;
    const wanted = new Set(config.endpoints);
    for (const [address, endpoint] of this.endpoints) {
      // Somebody else is expected at the same address: another endpoint.
      if (wanted.has(address) && endpoint.identity === this.identityOf(address)) continue;
      this.endpoints.delete(address);
      endpoint.remove();
    }
    for (const address of wanted) {
      if (!this.endpoints.has(address)) this.endpoints.set(address, new Endpoint(this.#context, this, address));
    }
    const members = [...this.endpoints.values()];
    if (config.loadBalancer !== this.#kind) {
      this.#picker.update([]);
      this.#kind = config.loadBalancer;
      this.#picker = createPicker(config.loadBalancer);
    }
    this.#picker.update(members);
    if (this.#picker.readyCount > 0) this.#dispatch();
  }

  /** The service is gone from the configuration. */
  remove(): void {
    for (const endpoint of this.endpoints.values()) endpoint.remove();
    this.endpoints.clear();
    this.#picker.update([]);
  }

  recordSynthesized(status: number, label: string): void {
    this.#synthesized.failed(status, label);
  }

  stats(): object {
    return {
      service: this.key,
      loadBalancer: this.#kind,
      waiting: this.#queue.count,
      endpoints: [...this.endpoints.values()].map((endpoint) => endpoint.stats()),
    };
  }
}
