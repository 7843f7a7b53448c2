// Starts origins and proxies by name.

import { fileURLToPath } from "node:url";
import { Child, isListening, startOnFreePorts, untilReady } from "../support/child.ts";
import { startHaproxy, startHaproxy64k } from "./haproxy.ts";
import { startNginxOrigin, startNginxProxy } from "./nginx.ts";
import type { Peer } from "./peer.ts";
import { startWeft } from "./weft.ts";

const ORIGIN = fileURLToPath(new URL("../origin.ts", import.meta.url));

function startUwsOrigin(): Promise<Peer> {
  return startOnFreePorts(1, async ([port]) => {
    const child = new Child("uws origin", process.execPath, [ORIGIN, String(port)]);
    await untilReady(child, () => isListening(port!));
    return { name: "uws origin", port: port!, child, adminPort: null };
  });
}

export function startOrigin(name: "nginx" | "uws"): Promise<Peer> {
  return name === "nginx" ? startNginxOrigin() : startUwsOrigin();
}

export function startProxy(name: string, upstreamPort: number, workers: number): Promise<Peer> {
  if (name === "nginx") return startNginxProxy(upstreamPort);
  if (name === "haproxy") return startHaproxy(upstreamPort);
  if (name === "haproxy-64k") return startHaproxy64k(upstreamPort);
  if (name === "weft") return startWeft(upstreamPort, workers);
  throw new Error(`no proxy is called ${name}`);
}

export async function stopAll(peers: readonly Peer[]): Promise<void> {
  await Promise.all(peers.map((peer) => peer.child.stop()));
}
