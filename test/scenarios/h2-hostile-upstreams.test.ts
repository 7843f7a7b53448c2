// Hostile HTTP/2 upstreams, by name and at volume: whatever one of them sends, its clients get an error and no false answer, memory stays
// flat, and who uses another service through the same worker notices nothing.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { once } from "../support/client.ts";
import { H2Client } from "../support/h2-client.ts";
import {
  continuation,
  data,
  ErrorCode,
  frame,
  goaway,
  headers,
  type HeadersOptions,
  ping,
  priority,
  pushPromise,
  rstStream,
  Setting,
  settings,
  WINDOW_MAX,
  windowUpdate,
} from "../support/h2-frames.ts";
import { block, type Fields, indexed, literal, STATIC_ENTRIES } from "../support/h2-hpack.ts";
import type { H2Peer } from "../support/h2-peer.ts";
import { H2cOrigin } from "../support/h2c-origin.ts";
import { H2Server } from "../support/h2-server.ts";
import type { Message } from "../support/http-lite.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { stopProxy } from "../support/scenario.ts";

/** Seconds of each here; WEFT_TEST_ATTACK_SECONDS=10 is what the limits were made for. */
const SECONDS = Number(process.env["WEFT_TEST_ATTACK_SECONDS"] ?? 1);
/** Private memory that one of them may cost. */
const GROWTH_KB_MAX = 32 * 1024;
/** Requests at a time to the hostile service. */
const VICTIMS = 8;
/** Frames that go out in one write. */
const CHUNK = 100;
/** Of waits that only a deadline ends: long enough for a good answer on a busy machine. */
const DEADLINE_MS = 3_000;

type Strike = (peer: H2Peer, stream: number) => Promise<void> | void;

interface Hostile {
  readonly strike: Strike;
  /** In its SETTINGS. */
  readonly settings?: readonly (readonly [id: number, value: number])[];
  /** Only a deadline of Weft's ends it: nobody is thrown out. */
  readonly onlyHolds?: boolean;
  /** What the victims ask. */
  readonly body?: Buffer;
}

const OK: Fields = [[":status", "200"]];

function head(stream: number, fields: Fields = OK, options: HeadersOptions = {}): Buffer {
  return headers(stream, block(fields), options);
}

/** The same frames for ever, behind what `first` makes. */
function flood(frames: (stream: number) => Buffer, first?: (stream: number) => Buffer): Strike {
  return async (peer, stream) => {
    if (first !== undefined) peer.send(first(stream));
    const chunk = Buffer.concat(Array.from({ length: CHUNK }, () => frames(stream)));
    while (!peer.isClosed) {
      peer.send(chunk);
      await peer.drained();
      // What came meanwhile is seen before more is sent.
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
}

/** These frames, once per request. */
function answer(...frames: readonly ((stream: number) => Buffer)[]): Strike {
  return (peer, stream) => void peer.send(...frames.map((make) => make(stream)));
}

const UPLOAD = Buffer.alloc(300_000, "u");
const ZEROS = "\0\0\0\0\0\0\0\0";
const BIG = "x".repeat(16_000);
/** A block that names one entry of the table again and again: few bytes that become many. */
const BOMB = Buffer.concat([
  block(OK),
  literal("with incremental indexing", "x-bomb", "b".repeat(3_900)),
  ...Array.from({ length: 4_000 }, () => indexed(STATIC_ENTRIES + 1)),
]);

const HOSTILE: Readonly<Record<string, Hostile>> = {
  "PING flood": { strike: flood(() => ping()) },
  "PING flood that reads no answers": {
    strike: (peer, stream) => {
      peer.socket.pause();
      return flood(() => ping())(peer, stream);
    },
  },
  "SETTINGS flood": { strike: flood(() => settings()) },
  "SETTINGS flood of windows": {
    strike: flood(() => Buffer.concat([settings([Setting.INITIAL_WINDOW_SIZE, 1]), settings([Setting.INITIAL_WINDOW_SIZE, 65_535])])),
  },
  "WINDOW_UPDATE flood": { strike: flood(() => windowUpdate(0, 1)) },
  "PRIORITY flood": { strike: flood((stream) => priority(stream, { dependsOn: 0 })) },
  "unknown frame flood": { strike: flood(() => frame(0x16, 0, 0, ZEROS)) },
  "interim responses without end": { strike: flood((stream) => head(stream, [[":status", "103"]])) },
  "empty DATA without end": { strike: flood((stream) => data(stream, ""), head) },
  "tiny DATA without end": { strike: flood((stream) => data(stream, "x"), head) },
  "padding without end": { strike: flood((stream) => data(stream, "", { padding: 200 }), head) },
  "RST_STREAM again and again": { strike: flood((stream) => rstStream(stream, ErrorCode.CANCEL)) },
  "RST_STREAM for each request": { strike: answer((stream) => rstStream(stream, ErrorCode.INTERNAL_ERROR)), onlyHolds: true },
  "REFUSED_STREAM for each request": { strike: answer((stream) => rstStream(stream, ErrorCode.REFUSED_STREAM)), onlyHolds: true },
  "ENHANCE_YOUR_CALM for each request": { strike: answer((stream) => rstStream(stream, ErrorCode.ENHANCE_YOUR_CALM)), onlyHolds: true },
  "a head without end": {
    strike: flood(
      (stream) => continuation(stream, block([["x", "y"]]), { endHeaders: false }),
      (stream) => head(stream, OK, { endHeaders: false }),
    ),
  },
  "a head of empty CONTINUATION frames": {
    strike: flood(
      (stream) => continuation(stream, Buffer.alloc(0), { endHeaders: false }),
      (stream) => head(stream, OK, { endHeaders: false }),
    ),
  },
  "huge heads": {
    strike: answer(
      (stream) => head(stream, [...OK, ["x-a", BIG]], { endHeaders: false }),
      (stream) => continuation(stream, block([["x-b", BIG]]), { endHeaders: false }),
      (stream) => continuation(stream, block([["x-c", BIG]])),
    ),
    onlyHolds: true,
  },
  "HPACK bombs": { strike: answer((stream) => headers(stream, BOMB, { endStream: true })), onlyHolds: true },
  "huge trailers": {
    strike: answer(
      (stream) => head(stream),
      (stream) => headers(stream, block([["x-a", BIG]]), { endStream: true, endHeaders: false }),
      (stream) => continuation(stream, block([["x-b", BIG]]), { endHeaders: false }),
      (stream) => continuation(stream, block([["x-c", BIG]])),
    ),
    onlyHolds: true,
  },
  "GOAWAY for each request, which refuses it": { strike: answer(() => goaway(0)), onlyHolds: true },
  "GOAWAY again and again": { strike: flood(() => goaway(0)), onlyHolds: true },
  "GOAWAY that takes less and less": {
    strike: async (peer, stream) => {
      for (let last = WINDOW_MAX; !peer.isClosed && last > stream; last = last >> 1) peer.send(goaway(last));
      await flood(() => goaway(stream))(peer, stream);
    },
  },
  "responses for streams that nobody opened": { strike: answer((stream) => head(stream + 200, OK, { endStream: true })) },
  "streams of its own": { strike: answer(() => head(2, OK, { endStream: true })) },
  PUSH_PROMISE: { strike: answer((stream) => pushPromise(stream, 2, block([[":method", "GET"]]))) },
  "DATA beyond the window": { strike: flood((stream) => data(stream, BIG), head), onlyHolds: true },
  "DATA before the head": { strike: answer((stream) => data(stream, "poison", { endStream: true })), onlyHolds: true },
  "a window of 0 for uploads": {
    settings: [[Setting.INITIAL_WINDOW_SIZE, 0]],
    strike: () => undefined,
    onlyHolds: true,
    body: UPLOAD,
  },
  "a window that opens byte by byte": {
    settings: [[Setting.INITIAL_WINDOW_SIZE, 0]],
    strike: flood((stream) => windowUpdate(stream, 1)),
    body: UPLOAD,
  },
  "a window beyond 2^31 - 1": { strike: flood((stream) => windowUpdate(stream, WINDOW_MAX)), onlyHolds: true },
  silence: { strike: () => undefined, onlyHolds: true },
  "a close for each request": { strike: (peer) => peer.destroy(), onlyHolds: true },
  "a close in the middle of each answer": {
    strike: async (peer, stream) => {
      peer.send(head(stream), data(stream, "half"));
      await peer.drained();
      peer.destroy();
    },
    onlyHolds: true,
  },
};

/** In HTTP/1: Node's HTTP/2 client loses answers to requests that it has not sent whole. */
function upload(port: number, body: Buffer): Promise<Message> {
  const head = `POST / HTTP/1.1\r\nHost: hostile\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`;
  return once(port, head + body.toString("latin1"));
}

function privateKb(pid: number): number {
  return Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]);
}

describe("hostile HTTP/2 upstreams", () => {
  let current: Hostile = { strike: () => undefined };
  let hostile: H2Server;
  let good: H2cOrigin;
  let proxy: ProxyProcess;
  before(async () => {
    hostile = await H2Server.start(async (peer) => {
      await peer.accept(current.settings);
      for (;;) {
        const { streamId } = await peer.expectHeaders();
        // A strike that never ends takes the requests behind it with it.
        await current.strike(peer, streamId);
      }
    });
    good = await H2cOrigin.start("good", (stream) => {
      stream.respond({ ":status": 200 });
      stream.end("good");
    });
    proxy = await ProxyProcess.start({
      services: {
        hostile: { endpoints: [hostile.address], protocol: "http2" },
        good: { endpoints: [good.address], protocol: "http2" },
      },
      limits: { writeDeadlineMs: DEADLINE_MS, responseTimeoutMs: DEADLINE_MS },
    });
    // What a good load costs is not an attack's growth.
    const client = new H2Client(proxy.port, "good");
    for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 50 }, () => client.get("/")));
    client.close();
  });
  after(async () => {
    await stopProxy(proxy);
    await hostile.stop();
    await good.stop();
  });

  for (const [name, one] of Object.entries(HOSTILE)) {
    it(name, async () => {
      current = one;
      const kbBefore = privateKb(proxy.pid);
      const peersBefore = hostile.peers.length;
      let isOver = false;
      const timer = setTimeout(() => {
        isOver = true;
      }, SECONDS * 1_000);
      const goodClient = new H2Client(proxy.port, "good");
      let answers = 0;
      let goodFailures = 0;
      const goodLoad = (async () => {
        while (!isOver) {
          const { status, body } = await goodClient.get("/").catch(() => ({ status: 0, body: Buffer.alloc(0) }));
          answers++;
          if (status !== 200 || body.toString() !== "good") goodFailures++;
        }
      })();
      const client = new H2Client(proxy.port, "hostile");
      const outcomes: Record<string, number> = {};
      const victims = Array.from({ length: VICTIMS }, async () => {
        while (!isOver) {
          const asked = one.body === undefined ? client.get("/") : upload(proxy.port, one.body);
          const outcome = await asked.then(
            ({ status }) => String(status),
            (error: Error) => error.message,
          );
          outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
        }
      });
      await Promise.all([goodLoad, ...victims]);
      clearTimeout(timer);
      const peers = hostile.peers.slice(peersBefore);
      const thrownOut = peers.filter((peer) => peer.isClosed).length;
      const grown = privateKb(proxy.pid) - kbBefore;
      client.close();
      goodClient.close();
      // The next one begins on connections of its own.
      for (const peer of hostile.peers.splice(0)) peer.destroy();
      const told = JSON.stringify({ outcomes, connections: peers.length, thrownOut, grown, answers });
      assert.equal(goodFailures, 0, `${goodFailures} good requests failed: ${told}`);
      assert.ok(answers > 5, told);
      assert.ok(Object.keys(outcomes).length > 0, told);
      for (const outcome of Object.keys(outcomes))
        assert.match(outcome, /^(502|503|504|reset with \d+, .*|Stream closed with error code NGHTTP2_.*)$/, told);
      assert.ok(grown < GROWTH_KB_MAX, told);
      if (!one.onlyHolds) assert.ok(thrownOut > 0, told);
    });
  }
});
