// The small parts: the table of streams and the list of those who wait against naive models, the memory of resets, priorities.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { DEFAULT_H2_LIMITS } from "../../../src/core/h2/limits.ts";
import { readPriority } from "../../../src/core/h2/priority.ts";
import { ResetBy, ResetMemory } from "../../../src/core/h2/reset-memory.ts";
import { H2Scratch } from "../../../src/core/h2/scratch.ts";
import { SendQueue } from "../../../src/core/h2/send-queue.ts";
import { ConnectionCore } from "../../../src/core/h2/connection-core.ts";
import { Stream } from "../../../src/core/h2/stream.ts";
import { StreamList } from "../../../src/core/h2/stream-list.ts";
import { StreamTable } from "../../../src/core/h2/stream-table.ts";
import { Random } from "../../fuzz/random.ts";
import { BufferOutput, RecordingConnection } from "../../support/h2-engine.ts";

const core = new ConnectionCore({
  isServer: true,
  owner: new RecordingConnection(),
  output: new BufferOutput(),
  limits: DEFAULT_H2_LIMITS,
  scratch: new H2Scratch(DEFAULT_H2_LIMITS),
  isHttps: false,
  isMesh: false,
  takesExtendedConnect: false,
});

function streamOf(id: number): Stream {
  const stream = new Stream(core);
  stream.id = id;
  return stream;
}

describe("the table of streams", () => {
  it("finds what a Map finds, whatever is added and deleted", () => {
    const random = new Random(5);
    const table = new StreamTable();
    const model = new Map<number, Stream>();
    let nextId = 1;
    for (let step = 0; step < 50_000; step++) {
      // Long-lived streams stay while thousands pass by.
      if (model.size < 3 || (model.size < 300 && random.chance(2))) {
        nextId += 2 * random.int(random.chance(20) ? 500 : 3) + 2;
        const stream = streamOf(nextId);
        table.add(stream);
        model.set(nextId, stream);
      } else {
        const ids = [...model.keys()];
        const id = random.chance(30) ? ids[0]! : ids[ids.length - 1 - random.int(Math.min(ids.length, 20))]!;
        table.delete(id);
        model.delete(id);
      }
      assert.equal(table.count, model.size);
      const probe = 1 + 2 * random.int(nextId);
      assert.equal(table.get(probe), model.get(probe) ?? null);
    }
    for (const [id, stream] of model) assert.equal(table.get(id), stream);
    assert.deepEqual(new Set(table.list()), new Set(model.values()));
  });

  it("leaves alone what is not there", () => {
    const table = new StreamTable();
    table.add(streamOf(1));
    table.delete(3);
    table.delete(33);
    assert.equal(table.count, 1);
  });
});

describe("the list of streams that wait", () => {
  it("is a queue that each stream is in once, and may leave", () => {
    const random = new Random(6);
    const streams = Array.from({ length: 20 }, (_, i) => streamOf(i));
    const list = new StreamList();
    let model: Stream[] = [];
    for (let step = 0; step < 20_000; step++) {
      const stream = random.pick(streams);
      switch (random.int(3)) {
        case 0:
          list.push(stream);
          if (!model.includes(stream)) model.push(stream);
          break;
        case 1:
          list.remove(stream);
          model = model.filter((one) => one !== stream);
          break;
        default:
          assert.equal(list.shift(), model.shift() ?? null);
      }
      assert.equal(list.count, model.length);
    }
  });
});

describe("the memory of resets", () => {
  it("knows the last 256, and who did it", () => {
    const memory = new ResetMemory();
    assert.equal(memory.whoReset(1), ResetBy.nobody);
    for (let i = 0; i < 300; i++) memory.remember(2 * i + 1, i % 3 === 0 ? ResetBy.peer : ResetBy.us);
    for (let i = 0; i < 300; i++) {
      const expected = i < 44 ? ResetBy.nobody : i % 3 === 0 ? ResetBy.peer : ResetBy.us;
      assert.equal(memory.whoReset(2 * i + 1), expected, `reset ${i}`);
    }
  });
});

describe("the queue of bytes", () => {
  it("gives bytes in order", () => {
    const queue = new SendQueue();
    queue.push(Buffer.from("abc"), 1, 3);
    assert.deepEqual([queue.size, queue.first!.start], [2, 0]);
    queue.advance(1);
    assert.equal(queue.first!.buffer.toString("latin1", queue.first!.start, queue.first!.end), "c");
    queue.push(Buffer.from("def"), 0, 3);
    assert.equal(queue.first!.buffer.toString("latin1", queue.first!.start, queue.first!.end), "cdef");
    queue.clear();
    assert.deepEqual([queue.size, queue.first], [0, null]);
  });

  it("puts copies behind each other, and splits what a block does not hold", () => {
    const queue = new SendQueue();
    const bytes = Buffer.from(Array.from({ length: 40_000 }, (_, i) => i % 251));
    for (let at = 0; at < bytes.length; at += 100) queue.push(bytes, at, at + 100);
    const ranges: Buffer[] = [];
    for (let range = queue.first; range !== null; range = queue.first) {
      ranges.push(Buffer.from(range.buffer.subarray(range.start, range.end)));
      queue.advance(range.end - range.start);
    }
    assert.deepEqual([ranges.length, queue.size], [3, 0]);
    assert.ok(Buffer.concat(ranges).equals(bytes));
  });

  it("does not use a block again before a write that has its bytes is done", () => {
    const queue = new SendQueue();
    queue.push(Buffer.from("first"), 0, 5);
    const { buffer, lease } = { ...queue.first! };
    lease.retain();
    queue.advance(5);
    for (let i = 0; i < 200; i++) queue.push(Buffer.alloc(16 * 1024, "z"), 0, 16 * 1024);
    assert.equal(buffer.toString("latin1", 0, 5), "first");
    queue.clear();
    lease.release();
  });
});

describe("priorities (RFC 9218 4)", () => {
  for (const [text, urgency, isIncremental] of [
    ["", 3, false],
    ["u=0", 0, false],
    ["u=7, i", 7, true],
    ["i,u=1", 1, true],
    ["i=?1", 3, true],
    ["i, i=?0", 3, false],
    ["u=8", 3, false],
    ["u=-1", 3, false],
    ["u=12", 3, false],
    ["u", 3, false],
    ["U=1", 3, false],
    ["x=5, u=2 , y", 2, false],
    [",,,", 3, false],
    ["=?1", 3, false],
  ] as const) {
    it(`reads ${JSON.stringify(text)}`, () => {
      const buffer = Buffer.from(`##${text}##`);
      const priority = readPriority(buffer, 2, buffer.length - 2);
      assert.deepEqual([priority & 7, priority > 7], [urgency, isIncremental]);
    });
  }
});
