// Caddy as a proxy that Weft is compared with: plain HTTP, no log, no admin port, as many of Go's threads as asked for.
//
// Requests are not buffered (`flush_interval -1` sends bodies on as they come; without it Caddy waits for more). It forwards no plain
// TCP without a plugin, so it takes no part there.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Child, isListening, startOnFreePorts, temporaryFolder, TOOL_ENV, toolVersion, untilReady } from "../support/child.ts";
import { type PeerKind, type StartRequest, workersOf } from "./peer.ts";

const UPSTREAM_KEEPALIVE = 256;

function caddyfile(port: number, request: StartRequest): string {
  return `{
	admin off
	auto_https off
	log {
		output discard
	}
}
http://:${port} {
	bind 127.0.0.1
	reverse_proxy ${request.upstreams.map((upstream) => `127.0.0.1:${upstream}`).join(" ")} {
		lb_policy ${request.upstreams.length > 1 ? "least_conn" : "first"}
		flush_interval -1
		transport http {
			keepalive 3600s
			keepalive_idle_conns ${UPSTREAM_KEEPALIVE}
			keepalive_idle_conns_per_host ${UPSTREAM_KEEPALIVE}
			compression off
		}
	}
}
`;
}

export const CADDY: PeerKind = {
  name: "caddy",
  abilities: ["http", "websocket", "balance"],
  install: "apt-get install caddy",
  version: () => toolVersion("caddy", "version")?.replace(/^v?/, "caddy ") ?? null,
  start: (request) => {
    const folder = temporaryFolder();
    const path = join(folder, "Caddyfile");
    return startOnFreePorts(1, async ([port]) => {
      writeFileSync(path, caddyfile(port!, request));
      const env = { ...TOOL_ENV, GOMAXPROCS: String(workersOf(request)), XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
      const child = new Child("caddy", "caddy", ["run", "--config", path, "--adapter", "caddyfile"], { env });
      await untilReady(child, () => isListening(port!));
      return { name: "caddy", port: port!, child, adminPort: null };
    });
  },
};
