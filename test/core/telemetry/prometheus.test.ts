// The text format: escaping, histograms, summaries, slices.

import assert from "node:assert/strict";
import { test } from "node:test";
import { HISTOGRAM_SLOTS, LATENCY_BOUNDS_MS, observeLatency } from "../../../src/core/telemetry/latency-buckets.ts";
import { MetricStore, singleValue } from "../../../src/core/telemetry/merge.ts";
import { exposition } from "../../../src/core/telemetry/prometheus.ts";
import { Recorder } from "../../../src/core/telemetry/recorder.ts";

function store(seriesMax = 100): { store: MetricStore; recorder: Recorder } {
  const metrics = new MetricStore();
  const memory = Recorder.memory(Recorder.slotsFor(seriesMax));
  metrics.addWorker("1", memory);
  return { store: metrics, recorder: new Recorder(memory, (descriptor) => metrics.addSeries("1", descriptor), seriesMax) };
}

function render(metrics: MetricStore): string {
  return [...exposition(metrics.collect(), 0)].join("");
}

test("a counter has HELP, TYPE and one line", () => {
  const { store: metrics, recorder } = store();
  recorder.slots[recorder.counter("request_total", { direction: "outbound", dst_service: "web" })]! += 3;
  assert.match(
    render(metrics),
    /^# HELP request_total .+\n# TYPE request_total counter\nrequest_total\{direction="outbound",dst_service="web"\} 3\n/,
  );
});

test("label values are escaped: backslash, quote, line feed", () => {
  const { store: metrics, recorder } = store();
  recorder.counter("request_total", { path: 'a\\b"c\nd' });
  assert.ok(render(metrics).includes('request_total{path="a\\\\b\\"c\\nd"} 0\n'));
});

test("a metric without labels has no braces", () => {
  const { store: metrics } = store();
  assert.ok(render(metrics).includes("\nproxy_series_overflow_total 0\n"));
});

test("histogram buckets are cumulative, +Inf equals the count", () => {
  const { store: metrics, recorder } = store();
  const base = recorder.histogram("response_latency_ms", { status_code: "200" });
  for (const ms of [0.5, 1, 1.5, 45, 70_000]) observeLatency(recorder.slots, base, ms);
  const lines = render(metrics)
    .split("\n")
    .filter((line) => line.startsWith("response_latency_ms"));
  assert.equal(lines.length, LATENCY_BOUNDS_MS.length + 3);
  assert.equal(lines[0], 'response_latency_ms_bucket{status_code="200",le="1"} 2');
  assert.equal(lines[1], 'response_latency_ms_bucket{status_code="200",le="2"} 3');
  assert.ok(lines.includes('response_latency_ms_bucket{status_code="200",le="50"} 4'));
  assert.ok(lines.includes('response_latency_ms_bucket{status_code="200",le="50000"} 4'));
  assert.deepEqual(lines.slice(-3), [
    'response_latency_ms_bucket{status_code="200",le="+Inf"} 5',
    'response_latency_ms_sum{status_code="200"} 70048',
    'response_latency_ms_count{status_code="200"} 5',
  ]);
});

test("an HDR metric is a summary with quantiles, sum and count", () => {
  const { store: metrics, recorder } = store();
  const overhead = recorder.hdr("proxy_overhead_us", {}, 3);
  for (let us = 1; us <= 1_000; us += 1) overhead.record(us);
  const text = render(metrics);
  assert.ok(text.includes("# TYPE proxy_overhead_us summary\n"));
  assert.ok(text.includes('proxy_overhead_us{quantile="0.5"} 500\n'));
  assert.ok(text.includes('proxy_overhead_us{quantile="0.99"} 990\n'));
  assert.ok(text.includes("proxy_overhead_us_sum 500500\nproxy_overhead_us_count 1000\n"));
});

test("an HDR metric without values has no quantiles: NaN, not 0", () => {
  const { store: metrics, recorder } = store();
  recorder.hdr("service_latency_us", { dst_service: "web" }, 2);
  assert.ok(render(metrics).includes('service_latency_us{dst_service="web",quantile="0.99"} NaN\n'));
});

test("families from elsewhere render with the rest; infinities as Prometheus writes them", () => {
  const text = [
    ...exposition([singleValue("process_max_fds", {}, Number.POSITIVE_INFINITY), singleValue("process_open_fds", {}, 0.5)], 0),
  ].join("");
  assert.ok(text.includes("process_max_fds +Inf\n"));
  assert.ok(text.includes("process_open_fds 0.5\n"));
});

test("2000 series with histograms come in slices of bounded size, none split", () => {
  const { store: metrics, recorder } = store(3_000);
  for (let index = 0; index < 2_000; index += 1) {
    observeLatency(recorder.slots, recorder.histogram("response_latency_ms", { target_addr: String(index) }), 3);
  }
  const slices = [...exposition(metrics.collect(), 0)];
  const lineCounts = slices.map((slice) => slice.split("\n").length);
  assert.ok(slices.length > 50);
  assert.ok(Math.max(...lineCounts) <= 256 + 2 * HISTOGRAM_SLOTS);
  for (const slice of slices) assert.ok(slice.endsWith("\n"));
  assert.equal(
    slices
      .join("")
      .split("\n")
      .filter((line) => line.includes('le="+Inf"')).length,
    2_000,
  );
});

test("series that appear while the text is rendered do not disturb it", () => {
  const { store: metrics, recorder } = store(3_000);
  for (let index = 0; index < 1_000; index += 1) recorder.counter("request_total", { target_addr: String(index) });
  const slices = exposition(metrics.collect(), 0);
  let text = slices.next().value as string;
  for (let index = 1_000; index < 2_000; index += 1) recorder.counter("request_total", { target_addr: String(index) });
  for (const slice of slices) text += slice;
  assert.equal(text.match(/^request_total\{/gm)!.length, 1_000);
});
