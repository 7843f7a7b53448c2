// The shop's back end: offers over HTTP/1.1 on port 8080, stock over HTTP/2 on port 8081. Plain Node; knows nothing of a mesh.
//
// GET /slow?ms=N answers late. At SIGTERM it takes no new connections, gives every request that it has its answer, and ends.

import { createServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";

const { VERSION = "v1", REPLICA = "web" } = process.env;
const SLOW_MS_MAX = 30_000;

let isStopping = false;

function answer(request, response) {
  const url = new URL(request.url, "http://web");
  const body = JSON.stringify({
    service: "web",
    version: VERSION,
    replica: REPLICA,
    protocol: `HTTP/${request.httpVersion}`,
    client: request.headers["l5d-client-id"] ?? null,
    offer: "a teapot, in plain text",
    path: url.pathname,
  });
  const ms = Math.min(Number(url.searchParams.get("ms") ?? 0), SLOW_MS_MAX);
  setTimeout(() => {
    // Else a connection that is always busy would never end.
    if (isStopping && request.httpVersionMajor === 1) response.setHeader("connection", "close");
    response.writeHead(200, { "content-type": "application/json" }).end(`${body}\n`);
  }, ms);
}

const http1 = createServer(answer).listen(8080);
const http2 = createHttp2Server(answer).listen(8081);
const sessions = new Set();
http2.on("session", (session) => {
  sessions.add(session);
  session.once("close", () => sessions.delete(session));
});

process.once("SIGTERM", () => {
  isStopping = true;
  http1.close();
  http2.close();
  for (const session of sessions) session.close();
});
