// gRPC's status: where it stands in a response, and what counts as the service's failure.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { DEFAULT_LIMITS } from "../../../src/config/limits.ts";
import { RequestHeadParser, ResponseHeadParser } from "../../../src/core/h1/head-parser.ts";
import {
  grpcStatusFor,
  grpcStatusOfHead,
  grpcStatusOfTrailers,
  isGrpc,
  isGrpcFailure,
  NO_GRPC_STATUS,
} from "../../../src/core/http/grpc.ts";
import { MessageHead } from "../../../src/core/http/head.ts";

function request(contentType: string): MessageHead {
  const bytes = Buffer.from(`POST /a.B/C HTTP/1.1\r\nHost: web\r\n${contentType}Content-Length: 0\r\n\r\n`);
  const head = new MessageHead();
  assert.ok(new RequestHeadParser(DEFAULT_LIMITS).parse(bytes, 0, bytes.length, head) > 0);
  return head;
}

function response(fields: string): MessageHead {
  const bytes = Buffer.from(`HTTP/1.1 200 OK\r\n${fields}\r\n`);
  const head = new MessageHead();
  assert.ok(new ResponseHeadParser(DEFAULT_LIMITS).parse(bytes, 0, bytes.length, head) > 0);
  return head;
}

function trailers(text: string): { buffer: Buffer; start: number; end: number } {
  const buffer = Buffer.from(`xx${text}yy`);
  return { buffer, start: 2, end: buffer.length - 2 };
}

describe("gRPC", () => {
  it("is a request whose content-type begins with application/grpc", () => {
    assert.equal(isGrpc(request("Content-Type: application/grpc\r\n")), true);
    assert.equal(isGrpc(request("content-type: application/grpc+proto\r\n")), true);
    assert.equal(isGrpc(request("content-type: application/json\r\n")), false);
    assert.equal(isGrpc(request("x-content-type: application/grpc\r\n")), false);
    assert.equal(isGrpc(request("content-type: application/grp\r\n")), false);
    assert.equal(isGrpc(request("")), false);
  });

  it("has its status in the head of a trailers-only response", () => {
    assert.equal(grpcStatusOfHead(response("grpc-status: 12\r\ngrpc-message: no\r\n")), 12);
    assert.equal(grpcStatusOfHead(response("content-type: application/grpc\r\n")), NO_GRPC_STATUS);
  });

  it("has its status in the trailers otherwise", () => {
    assert.equal(grpcStatusOfTrailers(trailers("grpc-status: 0\r\n")), 0);
    assert.equal(grpcStatusOfTrailers(trailers("x-a: 1\r\nGrpc-Status:14\r\ngrpc-message: later\r\n")), 14);
    assert.equal(grpcStatusOfTrailers(trailers("x-grpc-status: 3\r\n")), NO_GRPC_STATUS);
    assert.equal(grpcStatusOfTrailers(trailers("")), NO_GRPC_STATUS);
  });

  it("counts a status that is none of the protocol's as unknown", () => {
    for (const text of ["", "x", "17", "-1", "001", "1 2", "99999999999"]) {
      assert.equal(grpcStatusOfTrailers(trailers(`grpc-status: ${text}\r\n`)), 2, text);
    }
  });

  it("blames the service for 2, 4, 7, 13, 14 and 15 only", () => {
    const failures = Array.from({ length: 17 }, (_, status) => status).filter(isGrpcFailure);
    assert.deepEqual(failures, [2, 4, 7, 13, 14, 15]);
  });

  it("has a status for each of Weft's own answers", () => {
    assert.deepEqual([502, 503, 504, 404, 403, 429, 508, 500, 418].map(grpcStatusFor), [14, 14, 4, 5, 7, 8, 10, 13, 13]);
  });
});
