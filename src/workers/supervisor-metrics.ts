// What the main thread itself counts: refused connections, restarts, reloads, lookups, workers. Slots of its own recorder.

import type { Labels } from "../core/telemetry/labels.ts";
import type { MetricStore } from "../core/telemetry/merge.ts";
import type { MetricName } from "../core/telemetry/metric-names.ts";
import { Recorder } from "../core/telemetry/recorder.ts";
import type { RefusalReason } from "./acceptor.ts";
import type { LookupResult } from "./resolver.ts";

/** Label sets of this thread: a few dozen. */
const SERIES_MAX = 256;

const ID = "supervisor";

export class SupervisorMetrics {
  readonly #recorder: Recorder;

  constructor(store: MetricStore) {
    const memory = Recorder.memory(Recorder.slotsFor(SERIES_MAX));
    store.addWorker(ID, memory);
    this.#recorder = new Recorder(memory, (descriptor) => store.addSeries(ID, descriptor), SERIES_MAX);
    // Known from the first scrape on: a counter that appears with its first failure hides that failure from `rate()`.
    for (const reason of ["connections_max", "descriptors", "accept_error"]) this.#add("proxy_connections_refused_total", { reason }, 0);
    for (const result of ["applied", "refused"]) this.#add("proxy_config_reloads_total", { result }, 0);
  }

  refused(reason: RefusalReason): void {
    this.#add("proxy_connections_refused_total", { reason }, 1);
  }

  restarted(reason: string): void {
    this.#add("proxy_worker_restarts_total", { reason }, 1);
  }

  reloaded(result: "applied" | "refused"): void {
    this.#add("proxy_config_reloads_total", { result }, 1);
  }

  lookedUp(type: string, result: LookupResult): void {
    this.#add("control_dns_resolutions_total", { client: "endpoints", record_type: type, result }, 1);
  }

  workers(serving: number): void {
    this.#recorder.slots[this.#recorder.gauge("proxy_workers", {})] = serving;
  }

  #add(metric: MetricName, labels: Labels, count: number): void {
    this.#recorder.slots[this.#recorder.counter(metric, labels)]! += count;
  }
}
