// The interoperability service as both ends know it: its methods from the .proto file, and the shapes of its messages.

import { fileURLToPath } from "node:url";
import type { ServiceDefinition, UntypedServiceImplementation } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const PROTO = fileURLToPath(new URL("../fixtures/grpc/interop.proto", import.meta.url));

const definitions = loadSync(PROTO, { defaults: true, longs: Number });

type Service = ServiceDefinition<UntypedServiceImplementation>;

export const TestService = definitions["grpc.testing.TestService"] as Service;
export const UnimplementedService = definitions["grpc.testing.UnimplementedService"] as Service;

export interface Payload {
  readonly type?: number | string;
  readonly body: Buffer;
}

export interface EchoStatus {
  readonly code: number;
  readonly message: string;
}

export interface SimpleRequest {
  readonly responseSize?: number;
  readonly payload?: Payload | null;
  readonly responseStatus?: EchoStatus | null;
  readonly fillServerId?: boolean;
}

export interface SimpleResponse {
  readonly payload: Payload | null;
  readonly serverId: string;
}

export interface StreamingInputCallRequest {
  readonly payload?: Payload | null;
}

export interface StreamingInputCallResponse {
  readonly aggregatedPayloadSize: number;
}

export interface StreamingOutputCallRequest {
  readonly responseParameters?: readonly { readonly size: number; readonly intervalUs?: number }[];
  readonly payload?: Payload | null;
  readonly responseStatus?: EchoStatus | null;
}

export interface StreamingOutputCallResponse {
  readonly payload: Payload | null;
}

/** A payload of zeros, as the cases ask for. */
export function zeros(size: number): Payload {
  return { body: Buffer.alloc(size) };
}

/** Metadata that a server sends back, at the beginning and at the end. */
export const ECHO_INITIAL = "x-grpc-test-echo-initial";
export const ECHO_TRAILING = "x-grpc-test-echo-trailing-bin";
