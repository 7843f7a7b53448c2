// Target h2-server: whatever a client sends, the engine does not throw, stays inside of the bytes that it was given, keeps its promises to
// owners (one end per stream, every slot free at the end), and says and does the same however the bytes are split.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Lease } from "../../src/core/http/exchange.ts";
import { H2Connection } from "../../src/core/h2/connection.ts";
import type { H2ConnectionOptions } from "../../src/core/h2/contract.ts";
import { cutAt, everyCut } from "../support/h1-driver-base.ts";
import { Engine, trailersOf } from "../support/h2-engine.ts";
import { clientBytes } from "./h2-input.ts";
import { mutate } from "./mutate.ts";
import type { FuzzTarget, TargetOptions } from "./target.ts";

/** The canary: reads one byte further than it may. */
export class GreedyConnection extends H2Connection {
  override receive(buffer: Buffer, start: number, end: number, lease: Lease | null, nowMs: number): void {
    super.receive(buffer, start, Math.min(end + 1, buffer.length), lease, nowMs);
  }
}

interface Outcome {
  readonly events: readonly string[];
  readonly sent: readonly string[];
  readonly isDead: boolean;
  readonly heads: number;
}

/** Credit depends on when bytes were drained, which depends on the split. */
const isCredit = (line: string): boolean => line.startsWith("WINDOW_UPDATE");

function run(pieces: readonly Buffer[], isGreedy: boolean): Outcome {
  const make = (options: H2ConnectionOptions): H2Connection => new (isGreedy ? GreedyConnection : H2Connection)(options);
  const engine = new Engine({ make, limits: { headerBytesMax: 2048, headerCountMax: 20 }, takesExtendedConnect: true });
  engine.owner.onStream = (owner) => {
    const { stream } = owner;
    owner.onEvent = (event) => {
      if (event === "reset") return;
      if (event.startsWith("refused")) stream.sendOwnHead(431, null, true);
      else if (!owner.isEnded || event.startsWith("body")) return;
      else {
        stream.sendOwnHead(200, trailersOf("x-a: b\r\n"), false);
        stream.sendData(Buffer.alloc(100, "r"), 0, 100, null);
        stream.sendEnd(trailersOf("x-t: u\r\n"));
      }
      stream.release();
    };
  };
  for (const piece of pieces) engine.feed(piece);
  const { isDead } = engine.connection;
  const heads = engine.events.filter((event) => / head /.test(event)).length;
  engine.connection.transportClosed();
  assert.equal(engine.connection.openStreams, 0, "every slot is free when the connection is gone");
  assert.equal(engine.owner.closedStreams, engine.owner.streams.length, "every stream was given back once");
  return { events: engine.events, sent: engine.sent().filter((line) => !isCredit(line)), isDead, heads };
}

export function h2ServerTarget(options: TargetOptions): FuzzTarget {
  return {
    generate(random) {
      const bytes = clientBytes(random);
      return random.chance(20) ? mutate(bytes, random, () => clientBytes(random)) : bytes;
    },
    check(input, random, tally) {
      const whole = run([input], false);
      tally.add(!whole.isDead && whole.heads > 0 ? "accepted" : "refused");
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
