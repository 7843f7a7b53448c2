// The gRPC interoperability cases by name: what each sends and what has to come back. They know a client, not what is between.

import assert from "node:assert/strict";
import { Metadata, status } from "@grpc/grpc-js";
import type { Duplex, GrpcClient, Outcome } from "./client.ts";
import { ECHO_INITIAL, ECHO_TRAILING, type StreamingOutputCallRequest, zeros } from "./service.ts";

export type InteropCase = (client: GrpcClient) => Promise<void>;

/** Sizes that every case of the suite uses. */
const REQUEST_SIZES = [27_182, 8, 1_828, 45_904];
const RESPONSE_SIZES = [31_415, 9, 2_653, 58_979];
const LARGE_REQUEST = 271_828;
const LARGE_RESPONSE = 314_159;

const ECHO_STATUS = { code: status.UNKNOWN, message: "test status message" };
const SPECIAL_MESSAGE = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \u{1f608}\t\n";

function succeeded({ code, details }: Outcome<unknown>): void {
  assert.equal(code, status.OK, details);
}

function sizes(outcome: Outcome<{ readonly payload: { readonly body: Buffer } | null }>): number[] {
  return outcome.messages.map(({ payload }) => payload?.body.length ?? 0);
}

function ask(responseSize: number, requestSize: number): StreamingOutputCallRequest {
  return { responseParameters: [{ size: responseSize }], payload: zeros(requestSize) };
}

async function emptyUnary(client: GrpcClient): Promise<void> {
  const outcome = await client.empty();
  succeeded(outcome);
  assert.equal(outcome.messages.length, 1);
}

async function largeUnary(client: GrpcClient): Promise<void> {
  const outcome = await client.unary({ responseSize: LARGE_RESPONSE, payload: zeros(LARGE_REQUEST) });
  succeeded(outcome);
  assert.ok(outcome.messages[0]!.payload!.body.equals(Buffer.alloc(LARGE_RESPONSE)));
}

async function clientStreaming(client: GrpcClient): Promise<void> {
  const { stream, outcome } = client.input();
  for (const size of REQUEST_SIZES) stream.write({ payload: zeros(size) });
  stream.end();
  const end = await outcome;
  succeeded(end);
  assert.equal(end.messages[0]!.aggregatedPayloadSize, 74_922);
}

async function serverStreaming(client: GrpcClient): Promise<void> {
  const outcome = await client.output({ responseParameters: RESPONSE_SIZES.map((size) => ({ size })) });
  succeeded(outcome);
  assert.deepEqual(sizes(outcome), RESPONSE_SIZES);
}

/** Each request waits for the response to the one before. */
async function pingPong(client: GrpcClient): Promise<void> {
  const { stream, outcome } = client.duplex();
  let turn = 0;
  const next = (): void => {
    if (turn === REQUEST_SIZES.length) stream.end();
    else stream.write(ask(RESPONSE_SIZES[turn]!, REQUEST_SIZES[turn]!));
    turn += 1;
  };
  stream.on("data", next);
  next();
  const end = await outcome;
  succeeded(end);
  assert.deepEqual(sizes(end), RESPONSE_SIZES);
}

async function emptyStream(client: GrpcClient): Promise<void> {
  const { stream, outcome } = client.duplex();
  stream.end();
  const end = await outcome;
  succeeded(end);
  assert.equal(end.messages.length, 0);
}

async function timeoutOnSleepingServer(client: GrpcClient): Promise<void> {
  const { stream, outcome } = client.duplex(new Metadata(), { deadline: Date.now() + 1 });
  stream.write({ payload: zeros(REQUEST_SIZES[0]!) });
  assert.equal((await outcome).code, status.DEADLINE_EXCEEDED);
}

async function customMetadata(client: GrpcClient): Promise<void> {
  const metadata = new Metadata();
  metadata.set(ECHO_INITIAL, "test_initial_metadata_value");
  metadata.set(ECHO_TRAILING, Buffer.from("ababab", "hex"));
  const check = (outcome: Outcome<unknown>): void => {
    succeeded(outcome);
    assert.deepEqual(outcome.initial.get(ECHO_INITIAL), ["test_initial_metadata_value"]);
    assert.deepEqual(outcome.trailing.get(ECHO_TRAILING), [Buffer.from("ababab", "hex")]);
  };
  check(await client.unary({ responseSize: LARGE_RESPONSE, payload: zeros(LARGE_REQUEST) }, metadata));
  const { stream, outcome } = client.duplex(metadata);
  stream.write(ask(LARGE_RESPONSE, LARGE_REQUEST));
  stream.end();
  check(await outcome);
}

async function statusCodeAndMessage(client: GrpcClient): Promise<void> {
  const { stream, outcome } = client.duplex();
  stream.write({ responseStatus: ECHO_STATUS });
  stream.end();
  for (const end of [await client.unary({ responseStatus: ECHO_STATUS }), await outcome]) {
    assert.deepEqual([end.code, end.details], [ECHO_STATUS.code, ECHO_STATUS.message]);
  }
}

async function specialStatusMessage(client: GrpcClient): Promise<void> {
  const { code, details } = await client.unary({ responseStatus: { code: status.UNKNOWN, message: SPECIAL_MESSAGE } });
  assert.deepEqual([code, details], [status.UNKNOWN, SPECIAL_MESSAGE]);
}

async function cancelAfterFirstResponse(client: GrpcClient): Promise<void> {
  const { stream, outcome }: Duplex = client.duplex();
  stream.once("data", () => stream.cancel());
  stream.write(ask(RESPONSE_SIZES[0]!, REQUEST_SIZES[0]!));
  const end = await outcome;
  assert.equal(end.code, status.CANCELLED);
  assert.deepEqual(sizes(end), [RESPONSE_SIZES[0]]);
}

export const INTEROP_CASES: Readonly<Record<string, InteropCase>> = {
  empty_unary: emptyUnary,
  large_unary: largeUnary,
  client_streaming: clientStreaming,
  server_streaming: serverStreaming,
  ping_pong: pingPong,
  empty_stream: emptyStream,
  timeout_on_sleeping_server: timeoutOnSleepingServer,
  custom_metadata: customMetadata,
  status_code_and_message: statusCodeAndMessage,
  special_status_message: specialStatusMessage,
  unimplemented_method: async (client) => assert.equal((await client.unimplementedMethod()).code, status.UNIMPLEMENTED),
  unimplemented_service: async (client) => assert.equal((await client.unimplementedService()).code, status.UNIMPLEMENTED),
  cancel_after_begin: async (client) => {
    const { stream, outcome } = client.input();
    stream.cancel();
    assert.equal((await outcome).code, status.CANCELLED);
  },
  cancel_after_first_response: cancelAfterFirstResponse,
};
