// Starts origins and proxies by name.

import { fileURLToPath } from "node:url";
import { Child, isListening, startOnFreePorts, untilReady } from "../support/child.ts";
import { PEERS } from "./list.ts";
import { NGHTTPD_INSTALL, nghttpdVersion, startNghttpd } from "./nghttpd.ts";
import { NGINX, startNginxOrigin } from "./nginx.ts";
import { PLAIN_HTTP1, type Peer, type Protocols } from "./peer.ts";
import { adminGet } from "./weft.ts";

const ORIGIN = fileURLToPath(new URL("../origin.ts", import.meta.url));

/** `uws` speaks HTTP/1 without TLS only, nghttpd HTTP/2 only. */
export type OriginName = "nginx" | "uws" | "nghttpd";

interface OriginKind {
  /** One line; null when it is not installed. */
  version(): string | null;
  readonly install: string;
}

export const ORIGINS: Readonly<Record<OriginName, OriginKind>> = {
  nginx: { version: () => NGINX.version(), install: NGINX.install },
  uws: { version: () => "uWebSockets.js, bench/origin.ts", install: "npm ci" },
  nghttpd: { version: nghttpdVersion, install: NGHTTPD_INSTALL },
};

export interface OriginOptions {
  /** Every answer waits so many milliseconds; the uWebSockets.js origin only. */
  readonly delayMs?: number;
  /** Absent: HTTP/1 without TLS. */
  readonly protocols?: Protocols;
}

/** `port` is where proxies find it. */
export interface Origin extends Peer {
  /** Where clients without a proxy find it: another port when they speak something else. */
  readonly clientPort: number;
  /** The process behind that port, if it is another one. */
  readonly forClients: Peer | null;
  /** Connections accepted so far; looking makes one more. NaN: it does not tell. */
  accepted(): Promise<number>;
}

async function startUwsOrigin(options: OriginOptions): Promise<Origin> {
  return startOnFreePorts(1, async ([port]) => {
    const child = new Child("uws origin", process.execPath, [ORIGIN, String(port), String(options.delayMs ?? 0)]);
    await untilReady(child, () => isListening(port!));
    const accepted = async (): Promise<number> => Number((await adminGet(port!, "/accepted")).body);
    return { name: "uws origin", port: port!, clientPort: port!, child, adminPort: null, forClients: null, accepted };
  });
}

export async function startOrigin(name: OriginName, options: OriginOptions = {}): Promise<Origin> {
  if (name === "uws") return startUwsOrigin(options);
  const protocols = options.protocols ?? PLAIN_HTTP1;
  if (name === "nghttpd") {
    const origin = await startNghttpd(protocols.tls);
    return { ...origin, clientPort: (origin.forClients ?? origin).port, accepted: () => Promise.resolve(Number.NaN) };
  }
  const peer = await startNginxOrigin(protocols);
  const accepted = async (): Promise<number> => {
    const text = (await adminGet(peer.statusPort, "/")).body;
    return Number(/^ (\d+) \d+ \d+ $/m.exec(text)?.[1]);
  };
  return { ...peer, forClients: null, accepted };
}

export function startProxy(name: string, upstreamPort: number, workers: number): Promise<Peer> {
  const kind = PEERS.find((one) => one.name === name);
  if (kind === undefined) throw new Error(`no proxy is called ${name}`);
  return kind.start({ mode: "http", upstreams: [upstreamPort], workers });
}

export async function stopAll(peers: readonly Peer[]): Promise<void> {
  await Promise.all(peers.map((peer) => peer.child.stop()));
}

export async function stopOrigins(origins: readonly Origin[]): Promise<void> {
  await stopAll(origins.flatMap(processesOf));
}

/** The origin, and what stands beside it for clients without a proxy. */
export function processesOf(origin: Origin): Peer[] {
  return origin.forClients === null ? [origin] : [origin, origin.forClients];
}
