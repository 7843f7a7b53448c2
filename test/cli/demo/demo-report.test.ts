import assert from "node:assert/strict";
import { test } from "node:test";
import { type DemoView, plainLine, summaryLines, tableLines } from "../../../src/cli/demo/demo-report.ts";
import { parseMetrics, sumOf } from "../../../src/cli/demo/metrics-text.ts";

const view: DemoView = {
  elapsedMs: 12_000,
  perSecond: 200.4,
  successRate: 0.9995,
  latency: { count: 100, p50: 1200, p95: 60_500, p99: 61_000, p999: 62_000, max: 63_000 },
  overhead: { p50: 110, p99: 345 },
  endpoints: [
    { name: "fast", address: "127.0.0.1:9001", requests: 1500, perSecond: 150, latencyUs: 800, ewmaUs: 900 },
    { name: "uneven", address: "127.0.0.1:9002", requests: 480, perSecond: 48, latencyUs: 3100, ewmaUs: 9000 },
    { name: "slow", address: "127.0.0.1:9003", requests: 20, perSecond: 2, latencyUs: Number.NaN, ewmaUs: 25_000 },
  ],
};

test("the table shows rates, percentiles, overhead and each endpoint's share", () => {
  assert.deepEqual(tableLines(view), [
    "  12 s   200 requests/s   success 99.95 %",
    "  latency          P50 1.20 ms   P95 60.50 ms   P99 61.00 ms",
    "  proxy overhead   P50 0.11 ms   P99 0.34 ms",
    "",
    "  endpoint  address             requests   per s    share      median        EWMA",
    "  fast      127.0.0.1:9001          1500     150   75.0 %     0.80 ms     0.90 ms  #######################",
    "  uneven    127.0.0.1:9002           480      48   24.0 %     3.10 ms     9.00 ms  #######",
    "  slow      127.0.0.1:9003            20       2    1.0 %           -    25.00 ms  ",
  ]);
});

test("the plain line holds the same on one line", () => {
  const line = plainLine(view);
  assert.doesNotMatch(line, /\n/);
  assert.match(
    line,
    /^12 s {2}200 requests\/s {2}success 99\.95 % {2}P50 1\.20 ms .* overhead P50 0\.11 ms P99 0\.34 ms {2}fast 75\.0 %, uneven 24\.0 %, slow 1\.0 %$/,
  );
});

test("the summary names what was sent and what failed", () => {
  const lines = summaryLines(view, { sent: 2000, failed: 1, lastFailure: "502 WEFT_CONNECT_FAILED" });
  assert.equal(lines[0], "Summary: 2000 requests in 12.0 s, 1 failed, success 99.95 %");
  assert.equal(lines[1], "  latest failure   502 WEFT_CONNECT_FAILED");
});

test("before the first answer nothing is claimed", () => {
  const empty = view.endpoints.map((endpoint) => ({ ...endpoint, requests: 0 }));
  const lines = tableLines({ ...view, successRate: Number.NaN, overhead: { p50: Number.NaN, p99: Number.NaN }, endpoints: empty });
  assert.match(lines[0]!, /success -$/);
  assert.match(lines[2]!, /P50 - {3}P99 -$/);
  assert.match(lines[5]!, / - +0\.80 ms/);
});

test("metrics are read with their labels and added up by them", () => {
  const samples = parseMetrics(
    '# HELP a b\n# TYPE a counter\na_total{x="1",y="q\\"r\\\\s\\n"} 3\na_total{x="2",y=""} 4.5\nb 7\nc_us{quantile="0.5"} NaN\nnonsense here too many\n',
  );
  assert.deepEqual(samples[0], { name: "a_total", labels: { x: "1", y: 'q"r\\s\n' }, value: 3 });
  assert.equal(samples.length, 4);
  assert.equal(sumOf(samples, "a_total"), 7.5);
  assert.equal(sumOf(samples, "a_total", { x: "2" }), 4.5);
  assert.equal(sumOf(samples, "b"), 7);
  assert.ok(Number.isNaN(samples[3]!.value));
});
