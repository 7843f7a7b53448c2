// node:http2 towards clients, node:http2 or node:http towards the upstream; nothing but what forwarding needs. Node alone, no package.

import { readFileSync } from "node:fs";
import { Agent, request as requestHttp1 } from "node:http";
import { connect, createSecureServer, createServer } from "node:http2";

const UPSTREAM_SOCKETS_MAX = 256;
const LISTEN_BACKLOG = 4096;
/** More than any round has at once: what clients ask for goes on at once. */
const STREAMS_MAX = 1_000;

/** Fields of one connection, which HTTP/2 does not have. */
const HOP_BY_HOP = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

function withoutHopByHop(headers) {
  const kept = { ...headers };
  for (const name of HOP_BY_HOP) delete kept[name];
  return kept;
}

/** One session for all, opened again when it has ended. */
function http2Upstream(upstream) {
  let session = null;
  const open = () => {
    session = connect(upstream, { peerMaxConcurrentStreams: STREAMS_MAX });
    session.on("error", () => {});
    session.once("close", () => {
      session = null;
    });
    return session;
  };
  return (stream, headers, endStream) => {
    const asked = (session ?? open()).request(headers, { endStream });
    asked.on("error", () => stream.close());
    asked.once("response", (fields) => {
      if (stream.destroyed) return;
      stream.respond(fields);
      asked.pipe(stream);
    });
    stream.once("aborted", () => asked.close());
    if (!endStream) stream.pipe(asked);
  };
}

function http1Upstream(upstream) {
  const agent = new Agent({ keepAlive: true, maxSockets: UPSTREAM_SOCKETS_MAX, maxFreeSockets: UPSTREAM_SOCKETS_MAX });
  return (stream, headers, endStream) => {
    const fields = Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith(":")));
    const options = { agent, method: headers[":method"], path: headers[":path"], headers: { host: headers[":authority"], ...fields } };
    const asked = requestHttp1(upstream, options, (answer) => {
      if (stream.destroyed) return;
      stream.respond({ ":status": answer.statusCode, ...withoutHopByHop(answer.headers) });
      answer.pipe(stream);
    });
    asked.on("error", () => stream.close());
    stream.once("aborted", () => asked.destroy());
    if (endStream) asked.end();
    else stream.pipe(asked);
  };
}

export function serve(port, upstream, { upstream: version, tls, cert, key }) {
  const forward = version === "http2" ? http2Upstream(upstream) : http1Upstream(upstream);
  const options = { settings: { maxConcurrentStreams: STREAMS_MAX } };
  const server = tls ? createSecureServer({ ...options, cert: readFileSync(cert), key: readFileSync(key) }) : createServer(options);
  server.on("sessionError", () => {});
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    forward(stream, headers, stream.readableEnded || stream.endAfterHeaders);
  });
  server.listen(port, "127.0.0.1", LISTEN_BACKLOG);
}
