// The attacks do what their names say: frame by frame against a raw server, and by the reactions of Node's own HTTP/2.

import assert from "node:assert/strict";
import { once } from "node:events";
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { after, before, describe, it } from "node:test";
import { Flag, FrameType, Setting, windowUpdate } from "../support/h2-frames.ts";
import type { H2Peer, Received } from "../support/h2-peer.ts";
import { H2Server } from "../support/h2-server.ts";
import { within } from "../support/wait.ts";
import type { AttackReport } from "./attack.ts";
import { underAttack } from "./attack-watch.ts";
import { ATTACKS } from "./attacks.ts";

/** No attack needs so long to show itself; reached only by a test that fails. */
const SECONDS_MAX = 20;

/** `HEADERS 1 end`, `DATA 1 of 2`: what a frame is, without what is in it. */
function short({ type, flags, streamId, payload }: Received): string {
  const name = Object.entries(FrameType).find(([, number]) => number === type)?.[0] ?? "unknown";
  const hasEnd = (type === FrameType.HEADERS || type === FrameType.DATA) && (flags & Flag.END_STREAM) !== 0;
  const isBlock = type === FrameType.HEADERS || type === FrameType.CONTINUATION;
  const isOpen = isBlock && (flags & Flag.END_HEADERS) === 0;
  const size = isBlock && payload.length > 0 ? "" : ` of ${payload.length}`;
  return `${name} ${streamId}${size}${hasEnd ? " end" : ""}${isOpen ? " more" : ""}`;
}

/** The first frames of each attack behind the exchange of SETTINGS. */
const BEGINS: Readonly<Record<string, readonly string[]>> = {
  "rapid reset": ["HEADERS 1 end", "RST_STREAM 1 of 4", "HEADERS 3 end", "RST_STREAM 3 of 4"],
  "MadeYouReset: WINDOW_UPDATE of 0": ["HEADERS 1 end", "WINDOW_UPDATE 1 of 4", "HEADERS 3 end", "WINDOW_UPDATE 3 of 4"],
  "MadeYouReset: window overflow": ["HEADERS 1 end", "WINDOW_UPDATE 1 of 4", "WINDOW_UPDATE 1 of 4", "HEADERS 3 end"],
  "MadeYouReset: DATA behind END_STREAM": ["HEADERS 1 end", "DATA 1 of 1", "HEADERS 3 end", "DATA 3 of 1"],
  "MadeYouReset: HEADERS behind END_STREAM": ["HEADERS 1 end", "HEADERS 1 end", "HEADERS 3 end", "HEADERS 3 end"],
  "MadeYouReset: PRIORITY on itself": ["HEADERS 1 end", "PRIORITY 1 of 5", "HEADERS 3 end"],
  "MadeYouReset: PRIORITY of 4 octets": ["HEADERS 1 end", "PRIORITY 1 of 4", "HEADERS 3 end"],
  "MadeYouReset: malformed trailers": ["HEADERS 1", "HEADERS 1 end", "HEADERS 3", "HEADERS 3 end"],
  "MadeYouReset: body beyond Content-Length": ["HEADERS 1", "DATA 1 of 2 end", "HEADERS 3", "DATA 3 of 2 end"],
  "CONTINUATION flood": ["HEADERS 1 end more", "CONTINUATION 1 more", "CONTINUATION 1 more"],
  "empty CONTINUATION flood": ["HEADERS 1 end more", "CONTINUATION 1 of 0 more", "CONTINUATION 1 of 0 more"],
  "SETTINGS flood": ["SETTINGS 0 of 0", "SETTINGS 0 of 0"],
  "SETTINGS flood that reads no answer": ["SETTINGS 0 of 0", "SETTINGS 0 of 0"],
  "SETTINGS flood of windows": ["HEADERS 1 end", "HEADERS 3 end", "SETTINGS 0 of 6", "SETTINGS 0 of 6", "SETTINGS 0 of 6"],
  "PING flood": ["PING 0 of 8", "PING 0 of 8"],
  "PING flood that reads no answer": ["PING 0 of 8", "PING 0 of 8"],
  "PRIORITY flood": ["PRIORITY 1 of 5", "PRIORITY 3 of 5"],
  "WINDOW_UPDATE flood": ["WINDOW_UPDATE 0 of 4", "WINDOW_UPDATE 0 of 4"],
  "unknown frame flood": ["unknown 0 of 8", "unknown 0 of 8"],
  "empty DATA flood": ["HEADERS 1", "DATA 1 of 0", "DATA 1 of 0"],
  "tiny DATA flood": ["HEADERS 1", "DATA 1 of 1", "DATA 1 of 1"],
  "padding flood": ["HEADERS 1", "DATA 1 of 1", "DATA 1 of 1"],
  "empty HEADERS flood": ["HEADERS 1 of 0 end", "HEADERS 3 of 0 end"],
  "nameless field flood": ["HEADERS 1 end", "HEADERS 3 end"],
  "HPACK bomb": ["HEADERS 1 end more", "CONTINUATION 1", "HEADERS 3 end more", "CONTINUATION 3"],
  "zero window": ["HEADERS 1 end", "HEADERS 3 end"],
  "one-byte windows": ["HEADERS 1 end", "HEADERS 3 end", "WINDOW_UPDATE 0 of 4", "WINDOW_UPDATE 1 of 4", "WINDOW_UPDATE 0 of 4"],
  "header memory": ["HEADERS 1", "HEADERS 3"],
  "stream-id exhaustion": ["HEADERS 1 end", "HEADERS 2147483645 end", "HEADERS 2147483647 end", "HEADERS 3 end"],
  "window overflow": ["WINDOW_UPDATE 0 of 4", "WINDOW_UPDATE 0 of 4"],
};

const STREAMS_ALLOWED = 2;

/** Runs an attack against a server that takes `count` frames and hangs up. */
async function firstFrames(name: string, count: number): Promise<{ frames: Received[]; report: AttackReport }> {
  let frames: Received[] = [];
  const server = await H2Server.start(
    async (peer) => {
      await peer.accept([[Setting.MAX_CONCURRENT_STREAMS, STREAMS_ALLOWED]]);
      await peer.expectSettingsAck();
      const taken: Received[] = [];
      while (taken.length < count) taken.push((await peer.next())!);
      if (frames.length === 0) frames = taken;
      peer.destroy();
    },
    // Attackers are waited for longer than a frame takes on the busiest machine.
    { deadlineMs: SECONDS_MAX * 1_000 },
  );
  try {
    const report = await ATTACKS[name]!(server.port, SECONDS_MAX, { once: true });
    assert.deepEqual(server.errors, []);
    return { frames, report };
  } finally {
    await server.stop();
  }
}

describe("what attacks send", { concurrency: 4 }, () => {
  it("is described for each of them", () => assert.deepEqual(Object.keys(BEGINS), Object.keys(ATTACKS)));

  for (const [name, begin] of Object.entries(BEGINS)) {
    it(name, async () => {
      const { frames, report } = await firstFrames(name, begin.length);
      assert.deepEqual(frames.map(short), begin);
      assert.deepEqual([report.closedByTarget, report.refused], [1, 0]);
      assert.ok(report.sent > 0);
    });
  }

  it("HPACK bomb: 16 KB that mean 64 MB", async () => {
    const { frames } = await firstFrames("HPACK bomb", 2);
    const fields = frames[1]!.fields!;
    const bytes = fields.reduce((sum, [field, value]) => sum + field.length + value.length, 0);
    assert.ok(frames[0]!.payload.length + frames[1]!.payload.length < 21_000);
    assert.ok(bytes > 60_000_000, `${bytes}`);
  });

  it("header memory: each stream keeps 15 KB and stays open", async () => {
    const { frames } = await firstFrames("header memory", STREAMS_ALLOWED);
    for (const { payload, flags } of frames) {
      assert.ok(payload.length > 15_000);
      assert.equal(flags & Flag.END_STREAM, 0);
    }
  });

  it("zero window: no response has any room", async () => {
    let announced: number | undefined;
    const server = await H2Server.start(async (peer) => {
      await peer.accept();
      announced = peer.remoteSettings.get(Setting.INITIAL_WINDOW_SIZE);
      await peer.expectHeaders();
      peer.destroy();
    });
    await ATTACKS["zero window"]!(server.port, SECONDS_MAX, { once: true });
    await server.stop();
    assert.equal(announced, 0);
  });

  it("tiny DATA: no more than the credit, and on when there is more", async () => {
    const window = 200;
    let bytes = 0;
    const read = async (peer: H2Peer, upTo: number): Promise<void> => {
      while (bytes < upTo) bytes += (await peer.expectType(FrameType.DATA, 1)).payload.length;
    };
    const server = await H2Server.start(async (peer) => {
      await peer.accept([[Setting.INITIAL_WINDOW_SIZE, window]]);
      await read(peer, window);
      peer.send(windowUpdate(1, 100));
      await read(peer, window + 100);
      peer.destroy();
    });
    await ATTACKS["tiny DATA flood"]!(server.port, SECONDS_MAX, { once: true });
    await server.stop();
    assert.equal(bytes, window + 100);
    assert.deepEqual(server.errors, []);
  });
});

/**
 * Attacks that Node 22 ends by itself. Its GOAWAY is not asked for: a server that closes while an attacker still sends resets the
 * connection, and what was on its way to the attacker is lost.
 */
const ENDED_BY_NODE = [
  "rapid reset",
  "MadeYouReset: DATA behind END_STREAM",
  "MadeYouReset: PRIORITY of 4 octets",
  "MadeYouReset: malformed trailers",
  "CONTINUATION flood",
  "empty CONTINUATION flood",
  "SETTINGS flood",
  "SETTINGS flood that reads no answer",
  "PING flood",
  "PING flood that reads no answer",
  "PRIORITY flood",
  "unknown frame flood",
  "empty DATA flood",
  "empty HEADERS flood",
  "window overflow",
];

describe("what attacks do to node:http2", () => {
  let target: ChildProcess;
  let port: number;

  before(async () => {
    target = fork(fileURLToPath(new URL("node-target.ts", import.meta.url)));
    [port] = await within("the target's port", once(target, "message"));
  });

  after(async () => {
    target.kill();
    await once(target, "exit");
  });

  for (const name of ENDED_BY_NODE) {
    it(`${name}: Node ends the connection`, async () => {
      const report = await ATTACKS[name]!(port, SECONDS_MAX, { once: true });
      assert.equal(report.closedByTarget, 1);
    });
  }

  it("a good client beside an attack is counted, and so is its memory", async () => {
    const watched = await underAttack(ATTACKS["PING flood"]!, port, SECONDS_MAX, { once: true, pid: target.pid! });
    assert.equal(watched.report.closedByTarget, 1);
    assert.deepEqual(watched.goodFailures, []);
    assert.ok(watched.goodRequests > 0 && watched.goodWorstMs > 0);
    assert.ok(watched.growthKb! >= 0);
  });

  it("a good client notices when it is not served", async () => {
    const nobody = await H2Server.start(async (peer) => peer.destroy());
    const watched = await underAttack(ATTACKS["window overflow"]!, nobody.port, 1);
    await nobody.stop();
    assert.ok(watched.goodFailures.length > 0);
    assert.ok(watched.report.refused > 0);
  });
});
