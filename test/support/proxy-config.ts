// Configurations for the proxies of the tests, as the YAML (here: JSON, which is YAML) that a user would write.

import type { LimitName } from "../../src/config/limits.ts";

export interface TestService {
  /** Each `127.0.0.1:PORT`. */
  readonly endpoints: readonly string[];
  /** Who must be at all of them. */
  readonly identity?: string;
  /** Beside them, without an identity. */
  readonly plain?: readonly string[];
  readonly dns?: readonly string[];
  readonly loadBalancer?: "ewma" | "p2c" | "round-robin";
  /** Of the port 80, which is what a name without a port means. Absent: any port, detect. */
  readonly protocol?: "detect" | "http1" | "http2" | "grpc" | "opaque";
}

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

/** An inbound listener: `ProxyProcess.listener("inbound")`, or its name. */
export interface TestInbound {
  readonly target: string;
  readonly protocol?: string;
  readonly tls?: TlsFiles | readonly TlsFiles[];
  readonly policy?: string | { readonly allow: readonly object[] };
}

export interface ProxyOptions {
  /** By name; `web` is the default service if there is one. */
  readonly services: Readonly<Record<string, TestService>>;
  readonly default?: string | null;
  readonly workers?: number;
  readonly limits?: Partial<Record<LimitName, number>>;
  /** Further listeners for one service each; `ProxyProcess.ports` tells where they are. */
  readonly listeners?: Readonly<
    Record<string, { readonly service: string; readonly protocol?: string; readonly tls?: TlsFiles | readonly TlsFiles[] }>
  >;
  /** `host`: where it listens, 127.0.0.1 unless said otherwise. */
  readonly inbound?: TestInbound & {
    readonly host?: string;
    readonly clusterNetworks?: readonly string[];
    readonly ports?: Readonly<Record<string, TestInbound>>;
  };
  /** Of the outbound listener. */
  readonly tls?: TlsFiles | readonly TlsFiles[];
  readonly protocol?: "detect" | "http1" | "http2" | "grpc" | "opaque";
  /** `spec.identity`: who the proxy is in the mesh. */
  readonly identity?: Readonly<Record<string, string>>;
  readonly unknown?: "refuse" | "forward";
  readonly allowConnect?: boolean;
  readonly allowOverride?: boolean;
  readonly forwarded?: boolean;
  readonly accessLog?: "apache" | "json";
  readonly shutdownEndpoint?: boolean;
  /** `ip:port` of a DnsServer to ask instead of the host's. */
  readonly dnsServer?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

export interface ProxyPorts {
  readonly outbound: number;
  readonly admin: number;
  readonly listeners: Readonly<Record<string, number>>;
}

/** Names of the listeners beside the outbound one, whose ports are in `ProxyPorts.listeners`. */
export function listenerNames({ listeners, inbound }: ProxyOptions): string[] {
  const names = Object.keys(listeners ?? {});
  return inbound === undefined ? names : [...names, "inbound", ...Object.keys(inbound.ports ?? {})];
}

function inboundSpec(inbound: NonNullable<ProxyOptions["inbound"]>, ports: ProxyPorts): object {
  const { host = "127.0.0.1", ports: further, ...rest } = inbound;
  return {
    ...rest,
    listen: `${host}:${ports.listeners["inbound"]}`,
    ports: Object.entries(further ?? {}).map(([name, port]) => ({ ...port, port: ports.listeners[name] })),
  };
}

export function proxyConfig(options: ProxyOptions, ports: ProxyPorts): string {
  const byDefault = options.default === undefined && "web" in options.services ? "web" : options.default;
  const proxy = {
    apiVersion: "weft.dev/v1alpha1",
    kind: "Proxy",
    metadata: { name: "test-proxy" },
    spec: {
      workers: options.workers ?? 1,
      outbound: {
        listen: `127.0.0.1:${ports.outbound}`,
        ...(options.protocol && { protocol: options.protocol }),
        ...(options.tls && { tls: options.tls }),
        ...(byDefault && { default: byDefault }),
        ...(options.unknown && { unknown: options.unknown }),
        ...(options.allowOverride && { allowOverride: true }),
        ports: Object.entries(options.listeners ?? {}).map(([name, listener]) => ({
          listen: `127.0.0.1:${ports.listeners[name]}`,
          service: listener.service,
          ...(listener.protocol && { protocol: listener.protocol }),
          ...(listener.tls && { tls: listener.tls }),
        })),
      },
      ...(options.identity && { identity: options.identity }),
      ...(options.inbound && { inbound: inboundSpec(options.inbound, ports) }),
      admin: { listen: `127.0.0.1:${ports.admin}`, ...(options.shutdownEndpoint && { shutdownEndpoint: true }) },
      ...(options.allowConnect && { allowConnect: true }),
      ...(options.forwarded && { forwarded: true }),
      ...(options.accessLog && { accessLog: options.accessLog }),
      logLevel: "info",
      limits: options.limits ?? {},
    },
  };
  const services = Object.entries(options.services).map(([name, service]) => ({
    apiVersion: "weft.dev/v1alpha1",
    kind: "Service",
    metadata: { name },
    spec: {
      ...(service.protocol && { ports: [{ port: 80, protocol: service.protocol }] }),
      ...(service.loadBalancer && { loadBalancer: service.loadBalancer }),
      endpoints: [
        ...service.endpoints.map((address) => ({ address, ...(service.identity && { identity: service.identity }) })),
        ...(service.plain ?? []).map((address) => ({ address })),
        ...(service.dns ?? []).map((dns) => ({ dns })),
      ],
    },
  }));
  return [proxy, ...services].map((document) => `${JSON.stringify(document, null, 1)}\n`).join("---\n");
}
