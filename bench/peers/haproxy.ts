// HAProxy as the proxy that Weft is compared with: one thread, connections to the server shared by all clients, no log.
//
// Two of them: `haproxy` with its default buffers of 16 KB, which is what runs elsewhere and what the bars mean, and `haproxy-64k`
// with buffers of 64 KB, which forwards 1 MB bodies for about 0.6 of the CPU (splicing changed nothing on loopback). The second
// stands beside the first wherever bodies are measured, so that nobody takes the default for the best that HAProxy can do.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Child, isListening, startOnFreePorts, temporaryFolder, untilReady } from "../support/child.ts";
import { CONNECTIONS_MAX, type Peer } from "./peer.ts";

function haproxyConfig(port: number, upstreamPort: number, bufferBytes: number): string {
  return `global
  nbthread 1
  tune.bufsize ${bufferBytes}
  maxconn ${CONNECTIONS_MAX}
defaults
  mode http
  no log
  timeout connect 5s
  timeout client 3600s
  timeout server 3600s
  timeout http-keep-alive 3600s
  http-reuse always
frontend clients
  bind 127.0.0.1:${port} backlog 4096
  default_backend origin
backend origin
  server one 127.0.0.1:${upstreamPort}
`;
}

const DEFAULT_BUFFER_BYTES = 16_384;
const LARGE_BUFFER_BYTES = 65_536;

function start(name: string, upstreamPort: number, bufferBytes: number): Promise<Peer> {
  const path = join(temporaryFolder(), "haproxy.cfg");
  return startOnFreePorts(1, async ([port]) => {
    writeFileSync(path, haproxyConfig(port!, upstreamPort, bufferBytes));
    const child = new Child(name, "haproxy", ["-db", "-f", path]);
    await untilReady(child, () => isListening(port!));
    return { name, port: port!, child, adminPort: null };
  });
}

export function startHaproxy(upstreamPort: number): Promise<Peer> {
  return start("haproxy", upstreamPort, DEFAULT_BUFFER_BYTES);
}

export function startHaproxy64k(upstreamPort: number): Promise<Peer> {
  return start("haproxy-64k", upstreamPort, LARGE_BUFFER_BYTES);
}
