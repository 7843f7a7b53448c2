// Conformance, group "http2": each frame type with what is wrong on it, and windows (RFC 9113 6 and 7).

import {
  continuation,
  data,
  ErrorCode,
  Flag,
  FrameType,
  frame,
  goaway,
  headers,
  ping,
  priority,
  rstStream,
  Setting,
  settings,
  WINDOW_MAX,
  windowUpdate,
} from "../../support/h2-frames.ts";
import { block } from "../../support/h2-hpack.ts";
import { type Case, cases, LONG_VALUE, type Talk } from "./case.ts";

const { FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, PROTOCOL_ERROR, STREAM_CLOSED } = ErrorCode;

const ZEROS = "\0\0\0\0\0\0\0\0";
const moreFields = block([["x-more", LONG_VALUE]]);
/** An error code that nobody has defined. */
const UNKNOWN_CODE = 0xff;

function openBlock(talk: Talk, options: { readonly endStream?: boolean } = {}): Buffer {
  return headers(1, block(talk.fields()), { endHeaders: false, ...options });
}

/** HEADERS whose padding is one octet longer than the frame. */
function overPadded(talk: Talk): Buffer {
  const fields = block(talk.fields());
  const payload = Buffer.concat([Buffer.from([fields.length + 1]), fields]);
  return frame(FrameType.HEADERS, Flag.PADDED | Flag.END_HEADERS | Flag.END_STREAM, 1, payload);
}

function dataAndHeaderCases(): Case[] {
  return [
    ...cases(
      "http2",
      "6.1",
      "RFC 9113 6.1",
      ["closes on DATA of stream 0", (talk) => talk.send(data(0, "test", { endStream: true })).connectionError(PROTOCOL_ERROR)],
      [
        "refuses DATA of a stream that is neither open nor half-closed (local)",
        (talk) => talk.send(headers(1, block(talk.fields("POST")), { endStream: true }), talk.body()).streamError(STREAM_CLOSED),
      ],
      [
        "closes on padding longer than the DATA frame",
        (talk) =>
          talk
            .send(talk.post(1, ["content-length", "4"]), frame(FrameType.DATA, Flag.PADDED | Flag.END_STREAM, 1, "\x06Test"))
            .connectionError(PROTOCOL_ERROR),
      ],
    ),
    ...cases(
      "http2",
      "6.2",
      "RFC 9113 6.2",
      [
        "closes on PRIORITY behind HEADERS without END_HEADERS",
        (talk) => talk.send(openBlock(talk), priority(1), continuation(1, moreFields)).connectionError(PROTOCOL_ERROR),
      ],
      [
        "closes on HEADERS of another stream behind HEADERS without END_HEADERS",
        (talk) => talk.send(openBlock(talk), talk.get(3), continuation(1, moreFields)).connectionError(PROTOCOL_ERROR),
      ],
      ["closes on HEADERS of stream 0", (talk) => talk.send(talk.get(0)).connectionError(PROTOCOL_ERROR)],
      ["closes on padding longer than the HEADERS frame", (talk) => talk.send(overPadded(talk)).connectionError(PROTOCOL_ERROR)],
    ),
    ...cases(
      "http2",
      "6.3",
      "RFC 9113 6.3",
      ["closes on PRIORITY of stream 0", (talk) => talk.send(priority(0)).connectionError(PROTOCOL_ERROR)],
      [
        "refuses PRIORITY of any length but 5",
        (talk) => talk.send(talk.get(), frame(FrameType.PRIORITY, 0, 1, "\x80\0\0\x01")).streamError(FRAME_SIZE_ERROR),
      ],
    ),
    ...cases(
      "http2",
      "6.4",
      "RFC 9113 6.4",
      ["closes on RST_STREAM of stream 0", (talk) => talk.send(rstStream(0)).connectionError(PROTOCOL_ERROR)],
      ["closes on RST_STREAM of an idle stream", (talk) => talk.send(rstStream(1)).connectionError(PROTOCOL_ERROR)],
      [
        "closes on RST_STREAM of any length but 4",
        (talk) => talk.send(talk.get(), frame(FrameType.RST_STREAM, 0, 1, "\0\0\0")).connectionError(FRAME_SIZE_ERROR),
      ],
    ),
  ];
}

/** SETTINGS with one value that no peer may send. */
function badSetting(title: string, id: number, value: number, code: number): readonly [string, (talk: Talk) => Promise<void>] {
  return [title, (talk) => talk.send(settings([id, value])).connectionError(code)];
}

async function lastValueCounts(talk: Talk): Promise<void> {
  await talk.settled([Setting.INITIAL_WINDOW_SIZE, 100], [Setting.INITIAL_WINDOW_SIZE, 1]);
  await talk.send(talk.get()).dataOf(1);
}

function settingsCases(): Case[] {
  return [
    ...cases(
      "http2",
      "6.5",
      "RFC 9113 6.5",
      [
        "closes on SETTINGS with ACK and payload",
        (talk) => talk.send(frame(FrameType.SETTINGS, Flag.ACK, 0, "\0")).connectionError(FRAME_SIZE_ERROR),
      ],
      [
        "closes on SETTINGS of a stream",
        (talk) => talk.send(frame(FrameType.SETTINGS, 0, 1, "\0\x03\0\0\0\x64")).connectionError(PROTOCOL_ERROR),
      ],
      [
        "closes on SETTINGS whose length is no multiple of 6",
        (talk) => talk.send(frame(FrameType.SETTINGS, 0, 0, "\0\x03\0")).connectionError(FRAME_SIZE_ERROR),
      ],
    ),
    ...cases(
      "http2",
      "6.5.2",
      "RFC 9113 6.5.2",
      badSetting("closes on SETTINGS_ENABLE_PUSH of 2", Setting.ENABLE_PUSH, 2, PROTOCOL_ERROR),
      badSetting("closes on SETTINGS_INITIAL_WINDOW_SIZE of 2^31", Setting.INITIAL_WINDOW_SIZE, WINDOW_MAX + 1, FLOW_CONTROL_ERROR),
      badSetting("closes on SETTINGS_MAX_FRAME_SIZE of 2^14 - 1", Setting.MAX_FRAME_SIZE, 2 ** 14 - 1, PROTOCOL_ERROR),
      badSetting("closes on SETTINGS_MAX_FRAME_SIZE of 2^24", Setting.MAX_FRAME_SIZE, 2 ** 24, PROTOCOL_ERROR),
      ["ignores an unknown parameter", (talk) => talk.send(settings([0xff, 1]), ping(ZEROS)).peer.expectPingAck(ZEROS)],
    ),
    ...cases(
      "http2",
      "6.5.3",
      "RFC 9113 6.5.3",
      ["applies values in the order in which they come", lastValueCounts],
      ["acknowledges SETTINGS", (talk) => talk.settled([Setting.ENABLE_PUSH, 0])],
    ),
  ];
}

/** The first PING that comes back is the one that asked. */
async function pingAckIsNotAnswered(talk: Talk): Promise<void> {
  talk.send(ping("unasked!", { ack: true }), ping("question"));
  const { payload } = await talk.peer.expectType(FrameType.PING);
  if (payload.toString("latin1") !== "question") throw new Error("PING with ACK was answered");
}

function pingAndGoawayCases(): Case[] {
  return [
    ...cases(
      "http2",
      "6.7",
      "RFC 9113 6.7",
      ["answers PING with its eight octets", (talk) => talk.send(ping("h2-weft!")).peer.expectPingAck("h2-weft!")],
      ["does not answer PING with ACK", pingAckIsNotAnswered],
      ["closes on PING of a stream", (talk) => talk.send(frame(FrameType.PING, 0, 1, ZEROS)).connectionError(PROTOCOL_ERROR)],
      [
        "closes on PING of any length but 8",
        (talk) => talk.send(frame(FrameType.PING, 0, 0, "\0\0\0\0\0\0")).connectionError(FRAME_SIZE_ERROR),
      ],
    ),
    ...cases("http2", "6.8", "RFC 9113 6.8", [
      "closes on GOAWAY of a stream",
      (talk) => talk.send(frame(FrameType.GOAWAY, 0, 1, ZEROS)).connectionError(PROTOCOL_ERROR),
    ]),
  ];
}

async function resetForOverflow(talk: Talk): Promise<void> {
  talk.send(headers(1, block(talk.fields())), windowUpdate(1, WINDOW_MAX), windowUpdate(1, WINDOW_MAX));
  await talk.peer.expectReset(1, FLOW_CONTROL_ERROR);
}

async function goawayForOverflow(talk: Talk): Promise<void> {
  await talk.send(windowUpdate(0, WINDOW_MAX), windowUpdate(0, WINDOW_MAX)).peer.expectGoaway(FLOW_CONTROL_ERROR);
}

async function windowOfOne(talk: Talk): Promise<void> {
  await talk.settled([Setting.INITIAL_WINDOW_SIZE, 1]);
  await talk.send(talk.get()).dataOf(1);
}

async function windowGrowsWithSettings(talk: Talk): Promise<void> {
  await talk.settled([Setting.INITIAL_WINDOW_SIZE, 0]);
  talk.send(talk.get());
  await talk.settled([Setting.INITIAL_WINDOW_SIZE, 1]);
  await talk.dataOf(1);
}

async function windowBelowZero(talk: Talk): Promise<void> {
  await talk.settled([Setting.INITIAL_WINDOW_SIZE, 3]);
  await talk.send(talk.get()).dataOf(3);
  await talk.settled([Setting.INITIAL_WINDOW_SIZE, 2]);
  await talk.send(windowUpdate(1, 2)).dataOf(1);
}

function windowCases(): Case[] {
  return [
    ...cases(
      "http2",
      "6.9",
      "RFC 9113 6.9",
      ["closes on WINDOW_UPDATE of the connection by 0", (talk) => talk.send(windowUpdate(0, 0)).connectionError(PROTOCOL_ERROR)],
      [
        "refuses WINDOW_UPDATE of a stream by 0",
        (talk) => talk.send(headers(1, block(talk.fields())), windowUpdate(1, 0)).streamError(PROTOCOL_ERROR),
      ],
      [
        "closes on WINDOW_UPDATE of any length but 4",
        (talk) => talk.send(frame(FrameType.WINDOW_UPDATE, 0, 0, "\0\0\x01")).connectionError(FRAME_SIZE_ERROR),
      ],
    ),
    ...cases(
      "http2",
      "6.9.1",
      "RFC 9113 6.9.1",
      ["sends no more DATA than the window has room for", windowOfOne],
      ["sends GOAWAY when the connection's window passes 2^31 - 1", goawayForOverflow],
      ["sends RST_STREAM when a stream's window passes 2^31 - 1", resetForOverflow],
    ),
    ...cases(
      "http2",
      "6.9.2",
      "RFC 9113 6.9.2",
      ["a larger SETTINGS_INITIAL_WINDOW_SIZE opens streams that wait", windowGrowsWithSettings],
      ["a smaller SETTINGS_INITIAL_WINDOW_SIZE may put a window below 0", windowBelowZero],
      badSetting("closes on a window beyond 2^31 - 1", Setting.INITIAL_WINDOW_SIZE, WINDOW_MAX + 1, FLOW_CONTROL_ERROR),
    ),
  ];
}

function continuationCases(): Case[] {
  const more = (streamId: number, endHeaders = true): Buffer => continuation(streamId, moreFields, { endHeaders });
  return cases(
    "http2",
    "6.10",
    "RFC 9113 6.10",
    [
      "takes CONTINUATION frames behind HEADERS",
      (talk) => talk.send(openBlock(talk, { endStream: true }), more(1, false), more(1)).answered(),
    ],
    [
      "closes on DATA behind CONTINUATION without END_HEADERS",
      (talk) => talk.send(openBlock(talk), more(1, false), talk.body()).connectionError(PROTOCOL_ERROR),
    ],
    [
      "closes on CONTINUATION of stream 0",
      (talk) => talk.send(openBlock(talk, { endStream: true }), more(0)).connectionError(PROTOCOL_ERROR),
    ],
    ["closes on CONTINUATION behind HEADERS with END_HEADERS", (talk) => talk.send(talk.get(), more(1)).connectionError(PROTOCOL_ERROR)],
    [
      "closes on CONTINUATION behind CONTINUATION with END_HEADERS",
      (talk) => talk.send(openBlock(talk, { endStream: true }), more(1), more(1)).connectionError(PROTOCOL_ERROR),
    ],
    ["closes on CONTINUATION behind DATA", (talk) => talk.send(openBlock(talk), talk.body(), more(1)).connectionError(PROTOCOL_ERROR)],
  );
}

export function frameCases(): Case[] {
  return [
    ...dataAndHeaderCases(),
    ...settingsCases(),
    ...pingAndGoawayCases(),
    ...windowCases(),
    ...continuationCases(),
    ...cases(
      "http2",
      "7",
      "RFC 9113 7",
      [
        "takes GOAWAY with an unknown code",
        async (talk) => {
          talk.send(goaway(0, UNKNOWN_CODE), ping("question"));
          await Promise.race([talk.peer.expectPingAck("question"), talk.peer.expectClosed()]);
        },
      ],
      [
        "takes RST_STREAM with an unknown code",
        (talk) => talk.send(talk.post(), rstStream(1, UNKNOWN_CODE), ping("question")).peer.expectPingAck("question"),
      ],
    ),
  ];
}
