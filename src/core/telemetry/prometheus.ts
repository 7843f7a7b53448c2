// The Prometheus text format (version 0.0.4), rendered in slices.
//
// The thread that renders also accepts connections, so the text comes as a generator: each step renders a bounded amount
// (a tenth of a millisecond when warm, two when not) and the caller lets events pass between steps. A series is never split, so a histogram's
// buckets and its _count come from the same reading.

import type { LatencySummary } from "./hdr.ts";
import { HISTOGRAM_SLOTS, INFINITY_OFFSET, LATENCY_BOUNDS_MS, SUM_OFFSET } from "./latency-buckets.ts";
import type { Family, MergedSeries } from "./merge.ts";
import type { HistogramSeries, LatencySeries } from "./merged-series.ts";
import { type MetricName, metricRow } from "./metric-names.ts";

/** What the admin port says about the text. */
export const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Work per slice in lines: 256 lines are 25 to 50 KB of text. */
const SLICE_LINES = 256;

/** An HDR series costs as much as so many lines: thousands of cells are added up and searched. */
const SUMMARY_LINES = 128;

const QUANTILES: readonly (readonly [string, Exclude<keyof LatencySummary, "count" | "max">])[] = [
  ["0.5", "p50"],
  ["0.95", "p95"],
  ["0.99", "p99"],
  ["0.999", "p999"],
];

const LE = LATENCY_BOUNDS_MS.map(String);

/** Renders families. `nowMs`: the clock that moves the windows of HDR series (the same one at every call). */
export function* exposition(families: Iterable<Family>, nowMs: number): Generator<string, void, void> {
  let text = "";
  let lines = 0;
  for (const { metric, series } of families) {
    const row = metricRow(metric);
    text += `# HELP ${metric} ${row.help.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")}\n# TYPE ${metric} ${row.type}\n`;
    lines += 2;
    for (const one of series) {
      text += seriesText(metric, one, nowMs);
      lines += one.kind === "scalar" ? 1 : one.kind === "histogram" ? HISTOGRAM_SLOTS + 1 : SUMMARY_LINES;
      if (lines >= SLICE_LINES) {
        yield text;
        text = "";
        lines = 0;
      }
    }
  }
  if (text !== "") yield text;
}

function seriesText(metric: MetricName, series: MergedSeries, nowMs: number): string {
  switch (series.kind) {
    case "scalar":
      return `${metric}${series.text === "" ? "" : `{${series.text}}`} ${numberText(series.read())}\n`;
    case "histogram":
      return histogramText(metric, series);
    case "summary":
      return summaryText(metric, series, nowMs);
  }
}

const cells = new Float64Array(HISTOGRAM_SLOTS);

function histogramText(metric: string, series: HistogramSeries): string {
  series.read(cells);
  const labels = series.text === "" ? "" : `${series.text},`;
  const braces = series.text === "" ? "" : `{${series.text}}`;
  let text = "";
  let count = 0;
  for (let bucket = 0; bucket < INFINITY_OFFSET; bucket += 1) {
    count += cells[bucket]!;
    text += `${metric}_bucket{${labels}le="${LE[bucket]}"} ${count}\n`;
  }
  count += cells[INFINITY_OFFSET]!;
  text += `${metric}_bucket{${labels}le="+Inf"} ${count}\n`;
  return `${text}${metric}_sum${braces} ${numberText(cells[SUM_OFFSET]!)}\n${metric}_count${braces} ${count}\n`;
}

function summaryText(metric: string, series: LatencySeries, nowMs: number): string {
  const { count, sum, window } = series.read(nowMs);
  const labels = series.text === "" ? "" : `${series.text},`;
  const braces = series.text === "" ? "" : `{${series.text}}`;
  let text = "";
  for (const [quantile, field] of QUANTILES) {
    // An empty window has no quantiles: NaN, as the client libraries do, and never a reassuring 0.
    text += `${metric}{${labels}quantile="${quantile}"} ${window.count === 0 ? "NaN" : window[field]}\n`;
  }
  return `${text}${metric}_sum${braces} ${numberText(sum)}\n${metric}_count${braces} ${count}\n`;
}

/** JavaScript's notation is Prometheus's, except for the infinities. */
function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  return String(value);
}
