// One gRPC call as its exchange counts it: which method, which status, once each. Used again for later calls of the exchange.

import type { Trailers } from "../core/http/exchange.ts";
import {
  GRPC_CANCELLED,
  GRPC_UNIMPLEMENTED,
  GRPC_UNKNOWN,
  grpcStatusOfHead,
  grpcStatusOfTrailers,
  isGrpcFailure,
  NO_GRPC_STATUS,
} from "../core/http/grpc.ts";
import type { MessageHead } from "../core/http/head.ts";
import type { GrpcMetrics, GrpcMethodMetrics } from "../core/telemetry/grpc-metrics.ts";

export class GrpcCall {
  #metrics: GrpcMetrics | null = null;
  #head: MessageHead | null = null;
  /** Null: the method has no series of its own, and the call is not counted yet. */
  #method: GrpcMethodMetrics | null = null;
  /** Of the response; `NO_GRPC_STATUS` until it is known. */
  status: number = NO_GRPC_STATUS;
  isFailure = false;

  /** `head`: the request's, valid until the call is over. */
  begin(metrics: GrpcMetrics, head: MessageHead): void {
    this.#metrics = metrics;
    this.#head = head;
    this.status = NO_GRPC_STATUS;
    this.isFailure = false;
    this.#method = metrics.find(head.buffer, head.start + head.targetStart, head.start + head.targetEnd);
    this.#method?.started();
  }

  /** The service answers: it has this method, unless it says that it has not. */
  onResponseHead(response: MessageHead): void {
    this.status = grpcStatusOfHead(response);
    if (this.#method !== null || this.status === GRPC_UNIMPLEMENTED || response.status !== 200) return;
    const head = this.#head!;
    this.#count(this.#metrics!.learn(head.buffer, head.start + head.targetStart, head.start + head.targetEnd));
  }

  firstByte(latencyMs: number): void {
    this.#counted().firstByte(latencyMs);
  }

  /** The response is complete. Sets `status` and `isFailure`. */
  onResponseEnd(httpStatus: number, trailers: Trailers | null): void {
    if (trailers !== null && this.status === NO_GRPC_STATUS) this.status = grpcStatusOfTrailers(trailers);
    // Without any status the call counts as unknown, and as a success, as Linkerd counts it; a failing HTTP status fails it.
    this.isFailure = this.status === NO_GRPC_STATUS ? httpStatus >= 500 : isGrpcFailure(this.status);
    if (this.status === NO_GRPC_STATUS) this.status = GRPC_UNKNOWN;
    this.#counted().ended(this.status, this.isFailure);
    this.#forget();
  }

  /** Its client has gone, or has cancelled it: nobody's failure. */
  cancelled(): void {
    this.#counted().ended(GRPC_CANCELLED, false);
    this.#forget();
  }

  /** `status`: what the client is told, `NO_GRPC_STATUS` for nothing; `error`: a label of the error table. */
  failed(status: number, error: string): void {
    this.#counted().failed(status, error);
    this.#forget();
  }

  #counted(): GrpcMethodMetrics {
    return this.#method ?? this.#count(this.#metrics!.other);
  }

  #count(method: GrpcMethodMetrics): GrpcMethodMetrics {
    this.#method = method;
    method.started();
    return method;
  }

  #forget(): void {
    this.#metrics = null;
    this.#head = null;
    this.#method = null;
  }
}
