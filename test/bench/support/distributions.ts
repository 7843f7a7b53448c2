// Distributions of given samples, and their encoded form, for the tests of statistics and reports.

import hdr from "hdr-histogram-js";
import { HdrLatency, LATENCY_US_MAX } from "../../../src/core/telemetry/hdr.ts";
import { type Distribution, distributionOf } from "../../../bench/statistics/distribution.ts";

/** Microseconds; whole numbers below 2048 are kept exactly. */
export function distribution(samples: readonly number[]): Distribution {
  const histogram = new HdrLatency(3);
  for (const sample of samples) histogram.record(sample);
  return distributionOf(histogram.snapshot());
}

/** As a result document has it. */
export function encodedHistogram(samples: readonly number[]): string {
  const histogram = new hdr.Float64Histogram(1, LATENCY_US_MAX, 3);
  for (const sample of samples) histogram.recordValue(sample);
  return hdr.encodeIntoCompressedBase64(histogram as unknown as Parameters<typeof hdr.encodeIntoCompressedBase64>[0]);
}
