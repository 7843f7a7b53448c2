// The rules of RFC 9113 sections 3 to 8 for a server, each with its error code, one case per rule. Those of the public suite run in
// socket.test.ts.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { Engine } from "../../support/h2-engine.ts";
import {
  continuation,
  data,
  ErrorCode,
  frame,
  FrameType,
  goaway,
  headers,
  ping,
  PREFACE,
  priority,
  pushPromise,
  rstStream,
  Setting,
  settings,
  settingsAck,
  WINDOW_MAX,
  windowUpdate,
} from "../../support/h2-frames.ts";
import { block, tableSizeUpdate } from "../../support/h2-hpack.ts";
import { get, GET, LAST, OK, post, verdict } from "./talk.ts";

describe("a server ends the connection on", () => {
  const long = "v".repeat(9000);
  for (const [what, bytes, expected] of [
    ["DATA on stream 0 (6.1)", data(0, "x"), LAST(0, "PROTOCOL_ERROR")],
    ["DATA padded beyond its length (6.1)", [post(1), frame(FrameType.DATA, 8, 1, "\x05abc")], LAST(1, "PROTOCOL_ERROR")],
    ["padded DATA without a pad length (6.1)", [post(1), frame(FrameType.DATA, 8, 1, "")], LAST(1, "FRAME_SIZE_ERROR")],
    ["HEADERS on stream 0 (6.2)", headers(0, block(GET)), LAST(0, "PROTOCOL_ERROR")],
    ["HEADERS padded beyond its length (6.2)", frame(FrameType.HEADERS, 12, 1, "\x05ab"), LAST(0, "PROTOCOL_ERROR")],
    ["HEADERS too short for its priority (6.2)", frame(FrameType.HEADERS, 0x24, 1, "abcd"), LAST(0, "FRAME_SIZE_ERROR")],
    ["RST_STREAM of another length (6.4)", [post(1), frame(FrameType.RST_STREAM, 0, 1, "abc")], LAST(1, "FRAME_SIZE_ERROR")],
    ["RST_STREAM on stream 0 (6.4)", rstStream(0), LAST(0, "PROTOCOL_ERROR")],
    ["RST_STREAM on an idle stream (6.4)", rstStream(3), LAST(0, "PROTOCOL_ERROR")],
    ["SETTINGS on a stream (6.5)", frame(FrameType.SETTINGS, 0, 1, ""), LAST(0, "PROTOCOL_ERROR")],
    ["SETTINGS of 5 bytes (6.5)", frame(FrameType.SETTINGS, 0, 0, "abcde"), LAST(0, "FRAME_SIZE_ERROR")],
    ["an acknowledgement with a payload (6.5)", frame(FrameType.SETTINGS, 1, 0, "abcdef"), LAST(0, "FRAME_SIZE_ERROR")],
    ["an acknowledgement too many", settingsAck(), LAST(0, "PROTOCOL_ERROR")],
    ["ENABLE_PUSH of 2 (6.5.2)", settings([Setting.ENABLE_PUSH, 2]), LAST(0, "PROTOCOL_ERROR")],
    ["INITIAL_WINDOW_SIZE above 2^31 - 1 (6.5.2)", settings([Setting.INITIAL_WINDOW_SIZE, 2 ** 31]), LAST(0, "FLOW_CONTROL_ERROR")],
    ["MAX_FRAME_SIZE below 16384 (6.5.2)", settings([Setting.MAX_FRAME_SIZE, 16_383]), LAST(0, "PROTOCOL_ERROR")],
    ["MAX_FRAME_SIZE above 2^24 - 1 (6.5.2)", settings([Setting.MAX_FRAME_SIZE, 2 ** 24]), LAST(0, "PROTOCOL_ERROR")],
    ["ENABLE_CONNECT_PROTOCOL going back (RFC 8441 3)", settings([8, 1], [8, 0]), LAST(0, "PROTOCOL_ERROR")],
    ["PUSH_PROMISE (8.4)", [post(1), pushPromise(1, 2, block(GET))], LAST(1, "PROTOCOL_ERROR")],
    ["PING on a stream (6.7)", frame(FrameType.PING, 0, 1, "12345678"), LAST(0, "PROTOCOL_ERROR")],
    ["PING of 7 bytes (6.7)", frame(FrameType.PING, 0, 0, "1234567"), LAST(0, "FRAME_SIZE_ERROR")],
    ["GOAWAY on a stream (6.8)", frame(FrameType.GOAWAY, 0, 1, "12345678"), LAST(0, "PROTOCOL_ERROR")],
    ["GOAWAY of 7 bytes (6.8)", frame(FrameType.GOAWAY, 0, 0, "1234567"), LAST(0, "FRAME_SIZE_ERROR")],
    ["GOAWAY that takes back the one before (6.8)", [goaway(4), goaway(6)], LAST(0, "PROTOCOL_ERROR")],
    ["WINDOW_UPDATE of 0 for the connection (6.9)", windowUpdate(0, 0), LAST(0, "PROTOCOL_ERROR")],
    ["WINDOW_UPDATE of 3 bytes (6.9)", frame(FrameType.WINDOW_UPDATE, 0, 0, "abc"), LAST(0, "FRAME_SIZE_ERROR")],
    ["a window of the connection above 2^31 - 1 (6.9.1)", windowUpdate(0, WINDOW_MAX), LAST(0, "FLOW_CONTROL_ERROR")],
    [
      "a stream's window above 2^31 - 1 by SETTINGS (6.9.2)",
      [post(1), windowUpdate(1, WINDOW_MAX - 65_535), settings([Setting.INITIAL_WINDOW_SIZE, 65_536])],
      LAST(1, "FLOW_CONTROL_ERROR"),
    ],
    ["CONTINUATION without HEADERS (6.10)", continuation(1, block(GET)), LAST(0, "PROTOCOL_ERROR")],
    [
      "CONTINUATION of another stream (6.10)",
      [headers(1, block(GET), { endHeaders: false }), continuation(3, OK)],
      LAST(0, "PROTOCOL_ERROR"),
    ],
    [
      "a block in hundreds of parts (CVE-2024-27316)",
      [
        headers(1, block(GET), { endHeaders: false }),
        ...Array.from({ length: 200 }, () => continuation(1, Buffer.alloc(0), { endHeaders: false })),
      ],
      LAST(0, "ENHANCE_YOUR_CALM"),
    ],
    [
      "a block far above the limit",
      [
        headers(1, block([["x", long]]), { endHeaders: false }),
        ...Array.from({ length: 8 }, () => continuation(1, block([["x", long]]), { endHeaders: false })),
      ],
      LAST(0, "ENHANCE_YOUR_CALM"),
    ],
    ["a frame above our SETTINGS_MAX_FRAME_SIZE (4.2)", frame(FrameType.HEADERS, 5, 1, "", 16_385), LAST(0, "FRAME_SIZE_ERROR")],
    ["a stream with an even number (5.1.1)", get(2), LAST(0, "PROTOCOL_ERROR")],
    ["a block that is no HPACK (4.3)", headers(1, Buffer.from([0x80])), LAST(0, "COMPRESSION_ERROR")],
    ["a table above the limit (RFC 7541 6.3)", headers(1, tableSizeUpdate(4097)), LAST(0, "COMPRESSION_ERROR")],
    ["PRIORITY of 4 bytes on an idle stream (6.3)", frame(FrameType.PRIORITY, 0, 5, "abcd"), LAST(0, "FRAME_SIZE_ERROR")],
    ["PRIORITY on stream 0 (6.3)", priority(0), LAST(0, "PROTOCOL_ERROR")],
    ["PRIORITY_UPDATE for stream 0 (RFC 9218 7.1)", frame(0x10, 0, 0, "\0\0\0\0u=1"), LAST(0, "PROTOCOL_ERROR")],
    ["PRIORITY_UPDATE on a stream (RFC 9218 7.1)", frame(0x10, 0, 1, "\0\0\0\x01u=1"), LAST(0, "PROTOCOL_ERROR")],
    [
      "more values in SETTINGS than anybody has",
      settings(...Array.from({ length: 65 }, () => [99, 1] as const)),
      LAST(0, "ENHANCE_YOUR_CALM"),
    ],
  ] as const satisfies readonly (readonly [string, Buffer | readonly Buffer[], string[]])[]) {
    it(what, () => {
      const engine = Engine.server();
      engine.feed(...[bytes].flat());
      assert.deepEqual(verdict(engine), expected);
      assert.ok(engine.connection.isDead);
      assert.equal(engine.told().filter((line) => line.startsWith("error")).length, 1);
      assert.equal(engine.connection.openStreams, 0, "every stream is over");
      engine.feed(ping());
      assert.deepEqual(engine.sent(), [], "nothing is read any more");
    });
  }

  it("DATA beyond the connection's window (6.9.1)", () => {
    const engine = Engine.server({ limits: { connectionWindowBytes: 65_535, streamWindowBytes: 1 << 20, maxFrameSizeBytes: 1 << 17 } });
    engine.feed(post(1), data(1, "x".repeat(65_535)));
    assert.deepEqual(verdict(engine), []);
    engine.feed(data(1, "x".repeat(65_536)));
    assert.deepEqual(verdict(engine), LAST(1, "FLOW_CONTROL_ERROR"));
  });

  it("a wrong preface, and a first frame that is not SETTINGS (3.4)", () => {
    for (const bytes of [
      Buffer.from("GET / HTTP/1.1\r\n\r\n"),
      Buffer.concat([PREFACE, ping()]),
      Buffer.concat([PREFACE, settingsAck()]),
    ]) {
      const engine = new Engine();
      engine.frames();
      engine.feed(bytes);
      assert.deepEqual(verdict(engine), LAST(0, "PROTOCOL_ERROR"));
    }
  });
});

describe("a server resets the stream on", () => {
  for (const [what, bytes, code] of [
    ["DATA behind END_STREAM (5.1)", [get(1), data(1, "x")], "STREAM_CLOSED"],
    ["HEADERS behind END_STREAM (5.1)", [get(1), get(1)], "STREAM_CLOSED"],
    [
      "DATA beyond the stream's window (6.9.1)",
      [post(1), ...Array.from({ length: 5 }, () => data(1, "x".repeat(16_384)))],
      "FLOW_CONTROL_ERROR",
    ],
    ["WINDOW_UPDATE of 0 (6.9)", [post(1), windowUpdate(1, 0)], "PROTOCOL_ERROR"],
    ["a window above 2^31 - 1 (6.9.1)", [post(1), windowUpdate(1, WINDOW_MAX)], "FLOW_CONTROL_ERROR"],
    ["PRIORITY of 4 bytes (6.3)", [post(1), frame(FrameType.PRIORITY, 0, 1, "abcd")], "FRAME_SIZE_ERROR"],
    ["PRIORITY of itself (RFC 7540 5.3.1)", [post(1), priority(1, { dependsOn: 1 })], "PROTOCOL_ERROR"],
    ["HEADERS that depend on themselves (RFC 7540 5.3.1)", [headers(1, block(GET), { priority: { dependsOn: 1 } })], "PROTOCOL_ERROR"],
    ["trailers without END_STREAM (8.1)", [post(1), headers(1, block([["x", "y"]]))], "PROTOCOL_ERROR"],
    ["a pseudo-header field in trailers (8.1)", [post(1), headers(1, block([[":path", "/"]]), { endStream: true })], "PROTOCOL_ERROR"],
    ["Connection in trailers (8.2.2)", [post(1), headers(1, block([["connection", "x"]]), { endStream: true })], "PROTOCOL_ERROR"],
    ["capitals in trailers (8.2.1)", [post(1), headers(1, block([["X", "y"]]), { endStream: true })], "PROTOCOL_ERROR"],
    [
      "trailers beyond headerBytesMax",
      [
        post(1),
        headers(1, block([["x", "v".repeat(9000)]]), { endHeaders: false, endStream: true }),
        ...Array.from({ length: 4 }, (_, i) => continuation(1, block([["x", "v".repeat(9000)]]), { endHeaders: i === 3 })),
      ],
      "ENHANCE_YOUR_CALM",
    ],
    ["more DATA than Content-Length (8.1.1)", [post(1, ["content-length", "3"]), data(1, "ab"), data(1, "cd")], "PROTOCOL_ERROR"],
    ["less DATA than Content-Length (8.1.1)", [post(1, ["content-length", "3"]), data(1, "ab", { endStream: true })], "PROTOCOL_ERROR"],
    [
      "trailers before all of Content-Length (8.1.1)",
      [post(1, ["content-length", "3"]), headers(1, block([["x", "y"]]), { endStream: true })],
      "PROTOCOL_ERROR",
    ],
    ["a head that is malformed (8.1.1)", [headers(1, block(GET.slice(1)), { endStream: true })], "PROTOCOL_ERROR"],
  ] as const satisfies readonly (readonly [string, readonly Buffer[], string])[]) {
    it(what, () => {
      const engine = Engine.server({ limits: { streamWindowBytes: 65_535 } });
      engine.owner.onStream = (stream) => {
        stream.drains = false;
      };
      engine.feed(...bytes);
      assert.deepEqual(verdict(engine), [`RST_STREAM 1 ${code}`]);
      const told = engine.told();
      if (engine.owner.streams.length > 0) assert.equal(told.at(-1), `reset ${code} local`);
      assert.equal(engine.connection.openStreams, 0);
      engine.feed(get(3));
      assert.equal(engine.owner.streams.at(-1)?.stream.id, 3, "the connection goes on");
    });
  }

  it("a stream too many, until the owners of others release theirs (5.1.2)", () => {
    const engine = Engine.server({ limits: { streamsMax: 2 } });
    engine.feed(get(1), get(3), get(5));
    assert.deepEqual(verdict(engine), ["RST_STREAM 5 REFUSED_STREAM"]);
    const { stream } = engine.stream(0);
    stream.sendOwnHead(204, null, true);
    engine.feed(get(7));
    assert.deepEqual(verdict(engine), ["RST_STREAM 7 REFUSED_STREAM"], "closed, but its work goes on");
    stream.release();
    engine.feed(get(9));
    assert.deepEqual(verdict(engine), []);
    assert.equal(engine.connection.openStreams, 2);
  });
});

describe("a server takes", () => {
  it("frames for a stream that it has just reset: counted for the windows, decoded, dropped (5.1)", () => {
    const engine = Engine.server();
    engine.feed(post(1));
    engine.stream(0).stream.reset(ErrorCode.CANCEL);
    engine.stream(0).stream.release();
    engine.sent();
    const indexedField = Buffer.concat([Buffer.from([0x40, 1]), Buffer.from("x"), Buffer.from([1]), Buffer.from("y")]);
    engine.feed(data(1, "late"), windowUpdate(1, 5), rstStream(1), headers(1, indexedField, { endStream: true }));
    assert.deepEqual(verdict(engine), []);
    engine.feed(headers(3, Buffer.concat([block(GET), Buffer.from([0x80 | 62])]), { endStream: true }));
    assert.match(engine.stream(1).lastHead, /x: y/, "the table is in step");
  });

  it("nothing more for a stream that the peer has reset: STREAM_CLOSED (5.1)", () => {
    const engine = Engine.server();
    engine.feed(post(1), rstStream(1), data(1, "x"));
    assert.deepEqual(verdict(engine), ["RST_STREAM 1 STREAM_CLOSED"]);
  });

  it("nothing more for a stream that has ended: STREAM_CLOSED for the connection (5.1)", () => {
    const engine = Engine.server();
    engine.feed(get(1));
    engine.stream(0).stream.sendOwnHead(200, null, true);
    engine.sent();
    engine.feed(windowUpdate(1, 5), rstStream(1), priority(1));
    assert.deepEqual(verdict(engine), [], "these may have been on their way");
    engine.feed(data(1, "x"));
    assert.deepEqual(verdict(engine), LAST(1, "STREAM_CLOSED"));
  });

  it("unknown frames, flags and settings, and the reserved bit (4.1, 5.5, 6.5.2)", () => {
    const engine = Engine.server();
    engine.feed(frame(0x77, 0xff, 9, "abc"), settings([0x99, 5]), frame(FrameType.PING, 0xfe, 0x8000_0000, "12345678"));
    assert.deepEqual(engine.sent(), ["SETTINGS ack", "PING ack"]);
  });

  it("HEADERS with padding and priority, a fragment in two frames", () => {
    const engine = Engine.server();
    const whole = block(GET);
    engine.feed(headers(1, whole, { padding: 7, priority: { dependsOn: 3 }, endStream: true }));
    engine.feed(headers(3, whole.subarray(0, 9), { padding: 2, endHeaders: false, endStream: true }), continuation(3, whole.subarray(9)));
    assert.deepEqual(
      engine.owner.streams.map(({ lastHead }) => lastHead),
      Array.from({ length: 2 }, () => "GET / HTTP/1.1\r\nHost: web\r\n\r\n"),
    );
  });

  it("priorities of RFC 9218, and keeps them", () => {
    const engine = Engine.server();
    engine.feed(post(1), frame(0x10, 0, 0, "\0\0\0\x01u=1, i"), frame(0x10, 0, 0, "\0\0\0\x63u=2"));
    const stream = engine.stream(0).stream as unknown as { urgency: number; isIncremental: boolean };
    assert.deepEqual([stream.urgency, stream.isIncremental], [1, true]);
    assert.deepEqual(verdict(engine), []);
  });
});
