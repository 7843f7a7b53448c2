// What the admin port shows of a running proxy: the supervisor's side of src/admin's routes.

import type { AdminSource } from "../admin/proxy-routes.ts";
import { processFamilies } from "../admin/process-metrics.ts";
import type { ProxySnapshot } from "../config/snapshot.ts";
import type { MetricStore } from "../core/telemetry/merge.ts";
import { CONTENT_TYPE, exposition } from "../core/telemetry/prometheus.ts";
import type { IdentityStatus } from "./identity/identity-status.ts";
import type { Logger, LogSetting } from "./log.ts";
import type { WorkerSet } from "./worker-set.ts";

const LOG_SETTINGS: readonly LogSetting[] = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];

export interface AdminSourceOptions {
  readonly store: MetricStore;
  readonly workers: WorkerSet;
  readonly logger: Logger;
  readonly version: string;
  readonly snapshot: () => ProxySnapshot;
  /** Null: the proxy is in no mesh. */
  readonly identity: () => IdentityStatus | null;
  readonly isReady: () => boolean;
  readonly shutdown: () => void;
}

/** The source for `proxyRoutes`. */
export function adminSource(options: AdminSourceOptions): AdminSource {
  const { store, workers, logger, version, snapshot, identity, isReady, shutdown } = options;
  return {
    metricsContentType: CONTENT_TYPE,
    metrics: async () => exposition([...store.collect(), ...(await processFamilies({ version }))], performance.now()),
    isReady,
    stats: async () => statistics(store, identity(), await workers.status()),
    config: () => withoutSecrets(snapshot()),
    shutdown,
    get shutdownEndpoint() {
      return snapshot().shutdownEndpoint;
    },
    logLevel: () => logger.level,
    setLogLevel: (level) => {
      const setting = LOG_SETTINGS.find((known) => known === level);
      if (setting !== undefined) logger.level = setting;
      return setting !== undefined;
    },
    environment: () => process.env,
  };
}

/** What /config.json may show: no private key. */
function withoutSecrets({ certificates: _, meshIdentity: __, ...shown }: ProxySnapshot): object {
  return shown;
}

/** Percentiles are over the last half to whole minute, from the HDR histograms of all workers. Microseconds. */
function statistics(store: MetricStore, identity: object | null, workers: object): object {
  const now = performance.now();
  return {
    uptimeSeconds: Math.round(process.uptime()),
    identity,
    overheadUs: store.latencies("proxy_overhead_us", now),
    loopDelayUs: store.latencies("proxy_loop_delay_us", now),
    services: store.latencies("service_latency_us", now),
    endpoints: store.latencies("endpoint_latency_us", now),
    requests: store.values("request_total"),
    responses: store.values("response_total"),
    openConnections: store.values("tcp_open_connections"),
    workers,
  };
}
