// process_* and proxy_build_info, read at the moment of a scrape.
//
// The CPU time and the resident set are Node's own; the rest is read from /proc and left out where there is none. The
// descriptors are counted by an asynchronous readdir: with 10,000 of them the kernel needs milliseconds for the list.

import { readdir, readFile } from "node:fs/promises";
import { singleValue, type Family } from "../core/telemetry/merge.ts";
import type { MetricName } from "../core/telemetry/metric-names.ts";

export interface BuildInfo {
  /** Weft's version. */
  readonly version: string;
}

/** Families for the exposition, in the order of the metric table. Never rejects. To be called on the main thread. */
export async function processFamilies(build: BuildInfo): Promise<Family[]> {
  const [status, limits, descriptors] = await Promise.all([text("/proc/self/status"), text("/proc/self/limits"), names("/proc/self/fd")]);
  const uptimeSeconds = process.uptime();
  const nowSeconds = Date.now() / 1000;
  const { user, system } = process.cpuUsage();
  const families = [
    singleValue("proxy_build_info", { version: build.version, node: process.version, arch: `${process.platform}-${process.arch}` }, 1),
  ];
  const add = (metric: MetricName, value: number | null): void => {
    if (value !== null) families.push(singleValue(metric, {}, value));
  };
  add("process_start_time_seconds", startedAtSeconds(nowSeconds, uptimeSeconds));
  add("process_clock_time_seconds", nowSeconds);
  add("process_uptime_seconds_total", uptimeSeconds);
  add("process_cpu_seconds_total", (user + system) / 1e6);
  add("process_virtual_memory_bytes", kilobytes(status, "VmSize"));
  add("process_resident_memory_bytes", process.memoryUsage.rss());
  add("process_resident_anonymous_bytes", kilobytes(status, "RssAnon"));
  // The directory that was listed is open while it is listed.
  add("process_open_fds", descriptors === null ? null : descriptors.length - 1);
  add("process_max_fds", descriptorLimit(limits));
  add("process_threads", field(status, "Threads"));
  return families;
}

let started: number | null = null;

/** Computed once: two clocks that drift apart would make the start time wander. */
function startedAtSeconds(nowSeconds: number, uptimeSeconds: number): number {
  started = started ?? nowSeconds - uptimeSeconds;
  return started;
}

function field(status: string | null, name: string): number | null {
  const match = status === null ? null : new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status);
  return match === null ? null : Number(match[1]);
}

function kilobytes(status: string | null, name: string): number | null {
  const value = field(status, name);
  return value === null ? null : value * 1024;
}

function descriptorLimit(limits: string | null): number | null {
  const match = limits === null ? null : /^Max open files\s+(\d+|unlimited)/m.exec(limits);
  if (match === null) return null;
  return match[1] === "unlimited" ? Number.POSITIVE_INFINITY : Number(match[1]);
}

async function text(path: string): Promise<string | null> {
  try {
    return await readFile(path, "latin1");
  } catch {
    return null;
  }
}

async function names(path: string): Promise<string[] | null> {
  try {
    return await readdir(path);
  } catch {
    return null;
  }
}
