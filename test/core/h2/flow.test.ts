// Flow control and back-pressure through the whole engine (RFC 9113 5.2, 6.9).

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { CountingLease, Engine, trailersOf } from "../../support/h2-engine.ts";
import { data, headers, rstStream, Setting, settings, windowUpdate } from "../../support/h2-frames.ts";
import { block } from "../../support/h2-hpack.ts";
import { asking, get, post, verdict } from "./talk.ts";

const PIECE = "x".repeat(16_384);

function updates(lines: readonly string[]): string[] {
  return lines.filter((line) => line.startsWith("WINDOW_UPDATE"));
}

/** A server engine with the peer's windows as given, and `count` requests that wait for their answers. */
function answering(count: number, streamWindow: number, connectionWindow = 65_535): Engine {
  const engine = Engine.server();
  engine.feed(settings([Setting.INITIAL_WINDOW_SIZE, streamWindow]));
  if (connectionWindow > 65_535) engine.feed(windowUpdate(0, connectionWindow - 65_535));
  for (let i = 0; i < count; i++) {
    engine.feed(get(2 * i + 1));
    engine.stream(i).stream.sendOwnHead(200, null, false);
  }
  engine.sent();
  engine.told();
  return engine;
}

describe("what comes", () => {
  it("is allowed again when half of the stream's window has left, not before", () => {
    const engine = Engine.server({ limits: { streamWindowBytes: 100_000, streamWindowMaxBytes: 100_000 } });
    engine.owner.onStream = (stream) => {
      stream.drains = false;
    };
    engine.feed(post(1), data(1, PIECE), data(1, PIECE), data(1, PIECE), data(1, PIECE));
    const { stream } = engine.stream(0);
    stream.drained(49_999);
    assert.deepEqual(updates(engine.sent()), []);
    stream.drained(1);
    assert.deepEqual(updates(engine.sent()), ["WINDOW_UPDATE 1 50000"]);
  });

  it("counts padding, and gives it back at once", () => {
    const engine = Engine.server({ limits: { streamWindowBytes: 65_536, streamWindowMaxBytes: 65_536 } });
    engine.feed(post(1));
    for (let i = 0; i < 400; i++) engine.feed(data(1, "0123456789", { padding: 255 }));
    assert.deepEqual(verdict(engine), [], "100 KB of padding and 4 KB of data");
    assert.equal(engine.stream(0).body.length, 4000);
  });

  it("stalls nobody else when one stream is not drained, and stays under the limit", () => {
    const limits = { streamWindowBytes: 65_536, streamWindowMaxBytes: 65_536, connectionWindowBytes: 131_072, windowGrowthBytes: 0 };
    const engine = Engine.server({ limits });
    engine.owner.onStream = (stream) => {
      stream.drains = stream.stream.id !== 1;
    };
    engine.feed(post(1), post(3));
    for (let i = 0; i < 4; i++) engine.feed(data(1, PIECE));
    for (let i = 0; i < 200; i++) engine.feed(data(3, PIECE));
    assert.deepEqual(verdict(engine), [], "3 MB went through beside the stalled stream");
    assert.equal(engine.stream(1).body.length, 200 * 16_384);
  });

  it("passes through the last stream while all others of the connection hold their windows", () => {
    const limits = { streamsMax: 10, streamWindowBytes: 65_536, streamWindowMaxBytes: 1 << 20, connectionWindowBytes: 131_072 };
    const engine = Engine.server({ limits: { ...limits, windowGrowthBytes: 65_536 } });
    engine.owner.onStream = (stream) => {
      stream.drains = stream.stream.id === 19;
    };
    for (let id = 1; id < 19; id += 2) {
      engine.feed(post(id));
      for (let i = 0; i < 4; i++) engine.feed(data(id, PIECE));
    }
    engine.feed(post(19));
    for (let i = 0; i < 200; i++) engine.feed(data(19, PIECE));
    assert.deepEqual(verdict(engine), [], "3 MB went through beside nine stalled streams");
    assert.equal(engine.stream(9).body.length, 200 * 16_384);
  });

  it("grows for all streams together by so much and no more, and shrinks with them", () => {
    const limits = { streamsMax: 10, streamWindowBytes: 65_536, streamWindowMaxBytes: 1 << 20, windowGrowthBytes: 65_536 };
    const engine = Engine.server({ limits });
    const credit = (id: number): number =>
      updates(engine.sent())
        .filter((line) => line.startsWith(`WINDOW_UPDATE ${id} `))
        .reduce((sum, line) => sum + Number(line.split(" ")[2]), 0);
    const upload = (id: number): number => {
      engine.feed(post(id));
      engine.sent();
      for (let i = 0; i < 8; i++) engine.feed(data(id, PIECE));
      return credit(id) - 8 * 16_384;
    };
    assert.equal(upload(1), 65_536, "the first one takes all that there is");
    assert.ok(upload(3) <= 0, "nothing is left");
    engine.feed(rstStream(1));
    assert.equal(upload(5), 65_536, "it came back");
  });

  it("is the connection's again when its stream is released undrained", () => {
    const limits = { streamsMax: 1, streamWindowBytes: 65_536, connectionWindowBytes: 65_536, windowGrowthBytes: 0 };
    const engine = Engine.server({ limits });
    engine.owner.onStream = (stream) => {
      stream.drains = false;
    };
    for (let id = 1; id < 60; id += 2) {
      engine.feed(post(id), data(id, PIECE), data(id, PIECE), data(id, PIECE), rstStream(id));
      assert.deepEqual(verdict(engine), [], `stream ${id}`);
    }
  });

  it("of a refused head is dropped and gives its window back", () => {
    const engine = Engine.server({
      limits: { headerBytesMax: 1024, streamsMax: 1, connectionWindowBytes: 65_536, windowGrowthBytes: 0, streamWindowBytes: 65_536 },
    });
    engine.feed(headers(1, block([["x", "v".repeat(1100)]])));
    assert.deepEqual(engine.told(), ["1 refused 30"]);
    for (let i = 0; i < 20; i++) engine.feed(data(1, PIECE));
    assert.deepEqual([verdict(engine), engine.told()], [[], []]);
    engine.stream(0).stream.sendOwnHead(431, trailersOf("x: y\r\n"), true);
    engine.feed(data(1, "", { endStream: true }));
    engine.stream(0).stream.release();
    assert.deepEqual([verdict(engine), engine.told()], [[], []]);
    assert.equal(engine.connection.openStreams, 0);
  });

  it("is allowed less than the default only from the acknowledgement on (6.9.2)", () => {
    const engine = new Engine({ limits: { streamWindowBytes: 1000, streamWindowMaxBytes: 1000 } });
    engine.owner.onStream = (stream) => {
      stream.drains = false;
    };
    engine.feed(Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), settings(), post(1), data(1, "x".repeat(16_384)));
    assert.deepEqual(verdict(engine), []);
    engine.feed(Buffer.from([0, 0, 0, 4, 1, 0, 0, 0, 0]), data(1, "x"));
    assert.deepEqual(verdict(engine), ["RST_STREAM 1 FLOW_CONTROL_ERROR"], "its window is negative now");
  });
});

describe("what goes", () => {
  it("takes turns when the connection's window is what all wait for", () => {
    const engine = answering(3, 1 << 20);
    for (let i = 0; i < 3; i++) {
      engine.stream(i).stream.sendData(Buffer.alloc(200_000, "y"), 0, 200_000, null);
      engine.stream(i).stream.sendEnd(null);
    }
    engine.sent();
    engine.feed(windowUpdate(0, 3 * 16_384));
    const sizes = engine.frames().map((frame) => [frame.streamId, frame.payload.length]);
    assert.deepEqual(
      sizes,
      [1, 3, 5].map((id) => [id, 16_384]),
    );
    engine.feed(windowUpdate(0, 1_000_000));
    assert.ok([0, 1, 2].every((i) => engine.stream(i).stream.isClosed));
  });

  it("passes by those whose own window is shut", () => {
    const engine = answering(2, 100);
    for (let i = 0; i < 2; i++) engine.stream(i).stream.sendData(Buffer.alloc(200, "y"), 0, 200, null);
    engine.sent();
    engine.feed(windowUpdate(3, 100));
    assert.deepEqual(
      engine.frames().map((frame) => [frame.streamId, frame.payload.length]),
      [[3, 100]],
    );
  });

  it("waits while a window is negative (6.9.2)", () => {
    const engine = answering(1, 1000);
    const { stream } = engine.stream(0);
    stream.sendData(Buffer.alloc(1500, "y"), 0, 1500, null);
    engine.feed(settings([Setting.INITIAL_WINDOW_SIZE, 100]));
    engine.sent();
    engine.feed(windowUpdate(1, 900));
    assert.deepEqual(engine.sent(), [], "-900 + 900");
    engine.feed(windowUpdate(1, 500));
    assert.equal(engine.frames()[0]!.payload.length, 500);
  });

  it("copies what has to wait, leased or lent", () => {
    for (const lease of [new CountingLease(), null]) {
      const engine = answering(1, 5);
      const lent = Buffer.from("0123456789");
      engine.stream(0).stream.sendData(lent, 0, 10, lease);
      assert.equal(lease?.held ?? 0, 0, "nothing is held for what waits");
      lent.fill("!");
      engine.feed(windowUpdate(1, 5));
      assert.deepEqual(engine.sent(), ['DATA 1 "01234"', 'DATA 1 "56789"']);
    }
  });

  it("is framed by the peer's frame size, up to 64 KB", () => {
    const engine = answering(1, 1 << 20, 1 << 20);
    const { stream } = engine.stream(0);
    stream.sendData(Buffer.alloc(20_000), 0, 20_000, null);
    engine.feed(settings([Setting.MAX_FRAME_SIZE, 1 << 20]));
    stream.sendData(Buffer.alloc(100_000), 0, 100_000, null);
    const sizes = engine
      .frames()
      .filter(({ type }) => type === 0)
      .map(({ payload }) => payload.length);
    assert.deepEqual(sizes, [16_384, 3616, 65_536, 34_464]);
  });

  it("waits for the output, too, as its owner says, and is told once it may go on", () => {
    const engine = answering(2, 1000);
    engine.connection.setOutputCongested(true);
    assert.ok(engine.stream(0).stream.isCongested);
    engine.stream(0).stream.sendData(Buffer.from("ab"), 0, 2, null);
    assert.deepEqual(engine.sent(), ['DATA 1 "ab"'], "it is accepted all the same");
    engine.connection.setOutputCongested(false);
    assert.deepEqual(engine.told(), ["1 writable"], "the one that asked");
    assert.ok(!engine.stream(0).stream.isCongested);
  });

  it("sends trailers and an end that wait behind queued bytes in order", () => {
    const engine = answering(1, 4);
    const { stream } = engine.stream(0);
    stream.sendData(Buffer.from("abcdef"), 0, 6, null);
    const trailers = trailersOf("grpc-status: 0\r\n");
    stream.sendEnd(trailers);
    trailers.buffer.fill("!");
    stream.sendData(Buffer.from("lost"), 0, 4, null);
    assert.deepEqual(engine.sent(), ['DATA 1 "abcd"']);
    engine.feed(windowUpdate(1, 100));
    assert.deepEqual(engine.sent(), ['DATA 1 "ef"', "HEADERS 1 grpc-status=0 END"]);
  });

  it("goes to its end when its owner has released it, or told the peer to send no more (8.1)", () => {
    for (const end of ["release", "stop"] as const) {
      const engine = Engine.server();
      engine.feed(settings([Setting.INITIAL_WINDOW_SIZE, 4]), post(1));
      const { stream } = engine.stream(0);
      stream.sendOwnHead(200, null, false);
      stream.sendData(Buffer.from("abcdef"), 0, 6, null);
      stream.sendEnd(null);
      assert.ok(stream.isCongested, "something waits");
      if (end === "stop") stream.reset(0);
      else stream.release();
      engine.sent();
      engine.told();
      engine.feed(data(1, "more of the request"), windowUpdate(1, 10));
      assert.deepEqual(engine.sent(), ['DATA 1 "ef" END', "RST_STREAM 1 NO_ERROR"]);
      if (end === "stop") {
        assert.deepEqual(engine.told(), ["1 writable"], "as was promised");
        stream.release();
      }
      assert.equal(engine.connection.openStreams, 0);
    }
  });

  it("is reset when its owner releases it before its end", () => {
    const engine = Engine.server();
    engine.feed(post(1), post(3));
    engine.stream(0).stream.release();
    engine.stream(1).stream.sendOwnHead(200, null, true);
    engine.stream(1).stream.release();
    assert.deepEqual(verdict(engine), ["RST_STREAM 1 CANCEL", "RST_STREAM 3 NO_ERROR"]);
    assert.equal(engine.connection.openStreams, 0);
    const client = asking();
    client.stream(0).stream.release();
    assert.deepEqual(verdict(client), ["RST_STREAM 1 CANCEL"]);
    client.open().stream.release();
    assert.deepEqual([client.sent(), client.connection.openStreams], [[], 0], "one that was never sent");
  });

  it("marks the end in a frame that has not left, across chunks of any size", () => {
    for (const chunkBytes of [16, 30, 64, 1024]) {
      const engine = Engine.server({ chunkBytes });
      engine.feed(get(1));
      const { stream } = engine.stream(0);
      stream.sendOwnHead(200, null, false);
      stream.sendData(Buffer.from("0123456789abcdef"), 0, 16, null);
      stream.sendEnd(null);
      const sent = engine.sent();
      assert.match(sent.at(-1)!, / END$/);
      assert.equal(sent.join("").split("END").length, 2, "once");
    }
  });
});
