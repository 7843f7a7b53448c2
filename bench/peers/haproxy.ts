// HAProxy as a proxy that Weft is compared with: as many threads as asked for, connections to the server shared by all clients, no log.
//
// Two of them: `haproxy` with its default buffers of 16 KB, which is what runs elsewhere and what the bars mean, and `haproxy-64k`
// with buffers of 64 KB, which forwards 1 MB bodies for about 0.6 of the CPU (splicing changed nothing on loopback). The second
// stands beside the first wherever bodies are measured, so that nobody takes the default for the best that HAProxy can do.

import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { writeCombinedPem } from "../support/certificate.ts";
import { Child, isListening, startOnFreePorts, temporaryFolder, toolVersion, untilReady } from "../support/child.ts";
import { CONNECTIONS_MAX, type Peer, type PeerKind, protocolsOf, type StartRequest, workersOf } from "./peer.ts";

/** What follows the address of a `bind` line. */
function bindOptions(request: StartRequest, folder: string): string {
  const { downstream, tls } = protocolsOf(request);
  if (tls) return ` ssl crt ${writeCombinedPem(folder)} alpn ${downstream === "http2" ? "h2" : "http/1.1"}`;
  return downstream === "http2" ? " proto h2" : "";
}

function haproxyConfig(path: string, port: number, request: StartRequest, bufferBytes: number): string {
  const server = protocolsOf(request).upstream === "http2" ? " proto h2" : "";
  return `global
  nbthread ${workersOf(request)}
  tune.bufsize ${bufferBytes}
  maxconn ${CONNECTIONS_MAX}
defaults
  mode ${request.mode}
  no log
  timeout connect 5s
  timeout client 3600s
  timeout server 3600s
  timeout tunnel 3600s
${request.mode === "http" ? "  timeout http-keep-alive 3600s\n  http-reuse always\n" : ""}frontend clients
  bind 127.0.0.1:${port} backlog 4096${bindOptions(request, dirname(path))}
  default_backend origin
backend origin
  balance ${request.upstreams.length > 1 ? "leastconn" : "roundrobin"}
${request.upstreams.map((upstream, index) => `  server s${index} 127.0.0.1:${upstream}${server}`).join("\n")}
`;
}

const DEFAULT_BUFFER_BYTES = 16_384;
const LARGE_BUFFER_BYTES = 65_536;

function start(name: string, request: StartRequest, bufferBytes: number): Promise<Peer> {
  const path = join(temporaryFolder(), "haproxy.cfg");
  return startOnFreePorts(1, async ([port]) => {
    writeFileSync(path, haproxyConfig(path, port!, request, bufferBytes));
    const child = new Child(name, "haproxy", ["-db", "-f", path]);
    await untilReady(child, () => isListening(port!));
    return { name, port: port!, child, adminPort: null };
  });
}

export const HAPROXY: PeerKind = {
  name: "haproxy",
  abilities: ["http", "http2", "to-http2", "tls", "websocket", "tcp", "balance"],
  install: "apt-get install haproxy",
  version: () => toolVersion("haproxy", "-v"),
  start: (request) => start("haproxy", request, DEFAULT_BUFFER_BYTES),
};

export const HAPROXY_64K: PeerKind = {
  ...HAPROXY,
  name: "haproxy-64k",
  bodiesOnly: true,
  start: (request) => start("haproxy-64k", request, LARGE_BUFFER_BYTES),
};
