// A histogram of latencies as the result document keeps it: percentiles for readers, and the whole of it in HdrHistogram's own
// exchange format (V2, deflated, base64), which every HdrHistogram library reads.

import { build, encodeIntoCompressedBase64 } from "hdr-histogram-js";
import { type HdrSnapshot, LATENCY_US_MAX } from "../../src/core/telemetry/hdr.ts";
import type { Latency } from "../result.ts";
import { distributionOf, valueAtPercentile } from "../statistics/distribution.ts";

/** The snapshot as an HdrHistogram V2 payload, base64. */
export function encodeSnapshot(snapshot: HdrSnapshot): string {
  const histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: LATENCY_US_MAX,
    numberOfSignificantValueDigits: snapshot.digits,
    bitBucketSize: 32,
  });
  const { values, counts } = distributionOf(snapshot);
  for (const [index, value] of values.entries()) histogram.recordValueWithCount(Math.min(value, LATENCY_US_MAX), counts[index]!);
  return encodeIntoCompressedBase64(histogram);
}

export function latencyOf(snapshot: HdrSnapshot): Latency {
  const distribution = distributionOf(snapshot);
  const at = (percentile: number): number => (distribution.count === 0 ? 0 : valueAtPercentile(distribution, percentile));
  return {
    count: distribution.count,
    meanUs: distribution.count === 0 ? 0 : snapshot.sum / distribution.count,
    p50Us: at(50),
    p90Us: at(90),
    p99Us: at(99),
    p999Us: at(99.9),
    p9999Us: at(99.99),
    maxUs: snapshot.max,
    histogram: encodeSnapshot(snapshot),
  };
}
