// What the workers themselves say in /stats.json: pools, queues and buffers at one moment, for tests that wait for a situation.

import type { ProxyProcess } from "./proxy-process.ts";

export interface EndpointStats {
  readonly address: string;
  readonly ready: boolean;
  readonly inFlight: number;
  readonly connections: number;
  readonly idle: number;
  readonly waiting: number;
}

export interface ForwarderStats {
  readonly connections: number;
  readonly transports: number;
  /** Buffers that hold bytes which the kernel has not taken yet, or that are being filled. */
  readonly buffers: { readonly stream: number; readonly out: number };
  readonly services: readonly { readonly service: string; readonly waiting: number; readonly endpoints: readonly EndpointStats[] }[];
}

/** The only worker's forwarder; null while it does not answer. */
export async function forwarderStats(proxy: ProxyProcess): Promise<ForwarderStats | null> {
  const { workers } = (await proxy.stats()) as unknown as { workers: readonly { forwarder: ForwarderStats | null }[] };
  if (workers.length !== 1) throw new Error(`one worker, not ${workers.length}`);
  return workers[0]!.forwarder;
}

/** The only endpoint of `default/<service>`; null while its worker does not answer. */
export async function endpointStats(proxy: ProxyProcess, service = "web"): Promise<EndpointStats | null> {
  const stats = await forwarderStats(proxy);
  return stats?.services.find((one) => one.service === `default/${service}`)?.endpoints[0] ?? null;
}
