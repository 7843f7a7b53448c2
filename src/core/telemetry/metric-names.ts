// The one table of metrics: name, type, labels, meaning. docs/metrics.md is checked against it by a test.
//
// Names and labels are Linkerd's where Linkerd has the metric, so that its dashboards and queries work. A metric that
// is not in this table cannot be recorded (`MetricName` is a type). `summary` rows are HDR histograms: they are exposed
// as quantiles over the last 30 to 60 s, with `_sum` and `_count` since the start.

/** How Prometheus sees a metric. */
type MetricType = "counter" | "gauge" | "histogram" | "summary";

export interface MetricRow {
  readonly type: MetricType;
  /** Label names in documentation order; `endpoint` and `transport` stand for the sets explained in docs/metrics.md. */
  readonly labels: readonly string[];
  /** One sentence: the HELP text. */
  readonly help: string;
}

/** Labels of an endpoint (linkerd.md: outbound label set), as EndpointMetrics gets them. */
const ENDPOINT = [
  "direction",
  "dst_service",
  "dst_namespace",
  "target_addr",
  "target_ip",
  "target_port",
  "tls",
  "no_tls_reason",
  "client_id",
  "server_id",
] as const;

/** Labels of a gRPC method of a service. */
const METHOD = ["direction", "dst_service", "dst_namespace", "rpc_service", "rpc_method"] as const;

/** Labels of a transport; `peer` is `src` towards the client and `dst` towards the service. */
const TRANSPORT = [
  "direction",
  "peer",
  "target_addr",
  "target_ip",
  "target_port",
  "tls",
  "no_tls_reason",
  "client_id",
  "sni",
  "server_id",
] as const;

/** Labels of policies (linkerd.md 2.4): the listener and its policy, the route, the rule that admitted, the client. */
const AUTHZ_TARGET = ["target_addr", "target_ip", "target_port", "srv_group", "srv_kind", "srv_name", "srv_port"] as const;
const AUTHZ_ROUTE = ["route_group", "route_kind", "route_name"] as const;
const AUTHZ_RULE = ["authz_group", "authz_kind", "authz_name"] as const;
const AUTHZ_CLIENT = ["tls", "no_tls_reason", "client_id"] as const;
/** Of opaque connections, which may be an application's own TLS. */
const AUTHZ_TCP_CLIENT = [...AUTHZ_CLIENT, "sni"] as const;

export const METRICS = {
  request_total: { type: "counter", labels: ENDPOINT, help: "Requests sent to an endpoint." },
  response_total: {
    type: "counter",
    labels: [...ENDPOINT, "status_code", "classification", "grpc_status", "error"],
    help: "Responses that ended, by status; a failure is a status of 500 or more, or an exchange that broke.",
  },
  response_latency_ms: {
    type: "histogram",
    labels: [...ENDPOINT, "status_code"],
    help: "Milliseconds from the request's head to the first byte of the response's body, or its end.",
  },
  service_latency_us: {
    type: "summary",
    labels: ["direction", "dst_service", "dst_namespace"],
    help: "Microseconds to the first body byte, per service, in an HDR histogram of 2 digits.",
  },
  endpoint_latency_us: {
    type: "summary",
    labels: ["direction", "dst_service", "dst_namespace", "target_addr"],
    help: "Microseconds to the first body byte, per endpoint, in an HDR histogram of 2 digits.",
  },

  grpc_request_total: { type: "counter", labels: METHOD, help: "gRPC calls by method." },
  grpc_response_total: {
    type: "counter",
    labels: [...METHOD, "grpc_status", "classification", "error"],
    help: "gRPC calls that ended, by method and status; failures are the statuses 2, 4, 7, 13, 14 and 15, and calls that broke.",
  },
  grpc_response_latency_ms: {
    type: "histogram",
    labels: METHOD,
    help: "Milliseconds from the call's head to the first byte of its first response message, or its end.",
  },

  tcp_open_total: { type: "counter", labels: TRANSPORT, help: "Connections accepted from clients or opened to endpoints." },
  tcp_open_connections: { type: "gauge", labels: TRANSPORT, help: "Connections that are open now." },
  tcp_read_bytes_total: { type: "counter", labels: TRANSPORT, help: "Bytes read from the peer." },
  tcp_write_bytes_total: { type: "counter", labels: TRANSPORT, help: "Bytes written to the peer." },
  tcp_close_total: {
    type: "counter",
    labels: [...TRANSPORT, "errno"],
    help: "Connections that closed; errno is empty for a clean end, worker_lost when a worker died with it.",
  },

  inbound_http_authz_allow_total: {
    type: "counter",
    labels: [...AUTHZ_TARGET, ...AUTHZ_ROUTE, ...AUTHZ_RULE, ...AUTHZ_CLIENT],
    help: "Inbound requests that a policy admitted, by the rule that did.",
  },
  inbound_http_authz_deny_total: {
    type: "counter",
    labels: [...AUTHZ_TARGET, ...AUTHZ_ROUTE, ...AUTHZ_CLIENT],
    help: "Inbound requests that the policy refused.",
  },
  inbound_tcp_authz_allow_total: {
    type: "counter",
    labels: [...AUTHZ_TARGET, ...AUTHZ_RULE, ...AUTHZ_TCP_CLIENT],
    help: "Inbound opaque connections that a policy admitted, by the rule that did.",
  },
  inbound_tcp_authz_deny_total: {
    type: "counter",
    labels: [...AUTHZ_TARGET, ...AUTHZ_TCP_CLIENT],
    help: "Inbound opaque connections that the policy refused.",
  },
  inbound_tcp_authz_terminate_total: {
    type: "counter",
    labels: [...AUTHZ_TARGET, ...AUTHZ_TCP_CLIENT],
    help: "Established inbound connections and tunnels that were cut because the policy changed.",
  },

  outbound_http_errors_total: {
    type: "counter",
    labels: ["error"],
    help: "Outbound requests that Weft answered with an error of its own.",
  },
  outbound_http_peer_errors_total: {
    type: "counter",
    labels: ["dst_service", "dst_namespace", "error"],
    help: "Outbound requests that another proxy of the mesh answered in its application's place, by its reason.",
  },
  inbound_http_errors_total: { type: "counter", labels: ["error"], help: "Inbound requests that Weft answered with an error of its own." },
  outbound_tcp_errors_total: {
    type: "counter",
    labels: ["error"],
    help: "Outbound opaque connections that Weft ended because of an error.",
  },
  inbound_tcp_errors_total: { type: "counter", labels: ["error"], help: "Inbound opaque connections that Weft ended because of an error." },
  outbound_tcp_detect_http_results_total: { type: "counter", labels: ["result"], help: "What outbound protocol detection found." },
  inbound_tcp_detect_http_results_total: { type: "counter", labels: ["result"], help: "What inbound protocol detection found." },
  inbound_tcp_transport_header_connections_total: {
    type: "counter",
    labels: ["session_protocol", "target_port", "target_name", "client_id"],
    help: "Connections with a transport header, as Linkerd's proxies open them, that were for a port of this proxy's.",
  },
  tls_handshakes_total: {
    type: "counter",
    labels: ["direction", "result"],
    help: "Connections at listeners with a certificate: full, resumed, failed, timeout, not_tls or too_many.",
  },
  mesh_tls_handshakes_total: {
    type: "counter",
    labels: ["direction", "result", "error"],
    help: "Handshakes of mesh TLS, inbound as their server and outbound as their client: full, failed, timeout, refused or too_many.",
  },
  control_dns_resolutions_total: { type: "counter", labels: ["client", "record_type", "result"], help: "Lookups of endpoint names." },

  control_identity_cert_expiration_timestamp_seconds: {
    type: "gauge",
    labels: [],
    help: "Unix time at which the proxy's certificate ends.",
  },
  control_identity_cert_refresh_timestamp_seconds: { type: "gauge", labels: [], help: "Unix time at which the proxy got it." },
  control_identity_cert_refreshes_total: {
    type: "counter",
    labels: ["result"],
    help: "Certificates that were got (ok), and attempts that failed (error).",
  },
  proxy_identity_failures_total: {
    type: "counter",
    labels: ["reason"],
    help: "Why there was no new certificate: token, unreachable, untrusted, unavailable, refused, answer, internal; keep: it could not be kept.",
  },
  proxy_identity_trust_version: { type: "gauge", labels: [], help: "Version of the trust bundle in use." },
  proxy_clock_jumps_total: {
    type: "counter",
    labels: [],
    help: "Jumps of this host's clock by 10 s or more; looked for by proxies that get certificates.",
  },

  proxy_overhead_us: {
    type: "summary",
    labels: [],
    help: "Microseconds per request inside Weft that were not spent waiting for the upstream or the client, loop delay included.",
  },
  proxy_loop_delay_us: { type: "summary", labels: [], help: "Microseconds by which a worker came late to its events." },
  proxy_body_bytes_total: { type: "counter", labels: [], help: "Body bytes forwarded." },
  proxy_body_bytes_copied_total: { type: "counter", labels: [], help: "Body bytes that were copied in user space on their way." },
  proxy_reused_connection_retries_total: {
    type: "counter",
    labels: [],
    help: "Requests sent again on a fresh connection because a pooled one was closed under them, or a new one reset.",
  },
  proxy_series_overflow_total: { type: "counter", labels: [], help: "Label sets over seriesMax that were counted under `other`." },
  proxy_callback_errors_total: {
    type: "counter",
    labels: [],
    help: "Exceptions that the guards around callbacks caught; each cost one connection.",
  },
  proxy_connections_refused_total: { type: "counter", labels: ["reason"], help: "Connections closed right after the accept." },
  proxy_workers: { type: "gauge", labels: [], help: "Worker threads that serve." },
  proxy_worker_restarts_total: { type: "counter", labels: ["reason"], help: "Workers that died or hung and were replaced." },
  proxy_config_reloads_total: {
    type: "counter",
    labels: ["result"],
    help: "Reloads of the configuration; a refused one keeps the running configuration.",
  },
  proxy_config_last_reload_ok: {
    type: "gauge",
    labels: [],
    help: "1, or 0 while the last reload of the configuration is a refused one.",
  },
  proxy_build_info: { type: "gauge", labels: ["version", "node", "arch"], help: "Always 1; the labels say what runs." },

  identity_certificates_issued_total: {
    type: "counter",
    labels: ["by"],
    help: "Certificates that the identity component issued, by what proved the workload.",
  },
  identity_requests_refused_total: {
    type: "counter",
    labels: ["code"],
    help: "Requests that the identity component refused, by error code.",
  },
  identity_renewal_failures_total: {
    type: "counter",
    labels: [],
    help: "Failed attempts of the component to renew its own certificate or to write down the bundle.",
  },
  identity_bundle_version: { type: "gauge", labels: [], help: "Version of the trust bundle." },
  identity_bundle_roots: { type: "gauge", labels: [], help: "Roots in the trust bundle." },
  identity_root_expiration_timestamp_seconds: { type: "gauge", labels: [], help: "Unix time at which the root that signs expires." },
  identity_issuer_expiration_timestamp_seconds: { type: "gauge", labels: [], help: "Unix time at which the issuer expires." },
  identity_own_expiration_timestamp_seconds: {
    type: "gauge",
    labels: [],
    help: "Unix time at which the component's own certificate expires.",
  },
  identity_connections: { type: "gauge", labels: [], help: "Connections of proxies." },
  identity_watches: { type: "gauge", labels: [], help: "Streams that wait for the next trust bundle." },
  identity_used_tokens: { type: "gauge", labels: [], help: "Printed tokens that were used and have not expired." },

  process_start_time_seconds: { type: "gauge", labels: [], help: "Unix time at which the process started." },
  process_clock_time_seconds: { type: "gauge", labels: [], help: "Unix time of this scrape." },
  process_uptime_seconds_total: { type: "counter", labels: [], help: "Seconds since the process started." },
  process_cpu_seconds_total: { type: "counter", labels: [], help: "User and system CPU seconds of the process, all threads." },
  process_virtual_memory_bytes: { type: "gauge", labels: [], help: "Virtual memory size." },
  process_resident_memory_bytes: { type: "gauge", labels: [], help: "Resident set size." },
  process_resident_anonymous_bytes: { type: "gauge", labels: [], help: "Resident memory that is private to the process (RssAnon)." },
  process_open_fds: { type: "gauge", labels: [], help: "Open file descriptors." },
  process_max_fds: { type: "gauge", labels: [], help: "Soft limit of open file descriptors." },
  process_threads: { type: "gauge", labels: [], help: "Threads of the process." },
} as const satisfies Record<string, MetricRow>;

export type MetricName = keyof typeof METRICS;

/** The row of a metric, with the widened type that generic code wants. */
export function metricRow(name: MetricName): MetricRow {
  return METRICS[name];
}
