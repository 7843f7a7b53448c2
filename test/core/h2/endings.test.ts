// A client's rules of RFC 9113, the graceful end of either side, and which streams a client opens.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Engine, NO_EDITS, trailersOf } from "../../support/h2-engine.ts";
import { h1Request } from "../../support/h1-heads.ts";
import {
  data,
  ErrorCode,
  frame,
  FrameType,
  goaway,
  headers,
  pushPromise,
  rstStream,
  Setting,
  settings,
  WINDOW_MAX,
} from "../../support/h2-frames.ts";
import { block } from "../../support/h2-hpack.ts";
import { asking, get, GET, LAST, OK, verdict } from "./talk.ts";

describe("a client ends the connection on", () => {
  for (const [what, bytes] of [
    ["HEADERS on a stream that it has not opened (5.1)", headers(3, OK)],
    ["HEADERS on a stream of the server's (8.4)", headers(2, OK)],
    ["PUSH_PROMISE (8.4)", pushPromise(1, 2, block(GET))],
    ["ENABLE_PUSH of 1 (6.5.2)", settings([Setting.ENABLE_PUSH, 1])],
    ["PRIORITY_UPDATE (RFC 9218 7.1)", frame(0x10, 0, 0, "\0\0\0\x01u=1")],
  ] as const) {
    it(what, () => {
      const engine = asking();
      engine.feed(bytes);
      assert.deepEqual(verdict(engine), LAST(0, "PROTOCOL_ERROR"));
      assert.deepEqual(engine.told()[0], "reset PROTOCOL_ERROR local");
    });
  }
});

describe("a client resets the stream on", () => {
  for (const [what, bytes] of [
    ["DATA before the head (8.1)", [data(1, "x")]],
    ["a head that is malformed (8.1.1)", [headers(1, block([[":status", "99"]]))]],
    ["101 (8.6)", [headers(1, block([[":status", "101"]]))]],
    [
      "DATA beyond Content-Length (8.1.1)",
      [
        headers(
          1,
          block([
            [":status", "200"],
            ["content-length", "1"],
          ]),
        ),
        data(1, "ab"),
      ],
    ],
    ["content of 204 (8.1.1)", [headers(1, block([[":status", "204"]])), data(1, "a")]],
  ] as const) {
    it(what, () => {
      const engine = asking();
      engine.feed(...bytes);
      assert.deepEqual(verdict(engine), ["RST_STREAM 1 PROTOCOL_ERROR"]);
      assert.equal(engine.told().at(-1), "reset PROTOCOL_ERROR local");
      assert.equal(engine.connection.openStreams, 0);
    });
  }

  it("interim heads without end", () => {
    const engine = asking();
    engine.feed(...Array.from({ length: 33 }, () => headers(1, block([[":status", "103"]]))));
    assert.deepEqual(verdict(engine), ["RST_STREAM 1 ENHANCE_YOUR_CALM"]);
  });
});

describe("the graceful end", () => {
  it("of a server: takes what is on its way, then says where it stops (6.8)", () => {
    const engine = Engine.server();
    engine.feed(get(1));
    engine.connection.shutdown();
    const [first, probe] = engine.frames();
    assert.equal(first!.payload.readUInt32BE(0), WINDOW_MAX);
    engine.feed(get(3));
    assert.equal(engine.connection.openStreams, 2);
    engine.feed(frame(FrameType.PING, 1, 0, probe!.payload));
    assert.deepEqual(engine.sent(), LAST(3, "NO_ERROR"));
    engine.feed(get(5));
    assert.deepEqual(verdict(engine), ["RST_STREAM 5 REFUSED_STREAM"]);
    engine.stream(0).stream.sendOwnHead(200, null, true);
    assert.deepEqual(engine.sent(), ["HEADERS 1 :status=200 END"], "what began is finished");
  });

  it("of a server's peer: streams above the last number were not processed (6.8)", () => {
    const engine = Engine.client();
    const owners = [1, 3, 5].map(() => {
      const owner = engine.open();
      owner.stream.sendRequestHead(h1Request("GET / HTTP/1.1\r\nHost: web\r\n\r\n"), NO_EDITS, true, false);
      return owner;
    });
    assert.deepEqual(
      owners.map(({ stream }) => stream.id),
      [1, 3, 5],
    );
    engine.open();
    engine.feed(goaway(3, ErrorCode.NO_ERROR, "bye"));
    assert.deepEqual(engine.told(), [
      "reset REFUSED_STREAM remote unprocessed",
      "reset REFUSED_STREAM remote unprocessed",
      "goaway 3 NO_ERROR",
    ]);
    assert.equal(engine.connection.openStream(owners[0]!), null);
    engine.feed(headers(3, OK, { endStream: true }));
    assert.match(engine.told()[0]!, /^3 head/);
  });

  it("of a client: no more streams, GOAWAY", () => {
    const engine = asking();
    engine.connection.shutdown();
    assert.deepEqual(engine.sent(), LAST(0, "NO_ERROR"));
    assert.ok(!engine.connection.hasRoom);
    engine.feed(headers(1, OK, { endStream: true }));
    assert.match(engine.told()[0]!, /^1 head/);
  });

  it("by force: every stream is told, nothing is sent any more", () => {
    const engine = Engine.server();
    engine.feed(get(1), get(3));
    engine.told();
    engine.connection.close(ErrorCode.NO_ERROR);
    assert.deepEqual(engine.told(), ["reset NO_ERROR local", "reset NO_ERROR local"]);
    assert.deepEqual(engine.sent(), LAST(3, "NO_ERROR"));
    engine.stream(0).stream.sendOwnHead(200, trailersOf("x: y\r\n"), true);
    assert.deepEqual(engine.sent(), []);
  });

  it("by the transport: every stream is told, those that were not sent were not processed", () => {
    const engine = asking();
    engine.open();
    engine.connection.transportClosed();
    assert.deepEqual(engine.told(), ["reset CANCEL remote", "reset CANCEL remote unprocessed"]);
    assert.deepEqual(engine.sent(), []);
    assert.equal(engine.connection.openStreams, 0);
  });
});

describe("a client opens streams", () => {
  it("as many as the peer allows, and more when some end", () => {
    const engine = Engine.client({}, [Setting.MAX_CONCURRENT_STREAMS, 2]);
    const first = engine.open();
    engine.open();
    assert.ok(!engine.connection.hasRoom);
    first.stream.sendRequestHead(h1Request("GET / HTTP/1.1\r\nHost: web\r\n\r\n"), NO_EDITS, true, false);
    engine.feed(headers(1, OK, { endStream: true }));
    assert.ok(engine.connection.hasRoom, "the stream is closed, released or not");
    engine.feed(settings([Setting.MAX_CONCURRENT_STREAMS, 0]));
    assert.ok(!engine.connection.hasRoom);
  });

  it("with numbers in the order in which heads are sent", () => {
    const engine = Engine.client();
    const [a, b] = [engine.open(), engine.open()];
    for (const owner of [b, a]) owner!.stream.sendRequestHead(h1Request("GET / HTTP/1.1\r\nHost: web\r\n\r\n"), NO_EDITS, true, false);
    assert.deepEqual([a!.stream.id, b!.stream.id], [3, 1]);
  });

  it("REFUSED_STREAM: surely not processed (8.7)", () => {
    const engine = asking();
    engine.feed(rstStream(1, ErrorCode.REFUSED_STREAM));
    assert.deepEqual(engine.told(), ["reset REFUSED_STREAM remote unprocessed"]);
  });

  it("PING and its answer", () => {
    const engine = asking();
    engine.connection.ping();
    engine.connection.ping();
    const frames = engine.frames();
    assert.equal(frames.length, 1, "one at a time");
    engine.feed(frame(FrameType.PING, 1, 0, frames[0]!.payload));
    assert.deepEqual(engine.told(), ["pong"]);
  });
});
