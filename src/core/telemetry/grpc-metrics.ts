// gRPC calls by method, as their callers see them: grpc_request_total, grpc_response_total, grpc_response_latency_ms.
//
// Names come from whoever calls, so they are bounded three ways. A method gets series of its own only once its service has answered a
// call with something other than UNIMPLEMENTED: what a scanner makes up takes no room. A service of the mesh has at most METHODS_MAX of
// them, with paths of PATH_BYTES_MAX. And all are label sets like the others, under seriesMax. The rest counts as method `other`.
//
// Invariant: each call counts once as a request and, when it is over, once as a response, in the same method's series.

import type { Buffer } from "node:buffer";
import { NO_GRPC_STATUS } from "../http/grpc.ts";
import type { Labels } from "./labels.ts";
import { observeLatency } from "./latency-buckets.ts";
import type { Recorder } from "./recorder.ts";

/** Methods with series of their own per worker and service; the largest public interfaces have some hundreds. */
const METHODS_MAX = 512;

/** Longest path with series of its own: twice the longest in common use. */
const PATH_BYTES_MAX = 256;

/** `/package.Service/Method`; some languages' interfaces have more parts. */
const PATH = /^\/([\w.\-/]+)\/([\w.-]+)$/;

const OTHER = "other";

/** Statuses are 0 to 16, each as a success or a failure. */
const STATUS_CELLS = 2 * 17;

/** What the methods of one service have in common. */
export interface GrpcLabels {
  readonly direction: "outbound" | "inbound";
  readonly dst_service: string;
  readonly dst_namespace: string;
}

export class GrpcMetrics {
  readonly #recorder: Recorder;
  readonly #labels: GrpcLabels;
  readonly #methods = new Map<string, GrpcMethodMetrics>();
  #other: GrpcMethodMetrics | null = null;

  /** Registers nothing before the first call. */
  constructor(recorder: Recorder, labels: GrpcLabels) {
    this.#recorder = recorder;
    this.#labels = labels;
  }

  /** The method of the path [start, end), null while it has no series. */
  find(buffer: Buffer, start: number, end: number): GrpcMethodMetrics | null {
    return end - start > PATH_BYTES_MAX ? this.other : (this.#methods.get(buffer.toString("latin1", start, end)) ?? null);
  }

  /** The service has this method: it gets series of its own, where there is room for them. */
  learn(buffer: Buffer, start: number, end: number): GrpcMethodMetrics {
    if (this.#methods.size >= METHODS_MAX || end - start > PATH_BYTES_MAX) return this.other;
    const path = buffer.toString("latin1", start, end);
    const known = this.#methods.get(path);
    if (known !== undefined) return known;
    const parts = PATH.exec(path);
    if (parts === null) return this.other;
    const method = new GrpcMethodMetrics(this.#recorder, { ...this.#labels, rpc_service: parts[1]!, rpc_method: parts[2]! });
    this.#methods.set(path, method);
    return method;
  }

  /** Methods that have no series of their own. */
  get other(): GrpcMethodMetrics {
    this.#other ??= new GrpcMethodMetrics(this.#recorder, { ...this.#labels, rpc_service: OTHER, rpc_method: OTHER });
    return this.#other;
  }
}

/** What is counted about one method. */
export class GrpcMethodMetrics {
  readonly #recorder: Recorder;
  readonly #labels: Labels;
  readonly #requests: number;
  readonly #latency: number;
  /** Slots by `2 * status`, and one more for a failure; -1 until needed. */
  readonly #byStatus = new Int32Array(STATUS_CELLS).fill(-1);
  readonly #byError = new Map<string, number>();

  constructor(recorder: Recorder, labels: Labels) {
    this.#recorder = recorder;
    this.#labels = labels;
    this.#requests = recorder.counter("grpc_request_total", labels);
    this.#latency = recorder.histogram("grpc_response_latency_ms", labels);
  }

  /** A call began. */
  started(): void {
    this.#recorder.slots[this.#requests]! += 1;
  }

  /** The first byte of its response's messages arrived, or its end without one: milliseconds since it began. */
  firstByte(latencyMs: number): void {
    observeLatency(this.#recorder.slots, this.#latency, latencyMs);
  }

  /** It ended with a status (0 to 16). */
  ended(status: number, isFailure: boolean): void {
    const cell = 2 * status + (isFailure ? 1 : 0);
    let slot = this.#byStatus[cell]!;
    if (slot < 0) {
      slot = this.#response({ grpc_status: String(status), classification: isFailure ? "failure" : "success" });
      this.#byStatus[cell] = slot;
    }
    this.#recorder.slots[slot]! += 1;
  }

  /** It broke. `status`: what its caller was told, `NO_GRPC_STATUS` for nothing; `error`: a label of the error table. */
  failed(status: number, error: string): void {
    const key = `${status} ${error}`;
    let slot = this.#byError.get(key);
    if (slot === undefined) {
      slot = this.#response({ ...(status === NO_GRPC_STATUS ? {} : { grpc_status: String(status) }), classification: "failure", error });
      this.#byError.set(key, slot);
    }
    this.#recorder.slots[slot]! += 1;
  }

  #response(labels: Labels): number {
    return this.#recorder.counter("grpc_response_total", { ...this.#labels, ...labels });
  }
}
