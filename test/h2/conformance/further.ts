// Conformance beyond the public suite: what RFC 9113 asks of field values and names, of Content-Length and Host, of credit and of
// streams side by side. Where a request is malformed the server may answer 400 instead of resetting the stream (8.1.1).

import {
  data,
  ErrorCode,
  errorCodeOf,
  FrameType,
  goaway,
  headers,
  ping,
  rstStream,
  Setting,
  windowUpdate,
} from "../../support/h2-frames.ts";
import { block, type Fields } from "../../support/h2-hpack.ts";
import { type Case, cases, type Talk } from "./case.ts";

type Row = readonly [title: string, run: (talk: Talk) => Promise<unknown>];

/** RST_STREAM, GOAWAY or close with a fitting code, or an answer 400. */
async function refused(talk: Talk): Promise<void> {
  for (;;) {
    const received = await talk.peer.next("a refusal");
    if (received === null) return;
    const status = received.fields?.find(([name]) => name === ":status")?.[1];
    if (status === "400") return;
    if (status !== undefined) throw new Error(`expected a refusal, got the status ${status}`);
    if (received.type !== FrameType.RST_STREAM && received.type !== FrameType.GOAWAY) continue;
    if (errorCodeOf(received) === ErrorCode.PROTOCOL_ERROR) return;
    throw new Error(`expected a refusal for PROTOCOL_ERROR, got code ${errorCodeOf(received)}`);
  }
}

function refuses(what: string, fieldsOf: (talk: Talk) => Fields): Row {
  return [`refuses ${what}`, (talk) => refused(talk.send(headers(1, block(fieldsOf(talk)), { endStream: true })))];
}

function refusesField(what: string, name: string, value: string): Row {
  return refuses(what, (talk) => talk.fields("GET", [name, value]));
}

/** The request with another value of a pseudo-header. */
function refusesPseudo(what: string, name: string, value: string): Row {
  return refuses(what, (talk) => talk.fields().map(([field, old]) => [field, field === name ? value : old]));
}

function refusesTrailers(what: string, trailers: Fields): Row {
  return [
    `refuses trailers with ${what}`,
    (talk) => refused(talk.send(talk.post(), data(1, "test"), headers(1, block(trailers), { endStream: true }))),
  ];
}

function fieldCases(): Case[] {
  return [
    ...cases(
      "more",
      "8.2.1",
      "RFC 9113 8.2.1",
      refusesField("CR in a value", "x-test", "a\rb"),
      refusesField("LF in a value", "x-test", "a\nb"),
      refusesField("NUL in a value", "x-test", "a\0b"),
      refusesField("a value that begins with a space", "x-test", " a"),
      refusesField("a value that ends with a tab", "x-test", "a\t"),
      refusesField("a space in a name", "x test", "a"),
      refusesField("a colon in a name", "x:test", "a"),
      refusesField("CR LF in a name", "x\r\ntest", "a"),
      refusesField("an octet beyond ASCII in a name", "x-t\xe9st", "a"),
      refusesField("an empty name", "", "a"),
    ),
    ...cases(
      "more",
      "8.2.2",
      "RFC 9113 8.2.2",
      refusesField("transfer-encoding", "transfer-encoding", "chunked"),
      refusesField("upgrade", "upgrade", "websocket"),
      refusesField("keep-alive", "keep-alive", "timeout=5"),
      refusesField("proxy-connection", "proxy-connection", "keep-alive"),
      [
        "takes te: trailers",
        (talk) => talk.send(headers(1, block(talk.fields("GET", ["te", "trailers"])), { endStream: true })).answered(),
      ],
    ),
    ...cases(
      "more",
      "8.1",
      "RFC 9113 8.1",
      refusesTrailers("a pseudo-header", [[":path", "/other"]]),
      refusesTrailers("a name in capitals", [["X-TEST", "a"]]),
      refusesTrailers("a field of the connection", [["transfer-encoding", "chunked"]]),
    ),
  ];
}

function requestCases(): Case[] {
  const withHost = (talk: Talk, ...hosts: string[]): Fields => [
    ...talk.fields().filter(([name]) => name !== ":authority"),
    ...hosts.map((host) => ["host", host] as const),
  ];
  const authority = (talk: Talk): string => talk.fields().find(([name]) => name === ":authority")![1];
  return [
    ...cases(
      "more",
      "8.3.1",
      "RFC 9113 8.3.1",
      refusesPseudo("a :path that does not begin with a slash", ":path", "path"),
      refusesPseudo("a :path with a space", ":path", "/a b"),
      refusesPseudo("a :path with CR LF", ":path", "/ HTTP/1.1\r\nx: y"),
      refusesPseudo("a :method that is no token", ":method", "GE T"),
      refusesPseudo("an :authority with userinfo", ":authority", "user@web"),
      refuses("Host that differs from :authority", (talk) => talk.fields("GET", ["host", "elsewhere"])),
      refuses("two Hosts", (talk) => withHost(talk, authority(talk), "elsewhere")),
      [
        "takes Host in place of :authority",
        (talk) => talk.send(headers(1, block(withHost(talk, authority(talk))), { endStream: true })).answered(),
      ],
    ),
    ...cases(
      "more",
      "8.5",
      "RFC 9113 8.5",
      refusesPseudo("CONNECT with :scheme and :path", ":method", "CONNECT"),
      refuses("CONNECT without :authority", () => [[":method", "CONNECT"]]),
    ),
    ...cases(
      "more",
      "8.1.1",
      "RFC 9113 8.1.1",
      refusesField("Content-Length of a request without body", "content-length", "4"),
      ...["+4", "0x4", "4,4,5", "-4", "four"].map(
        (length): Row => [
          `refuses the Content-Length ${length}`,
          (talk) => refused(talk.send(talk.post(1, ["content-length", length]), talk.body())),
        ],
      ),
      [
        "refuses two Content-Lengths that differ",
        (talk) => refused(talk.send(talk.post(1, ["content-length", "4"], ["content-length", "5"]), talk.body())),
      ],
    ),
  ];
}

const UPLOAD_BYTES = 4 * 1024 * 1024;
const PIECE_BYTES = 8_000;
const PADDING = 255;
/** Windows at the beginning (RFC 9113 6.9.2). */
const WINDOW_BYTES_DEFAULT = 65_535;

/** Uploads with padding as fast as credit comes: padding that gave no credit back would stop it after 2 MB. */
async function paddedUpload(talk: Talk): Promise<void> {
  const cost = PIECE_BYTES + PADDING + 1;
  let connection = WINDOW_BYTES_DEFAULT;
  let stream = talk.peer.remoteSettings.get(Setting.INITIAL_WINDOW_SIZE) ?? WINDOW_BYTES_DEFAULT;
  talk.send(talk.post());
  for (let sent = 0; sent < UPLOAD_BYTES; ) {
    if (connection + talk.peer.connectionCredit >= cost && stream >= cost) {
      talk.send(data(1, "x".repeat(PIECE_BYTES), { padding: PADDING }));
      connection -= cost;
      stream -= cost;
      sent += PIECE_BYTES;
    } else {
      const { streamId, payload } = await talk.peer.expectType(FrameType.WINDOW_UPDATE);
      if (streamId === 1) stream += payload.readUInt32BE();
    }
  }
  await talk.send(data(1, "", { endStream: true })).answered();
}

const SIDE_BY_SIDE_MAX = 100;

async function sideBySide(talk: Talk): Promise<void> {
  const count = Math.min(talk.peer.streamsAllowed, SIDE_BY_SIDE_MAX);
  const streams = Array.from({ length: count }, (_, index) => 2 * index + 1);
  // All are open before the first body ends.
  talk.send(...streams.map((stream) => talk.post(stream)), ...streams.map((stream) => data(stream, "x", { endStream: true })));
  const waiting = new Set(streams);
  while (waiting.size > 0) {
    const { streamId, fields } = await talk.peer.expectHeaders();
    if (!fields.some(([name, value]) => name === ":status" && value.startsWith("2"))) throw new Error(`stream ${streamId} was refused`);
    waiting.delete(streamId);
  }
}

function connectionCases(): Case[] {
  const alive = (talk: Talk): Promise<unknown> => talk.send(ping("question")).peer.expectPingAck("question");
  return [
    ...cases("more", "5.1", "RFC 9113 5.1", [
      "closed: passes over WINDOW_UPDATE and RST_STREAM that were on their way",
      async (talk) => {
        await talk.send(talk.get()).ended();
        await alive(talk.send(windowUpdate(1, 100), rstStream(1)));
      },
    ]),
    ...cases("more", "5.1.2", "RFC 9113 5.1.2", ["answers as many streams side by side as it announces (100 of them at most)", sideBySide]),
    ...cases("more", "6.1", "RFC 9113 6.1", ["gives back the credit that padding took", paddedUpload]),
    ...cases("more", "6.8", "RFC 9113 6.8", [
      "finishes running streams behind a client's GOAWAY",
      (talk) => talk.send(talk.post(), goaway(0), talk.body()).answered(),
    ]),
    ...cases("more", "4.2", "RFC 7541 4.2", [
      "uses no table once SETTINGS_HEADER_TABLE_SIZE is 0",
      async (talk) => {
        await talk.settled([Setting.HEADER_TABLE_SIZE, 0]);
        talk.peer.allowTable(0);
        for (const stream of [1, 3, 5]) await talk.send(talk.get(stream)).answered(stream);
      },
    ]),
  ];
}

/** Beside the 146: what they leave out and a proxy must not. */
export function furtherCases(): Case[] {
  return [...fieldCases(), ...requestCases(), ...connectionCases()];
}
