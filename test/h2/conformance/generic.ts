// Conformance, group "generic": what every server has to accept (RFC 9113 5, 6, 8; RFC 7541 6).

import {
  continuation,
  data,
  ErrorCode,
  goaway,
  headers,
  PREFACE,
  ping,
  priority,
  rstStream,
  Setting,
  settings,
  windowUpdate,
} from "../../support/h2-frames.ts";
import { block, indexed, LITERALS, type LiteralKind, literal, tableSizeUpdate } from "../../support/h2-hpack.ts";
import { FrameType } from "../../support/h2-frames.ts";
import { type Case, cases, type Talk } from "./case.ts";

/** The peer is alive and has read everything before. */
function alive(talk: Talk, opaque = "\0\0\0\0\0\0\0\0"): Promise<unknown> {
  return talk.send(ping(opaque)).peer.expectPingAck(opaque);
}

/** Alive, or gone: after GOAWAY both are right. */
async function aliveOrClosed(talk: Talk): Promise<void> {
  await Promise.race([alive(talk), talk.peer.expectClosed()]);
}

/** A GET whose answer cannot end, because the window is shut. */
function blocked(talk: Talk): Talk {
  return talk.send(settings([Setting.INITIAL_WINDOW_SIZE, 0]), talk.get());
}

/** Index of `user-agent` in the static table, and of `accept-encoding: gzip, deflate`. */
const USER_AGENT = 58;
const ACCEPT_ENCODING = 16;

function withField(talk: Talk, representation: Buffer): Promise<void> {
  return talk.send(headers(1, Buffer.concat([block(talk.fields()), representation]), { endStream: true })).answered();
}

function literalCases(): Case[] {
  const kinds = Object.keys(LITERALS) as LiteralKind[];
  const list = kinds.flatMap((kind) =>
    [USER_AGENT, "x-test"].flatMap((name) =>
      [false, true].map((huffman) => {
        const title = `takes a literal ${kind}, ${name === USER_AGENT ? "indexed" : "new"} name${huffman ? ", Huffman coded" : ""}`;
        return [title, (talk: Talk) => withField(talk, literal(kind, name, "weft", huffman))] as const;
      }),
    ),
  );
  return cases(
    "generic",
    "5",
    "RFC 7541 6",
    ["takes an indexed field", (talk) => withField(talk, indexed(ACCEPT_ENCODING))],
    ...list,
    [
      "takes a change of the table's size",
      (talk) => talk.send(headers(1, Buffer.concat([tableSizeUpdate(128), block(talk.fields())]), { endStream: true })).answered(),
    ],
    [
      "takes two changes of the table's size in one block",
      (talk) =>
        talk
          .send(headers(1, Buffer.concat([tableSizeUpdate(128), tableSizeUpdate(4096), block(talk.fields())]), { endStream: true }))
          .answered(),
    ],
  );
}

function frameCases(): Case[] {
  return [
    ...cases(
      "generic",
      "3.1",
      "RFC 9113 6.1",
      ["takes a DATA frame", (talk) => talk.send(talk.post(), talk.body()).answered()],
      ["takes several DATA frames", (talk) => talk.send(talk.post(), data(1, "test"), talk.body()).answered()],
      ["takes DATA with padding", (talk) => talk.send(talk.post(), talk.body("test", { padding: 5 })).answered()],
    ),
    ...cases(
      "generic",
      "3.2",
      "RFC 9113 6.2",
      ["takes a HEADERS frame", (talk) => talk.send(talk.get()).answered()],
      ["takes HEADERS with padding", (talk) => talk.send(talk.get(1, { padding: 8 })).answered()],
      ["takes HEADERS with a priority", (talk) => talk.send(talk.get(1, { priority: { weight: 256 } })).answered()],
    ),
    ...cases(
      "generic",
      "3.3",
      "RFC 9113 6.3",
      ["takes PRIORITY of weight 1", (talk) => talk.send(priority(1, { weight: 1 }), talk.get()).answered()],
      ["takes PRIORITY of weight 256", (talk) => talk.send(priority(1, { weight: 256 }), talk.get()).answered()],
      ["takes PRIORITY with a dependency", (talk) => talk.send(priority(3, { dependsOn: 1, weight: 1 }), talk.get()).answered()],
      ["takes an exclusive PRIORITY", (talk) => talk.send(priority(1, { exclusive: true, weight: 1 }), talk.get()).answered()],
      ["PRIORITY of a higher stream closes no lower one", (talk) => talk.send(priority(3, { weight: 256 }), talk.get()).answered()],
    ),
    ...cases("generic", "3.4", "RFC 9113 6.4", [
      "takes RST_STREAM",
      (talk) => alive(talk.send(headers(1, block(talk.fields())), rstStream(1, ErrorCode.CANCEL))),
    ]),
    ...cases("generic", "3.5", "RFC 9113 6.5", [
      "takes SETTINGS with every defined parameter",
      (talk) =>
        talk.settled(
          [Setting.HEADER_TABLE_SIZE, 4096],
          [Setting.ENABLE_PUSH, 1],
          [Setting.MAX_CONCURRENT_STREAMS, 100],
          [Setting.INITIAL_WINDOW_SIZE, 65_535],
          [Setting.MAX_FRAME_SIZE, 16_384],
          [Setting.MAX_HEADER_LIST_SIZE, 100],
        ),
    ]),
    ...cases("generic", "3.7", "RFC 9113 6.7", ["answers PING", (talk) => alive(talk, "h2-weft!")]),
    ...cases("generic", "3.8", "RFC 9113 6.8", ["takes GOAWAY", (talk) => aliveOrClosed(talk.send(goaway(0, ErrorCode.NO_ERROR, "bye")))]),
    ...cases(
      "generic",
      "3.9",
      "RFC 9113 6.9",
      ["takes WINDOW_UPDATE of the connection", (talk) => alive(talk.send(windowUpdate(0, 1)))],
      ["takes WINDOW_UPDATE of a stream", (talk) => talk.send(talk.get(), windowUpdate(1, 1)).answered()],
    ),
  ];
}

function continuationCases(): Case[] {
  const split = (talk: Talk, ...cuts: number[]): Buffer[] => {
    const whole = block(talk.fields());
    const pieces = [0, ...cuts].map((cut, index) => whole.subarray(cut, cuts[index]));
    return pieces.map((piece, index) =>
      index === 0
        ? headers(1, piece, { endStream: true, endHeaders: false })
        : continuation(1, piece, { endHeaders: index === pieces.length - 1 }),
    );
  };
  return cases(
    "generic",
    "3.10",
    "RFC 9113 6.10",
    ["takes a CONTINUATION frame", (talk) => talk.send(...split(talk, 5)).answered()],
    ["takes several CONTINUATION frames", (talk) => talk.send(...split(talk, 5, 10)).answered()],
  );
}

async function firstFrameIsSettings(talk: Talk): Promise<void> {
  const first = await talk.send(PREFACE, settings([Setting.INITIAL_WINDOW_SIZE, 65_535])).peer.next();
  if (first?.type !== FrameType.SETTINGS || first.flags !== 0) throw new Error("the first frame is not SETTINGS");
}

/** The server's connection begins with SETTINGS. */
export const prefaceCase = { title: "begins with SETTINGS, whatever the client's are", run: firstFrameIsSettings, isRaw: true } as const;

export function genericCases(): Case[] {
  return [
    { id: "generic/1/1", rfc: "RFC 9113 3.4", ...prefaceCase },
    ...cases(
      "generic",
      "2",
      "RFC 9113 5.1",
      ["idle: takes PRIORITY", (talk) => alive(talk.send(priority(1, { weight: 256 })))],
      ["half-closed (remote): takes WINDOW_UPDATE", (talk) => blocked(talk).send(windowUpdate(1, 1)).dataOf(1)],
      ["half-closed (remote): takes PRIORITY", (talk) => blocked(talk).send(priority(1), windowUpdate(1, 1)).dataOf(1)],
      ["half-closed (remote): takes RST_STREAM", (talk) => alive(talk.send(talk.get(), rstStream(1)))],
      [
        "closed: takes PRIORITY",
        async (talk) => {
          await talk.send(talk.get()).ended();
          await alive(talk.send(priority(1)));
        },
      ],
    ),
    ...frameCases(),
    ...continuationCases(),
    ...cases(
      "generic",
      "4",
      "RFC 9113 8.1",
      ["answers GET", (talk) => talk.send(talk.get()).answered()],
      ["answers HEAD", (talk) => talk.send(headers(1, block(talk.fields("HEAD")), { endStream: true })).answered()],
      ["answers POST", (talk) => talk.send(talk.post(), talk.body()).answered()],
      [
        "answers POST with trailers",
        (talk) =>
          talk
            .send(talk.post(1, ["trailer", "x-test"]), data(1, "test"), headers(1, block([["x-test", "ok"]]), { endStream: true }))
            .answered(),
      ],
    ),
    ...literalCases(),
  ];
}
