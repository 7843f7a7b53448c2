// process_*: what this very process is known to be.

import assert from "node:assert/strict";
import { open } from "node:fs/promises";
import { test } from "node:test";
import { processFamilies } from "../../src/admin/process-metrics.ts";
import type { MetricName } from "../../src/core/telemetry/metric-names.ts";

async function values(): Promise<Map<MetricName, number>> {
  const families = await processFamilies({ version: "1.2.3" });
  return new Map(families.map(({ metric, series }) => [metric, series[0]!.kind === "scalar" ? series[0]!.read() : Number.NaN]));
}

test("the build is named by its labels", async () => {
  const [build] = await processFamilies({ version: "1.2.3" });
  assert.equal(build!.metric, "proxy_build_info");
  assert.deepEqual(build!.series[0]!.labels, { version: "1.2.3", node: process.version, arch: `${process.platform}-${process.arch}` });
});

test("clock, uptime and start agree, and the start does not wander", async () => {
  const first = await values();
  const second = await values();
  const start = first.get("process_start_time_seconds")!;
  assert.equal(second.get("process_start_time_seconds"), start);
  assert.ok(Math.abs(start + first.get("process_uptime_seconds_total")! - first.get("process_clock_time_seconds")!) < 0.5);
  assert.ok(second.get("process_uptime_seconds_total")! > first.get("process_uptime_seconds_total")!);
});

test("memory and CPU time are plausible", async () => {
  const now = await values();
  const resident = now.get("process_resident_memory_bytes")!;
  assert.ok(resident > 10e6 && resident < 10e9);
  assert.ok(now.get("process_cpu_seconds_total")! > 0);
});

test("on Linux, open descriptors follow what is opened, the rest is there", async (t) => {
  const before = await values();
  const files = await Promise.all(Array.from({ length: 10 }, () => open("/dev/null")));
  t.after(() => Promise.all(files.map((file) => file.close())));
  const after = await values();
  assert.equal(after.get("process_open_fds")! - before.get("process_open_fds")!, 10);
  assert.ok(after.get("process_max_fds")! > after.get("process_open_fds")!);
  assert.ok(after.get("process_threads")! >= 1);
  assert.ok(after.get("process_virtual_memory_bytes")! > after.get("process_resident_memory_bytes")!);
  assert.ok(after.get("process_resident_anonymous_bytes")! < after.get("process_resident_memory_bytes")!);
});
