// Random conversations of a client engine with a server engine over a pipe that cuts wherever it likes: what one sends the other gets,
// every stream ends once on both sides, and no window is ever above 2^31 - 1 or below what was promised.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { it } from "node:test";
import type { H2Limits } from "../../../src/core/h2/limits.ts";
import { CountingLease, Engine, NO_EDITS, type RecordingStream, trailersOf } from "../../support/h2-engine.ts";
import { h1Request } from "../../support/h1-heads.ts";
import { Random } from "../../fuzz/random.ts";

const RUNS = 120;
const SEED = 20_261_122;

interface Plan {
  readonly body: Buffer;
  readonly answer: Buffer;
  readonly trailers: boolean;
  /** 0: runs to its end; otherwise the client resets it after so many rounds. */
  readonly resetAfter: number;
}

/** One side's body on its way: pieces go out as long as the stream is not congested. */
class Upload {
  sent = 0;
  readonly owner: RecordingStream;
  readonly bytes: Buffer;
  readonly trailers: boolean;
  readonly lease = new CountingLease();

  constructor(owner: RecordingStream, bytes: Buffer, trailers: boolean) {
    this.owner = owner;
    this.bytes = bytes;
    this.trailers = trailers;
  }

  advance(random: Random): void {
    const { stream } = this.owner;
    while (this.sent <= this.bytes.length && !stream.isClosed && !stream.isCongested) {
      const next = Math.min(this.bytes.length, this.sent + 1 + random.int(30_000));
      stream.sendData(this.bytes, this.sent, next, random.chance(2) ? this.lease : null);
      this.sent = next;
      if (next < this.bytes.length) continue;
      stream.sendEnd(this.trailers ? trailersOf("x-sum: 1\r\n") : null);
      this.sent++;
    }
  }
}

class Conversation {
  readonly random: Random;
  readonly client: Engine;
  readonly server: Engine;
  readonly plans = new Map<number, Plan>();
  readonly uploads: Upload[] = [];
  readonly held: { owner: RecordingStream; bytes: number }[] = [];

  constructor(seed: number) {
    const random = new Random(seed);
    this.random = random;
    const limits = (): Partial<H2Limits> => ({
      streamWindowBytes: random.pick([1000, 20_000, 65_535, 262_144]),
      streamWindowMaxBytes: random.pick([262_144, 1 << 20]),
      connectionWindowBytes: random.pick([65_535, 100_000, 1 << 20]),
      windowGrowthBytes: random.pick([0, 1 << 20]),
      maxFrameSizeBytes: random.pick([16_384, 20_000, 1 << 20]),
      headerTableBytes: random.pick([0, 200, 4096, 16_384]),
      // The rates are for peers of real life.
      emptyDataPerSecondMax: 1 << 20,
      tinyDataPerSecondMax: 1 << 20,
      resetsPerSecondMax: 1 << 20,
    });
    this.client = new Engine({ isServer: false, limits: limits(), chunkBytes: random.pick([64, 500, 16_384]) });
    this.server = new Engine({ isServer: true, limits: limits(), chunkBytes: random.pick([64, 500, 16_384]) });
    this.server.owner.onStream = (owner) => this.#serve(owner);
  }

  #serve(owner: RecordingStream): void {
    owner.drains = this.random.chance(3);
    owner.onEvent = (event) => {
      if (!event.startsWith("head")) return;
      const plan = this.plans.get(owner.stream.id)!;
      owner.stream.sendOwnHead(200, trailersOf("server: weft\r\nx-a: b\r\n"), false);
      this.uploads.push(new Upload(owner, plan.answer, plan.trailers));
    };
  }

  open(): void {
    const { random } = this;
    const size = (): number => random.pick([0, 1, 5, 1000, 65_535, 200_000]);
    const plan = {
      body: random
        .bytes(random.int(7))
        .toString("hex")
        .repeat(1 + (size() >> 3)),
      answer: "answer ".repeat(size() >> 3),
      trailers: random.chance(2),
      resetAfter: random.chance(8) ? 1 + random.int(5) : 0,
    };
    const owner = this.client.open();
    owner.drains = random.chance(3);
    const text = `POST /${random.int(5)} HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\nX-R: ${random.int(9)}\r\n\r\n`;
    owner.stream.sendRequestHead(h1Request(text), NO_EDITS, false, false);
    this.plans.set(owner.stream.id, { ...plan, body: Buffer.from(plan.body), answer: Buffer.from(plan.answer) });
    this.uploads.push(new Upload(owner, Buffer.from(plan.body), plan.trailers));
  }

  /** Moves bytes in pieces, drains some of what came, sends more. True: something moved. */
  round(number: number): boolean {
    const { random, client, server } = this;
    for (const upload of this.uploads) {
      const plan = this.plans.get(upload.owner.stream.id);
      if (plan !== undefined && plan.resetAfter === number && this.client.owner.streams.includes(upload.owner))
        upload.owner.stream.reset(8);
      upload.advance(random);
    }
    let moved = false;
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      const bytes = from.output.take();
      moved ||= bytes.length > 0;
      for (let at = 0; at < bytes.length; ) {
        const next = Math.min(bytes.length, at + 1 + random.int(random.chance(2) ? 100 : 40_000));
        to.feed(bytes.subarray(at, next));
        at = next;
      }
    }
    for (const { owner } of [client, server]) {
      for (const stream of owner.streams) {
        if (!stream.drains && random.chance(2)) {
          // More than there is counts as all.
          stream.stream.drained(1 + random.int(100_000));
          moved = true;
        }
      }
    }
    return moved;
  }
}

it(`holds for ${RUNS} conversations`, () => {
  for (let run = 0; run < RUNS; run++) {
    const talk = new Conversation(SEED + run);
    const { client, server, random } = talk;
    const streams = 1 + random.int(12);
    const where = `seed ${SEED + run}`;
    // What a server allows is known before the requests, as on any connection but a new one.
    for (let i = 0; i < 4; i++) talk.round(0);
    for (let i = 0; i < streams; i++) talk.open();
    const finished = (): boolean => [...client.owner.streams, ...server.owner.streams].every(({ stream }) => stream.isClosed);
    let rounds = 1;
    while (!finished()) {
      talk.round(rounds);
      assert.ok(++rounds < 5000, `${where}: no end`);
    }
    for (const engine of [client, server]) assert.ok(!engine.connection.isDead, `${where}: ${engine.events.at(-1)}`);
    for (const upload of talk.uploads) {
      assert.equal(upload.lease.held, 0, where);
    }
    for (const owner of client.owner.streams) check(talk, owner, where);
    for (const engine of [client, server]) {
      for (const { stream } of engine.owner.streams) stream.release();
      assert.equal(engine.connection.openStreams, 0, where);
      assert.equal(engine.owner.closedStreams, streams, where);
    }
  }
});

/** Bodies of a stream that was not reset came whole, with their trailers; those of others came in part. */
function check(talk: Conversation, owner: RecordingStream, where: string): void {
  const upload = talk.uploads.find((one) => one.owner === owner)!;
  const id = Number(owner.idText);
  const plan = talk.plans.get(id)!;
  const answered = talk.server.owner.streams.find((one) => one.idText === owner.idText);
  if (plan.resetAfter > 0 || answered === undefined) return;
  assert.ok(answered.body.equals(upload.bytes), `${where}: body of ${id}`);
  assert.ok(owner.body.equals(plan.answer), `${where}: answer of ${id}`);
  for (const events of [talk.client.events, talk.server.events]) {
    // An end that follows the head at once is a flag of it.
    const ends = events.filter((event) => event.startsWith(`${id} end`) || (event.startsWith(`${id} head`) && event.endsWith(" end")));
    assert.equal(ends.length, 1, where);
    assert.ok(ends[0]!.endsWith(plan.trailers ? 'end "x-sum: 1\\r\\n"' : "end"), `${where}: ${ends[0]}`);
  }
}
