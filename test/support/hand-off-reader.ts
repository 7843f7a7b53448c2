// A thread that does nothing but claim: the other side of the race in test/workers/hand-off-race.test.ts.

import { parentPort, workerData } from "node:worker_threads";
import { HandOffReceiver } from "../../src/workers/hand-off.ts";

const { memory, adopted } = workerData as { memory: SharedArrayBuffer; adopted: SharedArrayBuffer };
const receiver = new HandOffReceiver(memory);
const counts = new Int32Array(adopted);

parentPort!.postMessage("ready");
// Until the writer says, in the last cell, that it has revoked and looked.
while (Atomics.load(counts, counts.length - 1) === 0) receiver.drain(64, 1, (fd) => Atomics.add(counts, fd, 1));
