import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { h1Request, h1Response } from "../../support/h1-heads.ts";
import { CountingLease, Engine, NO_EDITS, trailersOf } from "../../support/h2-engine.ts";
import { data, headers, rstStream, Setting, windowUpdate, settings } from "../../support/h2-frames.ts";
import { block, type Fields } from "../../support/h2-hpack.ts";

const GET: Fields = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/a?b"],
  [":authority", "web:80"],
];
const POST: Fields = [[":method", "POST"], ...GET.slice(1)];

const OK = h1Response("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n");

describe("a server connection", () => {
  it("answers a GET; the end becomes a flag of the frame that has not left", () => {
    const engine = Engine.server();
    engine.feed(headers(1, block(GET), { endStream: true }));
    assert.deepEqual(engine.told(), ['1 head "GET /a?b HTTP/1.1\\r\\nHost: web:80\\r\\n\\r\\n" end']);
    const { stream } = engine.stream(0);
    stream.sendResponseHead(OK, null, false, false);
    stream.sendData(Buffer.from("hello"), 0, 5, null);
    stream.sendEnd(null);
    assert.deepEqual(engine.sent(), ["HEADERS 1 :status=200 content-type=text/plain", 'DATA 1 "hello" END']);
    assert.ok(stream.isClosed);
    assert.equal(engine.connection.openStreams, 1, "the slot is taken until the stream is released");
    stream.release();
    assert.equal(engine.connection.openStreams, 0);
    assert.equal(engine.owner.closedStreams, 1);
  });

  it("ends with an empty frame when the last one has left", () => {
    const engine = Engine.server();
    engine.feed(headers(1, block(GET), { endStream: true }));
    const { stream } = engine.stream(0);
    stream.sendResponseHead(OK, null, false, false);
    engine.sent();
    stream.sendEnd(null);
    assert.deepEqual(engine.sent(), ['DATA 1 "" END']);
  });

  it("takes a body in pieces and its trailers", () => {
    const engine = Engine.server();
    const trailers = block([
      ["grpc-status", "0"],
      ["x-a", "b"],
    ]);
    engine.feed(headers(1, block(POST)), data(1, "ab", { padding: 3 }), data(1, "cd"), headers(1, trailers, { endStream: true }));
    assert.deepEqual(engine.told().slice(1), ['1 body "abcd"', '1 end "grpc-status: 0\\r\\nx-a: b\\r\\n"']);
  });

  it("queues what the stream's window does not allow, and sends it on WINDOW_UPDATE", () => {
    const engine = Engine.server();
    engine.feed(settings([Setting.INITIAL_WINDOW_SIZE, 4]), headers(1, block(GET), { endStream: true }));
    engine.sent();
    const { stream } = engine.stream(0);
    stream.sendResponseHead(OK, null, false, false);
    const lease = new CountingLease();
    stream.sendData(Buffer.from("0123456789"), 0, 10, lease);
    assert.ok(stream.isCongested);
    assert.equal(stream.queuedBytes, 6);
    stream.sendEnd(trailersOf("Grpc-Status: 0\r\n"));
    assert.deepEqual(engine.sent().slice(1), ['DATA 1 "0123"']);
    engine.feed(windowUpdate(1, 5));
    assert.deepEqual(engine.sent(), ['DATA 1 "45678"']);
    engine.feed(windowUpdate(1, 5));
    assert.deepEqual(engine.sent(), ['DATA 1 "9"', "HEADERS 1 grpc-status=0 END"]);
    assert.equal(lease.held, 0);
  });

  it("tells a stream that waited that it may write", () => {
    const engine = Engine.server();
    engine.feed(settings([Setting.INITIAL_WINDOW_SIZE, 4]), headers(1, block(GET), { endStream: true }));
    const { stream } = engine.stream(0);
    stream.sendResponseHead(OK, null, false, false);
    stream.sendData(Buffer.from("0123456789"), 0, 10, null);
    assert.ok(stream.isCongested);
    engine.told();
    engine.feed(windowUpdate(1, 6));
    assert.deepEqual(engine.told(), [], "its window is shut again");
    engine.feed(windowUpdate(1, 1));
    assert.deepEqual(engine.told(), ["1 writable"]);
    engine.feed(windowUpdate(1, 1));
    assert.deepEqual(engine.told(), [], "once");
  });

  it("resets: the owner is told, and releases", () => {
    const engine = Engine.server();
    engine.feed(headers(1, block(POST)), rstStream(1));
    assert.deepEqual(engine.told().slice(1), ["reset CANCEL remote"]);
    assert.equal(engine.connection.openStreams, 0);
  });
});

describe("a client connection", () => {
  it("sends a request and gets the response", () => {
    const engine = Engine.client();
    const one = engine.open();
    one.stream.sendRequestHead(
      h1Request("GET /x HTTP/1.1\r\nHost: web\r\nAccept: */*\r\nConnection: close\r\n\r\n"),
      NO_EDITS,
      true,
      false,
    );
    assert.deepEqual(engine.sent(), ["HEADERS 1 :method=GET :scheme=http :path=/x :authority=web accept=*/* END"]);
    engine.feed(headers(1, block([[":status", "200"]])), data(1, "hi", { endStream: true }));
    assert.deepEqual(engine.told(), ['1 head "HTTP/1.1 200 OK\\r\\n\\r\\n"', '1 body "hi"', "1 end"]);
    one.stream.release();
    assert.equal(engine.connection.openStreams, 0);
  });
});
