// Recording a latency: Weft's integer index into shared memory, the library's own `recordValue`, and Node's native histogram.
//
//   npm run bench -- micro histogram

import { createHistogram } from "node:perf_hooks";
import float64 from "hdr-histogram-js/dist/Float64Histogram.js";
import { HdrLatency, LATENCY_US_MAX, summarise } from "../../src/core/telemetry/hdr.ts";
import { createRandom } from "../../src/core/util/random.ts";
import { type MicroCase, runMicro } from "./support/micro.ts";

/** Latencies as they come: most around 100 us, a few a hundred times that. Drawn beforehand; a power of two. */
const SAMPLES = 4096;
const random = createRandom(1);
const latencies = Float64Array.from({ length: SAMPLES }, () => 50 + 100 * random() ** 2 + (random() < 0.01 ? 10_000 * random() : 0));
let turn = 0;

function next(): number {
  turn = (turn + 1) & (SAMPLES - 1);
  return latencies[turn]!;
}

function recordCase(digits: 2 | 3): MicroCase {
  const histogram = new HdrLatency(digits);
  let count = 0;
  return {
    name: `record, ${digits} digits`,
    work: () => {
      histogram.record(next());
      count++;
    },
    isRight: () => summarise(digits, histogram.snapshot().counts).count === count,
  };
}

function libraryCase(): MicroCase {
  const histogram = new float64.default(1, LATENCY_US_MAX, 3);
  return {
    name: "the library's recordValue, 3 digits",
    work: () => histogram.recordValue(Math.round(next())),
    isRight: () => histogram.totalCount > 0,
  };
}

function nativeCase(): MicroCase {
  const histogram = createHistogram({ lowest: 1, highest: LATENCY_US_MAX, figures: 3 });
  return {
    name: "Node's own histogram, 3 digits",
    work: () => histogram.record(Math.round(next())),
    isRight: () => histogram.count > 0,
  };
}

function summaryCase(): MicroCase {
  const histogram = new HdrLatency(2);
  for (const latency of latencies) histogram.record(latency);
  const { counts } = histogram.snapshot();
  return {
    name: "percentiles of a histogram, 2 digits",
    work: () => summarise(2, counts),
    isRight: (summary) => (summary as { count: number }).count === SAMPLES,
  };
}

await runMicro([[recordCase(2), recordCase(3), libraryCase(), nativeCase()], [summaryCase()]]);
