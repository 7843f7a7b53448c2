// What Weft knows of gRPC: whether a request is one, its status, and which statuses are failures.
//
// A gRPC response ends with `grpc-status` in the trailers, or in the head when there is nothing else (trailers-only). Facts:
// the gRPC protocol over HTTP/2, and Linkerd's classification (2, 4, 7, 13, 14 and 15 are the service's fault, the others the caller's).

import type { Buffer } from "node:buffer";
import { asciiBytes, equalsWord } from "../bytes/ascii.ts";
import type { Trailers } from "./exchange.ts";
import { FIELD_STRIDE, type MessageHead } from "./head.ts";

/** `grpcStatus...` found none. */
export const NO_GRPC_STATUS = -1;

/** What a call counts as whose client did not wait for its end. */
export const GRPC_CANCELLED = 1;

/** What a response without any status counts as. */
export const GRPC_UNKNOWN = 2;

/** The service does not have this method. */
export const GRPC_UNIMPLEMENTED = 12;

/** Status codes are 0 to 16; larger ones are somebody's own and count as unknown. */
const GRPC_STATUS_MAX = 16;

const CONTENT_TYPE = asciiBytes("content-type");
const APPLICATION_GRPC = asciiBytes("application/grpc");
const GRPC_STATUS = asciiBytes("grpc-status");
const FAILURES: ReadonlySet<number> = new Set([2, 4, 7, 13, 14, 15]);

/** HTTP statuses of Weft's own answers, as gRPC statuses. */
const FROM_HTTP: Readonly<Record<number, number>> = {
  400: 13, // INTERNAL: what arrived cannot be read
  403: 7, // PERMISSION_DENIED
  404: 5, // NOT_FOUND
  405: 12, // UNIMPLEMENTED
  408: 4, // DEADLINE_EXCEEDED
  413: 8, // RESOURCE_EXHAUSTED
  429: 8,
  431: 8,
  499: 1, // CANCELLED
  502: 14, // UNAVAILABLE
  503: 14,
  504: 4,
  508: 10, // ABORTED
};

/** The gRPC status for an answer of Weft's own. 13 (INTERNAL) for what has no better one. */
export function grpcStatusFor(httpStatus: number): number {
  return FROM_HTTP[httpStatus] ?? 13;
}

/** Is the service to blame for this status? */
export function isGrpcFailure(status: number): boolean {
  return FAILURES.has(status);
}

/** Is the request a gRPC call (content-type begins with `application/grpc`)? */
export function isGrpc(head: MessageHead): boolean {
  const at = findField(head, CONTENT_TYPE);
  if (at < 0) return false;
  const start = head.start + head.fields[at + 2]!;
  const end = head.start + head.fields[at + 3]!;
  const size = APPLICATION_GRPC.length;
  return end - start >= size && equalsWord(head.buffer, start, start + size, APPLICATION_GRPC);
}

/** `grpc-status` of a trailers-only response, `NO_GRPC_STATUS` without one. */
export function grpcStatusOfHead(head: MessageHead): number {
  const at = findField(head, GRPC_STATUS);
  return at < 0 ? NO_GRPC_STATUS : decimal(head.buffer, head.start + head.fields[at + 2]!, head.start + head.fields[at + 3]!);
}

/** `grpc-status` of trailers, `NO_GRPC_STATUS` without one. */
export function grpcStatusOfTrailers(trailers: Trailers): number {
  const { buffer, end } = trailers;
  let line = trailers.start;
  while (line < end) {
    let stop = buffer.indexOf(0x0a, line);
    if (stop < 0 || stop >= end) stop = end;
    const colon = line + GRPC_STATUS.length;
    if (colon < stop && buffer[colon] === 0x3a && equalsWord(buffer, line, colon, GRPC_STATUS)) {
      let from = colon + 1;
      let to = stop;
      while (from < to && buffer[from]! <= 0x20) from++;
      while (to > from && buffer[to - 1]! <= 0x20) to--;
      return decimal(buffer, from, to);
    }
    line = stop + 1;
  }
  return NO_GRPC_STATUS;
}

/** Offset in `head.fields` of the first field with this lower-case name, -1 without one. */
function findField(head: MessageHead, name: Buffer): number {
  const { fields, count, buffer, start } = head;
  for (let i = 0; i < count; i++) {
    const at = i * FIELD_STRIDE;
    const from = fields[at]!;
    const to = fields[at + 1]!;
    if (to - from === name.length && equalsWord(buffer, start + from, start + to, name)) return at;
  }
  return -1;
}

function decimal(buffer: Buffer, start: number, end: number): number {
  if (end === start || end - start > 2) return GRPC_UNKNOWN;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = buffer[i]! - 0x30;
    if (digit < 0 || digit > 9) return GRPC_UNKNOWN;
    value = value * 10 + digit;
  }
  return value > GRPC_STATUS_MAX ? GRPC_UNKNOWN : value;
}
