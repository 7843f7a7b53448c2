// What the main thread itself counts: refused connections, restarts, reloads, lookups, workers, the
// proxy's certificate. Slots of its own recorder.

import type { Labels } from "../core/telemetry/labels.ts";
import type { MetricStore } from "../core/telemetry/merge.ts";
import type { MetricName } from "../core/telemetry/metric-names.ts";
import { Recorder } from "../core/telemetry/recorder.ts";
import type { RefusalReason } from "./acceptor.ts";
import { FAILURE_REASONS, type FailureReason } from "./identity/identity-failure.ts";
import type { ProxyIdentityMetrics } from "./identity/proxy-identity.ts";
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
    this.#set("proxy_config_last_reload_ok", 1);
  }

  refused(reason: RefusalReason): void {
    this.#add("proxy_connections_refused_total", { reason }, 1);
  }

  restarted(reason: string): void {
    this.#add("proxy_worker_restarts_total", { reason }, 1);
  }

  reloaded(result: "applied" | "refused"): void {
    this.#add("proxy_config_reloads_total", { result }, 1);
    this.#set("proxy_config_last_reload_ok", result === "applied" ? 1 : 0);
  }

  lookedUp(type: string, result: LookupResult): void {
    this.#add("control_dns_resolutions_total", { client: "endpoints", record_type: type, result }, 1);
  }

  workers(serving: number): void {
    this.#set("proxy_workers", serving);
  }

  /** Of a proxy that gets its certificates from an identity component; others have no such metric. */
  identity(): ProxyIdentityMetrics {
    const refreshes = (result: "ok" | "error", count: number) => this.#add("control_identity_cert_refreshes_total", { result }, count);
    const failures = (reason: FailureReason, count: number) => this.#add("proxy_identity_failures_total", { reason }, count);
    refreshes("ok", 0);
    refreshes("error", 0);
    for (const reason of FAILURE_REASONS) failures(reason, 0);
    this.#add("proxy_clock_jumps_total", {}, 0);
    return {
      expires: (atS) => this.#set("control_identity_cert_expiration_timestamp_seconds", atS),
      refreshed: (atS) => {
        this.#set("control_identity_cert_refresh_timestamp_seconds", atS);
        refreshes("ok", 1);
      },
      failed: (reason) => {
        failures(reason, 1);
        if (reason !== "keep") refreshes("error", 1);
      },
      trusts: (version) => this.#set("proxy_identity_trust_version", version),
      clockJumped: () => this.#add("proxy_clock_jumps_total", {}, 1),
    };
  }

  #set(metric: MetricName, value: number): void {
    this.#recorder.slots[this.#recorder.gauge(metric, {})] = value;
  }

  #add(metric: MetricName, labels: Labels, count: number): void {
    this.#recorder.slots[this.#recorder.counter(metric, labels)]! += count;
  }
}
