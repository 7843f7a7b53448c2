// Starts origins and proxies by name.

import { fileURLToPath } from "node:url";
import { Child, isListening, startOnFreePorts, untilReady } from "../support/child.ts";
import { PEERS } from "./list.ts";
import { startNginxOrigin } from "./nginx.ts";
import type { Peer } from "./peer.ts";
import { adminGet } from "./weft.ts";

const ORIGIN = fileURLToPath(new URL("../origin.ts", import.meta.url));

export interface OriginOptions {
  /** Every answer waits so many milliseconds; the uWebSockets.js origin only. */
  readonly delayMs?: number;
}

export interface Origin extends Peer {
  /** Connections accepted so far; looking makes one more. */
  accepted(): Promise<number>;
}

async function startUwsOrigin(options: OriginOptions): Promise<Origin> {
  return startOnFreePorts(1, async ([port]) => {
    const child = new Child("uws origin", process.execPath, [ORIGIN, String(port), String(options.delayMs ?? 0)]);
    await untilReady(child, () => isListening(port!));
    const accepted = async (): Promise<number> => Number((await adminGet(port!, "/accepted")).body);
    return { name: "uws origin", port: port!, child, adminPort: null, accepted };
  });
}

export async function startOrigin(name: "nginx" | "uws", options: OriginOptions = {}): Promise<Origin> {
  if (name === "uws") return startUwsOrigin(options);
  const peer = await startNginxOrigin();
  const accepted = async (): Promise<number> => {
    const text = (await adminGet(peer.statusPort, "/")).body;
    return Number(/^ (\d+) \d+ \d+ $/m.exec(text)?.[1]);
  };
  return { ...peer, accepted };
}

export function startProxy(name: string, upstreamPort: number, workers: number): Promise<Peer> {
  const kind = PEERS.find((one) => one.name === name);
  if (kind === undefined) throw new Error(`no proxy is called ${name}`);
  return kind.start({ mode: "http", upstreams: [upstreamPort], workers });
}

export async function stopAll(peers: readonly Peer[]): Promise<void> {
  await Promise.all(peers.map((peer) => peer.child.stop()));
}
