// Loaded into Weft before Weft itself, for one lap whose other figures are thrown away: says what its threads' event loops and
// garbage collectors did. Each thread appends a line of JSON to the file that WEFT_BENCH_PROBE names, several times a second.
//
// Plain JavaScript, because Weft runs without type stripping. It keeps no thread alive.

import { appendFileSync } from "node:fs";
import { PerformanceObserver, performance } from "node:perf_hooks";
import { isMainThread, threadId } from "node:worker_threads";

const EVERY_MS = 200;

const file = process.env.WEFT_BENCH_PROBE;
if (file !== undefined) {
  const thread = isMainThread ? "main" : `worker ${threadId}`;
  let pauses = [];
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) pauses.push([entry.detail.kind, entry.duration]);
  });
  observer.observe({ entryTypes: ["gc"] });
  const say = () => {
    const { idle, active } = performance.eventLoopUtilization();
    appendFileSync(file, `${JSON.stringify({ thread, atMs: Date.now(), idle, active, pauses })}\n`);
    pauses = [];
  };
  setInterval(say, EVERY_MS).unref();
}
