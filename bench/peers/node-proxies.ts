// The reverse proxies that Node's users take from npm: http-proxy, fast-proxy, @fastify/http-proxy. Each in a process of its own.
//
// They are no dependencies of Weft: bench/peers/npm has their own package.json and lock, installed on demand. Each knows one upstream.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Child, isListening, startOnFreePorts, untilReady } from "../support/child.ts";
import { type Ability, type PeerKind, workersOf } from "./peer.ts";

const FOLDER = new URL("./npm/", import.meta.url);
const SCRIPT = fileURLToPath(new URL("run.mjs", FOLDER));

function installedVersion(packageName: string): string | null {
  try {
    const text = readFileSync(new URL(`node_modules/${packageName}/package.json`, FOLDER), "utf8");
    return `${packageName} ${(JSON.parse(text) as { version: string }).version} on Node ${process.version}`;
  } catch {
    return null;
  }
}

function nodeProxy(name: string, packageName: string, abilities: readonly Ability[]): PeerKind {
  return {
    name,
    abilities,
    install: "npm ci --ignore-scripts --prefix bench/peers/npm",
    version: () => installedVersion(packageName),
    start: (request) =>
      startOnFreePorts(1, async ([port]) => {
        const args = [SCRIPT, name, String(port), String(request.upstreams[0]), String(workersOf(request))];
        const child = new Child(name, process.execPath, args);
        await untilReady(child, () => isListening(port!));
        return { name, port: port!, child, adminPort: null };
      }),
  };
}

export const HTTP_PROXY = nodeProxy("http-proxy", "http-proxy", ["http", "websocket"]);
export const FAST_PROXY = nodeProxy("fast-proxy", "fast-proxy", ["http"]);
export const FASTIFY_HTTP_PROXY = nodeProxy("fastify-http-proxy", "@fastify/http-proxy", ["http", "websocket"]);
