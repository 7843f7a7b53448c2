// A gRPC server for tests on @grpc/grpc-js: the interoperability service, and a record of what arrived and what was cancelled.

import {
  type sendUnaryData,
  Metadata,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  status,
} from "@grpc/grpc-js";
import { testCertificate } from "../support/h2-server.ts";
import type { Gate } from "../support/wait.ts";
import {
  ECHO_INITIAL,
  ECHO_TRAILING,
  type EchoStatus,
  type SimpleRequest,
  type SimpleResponse,
  type StreamingInputCallRequest,
  type StreamingInputCallResponse,
  type StreamingOutputCallRequest,
  type StreamingOutputCallResponse,
  TestService,
  zeros,
} from "./service.ts";

/** What calls of every kind have. */
type Call = Pick<ServerUnaryCall<unknown, unknown>, "metadata" | "getDeadline" | "sendMetadata"> & {
  on(event: "cancelled", listener: () => void): unknown;
};

export interface GrpcServerOptions {
  /** What it answers to a request with `fillServerId`. */
  readonly name?: string;
  readonly tls?: boolean;
  /** StreamingInputCall takes nothing before this opens. */
  readonly readAfter?: Gate;
  /** UnaryCall answers only when this opens. */
  readonly answerAfter?: Gate;
}

/** Any length: the messages of the tests pass 4 MB, which is the default. */
const NO_LIMITS = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };

export class GrpcServer {
  readonly name: string;
  port = 0;
  /** Calls that arrived, by method. */
  readonly calls = new Map<string, number>();
  /** Calls that the client (or its deadline) cancelled, by method. */
  readonly cancelled = new Map<string, number>();
  /** How long the clients of these calls still wanted to wait at their arrival, in ms; Infinity without a deadline. */
  readonly timeouts: number[] = [];
  /** UnaryCall answers so much later: a server that is slow. */
  delayMs = 0;
  /** Messages of StreamingInputCall that were taken. */
  inputMessages = 0;
  readonly #options: GrpcServerOptions;
  readonly #server = new Server(NO_LIMITS);

  private constructor(options: GrpcServerOptions) {
    this.name = options.name ?? "server";
    this.#options = options;
    this.#server.addService(TestService, {
      EmptyCall: (call: ServerUnaryCall<object, object>, answer: sendUnaryData<object>) => {
        this.#began("EmptyCall", call);
        answer(null, {});
      },
      UnaryCall: (call: ServerUnaryCall<SimpleRequest, SimpleResponse>, answer: sendUnaryData<SimpleResponse>) => {
        void this.#unary(call, answer);
      },
      StreamingInputCall: (
        call: ServerReadableStream<StreamingInputCallRequest, StreamingInputCallResponse>,
        answer: sendUnaryData<StreamingInputCallResponse>,
      ) => this.#input(call, answer),
      StreamingOutputCall: (call: ServerWritableStream<StreamingOutputCallRequest, StreamingOutputCallResponse>) => {
        this.#began("StreamingOutputCall", call);
        respond(call, call.request);
        call.end();
      },
      FullDuplexCall: (call: ServerDuplexStream<StreamingOutputCallRequest, StreamingOutputCallResponse>) => this.#duplex(call),
    });
  }

  static async start(options: GrpcServerOptions = {}): Promise<GrpcServer> {
    const server = new GrpcServer(options);
    const { key, cert } = testCertificate();
    const credentials = options.tls
      ? ServerCredentials.createSsl(null, [{ private_key: key, cert_chain: cert }])
      : ServerCredentials.createInsecure();
    server.port = await new Promise<number>((resolve, reject) => {
      server.#server.bindAsync("127.0.0.1:0", credentials, (error, port) => (error === null ? resolve(port) : reject(error)));
    });
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  callsOf(method: string): number {
    return this.calls.get(method) ?? 0;
  }

  cancelledOf(method: string): number {
    return this.cancelled.get(method) ?? 0;
  }

  /** Tells every client to go elsewhere (GOAWAY), and resolves when the running calls are done. */
  drain(): Promise<void> {
    return new Promise((resolve, reject) => this.#server.tryShutdown((error) => (error ? reject(error) : resolve())));
  }

  stop(): void {
    this.#server.forceShutdown();
  }

  /** Records a call and sends back the metadata that its caller wants back. Returns the trailers. */
  #began(method: string, call: Call): Metadata {
    this.calls.set(method, this.callsOf(method) + 1);
    const deadline = call.getDeadline();
    this.timeouts.push(deadline instanceof Date ? deadline.getTime() - Date.now() : deadline - Date.now());
    call.on("cancelled", () => this.cancelled.set(method, this.cancelledOf(method) + 1));
    const initial = new Metadata();
    for (const value of call.metadata.get(ECHO_INITIAL)) initial.add(ECHO_INITIAL, value);
    call.sendMetadata(initial);
    const trailing = new Metadata();
    for (const value of call.metadata.get(ECHO_TRAILING)) trailing.add(ECHO_TRAILING, value);
    return trailing;
  }

  async #unary(call: ServerUnaryCall<SimpleRequest, SimpleResponse>, answer: sendUnaryData<SimpleResponse>): Promise<void> {
    const trailing = this.#began("UnaryCall", call);
    const { request } = call;
    await this.#options.answerAfter?.opened;
    if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs));
    if (isFailure(request.responseStatus)) {
      answer({ code: request.responseStatus.code, details: request.responseStatus.message, metadata: trailing });
      return;
    }
    answer(null, { payload: zeros(request.responseSize ?? 0), serverId: request.fillServerId ? this.name : "" }, trailing);
  }

  #input(
    call: ServerReadableStream<StreamingInputCallRequest, StreamingInputCallResponse>,
    answer: sendUnaryData<StreamingInputCallResponse>,
  ): void {
    const trailing = this.#began("StreamingInputCall", call);
    let aggregatedPayloadSize = 0;
    const read = (): void => {
      call.on("data", (message: StreamingInputCallRequest) => {
        this.inputMessages += 1;
        aggregatedPayloadSize += message.payload?.body.length ?? 0;
      });
      call.on("end", () => answer(null, { aggregatedPayloadSize }, trailing));
    };
    if (this.#options.readAfter === undefined) read();
    else void this.#options.readAfter.opened.then(read);
  }

  #duplex(call: ServerDuplexStream<StreamingOutputCallRequest, StreamingOutputCallResponse>): void {
    const trailing = this.#began("FullDuplexCall", call);
    call.on("data", (message: StreamingOutputCallRequest) => {
      if (isFailure(message.responseStatus)) {
        const { code, message: details } = message.responseStatus;
        call.emit("error", { code, details, metadata: trailing });
        return;
      }
      respond(call, message);
    });
    call.on("end", () => call.end(trailing));
  }
}

function isFailure(wanted: EchoStatus | null | undefined): wanted is EchoStatus {
  return wanted !== null && wanted !== undefined && wanted.code !== status.OK;
}

function respond(call: { write(message: StreamingOutputCallResponse): boolean }, { responseParameters }: StreamingOutputCallRequest): void {
  for (const { size } of responseParameters ?? []) call.write({ payload: zeros(size) });
}
