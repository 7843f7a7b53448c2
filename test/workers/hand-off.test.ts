import assert from "node:assert/strict";
import { test } from "node:test";
import { HandOffReceiver, HandOffSender, handOffMemory, RING_ENTRIES } from "../../src/workers/hand-off.ts";

function pair(): {
  sender: HandOffSender;
  receiver: HandOffReceiver;
  adopted: number[];
  drain: (max?: number, version?: number) => boolean;
} {
  const memory = handOffMemory();
  const sender = new HandOffSender(memory);
  const receiver = new HandOffReceiver(memory);
  const adopted: number[] = [];
  return { sender, receiver, adopted, drain: (max = 1e9, version = 1) => receiver.drain(max, version, (fd) => adopted.push(fd)) };
}

test("a descriptor arrives with its listener, in order", () => {
  const { sender, receiver } = pair();
  sender.push(7, 3, 0, 1);
  sender.push(9, 4, 1, 1);
  const seen: number[][] = [];
  receiver.drain(10, 1, (fd, listener) => seen.push([fd, listener]));
  assert.deepEqual(seen, [
    [7, 3],
    [9, 4],
  ]);
});

test("an entry waits for the version of the configuration that it needs", () => {
  const { sender, adopted, drain } = pair();
  sender.push(7, 0, 0, 2);
  assert.equal(drain(10, 1), false);
  assert.deepEqual(adopted, []);
  drain(10, 2);
  assert.deepEqual(adopted, [7]);
});

test("a bounded drain says that more is waiting", () => {
  const { sender, adopted, drain } = pair();
  for (let fd = 0; fd < 5; fd++) sender.push(fd, 0, fd, 1);
  assert.equal(drain(3), true);
  assert.deepEqual(adopted, [0, 1, 2]);
  assert.equal(drain(3), false);
  assert.deepEqual(adopted, [0, 1, 2, 3, 4]);
});

test("one wake-up is due per look into the ring", () => {
  const { sender, drain } = pair();
  assert.equal(sender.mustWake(), true);
  assert.equal(sender.mustWake(), false);
  drain();
  assert.equal(sender.mustWake(), true);
});

test("a full ring refuses, and takes again after a drain", () => {
  const { sender, adopted, drain } = pair();
  for (let fd = 0; fd < RING_ENTRIES; fd++) assert.equal(sender.push(fd, 0, fd, 1), true);
  assert.equal(sender.push(5000, 0, 5000, 1), false);
  assert.equal(sender.pending, RING_ENTRIES);
  drain(1);
  assert.equal(sender.push(5000, 0, 5000, 1), true);
  drain();
  assert.deepEqual(adopted.slice(-2), [RING_ENTRIES - 1, 5000]);
});

test("revoking gives back exactly what was not claimed, and ends both ends", () => {
  const { sender, adopted, drain } = pair();
  for (let fd = 0; fd < 4; fd++) sender.push(fd, 1, 100 + fd, 1);
  drain(1);
  const { waiting, limbo } = sender.revoke();
  assert.deepEqual(adopted, [0]);
  assert.deepEqual(waiting, [
    { fd: 1, listener: 1, serial: 101 },
    { fd: 2, listener: 1, serial: 102 },
    { fd: 3, listener: 1, serial: 103 },
  ]);
  assert.equal(limbo, null);
  drain();
  assert.deepEqual(adopted, [0]);
  assert.equal(sender.push(9, 0, 9, 1), false);
  assert.deepEqual(sender.revoke(), { waiting: [], limbo: null });
});

test("a descriptor that was claimed and not confirmed is in limbo, not waiting", () => {
  const { sender, receiver } = pair();
  sender.push(7, 0, 70, 1);
  sender.push(8, 0, 80, 1);
  let revoked: ReturnType<HandOffSender["revoke"]> | null = null;
  // The moment of death: inside the adoption of the first.
  receiver.drain(10, 1, () => {
    revoked ??= sender.revoke();
  });
  assert.deepEqual(revoked, { waiting: [{ fd: 8, listener: 0, serial: 80 }], limbo: { fd: 7, listener: 0, serial: 70 } });
});
