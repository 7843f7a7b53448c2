// Target h2-client: whatever a server sends, the engine as a client keeps the same promises as the server's (h2-server.ts): no throw, one end
// per stream, every slot free at the end, and the same outcome however the bytes are split.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { cutAt, everyCut } from "../support/h1-driver-base.ts";
import { Engine, NO_EDITS } from "../support/h2-engine.ts";
import { h1Request } from "../support/h1-heads.ts";
import { GreedyConnection } from "./h2-server.ts";
import { serverBytes, STREAMS } from "./h2-input.ts";
import { mutate } from "./mutate.ts";
import type { FuzzTarget, TargetOptions } from "./target.ts";

const HEADS = ["GET", "HEAD", "POST"].map((method) =>
  h1Request(`${method} / HTTP/1.1\r\nHost: web\r\n${method === "POST" ? "Transfer-Encoding: chunked\r\n" : ""}\r\n`),
);

interface Outcome {
  readonly events: readonly string[];
  readonly sent: readonly string[];
  readonly isDead: boolean;
  readonly answers: number;
}

function run(pieces: readonly Buffer[], isGreedy: boolean): Outcome {
  const limits = { headerBytesMax: 2048, headerCountMax: 20 };
  const engine = new Engine({ isServer: false, limits, ...(isGreedy ? { make: (options) => new GreedyConnection(options) } : {}) });
  for (let i = 0; i < STREAMS; i++) {
    const owner = engine.open();
    const head = HEADS[i % HEADS.length]!;
    const isPost = i % HEADS.length === 2;
    owner.stream.sendRequestHead(head, NO_EDITS, !isPost, false);
    if (isPost) owner.stream.sendData(Buffer.alloc(70_000, "u"), 0, 70_000, null);
    owner.onEvent = (event) => {
      if (event === "reset" || event.startsWith("writable")) return;
      if (event.startsWith("refused")) owner.stream.reset(8);
      else if (!owner.isEnded || event.startsWith("body")) return;
      owner.stream.release();
    };
  }
  for (const piece of pieces) engine.feed(piece);
  const { isDead } = engine.connection;
  const answers = engine.events.filter((event) => /^\d+ (end|head .* end$)/.test(event)).length;
  engine.connection.transportClosed();
  for (const { stream } of engine.owner.streams) stream.release();
  assert.equal(engine.connection.openStreams, 0, "every slot is free when the connection is gone");
  assert.equal(engine.owner.closedStreams, STREAMS, "every stream was given back once");
  return { events: engine.events, sent: engine.sent().filter((line) => !line.startsWith("WINDOW_UPDATE")), isDead, answers };
}

export function h2ClientTarget(options: TargetOptions): FuzzTarget {
  return {
    generate(random) {
      const bytes = serverBytes(random);
      return random.chance(20) ? mutate(bytes, random, () => serverBytes(random)) : bytes;
    },
    check(input, random, tally) {
      const whole = run([input], false);
      tally.add(!whole.isDead && whole.answers > 0 ? "accepted" : "refused");
      for (const cuts of [
        random.cuts(input.length, 1),
        random.cuts(input.length, 4),
        random.cuts(input.length, 40),
        everyCut(input.length),
      ]) {
        assert.deepEqual(run(cutAt(input, cuts), options.canary), whole);
      }
    },
  };
}
