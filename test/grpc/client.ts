// A gRPC client for tests on @grpc/grpc-js: calls of the interoperability service as promises, with everything that came back.

import {
  type CallOptions,
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientWritableStream,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceError,
  status,
  type StatusObject,
} from "@grpc/grpc-js";
import { testCertificate } from "../support/h2-server.ts";
import { within } from "../support/wait.ts";
import {
  type SimpleRequest,
  type SimpleResponse,
  type StreamingInputCallRequest,
  type StreamingInputCallResponse,
  type StreamingOutputCallRequest,
  type StreamingOutputCallResponse,
  TestService,
  UnimplementedService,
} from "./service.ts";

export interface Outcome<T> {
  readonly code: number;
  readonly details: string;
  /** Responses, in order. */
  readonly messages: readonly T[];
  readonly initial: Metadata;
  readonly trailing: Metadata;
}

export interface GrpcClientOptions {
  readonly tls?: boolean;
  /** The :authority of every request; the address unless said otherwise. */
  readonly authority?: string;
  readonly deadlineMs?: number;
}

function methodOf<Request, Response>(name: string, service = TestService): MethodDefinition<Request, Response> {
  return service[name] as unknown as MethodDefinition<Request, Response>;
}

/** Thousands of messages, or 64 MB, on a machine that is busy with other tests; only a failing test waits so long. */
const CALL_DEADLINE_MS = 60_000;

/** Each client has a connection of its own; messages have any length. */
const CHANNEL = {
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_retries": 0,
  "grpc.enable_http_proxy": 0,
};

export class GrpcClient {
  readonly deadlineMs: number;
  readonly #client: Client;

  constructor(address: string, options: GrpcClientOptions = {}) {
    this.deadlineMs = options.deadlineMs ?? CALL_DEADLINE_MS;
    const channel = options.authority === undefined ? CHANNEL : { ...CHANNEL, "grpc.default_authority": options.authority };
    this.#client = new Client(address, options.tls ? credentials.createSsl(testCertificate().cert) : credentials.createInsecure(), channel);
  }

  close(): void {
    this.#client.close();
  }

  empty(metadata?: Metadata): Promise<Outcome<object>> {
    return this.#unary(methodOf<object, object>("EmptyCall"), {}, metadata);
  }

  unary(request: SimpleRequest, metadata?: Metadata, options?: CallOptions): Promise<Outcome<SimpleResponse>> {
    return this.#unary(methodOf<SimpleRequest, SimpleResponse>("UnaryCall"), request, metadata, options);
  }

  /** A method that the server's service has, and the server does not. */
  unimplementedMethod(): Promise<Outcome<object>> {
    return this.#unary(methodOf<object, object>("UnimplementedCall"), {});
  }

  unimplementedService(): Promise<Outcome<object>> {
    return this.#unary(methodOf<object, object>("UnimplementedCall", UnimplementedService), {});
  }

  /** The call whose requests the test writes. */
  input(options: CallOptions = {}): Upload {
    const { path, requestSerialize, responseDeserialize } = methodOf<StreamingInputCallRequest, StreamingInputCallResponse>(
      "StreamingInputCall",
    );
    let stream!: ClientWritableStream<StreamingInputCallRequest>;
    const answer = new Promise<Outcome<StreamingInputCallResponse>>((resolve) => {
      stream = this.#client.makeClientStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        new Metadata(),
        options,
        (error, message) => {
          resolve(outcomeOf(error ?? okay(), message === undefined ? [] : [message], new Metadata()));
        },
      );
    });
    return { stream, outcome: within("the end of StreamingInputCall", answer, this.deadlineMs) };
  }

  output(request: StreamingOutputCallRequest): Promise<Outcome<StreamingOutputCallResponse>> {
    const { path, requestSerialize, responseDeserialize } = methodOf<StreamingOutputCallRequest, StreamingOutputCallResponse>(
      "StreamingOutputCall",
    );
    const stream = this.#client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
    return within("the end of StreamingOutputCall", collect<StreamingOutputCallResponse>(stream), this.deadlineMs);
  }

  duplex(metadata = new Metadata(), options: CallOptions = {}): Duplex {
    const { path, requestSerialize, responseDeserialize } = methodOf<StreamingOutputCallRequest, StreamingOutputCallResponse>(
      "FullDuplexCall",
    );
    const stream = this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata, options);
    return { stream, outcome: within("the end of FullDuplexCall", collect<StreamingOutputCallResponse>(stream), this.deadlineMs) };
  }

  #unary<Request, Response>(
    { path, requestSerialize, responseDeserialize }: MethodDefinition<Request, Response>,
    request: Request,
    metadata = new Metadata(),
    options: CallOptions = {},
  ): Promise<Outcome<Response>> {
    const answer = new Promise<Outcome<Response>>((resolve) => {
      let initial = new Metadata();
      let result: { error: ServiceError | null; message: Response | undefined } | null = null;
      const call = this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        options,
        (error, message) => {
          result = { error, message };
        },
      );
      call.on("metadata", (received: Metadata) => {
        initial = received;
      });
      // The status comes behind the callback, and has the trailers.
      call.on("status", (end: StatusObject) => {
        setImmediate(() => resolve(outcomeOf(end, result?.message === undefined ? [] : [result.message], initial)));
      });
    });
    return within(`an answer of ${path}`, answer, this.deadlineMs);
  }
}

export interface Upload {
  readonly stream: ClientWritableStream<StreamingInputCallRequest>;
  readonly outcome: Promise<Outcome<StreamingInputCallResponse>>;
}

export interface Duplex {
  readonly stream: ClientDuplexStream<StreamingOutputCallRequest, StreamingOutputCallResponse>;
  readonly outcome: Promise<Outcome<StreamingOutputCallResponse>>;
}

function okay(): StatusObject {
  return { code: status.OK, details: "", metadata: new Metadata() };
}

function outcomeOf<T>(end: StatusObject | ServiceError, messages: readonly T[], initial: Metadata): Outcome<T> {
  return { code: end.code, details: end.details, messages, initial, trailing: end.metadata };
}

function collect<T>(stream: ClientReadableStream<T> | ClientDuplexStream<never, T>): Promise<Outcome<T>> {
  const messages: T[] = [];
  let initial = new Metadata();
  stream.on("data", (message: T) => messages.push(message));
  stream.on("metadata", (received) => {
    initial = received;
  });
  // The status says the same.
  stream.on("error", () => {});
  return new Promise((resolve) => stream.on("status", (end) => resolve(outcomeOf(end, messages, initial))));
}
