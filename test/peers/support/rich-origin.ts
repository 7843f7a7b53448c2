// nginx as an origin with more kinds of answers than the benchmarks need: validators, ranges, gzip in chunks, redirects, errors.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Child, isListening, startOnFreePorts, temporaryFolder, untilReady } from "../../../bench/support/child.ts";
import type { Service } from "./services.ts";

function config(folder: string, port: number): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/${name};`).join(" ");
  return `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off;
  ${temporary}
  types { text/plain txt; text/html html; }
  default_type application/octet-stream;
  server {
    listen 127.0.0.1:${port};
    root ${folder}/www;
    gzip on;
    gzip_types text/plain;
    gzip_http_version 1.1;
    location = /no-content { return 204; }
    location = /teapot { return 418 "short and stout"; }
    location = /moved { return 301 /elsewhere; }
    location = /fields { add_header Set-Cookie a=1; add_header Set-Cookie "b=2; Path=/"; add_header X-MiXeD-CaSe " kept "; return 200 "fields"; }
    location = /private { deny all; }
    location = /limited { client_max_body_size 10; proxy_pass http://127.0.0.1:${port}/index.html; }
  }
}
`;
}

export function startRichOrigin(): Promise<Service> {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "www", "folder"), { recursive: true });
  writeFileSync(join(folder, "www", "index.html"), "<p>a page</p>\n");
  writeFileSync(join(folder, "www", "folder", "index.html"), "<p>a page in a folder</p>\n");
  writeFileSync(join(folder, "www", "text.txt"), "a line of text that compresses well\n".repeat(20_000));
  writeFileSync(join(folder, "www", "1m"), Buffer.alloc(1024 * 1024, "x"));
  writeFileSync(join(folder, "www", "empty"), "");
  return startOnFreePorts(1, async ([port]) => {
    const path = join(folder, "nginx.conf");
    writeFileSync(path, config(folder, port!));
    const child = new Child("rich origin", "nginx", ["-e", "stderr", "-c", path]);
    await untilReady(child, () => isListening(port!));
    return { port: port!, stop: () => child.stop() };
  });
}
