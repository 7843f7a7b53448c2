// What the demo shows, as text: the live table, the plain line and the summary. Pure: numbers in, lines out.

import type { LatencySummary } from "../../core/telemetry/hdr.ts";

/** Microseconds; NaN where the proxy has not seen a request yet. */
export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
}

export interface EndpointView {
  readonly name: string;
  readonly address: string;
  /** Requests since the start. */
  readonly requests: number;
  readonly perSecond: number;
  /** Median time to its answer, microseconds, NaN if unknown. */
  readonly latencyUs: number;
  /** What the balancer expects of it now, microseconds, mean of the workers, NaN if unknown. */
  readonly ewmaUs: number;
}

export interface DemoView {
  readonly elapsedMs: number;
  /** Through the proxy, whoever sent them: `ab` beside the demo counts too. */
  readonly perSecond: number;
  /** Of the demo's own requests, 0 to 1; NaN before the first answer. */
  readonly successRate: number;
  /** As the demo's client saw it, last seconds (table) or all (summary). */
  readonly latency: LatencySummary;
  readonly overhead: Quantiles;
  readonly endpoints: readonly EndpointView[];
}

export interface LoadTotals {
  readonly sent: number;
  readonly failed: number;
  readonly lastFailure: string;
}

export interface DemoPlace {
  readonly proxyUrl: string;
  readonly adminUrl: string;
  readonly configPath: string;
}

/** Microseconds as milliseconds with two digits behind the point. */
export function milliseconds(us: number): string {
  return Number.isNaN(us) ? "-" : `${(us / 1000).toFixed(2)} ms`;
}

function percent(share: number, digits: number): string {
  return Number.isNaN(share) ? "-" : `${(share * 100).toFixed(digits)} %`;
}

function shareOf(endpoint: EndpointView, view: DemoView): number {
  const all = view.endpoints.reduce((sum, { requests }) => sum + requests, 0);
  return all === 0 ? Number.NaN : endpoint.requests / all;
}

/** What stands above the table, or is printed once. */
export function introLines(place: DemoPlace): string[] {
  return [
    `Weft: three services (fast, uneven, slow) behind one proxy at ${place.proxyUrl}, admin port ${place.adminUrl}`,
    "Try, in another terminal:",
    `  curl -i ${place.proxyUrl}/`,
    `  ab -k -n 10000 -c 100 ${place.proxyUrl}/`,
    `  curl ${place.adminUrl}/stats.json`,
    `  edit ${place.configPath}   (taken over while requests flow)`,
  ];
}

/** The live table. */
export function tableLines(view: DemoView): string[] {
  const { latency, overhead } = view;
  const lines = [
    `  ${(view.elapsedMs / 1000).toFixed(0)} s   ${view.perSecond.toFixed(0)} requests/s   success ${percent(view.successRate, 2)}`,
    `  latency          P50 ${milliseconds(latency.p50)}   P95 ${milliseconds(latency.p95)}   P99 ${milliseconds(latency.p99)}`,
    `  proxy overhead   P50 ${milliseconds(overhead.p50)}   P99 ${milliseconds(overhead.p99)}`,
    "",
    `  ${"endpoint".padEnd(10)}${"address".padEnd(18)}${"requests".padStart(10)}${"per s".padStart(8)}${"share".padStart(9)}${"median".padStart(12)}${"EWMA".padStart(12)}`,
  ];
  for (const endpoint of view.endpoints) {
    const { name, address, requests, perSecond, latencyUs, ewmaUs } = endpoint;
    const share = shareOf(endpoint, view);
    const bar = "#".repeat(Number.isNaN(share) ? 0 : Math.round(share * 30));
    const numbers = `${String(requests).padStart(10)}${perSecond.toFixed(0).padStart(8)}${percent(share, 1).padStart(9)}`;
    lines.push(
      `  ${name.padEnd(10)}${address.padEnd(18)}${numbers}${milliseconds(latencyUs).padStart(12)}${milliseconds(ewmaUs).padStart(12)}  ${bar}`,
    );
  }
  return lines;
}

/** One line for a log. */
export function plainLine(view: DemoView): string {
  const { latency, overhead } = view;
  const shares = view.endpoints.map((endpoint) => `${endpoint.name} ${percent(shareOf(endpoint, view), 1)}`).join(", ");
  return [
    `${(view.elapsedMs / 1000).toFixed(0)} s`,
    `${view.perSecond.toFixed(0)} requests/s`,
    `success ${percent(view.successRate, 2)}`,
    `P50 ${milliseconds(latency.p50)} P95 ${milliseconds(latency.p95)} P99 ${milliseconds(latency.p99)}`,
    `overhead P50 ${milliseconds(overhead.p50)} P99 ${milliseconds(overhead.p99)}`,
    shares,
  ].join("  ");
}

/** What is left at the end. */
export function summaryLines(view: DemoView, load: LoadTotals): string[] {
  const { latency, overhead } = view;
  return [
    `Summary: ${load.sent} requests in ${(view.elapsedMs / 1000).toFixed(1)} s, ${load.failed} failed, success ${percent(view.successRate, 2)}`,
    ...(load.failed > 0 ? [`  latest failure   ${load.lastFailure}`] : []),
    `  latency          P50 ${milliseconds(latency.p50)}   P95 ${milliseconds(latency.p95)}   P99 ${milliseconds(latency.p99)}   max ${milliseconds(latency.max)}`,
    `  proxy overhead   P50 ${milliseconds(overhead.p50)}   P99 ${milliseconds(overhead.p99)}`,
    ...view.endpoints.map(
      (endpoint) => `  ${endpoint.name.padEnd(8)} ${endpoint.requests} requests, ${percent(shareOf(endpoint, view), 1)}`,
    ),
  ];
}
