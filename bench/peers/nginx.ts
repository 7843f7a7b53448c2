// nginx, as the origin of the benchmarks and as a proxy that Weft is compared with.
//
// The proxy is configured as somebody would who wants it fast: as many workers as asked for, connections to the upstream kept, no
// access log, bodies streamed instead of spooled to disk, buffers that fit them. Its temporary folders are its own. The origin counts
// its connections at a port of its own, so that reuse can be told of any proxy.

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CERTIFICATE } from "../support/certificate.ts";
import { Child, isListening, startOnFreePorts, temporaryFolder, toolVersion, untilReady } from "../support/child.ts";
import {
  type Ability,
  CONNECTIONS_MAX,
  type Peer,
  type PeerKind,
  PLAIN_HTTP1,
  type Protocols,
  protocolsOf,
  SMALL_BODY_BYTES,
  type StartRequest,
  workersOf,
} from "./peer.ts";

/** Idle upstream connections that it keeps: more than any scenario has clients. */
const UPSTREAM_KEEPALIVE = 256;
/** Debian keeps TCP forwarding in a package of its own. */
const STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so";

function frame(folder: string, workers: number, text: string, modules = ""): string {
  return `daemon off;
${modules}worker_processes ${workers};
worker_rlimit_nofile ${2 * CONNECTIONS_MAX};
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections ${CONNECTIONS_MAX}; }
${text}`;
}

function httpBlock(folder: string, text: string): string {
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `  ${name}_temp_path ${folder}/${name};`);
  return `http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
${paths.join("\n")}
${text}}
`;
}

/** Before 1.23.4 it would leave out TLS 1.3, which everybody else here speaks. */
const TLS_VERSIONS = "\n    ssl_protocols TLSv1.2 TLSv1.3;";

/** Of a `listen` line, and what else the server block needs for it. */
function listenLines(port: number, isHttp2: boolean, isTls: boolean): string {
  const certificate = isTls ? `\n    ssl_certificate ${CERTIFICATE.cert};\n    ssl_certificate_key ${CERTIFICATE.key};${TLS_VERSIONS}` : "";
  return `    listen 127.0.0.1:${port}${isTls ? " ssl" : ""}${isHttp2 ? " http2" : ""} backlog=4096;${certificate}`;
}

/** Serves files of fixed sizes; nothing else. */
function originConfig(folder: string, ports: OriginPorts, protocols: Protocols): string {
  const { port, clientPort, statusPort } = ports;
  const servers = [listenLines(port, protocols.upstream === "http2", false)];
  if (clientPort !== port) servers.push(listenLines(clientPort, protocols.downstream === "http2", protocols.tls));
  const files = servers.map((lines) => `  server {\n${lines}\n    root ${folder}/www;\n    index index.html;\n  }`);
  const text = `  default_type application/octet-stream;
  open_file_cache max=16;
${files.join("\n")}
  server {
    listen 127.0.0.1:${statusPort};
    location / { stub_status; }
  }
`;
  return frame(folder, 1, httpBlock(folder, text));
}

function servers(request: StartRequest): string {
  const balance = request.upstreams.length > 1 ? "    least_conn;\n" : "";
  return balance + request.upstreams.map((port) => `    server 127.0.0.1:${port};`).join("\n");
}

/** gRPC is HTTP/2, and what passes calls on passes on any request. */
const PASS_HTTP2 = `      grpc_pass grpc://origin;
      grpc_set_header Host $http_host;
      grpc_read_timeout 3600s;
      grpc_buffer_size 64k;`;

const PASS_HTTP1 = `      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Host $http_host;
      proxy_read_timeout 3600s;
      proxy_request_buffering off;
      proxy_buffers 16 64k;
      proxy_busy_buffers_size 128k;
      proxy_max_temp_file_size 0;`;

function proxyConfig(folder: string, port: number, request: StartRequest): string {
  const { downstream, upstream, tls } = protocolsOf(request);
  const text = `  map $http_upgrade $connection_upgrade { default upgrade; "" ""; }
  upstream origin {
${servers(request)}
    keepalive ${UPSTREAM_KEEPALIVE};
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
  }
  server {
${listenLines(port, downstream === "http2", tls)}
    client_max_body_size 0;
    client_body_buffer_size 64k;
    location / {
${upstream === "http2" ? PASS_HTTP2 : PASS_HTTP1}
    }
  }
`;
  return frame(folder, workersOf(request), httpBlock(folder, text));
}

function streamConfig(folder: string, port: number, request: StartRequest): string {
  const text = `stream {
  upstream origin {
${servers(request)}
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    proxy_pass origin;
    proxy_timeout 3600s;
    proxy_buffer_size 64k;
  }
}
`;
  return frame(folder, workersOf(request), text, `load_module ${STREAM_MODULE};\n`);
}

async function start(name: string, port: number, text: string, folder: string): Promise<Peer> {
  const path = join(folder, "nginx.conf");
  writeFileSync(path, text);
  const child = new Child(name, "nginx", ["-e", "stderr", "-c", path]);
  await untilReady(child, () => isListening(port));
  return { name, port, child, adminPort: null };
}

interface OriginPorts {
  /** Where proxies find it. */
  readonly port: number;
  /** Where clients without a proxy do; the same one if both speak the same. */
  readonly clientPort: number;
  readonly statusPort: number;
}

export type NginxOrigin = Peer & OriginPorts;

export function startNginxOrigin(protocols: Protocols = PLAIN_HTTP1): Promise<NginxOrigin> {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "www"));
  for (const [file, size] of [
    ["index.html", SMALL_BODY_BYTES],
    ["64k", 64 * 1024],
    ["1m", 1024 * 1024],
  ] as const) {
    writeFileSync(join(folder, "www", file), Buffer.alloc(size, "x"));
  }
  const isSame = protocols.downstream === protocols.upstream && !protocols.tls;
  return startOnFreePorts(isSame ? 2 : 3, async (free) => {
    const ports = { port: free[0]!, statusPort: free[1]!, clientPort: free[2] ?? free[0]! };
    const peer = await start("nginx origin", ports.port, originConfig(folder, ports, protocols), folder);
    return { ...peer, ...ports };
  });
}

export const NGINX: PeerKind = {
  name: "nginx",
  abilities: ["http", "http2", "to-http2", "tls", "websocket", "tcp", "balance"],
  install: "apt-get install nginx",
  version: () => toolVersion("nginx", "-v"),
  missing: (ability: Ability) =>
    ability === "tcp" && !existsSync(STREAM_MODULE) ? "its stream module is not there: apt-get install libnginx-mod-stream" : null,
  start: (request) => {
    const folder = temporaryFolder();
    const text = request.mode === "http" ? proxyConfig : streamConfig;
    return startOnFreePorts(1, ([port]) => start("nginx", port!, text(folder, port!, request), folder));
  },
};
