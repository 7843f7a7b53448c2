// fast-proxy with its undici client, which its documentation recommends for speed.

import { createServer } from "node:http";
import fastProxy from "fast-proxy";

const UPSTREAM_CONNECTIONS = 256;
const LISTEN_BACKLOG = 4096;

export function serve(port, upstream) {
  const { proxy } = fastProxy({ base: upstream, undici: { connections: UPSTREAM_CONNECTIONS, pipelining: 1 } });
  const server = createServer((request, response) => proxy(request, response, request.url, {}));
  server.keepAliveTimeout = 3_600_000;
  server.listen(port, "127.0.0.1", LISTEN_BACKLOG);
}
