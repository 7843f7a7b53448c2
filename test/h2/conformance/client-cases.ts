// Conformance of clients: what a server may send, and what a client has to refuse (RFC 9113 3.4 to 8). A proxy is one on its upstream side,
// where a bad answer must fail the request and never pass for a good one.

import {
  continuation,
  data,
  ErrorCode,
  Flag,
  FRAME_BYTES_DEFAULT,
  FrameType,
  frame,
  goaway,
  headers,
  ping,
  pushPromise,
  rstStream,
  Setting,
  settings,
  WINDOW_MAX,
  windowUpdate,
} from "../../support/h2-frames.ts";
import { block, type Fields, indexed } from "../../support/h2-hpack.ts";
import type { ClientCase, ServerTalk } from "./server-talk.ts";

const { COMPRESSION_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, PROTOCOL_ERROR, STREAM_CLOSED } = ErrorCode;

type Frames = (talk: ServerTalk) => readonly Buffer[];
type Row = Pick<ClientCase, "title" | "script" | "succeeds" | "isRaw">;

function section(number: string, rfc: string, ...rows: readonly Row[]): ClientCase[] {
  return rows.map((row, index) => ({ id: `client/${number}/${index + 1}`, rfc, ...row }));
}

/** The answer is right: the request succeeds. */
function takes(what: string, frames: Frames): Row {
  return { title: `takes ${what}`, succeeds: true, script: async (talk) => (await talk.asked()).send(...frames(talk)).peer.expectClosed() };
}

/** The whole connection ends behind these frames. */
function closesOn(what: string, code: number | readonly number[], frames: Frames): Row {
  const codes = typeof code === "number" ? [code] : code;
  const script = async (talk: ServerTalk): Promise<void> => (await talk.asked()).send(...frames(talk)).connectionError(...codes);
  return { title: `closes on ${what}`, succeeds: false, script };
}

/** The request fails; the connection may go on. */
function refuses(what: string, frames: Frames, codes: readonly number[] = [PROTOCOL_ERROR]): Row {
  const script = async (talk: ServerTalk): Promise<void> => (await talk.asked()).send(...frames(talk)).streamError(...codes);
  return { title: `refuses ${what}`, succeeds: false, script };
}

/** A response that ends with its head, of these fields alone. */
function refusesHead(what: string, fields: Fields): Row {
  return refuses(what, (talk) => [headers(talk.stream, block(fields), { endStream: true })]);
}

function refusesField(what: string, name: string, value: string): Row {
  return refuses(what, (talk) => [talk.head([[name, value]], { endStream: true })]);
}

const OK = [":status", "200"] as const;
const ZEROS = "\0\0\0\0\0\0\0\0";

function goodAnswers(): ClientCase[] {
  const long = block([OK, ["x-long", "x".repeat(200)]]);
  return [
    ...section(
      "6",
      "RFC 9113 6",
      takes("a head and a body", (talk) => [talk.head(), talk.body()]),
      takes("padding", (talk) => [talk.head([], { padding: 9 }), data(talk.stream, "test", { padding: 200, endStream: true })]),
      takes("HEADERS with a priority", (talk) => [talk.head([], { priority: { weight: 1 } }), talk.body()]),
      takes("a head in three frames", ({ stream }) => [
        headers(stream, long.subarray(0, 9), { endHeaders: false, endStream: true }),
        continuation(stream, long.subarray(9, 30), { endHeaders: false }),
        continuation(stream, long.subarray(30)),
      ]),
      takes("DATA of 16384 octets", (talk) => [talk.head(), talk.body("x".repeat(FRAME_BYTES_DEFAULT))]),
      takes("an empty body in DATA", (talk) => [talk.head(), data(talk.stream, ""), talk.body("")]),
    ),
    ...section(
      "8.1",
      "RFC 9113 8.1",
      takes("interim responses", (talk) => [
        headers(talk.stream, block([[":status", "103"]])),
        headers(talk.stream, block([[":status", "102"]])),
        talk.head(),
        talk.body(),
      ]),
      takes("trailers", (talk) => [
        talk.head(),
        data(talk.stream, "test"),
        headers(talk.stream, block([["x-sum", "4"]]), { endStream: true }),
      ]),
    ),
    ...section(
      "5.5",
      "RFC 9113 5.5",
      takes("frames of unknown type in between", (talk) => [
        talk.head(),
        frame(0x16, 0xff, talk.stream, ZEROS),
        frame(0x17, 0, 0),
        talk.body(),
      ]),
      takes("unknown SETTINGS in between", (talk) => [settings([0xff, 1]), talk.head(), talk.body()]),
    ),
    ...section(
      "6.7",
      "RFC 9113 6.7",
      {
        title: "answers PING",
        succeeds: true,
        script: async (talk) => {
          await (await talk.asked()).send(ping("question")).peer.expectPingAck("question");
          await talk.send(talk.head(), talk.body()).peer.expectClosed();
        },
      },
      takes("a response behind GOAWAY that includes its stream", (talk) => [goaway(talk.stream), talk.head(), talk.body()]),
    ),
    ...section(
      "8.1.4",
      "RFC 9113 8.1",
      takes("RST_STREAM with NO_ERROR behind the whole response", (talk) => [
        talk.head(),
        talk.body(),
        rstStream(talk.stream, ErrorCode.NO_ERROR),
      ]),
    ),
  ];
}

function connectionErrors(): ClientCase[] {
  return [
    ...section("3.4", "RFC 9113 3.4", {
      title: "closes when the first frame is not SETTINGS",
      succeeds: false,
      isRaw: true,
      script: (talk) => talk.send(ping()).connectionError(PROTOCOL_ERROR),
    }),
    ...section(
      "4",
      "RFC 9113 4",
      closesOn("a head that cannot be decoded", COMPRESSION_ERROR, (talk) => [headers(talk.stream, indexed(70), { endStream: true })]),
      closesOn("another frame inside of a head", PROTOCOL_ERROR, (talk) => [talk.head([], { endHeaders: false }), ping()]),
      closesOn("CONTINUATION without HEADERS", PROTOCOL_ERROR, (talk) => [continuation(talk.stream, block([OK]))]),
      closesOn("HEADERS beyond SETTINGS_MAX_FRAME_SIZE", FRAME_SIZE_ERROR, (talk) => [
        talk.head([["x-long", "x".repeat(FRAME_BYTES_DEFAULT)]], { endStream: true }),
      ]),
    ),
    ...section(
      "5.1",
      "RFC 9113 5.1",
      closesOn("DATA of a stream that nobody opened", [PROTOCOL_ERROR, STREAM_CLOSED], (talk) => [data(talk.stream + 2, "test")]),
      closesOn("RST_STREAM of a stream that nobody opened", PROTOCOL_ERROR, (talk) => [rstStream(talk.stream + 2)]),
      closesOn("HEADERS of a stream of the server's own", PROTOCOL_ERROR, () => [headers(2, block([OK]), { endStream: true })]),
      closesOn("WINDOW_UPDATE of a stream that nobody opened", PROTOCOL_ERROR, (talk) => [windowUpdate(talk.stream + 2, 1)]),
    ),
    ...section(
      "6.1",
      "RFC 9113 6.1 to 6.4",
      closesOn("DATA of stream 0", PROTOCOL_ERROR, () => [data(0, "test")]),
      closesOn("HEADERS of stream 0", PROTOCOL_ERROR, () => [headers(0, block([OK]))]),
      closesOn("padding longer than the frame", PROTOCOL_ERROR, (talk) => [
        talk.head(),
        frame(FrameType.DATA, Flag.PADDED, talk.stream, "\x09x"),
      ]),
      closesOn("RST_STREAM of 3 octets", FRAME_SIZE_ERROR, (talk) => [frame(FrameType.RST_STREAM, 0, talk.stream, "\0\0\0")]),
    ),
    ...section(
      "6.5",
      "RFC 9113 6.5",
      closesOn("SETTINGS_ENABLE_PUSH of 1", PROTOCOL_ERROR, () => [settings([Setting.ENABLE_PUSH, 1])]),
      closesOn("SETTINGS_INITIAL_WINDOW_SIZE of 2^31", FLOW_CONTROL_ERROR, () => [settings([Setting.INITIAL_WINDOW_SIZE, WINDOW_MAX + 1])]),
      closesOn("SETTINGS_MAX_FRAME_SIZE of 1", PROTOCOL_ERROR, () => [settings([Setting.MAX_FRAME_SIZE, 1])]),
      closesOn("SETTINGS of 5 octets", FRAME_SIZE_ERROR, () => [frame(FrameType.SETTINGS, 0, 0, "\0\x04\0\0\0")]),
      closesOn("SETTINGS of a stream", PROTOCOL_ERROR, (talk) => [frame(FrameType.SETTINGS, 0, talk.stream)]),
      closesOn("SETTINGS with ACK and payload", FRAME_SIZE_ERROR, () => [frame(FrameType.SETTINGS, Flag.ACK, 0, "\0\x04\0\0\0\0")]),
    ),
    ...section(
      "6.6",
      "RFC 9113 6.6 to 6.9",
      closesOn("PUSH_PROMISE (a client that allows none, as SETTINGS_ENABLE_PUSH of 0 says)", PROTOCOL_ERROR, (talk) => [
        pushPromise(talk.stream, 2, block([[":method", "GET"]])),
      ]),
      closesOn("PING of 7 octets", FRAME_SIZE_ERROR, () => [frame(FrameType.PING, 0, 0, "\0\0\0\0\0\0\0")]),
      closesOn("GOAWAY of a stream", PROTOCOL_ERROR, (talk) => [frame(FrameType.GOAWAY, 0, talk.stream, ZEROS)]),
      closesOn("WINDOW_UPDATE of the connection by 0", PROTOCOL_ERROR, () => [windowUpdate(0, 0)]),
      closesOn("a window of the connection beyond 2^31 - 1", FLOW_CONTROL_ERROR, () => [windowUpdate(0, WINDOW_MAX)]),
    ),
  ];
}

function streamErrors(): ClientCase[] {
  return [
    ...section(
      "8.3.2",
      "RFC 9113 8.3.2",
      refusesHead("a response without :status", [["x-test", "ok"]]),
      refusesHead("two :status", [OK, OK]),
      refusesHead("a :status that is no number", [[":status", "two"]]),
      refusesHead("a pseudo-header of requests", [OK, [":path", "/"]]),
      refusesHead("an unknown pseudo-header", [OK, [":test", "ok"]]),
      refusesHead("a pseudo-header behind a field", [["x-test", "ok"], OK]),
      refusesHead("101, which HTTP/2 does not have", [[":status", "101"]]),
    ),
    ...section(
      "8.2",
      "RFC 9113 8.2",
      refusesField("a name in capitals", "X-Test", "ok"),
      refusesField("transfer-encoding", "transfer-encoding", "chunked"),
      refusesField("connection", "connection", "close"),
      refusesField("CR LF in a value", "x-test", "a\r\nb: c"),
      refusesField("NUL in a value", "x-test", "a\0b"),
      refusesField("a space in a name", "x test", "ok"),
    ),
    ...section(
      "8.1.1",
      "RFC 9113 8.1.1",
      refuses("a body longer than its Content-Length", (talk) => [talk.head([["content-length", "2"]]), talk.body("test")]),
      refuses("a body shorter than its Content-Length", (talk) => [talk.head([["content-length", "9"]]), talk.body("test")]),
      refuses("two Content-Lengths that differ", (talk) => [
        talk.head([
          ["content-length", "4"],
          ["content-length", "5"],
        ]),
        talk.body("test"),
      ]),
      refuses("DATA before the head", (talk) => [data(talk.stream, "test")]),
      refuses("an interim response that ends the stream", ({ stream }) => [
        headers(stream, block([[":status", "103"]]), { endStream: true }),
      ]),
      refuses("a second head without END_STREAM", (talk) => [talk.head(), talk.head()]),
      refuses("trailers with a pseudo-header", (talk) => [talk.head(), headers(talk.stream, block([OK]), { endStream: true })]),
    ),
    ...section("6.9", "RFC 9113 6.9", {
      title: "refuses WINDOW_UPDATE of its stream by 0",
      succeeds: false,
      script: async (talk) => (await talk.asked()).send(windowUpdate(talk.stream, 0)).streamError(PROTOCOL_ERROR),
    }),
  ];
}

export function clientCases(): ClientCase[] {
  return [...goodAnswers(), ...connectionErrors(), ...streamErrors()];
}
