import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ReceiveWindow, SendWindow } from "../../../src/core/h2/flow-window.ts";
import { MAX_31_BITS } from "../../../src/core/h2/frame-types.ts";

describe("the send window", () => {
  it("goes negative when the peer lowers its initial size, and updates make up for it (RFC 9113 6.9.2)", () => {
    const window = new SendWindow(65_535);
    window.available -= 65_335;
    assert.ok(window.add(-1000));
    assert.equal(window.available, -800);
    assert.ok(window.add(801));
    assert.equal(window.available, 1);
  });

  it("takes 2^31 - 1 and refuses one more (RFC 9113 6.9.1)", () => {
    const window = new SendWindow(1);
    assert.ok(window.add(MAX_31_BITS - 1));
    assert.equal(window.available, MAX_31_BITS);
    assert.ok(!window.add(1));
    assert.equal(window.available, MAX_31_BITS, "a refused update changes nothing");
  });
});

describe("the receive window of a stream", () => {
  it("takes what it allowed and nothing more", () => {
    const window = new ReceiveWindow(100);
    assert.ok(window.receive(100));
    assert.ok(!window.receive(1));
    assert.deepEqual([window.available, window.undrained], [0, 100]);
  });

  it("gives no credit for bytes that have not left", () => {
    const window = new ReceiveWindow(100);
    window.receive(100);
    assert.equal(window.takeCredit(), 0);
  });

  it("announces credit once half of the window is due", () => {
    const window = new ReceiveWindow(100);
    window.receive(100);
    assert.equal(window.drain(49), 49);
    assert.equal(window.takeCredit(), 0);
    window.drain(1);
    assert.equal(window.takeCredit(), 50);
    assert.equal(window.takeCredit(), 0, "once");
    window.drain(50);
    assert.equal(window.takeCredit(), 50);
    assert.equal(window.available, 100);
  });

  it("counts bytes that were drained twice once", () => {
    const window = new ReceiveWindow(100);
    window.receive(10);
    assert.equal(window.drain(20), 10);
    assert.equal(window.undrained, 0);
  });
});

describe("a receive window that grows", () => {
  it("doubles when a whole window has left and nothing is held, up to its limit", () => {
    const window = new ReceiveWindow(100);
    window.receive(100);
    window.drain(60);
    window.grow(300, 1000);
    assert.equal(window.size, 100, "something is held");
    window.drain(40);
    window.grow(300, 1000);
    assert.equal(window.size, 200);
    assert.equal(window.takeCredit(), 200);
    window.receive(199);
    window.drain(199);
    window.grow(300, 1000);
    assert.equal(window.size, 200, "not a whole window yet");
    window.receive(1);
    window.drain(1);
    window.grow(300, 1000);
    assert.equal(window.size, 300);
    window.reset(100);
    assert.deepEqual([window.size, window.available], [100, 100]);
    window.receive(100);
    window.drain(100);
    assert.deepEqual([window.grow(300, 99), window.size], [0, 100], "the budget is too small");
  });
});

describe("the receive window of a connection", () => {
  const SIZE = 100_000;
  const HELD_MAX = 400_000;

  it("gives credit for bytes that are still held, until the limit is near", () => {
    const window = new ReceiveWindow(SIZE);
    let received = 0;
    for (;;) {
      const piece = Math.min(10_000, window.available);
      if (piece === 0) break;
      assert.ok(window.receive(piece));
      received += piece;
      assert.ok(window.available + window.undrained <= HELD_MAX);
      window.takeSharedCredit(SIZE, HELD_MAX);
      assert.ok(window.available + window.undrained <= HELD_MAX, "what may come and what is held stay under the limit");
    }
    assert.ok(received > HELD_MAX - 2000, `only ${received} were taken`);
    window.drain(200_000);
    assert.equal(window.takeSharedCredit(SIZE, HELD_MAX), SIZE);
  });

  it("announces once half of the window is due", () => {
    const window = new ReceiveWindow(SIZE);
    window.receive(SIZE / 2 - 1);
    assert.equal(window.takeSharedCredit(SIZE, HELD_MAX), 0);
    window.receive(1);
    assert.equal(window.takeSharedCredit(SIZE, HELD_MAX), SIZE / 2);
  });
});
