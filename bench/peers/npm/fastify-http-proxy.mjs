// @fastify/http-proxy on fastify, logs off, bodies passed on as streams, WebSockets on.

import httpProxy from "@fastify/http-proxy";
import fastify from "fastify";

const UPSTREAM_CONNECTIONS = 256;
const LISTEN_BACKLOG = 4096;

export async function serve(port, upstream) {
  const app = fastify({ logger: false, keepAliveTimeout: 3_600_000 });
  await app.register(httpProxy, { upstream, websocket: true, undici: { connections: UPSTREAM_CONNECTIONS, pipelining: 1 } });
  await app.listen({ port, host: "127.0.0.1", backlog: LISTEN_BACKLOG });
}
