// The parsers of the load tools, on what the tools really printed (test/fixtures/bench).

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { abReport } from "../../bench/before-after.ts";
import { parseAb, parseH2load, parseWrk, runTool } from "../../bench/load/tools.ts";

function printed(name: string): string {
  return readFileSync(new URL(`../fixtures/bench/${name}.txt`, import.meta.url), "utf8");
}

test("wrk's report: requests, its own rate, percentiles and bytes", () => {
  const { requests, errors, errorDetail, durationMs, report } = parseWrk(printed("wrk"));
  assert.deepEqual({ requests, errors, errorDetail, durationMs }, { requests: 42944, errors: 0, errorDetail: null, durationMs: 1010 });
  assert.deepEqual(report, {
    requestsPerSecond: 42486.59,
    latencyUs: { "50": 900, "75": 1590, "90": 3340, "99": 9040 },
    meanUs: 1580,
    maxUs: 15270,
    bytesPerSecond: Math.round(19.65 * 1024 * 1024),
  });
});

test("wrk's latencies in seconds and in microseconds are microseconds", () => {
  assert.deepEqual(parseWrk(printed("wrk-slow")).report.latencyUs, { "50": 1.2e6, "75": 1.2e6, "90": 1.2e6, "99": 1.2e6 });
  assert.equal(parseWrk(printed("wrk-errors")).report.latencyUs["50"], 221);
});

test("bad statuses are errors, in wrk's own words", () => {
  const { requests, errors, errorDetail } = parseWrk(printed("wrk-errors"));
  assert.deepEqual({ requests, errors, errorDetail }, { requests: 31049, errors: 31049, errorDetail: "Non-2xx or 3xx responses: 31049" });
});

test("wrk's socket errors of every kind and its bad statuses add up", () => {
  const output = `${printed("wrk")}  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 50\n`;
  assert.equal(parseWrk(output).errors, 60);
});

test("ab's report: requests, its own rate, percentiles and bytes", () => {
  const { requests, errors, durationMs, report } = parseAb(printed("ab-keep-alive"));
  assert.deepEqual({ requests, errors, durationMs }, { requests: 5000, errors: 0, durationMs: 60 });
  assert.equal(report.requestsPerSecond, 83787.18);
  assert.equal(report.bytesPerSecond, Math.round(39684.36 * 1024));
  assert.deepEqual([report.latencyUs["50"], report.latencyUs["98"], report.latencyUs["100"]], [1000, 2000, 5000]);
  assert.deepEqual([report.meanUs, report.maxUs], [1000, 5000]);
});

test("ab's failed requests and bad statuses add up", () => {
  const bad = parseAb(printed("ab-errors"));
  assert.deepEqual([bad.requests, bad.errors], [100, 100]);
  const failed = printed("ab-errors").replace("Failed requests:        0", "Failed requests:        3");
  assert.equal(parseAb(failed).errors, 103);
});

test("h2load's report: requests, its own rate and its longest request", () => {
  const { requests, errors, durationMs, report } = parseH2load(printed("h2load"));
  assert.deepEqual({ requests, errors, durationMs }, { requests: 119496, errors: 0, durationMs: 1000 });
  assert.deepEqual([report.requestsPerSecond, report.meanUs, report.maxUs], [119496, 133, 2720]);
  assert.equal(parseH2load(printed("h2load-errors")).errors, 100);
});

test("output that is no report counts as no request at all", () => {
  assert.equal(parseAb("apr_socket_recv: Connection refused (111)").requests, 0);
  assert.equal(parseWrk(printed("wrk-refused")).requests, 0);
  assert.equal(parseH2load("").requests, 0);
});

test("ab's page for the before-and-after holds every figure, or is refused", () => {
  const report = abReport("ab -k", printed("ab-keep-alive"));
  assert.deepEqual(
    [report.requests, report.failed, report.requestsPerSecond, report.timePerRequestMs, report.timePerRequestConcurrentMs],
    [5000, 0, 83787.18, 1.194, 0.012],
  );
  assert.deepEqual([report.transferKbPerSecond, report.percentilesMs["99"], report.percentilesMs["100"]], [39684.36, 3, 5]);
  assert.equal(abReport("ab", printed("ab-errors")).failed, 100);
  assert.throws(() => abReport("ab", "Benchmarking 127.0.0.1"), /ab said nothing like/);
});

test("a tool that fails or does not end says so in one line", async () => {
  const script = "process.stderr.write('first\\nlast words\\n'); process.exitCode = 3";
  await assert.rejects(runTool(process.execPath, ["-e", script], 30_000), /: last words$/);
  await assert.rejects(runTool(process.execPath, ["-e", "setInterval(() => {}, 1000)"], 200), /: it did not end within 200 ms$/);
});
