// nginx, as the origin of the benchmarks and as the proxy that Weft is compared with.
//
// The proxy is configured as somebody would who wants it fast: one worker, connections to the upstream kept, no access log, bodies
// streamed instead of spooled to disk, buffers that fit them. Its temporary folders are its own.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Child, isListening, startOnFreePorts, temporaryFolder, untilReady } from "../support/child.ts";
import { CONNECTIONS_MAX, type Peer, SMALL_BODY_BYTES } from "./peer.ts";

/** Idle upstream connections that it keeps: more than any scenario has clients. */
const UPSTREAM_KEEPALIVE = 256;

function config(folder: string, http: string): string {
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `  ${name}_temp_path ${folder}/${name};`);
  return `daemon off;
worker_processes 1;
worker_rlimit_nofile ${2 * CONNECTIONS_MAX};
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections ${CONNECTIONS_MAX}; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
${paths.join("\n")}
${http}}
`;
}

/** Serves files of fixed sizes; nothing else. */
function originConfig(folder: string, port: number): string {
  return config(
    folder,
    `  default_type application/octet-stream;
  open_file_cache max=16;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    root ${folder}/www;
    index index.html;
  }
`,
  );
}

function proxyConfig(folder: string, port: number, upstreamPort: number): string {
  return config(
    folder,
    `  upstream origin {
    server 127.0.0.1:${upstreamPort};
    keepalive ${UPSTREAM_KEEPALIVE};
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    client_max_body_size 0;
    client_body_buffer_size 64k;
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_request_buffering off;
      proxy_buffers 16 64k;
      proxy_busy_buffers_size 128k;
      proxy_max_temp_file_size 0;
    }
  }
`,
  );
}

async function start(name: string, port: number, text: string, folder: string): Promise<Peer> {
  const path = join(folder, "nginx.conf");
  writeFileSync(path, text);
  const child = new Child(name, "nginx", ["-e", "stderr", "-c", path]);
  await untilReady(child, () => isListening(port));
  return { name, port, child, adminPort: null };
}

export function startNginxOrigin(): Promise<Peer> {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "www"));
  for (const [file, size] of [
    ["index.html", SMALL_BODY_BYTES],
    ["64k", 64 * 1024],
    ["1m", 1024 * 1024],
  ] as const) {
    writeFileSync(join(folder, "www", file), Buffer.alloc(size, "x"));
  }
  return startOnFreePorts(1, ([port]) => start("nginx origin", port!, originConfig(folder, port!), folder));
}

export function startNginxProxy(upstreamPort: number): Promise<Peer> {
  const folder = temporaryFolder();
  return startOnFreePorts(1, ([port]) => start("nginx", port!, proxyConfig(folder, port!, upstreamPort), folder));
}
