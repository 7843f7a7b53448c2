// Puts the demo's view together: what the proxy's admin port says about itself, and what the load measured from outside.

import { HdrLatency, type HdrSnapshot, type LatencySummary, summarise } from "../../core/telemetry/hdr.ts";
import type { DemoLoad } from "./demo-load.ts";
import type { DemoView, EndpointView } from "./demo-report.ts";
import type { DemoService } from "./demo-services.ts";
import { parseMetrics, type Sample, sumOf } from "./metrics-text.ts";

/** What is used of /stats.json. */
interface Statistics {
  readonly workers: readonly {
    readonly forwarder?: {
      readonly services: readonly { readonly endpoints: readonly { readonly address: string; readonly ewmaMs: number }[] }[];
    } | null;
  }[];
}

/** The table's percentiles are of the last so many seconds. */
const WINDOW_SAMPLES = 10;
const SCRAPE_TIMEOUT_MS = 2000;

/** What was added between two readings of one histogram. */
function difference(now: HdrSnapshot, before: HdrSnapshot): HdrSnapshot {
  return { ...now, counts: now.counts.map((count, index) => count - before.counts[index]!) };
}

function summaryOf(snapshot: HdrSnapshot): LatencySummary {
  return summarise(snapshot.digits, snapshot.counts);
}

function quantile(samples: readonly Sample[], metric: string, which: string, address: string | null): number {
  for (const { name, labels, value } of samples) {
    if (name === metric && labels["quantile"] === which && (address === null || labels["target_addr"] === address)) return value;
  }
  return Number.NaN;
}

export class DemoObserver {
  readonly #adminUrl: string;
  readonly #services: readonly DemoService[];
  readonly #load: DemoLoad;
  readonly #startedAt = performance.now();
  readonly #window: HdrSnapshot[] = [];
  #lastAt = this.#startedAt;
  #lastRequests: readonly number[] = [];

  constructor(adminUrl: string, services: readonly DemoService[], load: DemoLoad) {
    this.#adminUrl = adminUrl;
    this.#services = services;
    this.#load = load;
    this.#window.push(load.latency.snapshot());
  }

  /** The state of things; rates are since the previous call. Throws when the admin port does not answer. */
  async observe(): Promise<DemoView> {
    const [samples, ewma] = await Promise.all([this.#scrape(), this.#ewma()]);
    const now = performance.now();
    const seconds = Math.max(now - this.#lastAt, 1) / 1000;
    const requests = this.#services.map(({ address }) => sumOf(samples, "request_total", { target_addr: address }));
    const endpoints = this.#services.map(({ kind, address }, index): EndpointView => {
      const perSecond = (requests[index]! - (this.#lastRequests[index] ?? 0)) / seconds;
      const latencyUs = quantile(samples, "endpoint_latency_us", "0.5", address);
      return { name: kind, address, requests: requests[index]!, perSecond, latencyUs, ewmaUs: ewma.get(address) ?? Number.NaN };
    });
    this.#lastAt = now;
    this.#lastRequests = requests;
    const latest = this.#load.latency.snapshot();
    this.#window.push(latest);
    if (this.#window.length > WINDOW_SAMPLES + 1) this.#window.shift();
    return {
      ...this.#outside(difference(latest, this.#window[0]!)),
      elapsedMs: now - this.#startedAt,
      perSecond: endpoints.reduce((sum, { perSecond }) => sum + perSecond, 0),
      overhead: {
        p50: quantile(samples, "proxy_overhead_us", "0.5", null),
        p99: quantile(samples, "proxy_overhead_us", "0.99", null),
      },
      endpoints,
    };
  }

  /** As `observe`, with the latencies of the whole run. */
  async conclude(): Promise<DemoView> {
    const view = await this.observe();
    return { ...view, ...this.#outside(HdrLatency.merge([this.#load.latency.snapshot()])) };
  }

  #outside(latencies: HdrSnapshot): Pick<DemoView, "successRate" | "latency"> {
    const { succeeded, failed } = this.#load;
    const answered = succeeded + failed;
    return { successRate: answered === 0 ? Number.NaN : succeeded / answered, latency: summaryOf(latencies) };
  }

  async #scrape(): Promise<Sample[]> {
    return parseMetrics(await (await this.#get("/metrics")).text());
  }

  /** Each worker estimates by itself; this is their mean, in microseconds. */
  async #ewma(): Promise<Map<string, number>> {
    const { workers } = (await (await this.#get("/stats.json")).json()) as Statistics;
    const sums = new Map<string, { sum: number; count: number }>();
    for (const worker of workers) {
      for (const { address, ewmaMs } of worker.forwarder?.services.flatMap((service) => service.endpoints) ?? []) {
        const entry = sums.get(address) ?? { sum: 0, count: 0 };
        sums.set(address, { sum: entry.sum + ewmaMs, count: entry.count + 1 });
      }
    }
    return new Map([...sums].map(([address, { sum, count }]) => [address, (sum / count) * 1000]));
  }

  async #get(path: string): Promise<Response> {
    const response = await fetch(`${this.#adminUrl}${path}`, { signal: AbortSignal.timeout(SCRAPE_TIMEOUT_MS) });
    if (!response.ok) throw new Error(`the admin port answered ${path} with ${response.status}`);
    return response;
  }
}
