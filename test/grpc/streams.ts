// What the interoperability cases leave out: large messages, long streams, slow readers, deadlines and cancellation at the server,
// and which of several servers answered. Like them, these know a client and the servers' records, not what is between.

import assert from "node:assert/strict";
import { Metadata, status } from "@grpc/grpc-js";
import { type Gate, waitUntil } from "../support/wait.ts";
import type { GrpcClient } from "./client.ts";
import type { GrpcServer } from "./server.ts";
import { type StreamingOutputCallResponse, zeros } from "./service.ts";

const MIB = 1024 * 1024;
/** Twice the default limit of gRPC. */
export const LARGE_BYTES = 8 * MIB;

/** One request and one response of `bytes` each. */
export async function largeMessages(client: GrpcClient, bytes = LARGE_BYTES): Promise<void> {
  const { code, details, messages } = await client.unary({ responseSize: bytes, payload: zeros(bytes) });
  assert.equal(code, status.OK, details);
  assert.equal(messages[0]!.payload!.body.length, bytes);
}

/** Requests of a long stream that are not answered yet. */
const STREAM_IN_FLIGHT_MAX = 64;
/** A prime: responses that are out of order or doubled show. */
const SIZES_MAX = 997;

/** A stream both ways with `count` small messages each: all come, in order. */
export async function longStream(client: GrpcClient, count: number): Promise<void> {
  const { stream, outcome } = client.duplex();
  let sent = 0;
  let received = 0;
  const send = (): void => {
    for (; sent < count && sent - received < STREAM_IN_FLIGHT_MAX; sent++) {
      stream.write({ responseParameters: [{ size: sent % SIZES_MAX }], payload: zeros(32) });
    }
    if (received === count) stream.end();
  };
  stream.on("data", ({ payload }: StreamingOutputCallResponse) => {
    const size = payload?.body.length ?? 0;
    if (size !== received % SIZES_MAX) stream.cancel();
    received += 1;
    send();
  });
  send();
  const end = await outcome;
  assert.equal(end.code, status.OK, end.details);
  assert.equal(received, count);
}

/** Nothing was taken for so long: the way is full. Too short only makes `accepted` smaller than it could be. */
const STALL_MS = 500;
const SLOW_MESSAGE_BYTES = 64 * 1024;
const SLOW_MESSAGES = 1_024;

/** Resolves false when `write` is not taken in time. */
function taken(write: (done: () => void) => void): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), STALL_MS);
    write(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}

/**
 * 64 MB for a server that reads nothing until `gate` opens: the client has to be stopped before `acceptedBytesMax` have gone on their
 * way, and everything arrives once the server reads. Returns the bytes that were on their way.
 */
export async function slowServer(client: GrpcClient, server: GrpcServer, gate: Gate, acceptedBytesMax: number): Promise<number> {
  const { stream, outcome } = client.input();
  let accepted = 0;
  const message = { payload: zeros(SLOW_MESSAGE_BYTES) };
  let written = 0;
  while (written < SLOW_MESSAGES) {
    written += 1;
    if (!(await taken((done) => stream.write(message, done)))) break;
    accepted += SLOW_MESSAGE_BYTES;
  }
  assert.ok(accepted < acceptedBytesMax, `${accepted} bytes went on their way to a server that reads nothing`);
  assert.equal(server.inputMessages, 0);
  gate.open();
  for (; written < SLOW_MESSAGES; written++) stream.write(message);
  stream.end();
  const end = await outcome;
  assert.equal(end.code, status.OK, end.details);
  assert.equal(end.messages[0]!.aggregatedPayloadSize, SLOW_MESSAGES * SLOW_MESSAGE_BYTES);
  return accepted;
}

/** The server learns how long the client wants to wait (`grpc-timeout`). */
export async function deadlineIsSeen(client: GrpcClient, server: GrpcServer): Promise<void> {
  const timeoutMs = 60_000;
  const { code } = await client.unary({}, new Metadata(), { deadline: Date.now() + timeoutMs });
  assert.equal(code, status.OK);
  const seen = server.timeouts.at(-1)!;
  assert.ok(seen > 0 && seen <= timeoutMs, `the server saw a timeout of ${seen} ms`);
}

/** A client that cancels a running stream: the server learns of it. */
export async function cancellationIsSeen(client: GrpcClient, server: GrpcServer): Promise<void> {
  const before = server.cancelledOf("FullDuplexCall");
  const { stream, outcome } = client.duplex();
  stream.once("data", () => stream.cancel());
  stream.write({ responseParameters: [{ size: 1 }] });
  assert.equal((await outcome).code, status.CANCELLED);
  await waitUntil("the server's notice of the cancellation", () => server.cancelledOf("FullDuplexCall") > before);
}

/** Calls one after the other on the client's one connection: how many each server (by name) answered. */
export async function answersByServer(client: GrpcClient, calls: number): Promise<Map<string, number>> {
  const answers = new Map<string, number>();
  for (let call = 0; call < calls; call++) {
    const { code, details, messages } = await client.unary({ fillServerId: true });
    assert.equal(code, status.OK, details);
    const { serverId } = messages[0]!;
    answers.set(serverId, (answers.get(serverId) ?? 0) + 1);
  }
  return answers;
}
