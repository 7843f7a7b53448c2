// http-proxy with an agent that keeps its connections, as its readers are told to.

import { Agent, createServer } from "node:http";
import httpProxy from "http-proxy";

const UPSTREAM_SOCKETS_MAX = 256;
const LISTEN_BACKLOG = 4096;

export function serve(port, upstream) {
  const agent = new Agent({ keepAlive: true, maxSockets: UPSTREAM_SOCKETS_MAX, maxFreeSockets: UPSTREAM_SOCKETS_MAX });
  const proxy = httpProxy.createProxyServer({ target: upstream, agent });
  proxy.on("error", (_error, _request, response) => response.destroy());
  const server = createServer((request, response) => proxy.web(request, response));
  // A WebSocket needs a connection of its own.
  const sockets = httpProxy.createProxyServer({ target: upstream, ws: true });
  sockets.on("error", () => {});
  server.on("upgrade", (request, socket, head) => sockets.ws(request, socket, head));
  server.keepAliveTimeout = 3_600_000;
  server.listen(port, "127.0.0.1", LISTEN_BACKLOG);
}
