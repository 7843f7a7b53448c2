// What only Weft can say of itself: its own overhead, the share of bytes that it copied, and, from an extra lap with a probe loaded,
// how busy its event loops were and how long its garbage collectors paused.
//
// The probe costs something, so its lap is nobody's figure but its own: a Weft of its own, started for it.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Peer, StartRequest } from "../peers/peer.ts";
import { startWeft, weftMetrics } from "../peers/weft.ts";
import type { GcPauses, ThreadRuntime, WeftRuntime } from "../result.ts";
import { pause, temporaryFolder } from "../support/child.ts";

const PROBE = fileURLToPath(new URL("./probe.mjs", import.meta.url));
/** Lets the probe write its last line of the lap. */
const PROBE_SETTLE_MS = 300;

/** Kinds of garbage collection as Node numbers them. */
const GC_MINOR = 1;
const GC_MAJOR = 4;

interface ProbeLine {
  readonly thread: string;
  readonly atMs: number;
  /** Milliseconds since the thread's loop began. */
  readonly idle: number;
  readonly active: number;
  /** Kind and milliseconds, since the line before. */
  readonly pauses: readonly (readonly [number, number])[];
}

/** Body bytes so far. */
export interface BodyBytes {
  readonly forwarded: number;
  readonly copied: number;
}

export async function bodyBytes(weft: Peer): Promise<BodyBytes> {
  const metrics = await weftMetrics(weft);
  return { forwarded: metrics.sum("proxy_body_bytes_total"), copied: metrics.sum("proxy_body_bytes_copied_total") };
}

/** What its own metrics say at the end; `before` as of the first round. */
export async function ownMetrics(weft: Peer, before: BodyBytes): Promise<Omit<WeftRuntime, "threads">> {
  const metrics = await weftMetrics(weft);
  const quantile = (name: string, at: string): number | null => {
    const labels = { quantile: at };
    const value = metrics.has(name, labels) ? metrics.sum(name, labels) : Number.NaN;
    return Number.isFinite(value) ? value : null;
  };
  const after = await bodyBytes(weft);
  const forwarded = after.forwarded - before.forwarded;
  return {
    overheadP50Us: quantile("proxy_overhead_us", "0.5"),
    overheadP99Us: quantile("proxy_overhead_us", "0.99"),
    loopDelayP99Us: quantile("proxy_loop_delay_us", "0.99"),
    copiedShare: forwarded > 0 ? (after.copied - before.copied) / forwarded : null,
  };
}

function pausesOf(lines: readonly ProbeLine[]): GcPauses {
  const all = lines.flatMap((line) => line.pauses);
  const count = (kind: number): number => all.filter((one) => one[0] === kind).length;
  return {
    count: all.length,
    totalMs: all.reduce((sum, one) => sum + one[1], 0),
    maxMs: all.reduce((max, one) => Math.max(max, one[1]), 0),
    minor: count(GC_MINOR),
    major: count(GC_MAJOR),
    incremental: all.length - count(GC_MINOR) - count(GC_MAJOR),
  };
}

/** From the probe's lines: each thread between two moments. Threads that said less than twice in between have nothing to say. */
export function threadsOf(text: string, fromMs: number, toMs: number): ThreadRuntime[] {
  const byThread = new Map<string, ProbeLine[]>();
  for (const row of text.split("\n")) {
    if (row === "") continue;
    const line = JSON.parse(row) as ProbeLine;
    if (line.atMs < fromMs || line.atMs > toMs) continue;
    byThread.set(line.thread, [...(byThread.get(line.thread) ?? []), line]);
  }
  return [...byThread].flatMap(([thread, lines]) => {
    const [first, last] = [lines[0]!, lines.at(-1)!];
    const active = last.active - first.active;
    const durationMs = active + last.idle - first.idle;
    if (lines.length < 2 || durationMs <= 0) return [];
    // Pauses of the first line are from before it.
    return [{ thread, durationMs, eventLoopUtilization: active / durationMs, gc: pausesOf(lines.slice(1)) }];
  });
}

/** Runs `lap` against a Weft with the probe loaded. */
export async function probeThreads(request: StartRequest, lap: (port: number) => Promise<void>): Promise<ThreadRuntime[]> {
  const file = join(temporaryFolder(), "probe.jsonl");
  const extras = { nodeArguments: ["--import", PROBE], environment: { WEFT_BENCH_PROBE: file } };
  const weft = await startWeft(request, extras);
  try {
    const fromMs = Date.now();
    await lap(weft.port);
    const toMs = Date.now() + PROBE_SETTLE_MS;
    await pause(PROBE_SETTLE_MS);
    return existsSync(file) ? threadsOf(readFileSync(file, "utf8"), fromMs, toMs) : [];
  } finally {
    await weft.child.stop();
  }
}
