// The checked, frozen configuration as the rest of Weft sees it. Types only: no schema, no YAML, no defaults.
//
// `ProxySnapshot` is what the loader makes of the files. What forwarding needs travels to the workers as a
// `WorkerUpdate`: plain data, names resolved to addresses, only the services that changed.

import type { DefaultPolicy } from "../core/policy/default-policy.ts";
import type { Limits } from "./limits.ts";

export type Protocol = "detect" | "http1" | "http2" | "grpc" | "opaque";
export type LoadBalancer = "ewma" | "p2c" | "round-robin";
export type Direction = "outbound" | "inbound";
export type AccessLogFormat = "off" | "apache" | "json";

export interface HostPort {
  /** IPv4 or IPv6 literal without brackets; for `dns` a name. */
  readonly host: string;
  readonly port: number;
}

/** Where a service runs. */
export interface EndpointPlace extends HostPort {
  /** Who must be there, by mesh TLS; absent: plain connections. */
  readonly identity?: string;
}

export interface ServicePort {
  readonly port: number;
  readonly protocol: Protocol;
}

export interface ServiceSnapshot {
  /** `namespace/name`, or `inbound/<port>` and the like for targets that have no Service document. */
  readonly key: string;
  readonly name: string;
  readonly namespace: string;
  /** Empty: any port may be named, protocol `detect`. */
  readonly ports: readonly ServicePort[];
  readonly loadBalancer: LoadBalancer;
  readonly addresses: readonly EndpointPlace[];
  readonly dns: readonly EndpointPlace[];
  /** IP addresses, canonical, that mean the service to clients of transparent listeners. Absent: those of its endpoints alone. */
  readonly ownAddresses?: readonly string[];
}

export interface ListenerSnapshot {
  /** `outbound`, `inbound`, or `outbound/<host:port>` and `inbound/<port>` for the additional ones. */
  readonly id: string;
  readonly direction: Direction;
  readonly listen: HostPort;
  readonly protocol: Protocol;
  /** Every connection goes to this service, whatever it names. `null`: by name (design: outbound). */
  readonly service: string | null;
  /** Connections are TLS; the certificate is in `certificates` under this listener's id. */
  readonly tls?: ListenerTls;
  /** Connections were redirected here: the kernel knows where they were going. Then `service` is for those that were not. */
  readonly transparent?: true;
  /** Inbound only: who may come in. Absent: anyone. */
  readonly policy?: InboundPolicy;
}

/** Who may come in at an inbound listener: a policy that has a name of its own, or rules. */
export type InboundPolicy = DefaultInboundPolicy | RulePolicy;

export interface DefaultInboundPolicy {
  readonly name: DefaultPolicy;
  /** Canonical CIDR texts; for the `cluster-*` policies, else empty. */
  readonly networks: readonly string[];
}

/** Whom no rule admits, is refused. */
export interface RulePolicy {
  /** Of the listener where it is written: `inbound`, or `inbound/<port>`. */
  readonly name: string;
  /** Never empty. */
  readonly allow: readonly AllowRule[];
}

/** Admits whom both lists mean. */
export interface AllowRule {
  readonly name: string;
  /** Patterns (core/policy/identity-pattern.ts); null: nobody has to say who it is. */
  readonly identities: readonly string[] | null;
  /** Canonical CIDR texts; null: from anywhere. */
  readonly networks: readonly { readonly cidr: string; readonly except: readonly string[] }[] | null;
}

/** What may be known of a listener's certificates: everything but their keys. */
export interface ListenerTls extends TlsCertificate {
  /** Those behind the first, for clients that ask for their names. */
  readonly others?: readonly TlsCertificate[];
}

export interface TlsCertificate {
  /** Absolute paths. */
  readonly certFile: string;
  readonly keyFile: string;
  readonly subject: string;
  readonly names: string;
  /** SHA-256 of the certificate, in hexadecimal with colons. */
  readonly fingerprint: string;
  /** ISO 8601. */
  readonly notAfter: string;
}

/** A listener's certificate with its chain and its key, as PEM. Secret: it goes to the workers and nowhere else. */
export interface CertificateSnapshot extends NamedCertificate {
  readonly listener: string;
  /** Those behind the first, for clients that ask for their names. */
  readonly others: readonly NamedCertificate[];
}

export interface NamedCertificate {
  /** DNS names, lower case, `*.` in front of some. */
  readonly names: readonly string[];
  readonly cert: string;
  readonly key: string;
}

/** Where the proxy's own identity comes from. */
export type IdentitySource =
  | {
      readonly kind: "files";
      /** Absolute paths. */
      readonly certFile: string;
      readonly keyFile: string;
      readonly trustFile: string;
    }
  | {
      readonly kind: "controller";
      readonly controller: HostPort;
      /** File with the join token; null: WEFT_IDENTITY_TOKEN has it. */
      readonly tokenFile: string | null;
      /** Folder in which key and certificate survive a restart; null: in memory only. */
      readonly keep: string | null;
      /** Set for a service account's token: the file with the roots that it may be sent to, and the mesh that it is for. */
      readonly tokenTrust?: { readonly file: string; readonly mesh: { readonly controlNamespace: string; readonly trustDomain: string } };
    };

/** Who this proxy is to other proxies, and whom it believes; all PEM. Secret: it goes to the workers and nowhere else. */
export interface MeshIdentity {
  /** DNS-like name; the SNI by which peers ask for it. */
  readonly name: string;
  /** The certificate, then those of its chain, without the root. */
  readonly cert: string;
  readonly key: string;
  /** The trust roots, one or more. */
  readonly trust: string;
}

export interface OutboundRules {
  /** Service key for requests that name none. */
  readonly default: string | null;
  /** What happens to a name that no service has. */
  readonly unknown: "refuse" | "forward";
  /** `l5d-dst-override` from a client counts. */
  readonly allowOverride: boolean;
}

export interface ProxySnapshot {
  readonly name: string;
  readonly namespace: string;
  readonly workers: number | "auto";
  readonly listeners: readonly ListenerSnapshot[];
  /** Ports of which the transparent inbound listener's connections are served by other rules than its own: nothing listens there. Absent: none. */
  readonly redirectedPorts?: readonly ListenerSnapshot[];
  readonly outbound: OutboundRules;
  readonly admin: HostPort | null;
  /** `POST /shutdown` of a loopback client drains the proxy; otherwise it is 404. */
  readonly shutdownEndpoint: boolean;
  /** Add X-Forwarded-For and Via. */
  readonly forwarded: boolean;
  /** CONNECT is accepted for configured services. */
  readonly allowConnect: boolean;
  readonly accessLog: AccessLogFormat;
  readonly logLevel: "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";
  readonly limits: Limits;
  readonly services: readonly ServiceSnapshot[];
  /** For the listeners with `tls`. Absent: none has. */
  readonly certificates?: readonly CertificateSnapshot[];
  /** Absent: the proxy is in no mesh. */
  readonly identity?: IdentitySource;
  /** What the files of `identity` hold. A controller's certificates never stand here. */
  readonly meshIdentity?: MeshIdentity;
}

/** One service as a worker sees it. */
export interface WorkerService {
  readonly key: string;
  readonly name: string;
  readonly namespace: string;
  /** Lower-case host names (without port) that name this service: `web`, `web.shop`, `web.shop.svc.cluster.local`. */
  readonly hosts: readonly string[];
  readonly ports: readonly ServicePort[];
  readonly loadBalancer: LoadBalancer;
  /** `ip:port` or `[ip6]:port`, resolved, without duplicates. */
  readonly endpoints: readonly string[];
  /** Who must be at an endpoint, by its address; absent: no endpoint has an identity. */
  readonly identities?: Readonly<Record<string, string>>;
  /** As a ServiceSnapshot's. */
  readonly ownAddresses?: readonly string[];
}

/** Everything about the proxy that is not a service. */
export interface WorkerProxy {
  readonly listeners: readonly ListenerSnapshot[];
  readonly redirectedPorts?: readonly ListenerSnapshot[];
  readonly outbound: OutboundRules;
  /** Never an endpoint: through the proxy anybody would look like a loopback client to it. */
  readonly admin: HostPort | null;
  readonly forwarded: boolean;
  readonly allowConnect: boolean;
  readonly accessLog: AccessLogFormat;
  readonly limits: Limits;
  readonly certificates?: readonly CertificateSnapshot[];
}

/** What changed since the previous version. The first update carries everything. */
export interface WorkerUpdate {
  readonly version: number;
  readonly proxy: WorkerProxy | null;
  readonly services: readonly WorkerService[];
  readonly removed: readonly string[];
  /** Keys of TLS session tickets, the same in all workers. Absent: as they were. */
  readonly ticketKeys?: Uint8Array;
  /** Who this proxy is from now on. Absent: as it was. */
  readonly identity?: MeshIdentity;
}
