import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { HandOffSender, handOffMemory } from "../../src/workers/hand-off.ts";

const ROUNDS = 8;
const ENTRIES = 5_000;

test("whatever the moment of the revocation, every descriptor has exactly one owner", async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const memory = handOffMemory();
    const adopted = new SharedArrayBuffer((ENTRIES + 1) * 4);
    const counts = new Int32Array(adopted);
    const reader = new Worker(new URL("../support/hand-off-reader.ts", import.meta.url), { workerData: { memory, adopted } });
    await once(reader, "message");
    const sender = new HandOffSender(memory);
    const revokeAt = Math.floor((ENTRIES * (round + 1)) / ROUNDS);
    let pushed = 0;
    while (pushed < revokeAt) if (sender.push(pushed, 0, pushed, 1)) pushed++;
    const { waiting, limbo } = sender.revoke();
    Atomics.store(counts, ENTRIES, 1);
    await once(reader, "exit");
    for (const { fd } of waiting) counts[fd]! += 1;
    // The reader lived on, so what was in limbo has been adopted.
    if (limbo !== null) assert.equal(counts[limbo.fd], 1);
    for (let fd = 0; fd < pushed; fd++) assert.equal(counts[fd], 1, `descriptor ${fd} of round ${round}`);
  }
});
