// Each attack of RFC 9113 10.5 and of the CVEs since: how much of it passes, and how the connection ends.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { Engine } from "../../support/h2-engine.ts";
import { data, frame, headers, ping, priority, rstStream, Setting, settings, windowUpdate } from "../../support/h2-frames.ts";
import { block } from "../../support/h2-hpack.ts";
import { GET, get, post, verdict } from "./talk.ts";

/** Feeds `attack(i)` until the connection is dead; returns how often that was. */
function attack(engine: Engine, frames: (i: number) => readonly Buffer[], most: number): number {
  for (let i = 0; i < most; i++) {
    engine.feed(...frames(i));
    if (engine.connection.isDead) {
      const lines = verdict(engine);
      assert.match(lines.at(-1)!, /^GOAWAY \d+ ENHANCE_YOUR_CALM$/);
      assert.equal(engine.connection.openStreams, 0);
      return i + 1;
    }
    engine.output.take();
  }
  return most;
}

const id = (i: number): number => 2 * i + 1;

describe("an attack is cut off:", () => {
  for (const [name, frames, atMost] of [
    ["rapid reset (CVE-2023-44487)", (i) => [get(id(i)), rstStream(id(i))], 201],
    ["MadeYouReset by WINDOW_UPDATE of 0 (CVE-2025-8671)", (i) => [get(id(i)), windowUpdate(id(i), 0)], 101],
    ["MadeYouReset by an overflow", (i) => [get(id(i)), windowUpdate(id(i), 0x7fffffff)], 101],
    ["MadeYouReset by a PRIORITY of itself", (i) => [get(id(i)), priority(id(i), { dependsOn: id(i) })], 101],
    ["MadeYouReset by DATA behind the end", (i) => [get(id(i)), data(id(i), "x")], 101],
    ["MadeYouReset by HEADERS behind the end", (i) => [get(id(i)), get(id(i))], 101],
    ["malformed requests", (i) => [headers(id(i), block(GET.slice(1)), { endStream: true })], 101],
    ["streams above the limit", (i) => [post(id(i))], 1101],
    ["SETTINGS (CVE-2019-9515)", () => [settings()], 33],
    ["PING (CVE-2019-9512)", () => [ping()], 1001],
    ["PRIORITY (CVE-2019-9513)", (i) => [priority(id(i))], 1001],
    ["PRIORITY_UPDATE", () => [frame(0x10, 0, 0, "\0\0\0\x01u=1")], 1001],
    ["WINDOW_UPDATE", () => [windowUpdate(0, 1)], 2001],
    ["unknown frames", () => [frame(0x99, 0, 1, "x")], 2001],
    ["GOAWAY", () => [frame(7, 0, 0, Buffer.alloc(8))], 2001],
  ] as const satisfies readonly (readonly [string, (i: number) => readonly Buffer[], number])[]) {
    it(name, () => {
      const times = attack(Engine.server(), frames, 5000);
      assert.ok(times <= atMost, `${times} passed`);
      assert.ok(times > atMost / 3, `cut off after ${times} already`);
    });
  }

  for (const [name, payload, options, atMost] of [
    ["empty DATA (CVE-2019-9518)", "", {}, 101],
    ["DATA of padding alone", "", { padding: 200 }, 101],
    ["DATA of one byte", "x", {}, 2001],
    ["DATA of padding around one byte", "x", { padding: 50 }, 2001],
  ] as const) {
    it(name, () => {
      const engine = Engine.server();
      engine.feed(post(1));
      const times = attack(engine, () => [data(1, payload, options)], 5000);
      assert.equal(times, atMost);
    });
  }

  it("late DATA in small pieces for a stream that was reset", () => {
    const engine = Engine.server();
    engine.feed(post(1));
    engine.stream(0).stream.reset(8);
    engine.stream(0).stream.release();
    assert.equal(
      attack(engine, () => [data(1, "x")], 5000),
      2001,
    );
  });

  it("a window that opens byte by byte (CVE-2019-9511)", () => {
    const engine = Engine.server();
    engine.feed(settings([Setting.INITIAL_WINDOW_SIZE, 0]), get(1));
    const { stream } = engine.stream(0);
    stream.sendOwnHead(200, null, false);
    stream.sendData(Buffer.alloc(100_000), 0, 100_000, null);
    const times = attack(engine, () => [windowUpdate(1, 1)], 10_000);
    assert.ok(times > 1000 && times <= 2010, `${times} passed`);
  });

  it("RST_STREAM again and again", () => {
    const engine = Engine.server();
    engine.feed(get(1), rstStream(1));
    assert.ok(attack(engine, () => [rstStream(1)], 5000) <= 1002);
  });

  it("a header bomb: one byte that names 4 KB, a thousand times (CVE-2025-53020 and its kind)", () => {
    const engine = Engine.server();
    const large = Buffer.concat([Buffer.from([0x40, 1]), Buffer.from("x"), Buffer.from([0x7f, 0xa1, 0x1e]), Buffer.alloc(4000, "v")]);
    engine.feed(headers(1, Buffer.concat([block(GET), large]), { endStream: true }));
    const bomb = Buffer.concat([block(GET), Buffer.alloc(16_000, 0x80 | 62)]);
    engine.feed(headers(3, bomb, { endStream: true }));
    assert.deepEqual(verdict(engine).at(-1), "GOAWAY 1 ENHANCE_YOUR_CALM");
  });
});

describe("a busy client is none:", () => {
  it("100,000 requests a second, each with PRIORITY and four WINDOW_UPDATEs, a fifth of them cancelled", () => {
    const engine = Engine.server();
    engine.owner.onStream = (owner) => {
      owner.onEvent = (event) => {
        if (!event.startsWith("head") || owner.stream.id % 5 === 0) return;
        owner.stream.sendOwnHead(200, null, false);
        owner.stream.sendData(Buffer.from("x"), 0, 1, null);
        owner.stream.sendEnd(null);
        owner.stream.release();
      };
    };
    for (let i = 0; i < 20_000; i++) {
      engine.nowMs = 1000 + i / 100;
      const one = id(i);
      const reset = one % 5 === 0 ? [rstStream(one)] : [];
      engine.feed(get(one), priority(one), windowUpdate(0, 1), windowUpdate(0, 1), windowUpdate(one, 1), windowUpdate(one, 1), ...reset);
      if (i % 16 === 0) engine.output.take();
      engine.events.length = 0;
      assert.ok(!engine.connection.isDead, `request ${i}`);
    }
  });

  it("30 PINGs a second for a minute, and SETTINGS twice a second", () => {
    const engine = Engine.server();
    for (let i = 0; i < 1800; i++) {
      engine.nowMs += 33;
      engine.feed(ping(), ...(i % 15 === 0 ? [settings()] : []));
    }
    assert.ok(!engine.connection.isDead);
  });
});
