// Conformance, group "http2": the preface, frames at large, stream states, errors of connections (RFC 9113 3.4, 4, 5).

import {
  continuation,
  ErrorCode,
  FRAME_BYTES_DEFAULT,
  FrameType,
  frame,
  headers,
  ping,
  priority,
  rstStream,
  Setting,
  settings,
  windowUpdate,
} from "../../support/h2-frames.ts";
import { block } from "../../support/h2-hpack.ts";
import { type Case, cases, LONG_VALUE, type Talk } from "./case.ts";
import { prefaceCase } from "./generic.ts";

const { COMPRESSION_ERROR, FRAME_SIZE_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, STREAM_CLOSED } = ErrorCode;

/** A frame type and flags that nobody has defined. */
const UNKNOWN_TYPE = 0x16;
const UNKNOWN_FLAGS = 0x16;
const RESERVED_BIT = 0x8000_0000;
const ZEROS = "\0\0\0\0\0\0\0\0";

const moreFields = block([["x-more", "1"]]);

/** Payload of the largest DATA frame that the server takes. */
function frameBytesMax(talk: Talk): number {
  return talk.peer.remoteSettings.get(Setting.MAX_FRAME_SIZE) ?? FRAME_BYTES_DEFAULT;
}

/** HEADERS that promise more of the block. */
function openBlock(talk: Talk): Buffer {
  return headers(1, block(talk.fields()), { endHeaders: false });
}

function frameCases(): Case[] {
  return [
    ...cases(
      "http2",
      "4.1",
      "RFC 9113 4.1",
      ["ignores a frame of unknown type", (talk) => talk.send(frame(UNKNOWN_TYPE, 0, 0, ZEROS), ping(ZEROS)).peer.expectPingAck(ZEROS)],
      ["ignores flags without meaning", (talk) => talk.send(frame(FrameType.PING, UNKNOWN_FLAGS, 0, ZEROS)).peer.expectPingAck(ZEROS)],
      [
        "ignores the reserved bit",
        (talk) => talk.send(frame(FrameType.PING, UNKNOWN_FLAGS, RESERVED_BIT, ZEROS)).peer.expectPingAck(ZEROS),
      ],
    ),
    ...cases(
      "http2",
      "4.2",
      "RFC 9113 4.2",
      ["takes DATA of SETTINGS_MAX_FRAME_SIZE", (talk) => talk.send(talk.post(), talk.body("x".repeat(frameBytesMax(talk)))).answered()],
      [
        "refuses DATA beyond SETTINGS_MAX_FRAME_SIZE",
        (talk) => talk.send(talk.post(), talk.body("x".repeat(frameBytesMax(talk) + 1))).streamError(FRAME_SIZE_ERROR),
      ],
      [
        "closes on HEADERS beyond SETTINGS_MAX_FRAME_SIZE",
        (talk) => {
          const long = Array.from(
            { length: Math.ceil(frameBytesMax(talk) / LONG_VALUE.length) },
            (_, i) => [`x-${i}`, LONG_VALUE] as const,
          );
          return talk.send(headers(1, block(talk.fields("GET", ...long)), { endStream: true })).connectionError(FRAME_SIZE_ERROR);
        },
      ],
    ),
    ...cases(
      "http2",
      "4.3",
      "RFC 9113 4.3",
      [
        "closes on a block that cannot be decoded",
        (talk) => talk.send(headers(1, Buffer.from([0x40]), { endStream: true })).connectionError(COMPRESSION_ERROR),
      ],
      [
        "closes on PRIORITY inside of a block",
        (talk) => talk.send(openBlock(talk), priority(1), continuation(1, moreFields)).connectionError(PROTOCOL_ERROR),
      ],
      [
        "closes on another stream's HEADERS inside of a block",
        (talk) => talk.send(openBlock(talk), talk.get(3), continuation(1, moreFields)).connectionError(PROTOCOL_ERROR),
      ],
    ),
  ];
}

/** Sends once the server has ended stream 1. */
async function afterEnd(talk: Talk, ...frames: Buffer[]): Promise<Talk> {
  await talk.send(talk.get()).ended();
  return talk.send(...frames);
}

function stateCases(): Case[] {
  const opened = (talk: Talk): Buffer => headers(1, block(talk.fields()));
  return cases(
    "http2",
    "5.1",
    "RFC 9113 5.1",
    ["idle: closes on DATA", (talk) => talk.send(talk.body()).connectionError(PROTOCOL_ERROR)],
    ["idle: closes on RST_STREAM", (talk) => talk.send(rstStream(1)).connectionError(PROTOCOL_ERROR)],
    ["idle: closes on WINDOW_UPDATE", (talk) => talk.send(windowUpdate(1, 100)).connectionError(PROTOCOL_ERROR)],
    ["idle: closes on CONTINUATION", (talk) => talk.send(continuation(1, block(talk.fields()))).connectionError(PROTOCOL_ERROR)],
    ["half-closed (remote): refuses DATA", (talk) => talk.send(talk.get(), talk.body()).streamError(STREAM_CLOSED)],
    // PROTOCOL_ERROR: to a server for which a second HEADERS frame is a new stream, its number is too low (RFC 9113 5.1.1).
    ["half-closed (remote): refuses HEADERS", (talk) => talk.send(talk.get(), talk.get()).streamError(STREAM_CLOSED, PROTOCOL_ERROR)],
    [
      "half-closed (remote): refuses CONTINUATION",
      (talk) => talk.send(talk.get(), continuation(1, moreFields)).streamError(STREAM_CLOSED, PROTOCOL_ERROR),
    ],
    ["reset: refuses DATA", (talk) => talk.send(opened(talk), rstStream(1), talk.body()).streamError(STREAM_CLOSED)],
    ["reset: refuses HEADERS", (talk) => talk.send(opened(talk), rstStream(1), talk.get()).streamError(STREAM_CLOSED)],
    [
      "reset: refuses CONTINUATION",
      (talk) => talk.send(opened(talk), rstStream(1), continuation(1, moreFields)).streamError(STREAM_CLOSED, PROTOCOL_ERROR),
    ],
    ["closed: refuses DATA", async (talk) => (await afterEnd(talk, talk.body())).streamError(STREAM_CLOSED)],
    ["closed: closes on HEADERS", async (talk) => (await afterEnd(talk, talk.get())).connectionError(STREAM_CLOSED)],
    [
      "closed: closes on CONTINUATION",
      async (talk) => (await afterEnd(talk, continuation(1, moreFields))).connectionError(STREAM_CLOSED, PROTOCOL_ERROR),
    ],
  );
}

/** One stream more than the server announced, none of which can end. */
async function tooManyStreams(talk: Talk): Promise<void> {
  const allowed = talk.peer.streamsAllowed;
  if (!Number.isFinite(allowed)) throw new Error("the server announces no SETTINGS_MAX_CONCURRENT_STREAMS");
  talk.suspect = 2 * allowed + 1;
  talk.send(settings([Setting.INITIAL_WINDOW_SIZE, 0]));
  for (let stream = 0; stream <= allowed; stream++) talk.send(talk.get(2 * stream + 1));
  await talk.streamError(PROTOCOL_ERROR, REFUSED_STREAM);
}

function streamCases(): Case[] {
  return [
    ...cases(
      "http2",
      "5.1.1",
      "RFC 9113 5.1.1",
      ["closes on a stream with an even number", (talk) => talk.send(talk.get(2)).connectionError(PROTOCOL_ERROR)],
      // STREAM_CLOSED: opening stream 5 has closed stream 3, which was idle, and this is what a closed stream answers (5.1).
      [
        "closes on a stream below the last one",
        (talk) => talk.send(talk.get(5), talk.get(3)).connectionError(PROTOCOL_ERROR, STREAM_CLOSED),
      ],
    ),
    ...cases("http2", "5.1.2", "RFC 9113 5.1.2", ["refuses a stream beyond SETTINGS_MAX_CONCURRENT_STREAMS", tooManyStreams]),
    // RFC 9113 dropped the priorities of RFC 7540; a server that no longer reads them may waive these two (RFC 9113 5.3.2).
    ...cases(
      "http2",
      "5.3.1",
      "RFC 7540 5.3.1",
      [
        "refuses HEADERS that depend on their own stream",
        (talk) => talk.send(talk.get(1, { priority: { dependsOn: 1 } })).streamError(PROTOCOL_ERROR),
      ],
      ["refuses PRIORITY that depends on its own stream", (talk) => talk.send(priority(1, { dependsOn: 1 })).streamError(PROTOCOL_ERROR)],
    ),
    ...cases("http2", "5.4.1", "RFC 9113 5.4.1", [
      "closes the TCP connection behind GOAWAY",
      (talk) => talk.send(frame(FrameType.PING, 0, 3, ZEROS)).peer.expectClosed(),
    ]),
    ...cases(
      "http2",
      "5.5",
      "RFC 9113 5.5",
      [
        "ignores an unknown extension",
        (talk) => talk.send(frame(UNKNOWN_TYPE, 0, 0, ZEROS), ping("extended")).peer.expectPingAck("extended"),
      ],
      [
        "closes on an unknown extension inside of a block",
        (talk) =>
          talk
            .send(headers(1, block(talk.fields()), { endStream: true, endHeaders: false }), frame(UNKNOWN_TYPE, 0, 0, ZEROS))
            .connectionError(PROTOCOL_ERROR),
      ],
    ),
  ];
}

export function connectionCases(): Case[] {
  return [
    { id: "http2/3.5/1", rfc: "RFC 9113 3.4", ...prefaceCase },
    {
      id: "http2/3.5/2",
      rfc: "RFC 9113 3.4",
      title: "closes on a wrong preface",
      run: (talk) => talk.send("INVALID CONNECTION PREFACE\r\n\r\n").peer.expectClosed(),
      isRaw: true,
    },
    ...frameCases(),
    ...stateCases(),
    ...streamCases(),
  ];
}
