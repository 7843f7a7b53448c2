// Every proxy that the benchmarks know, Weft first. A new one is a file beside this one and a line here.

import { CADDY } from "./caddy.ts";
import { ENVOY } from "./envoy.ts";
import { HAPROXY, HAPROXY_64K } from "./haproxy.ts";
import { LINKERD2_PROXY } from "./linkerd2-proxy.ts";
import { NGINX } from "./nginx.ts";
import { NODE_HTTP2 } from "./node-http2.ts";
import { FAST_PROXY, FASTIFY_HTTP_PROXY, HTTP_PROXY } from "./node-proxies.ts";
import type { PeerKind } from "./peer.ts";
import { TRAEFIK } from "./traefik.ts";
import { WEFT } from "./weft.ts";

export const PEERS: readonly PeerKind[] = [
  WEFT,
  NGINX,
  HAPROXY,
  HAPROXY_64K,
  ENVOY,
  LINKERD2_PROXY,
  CADDY,
  TRAEFIK,
  HTTP_PROXY,
  FAST_PROXY,
  FASTIFY_HTTP_PROXY,
  NODE_HTTP2,
];
