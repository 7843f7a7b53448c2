// Weft as a user runs it: the built proxy, all default features on, its own process.

import { get } from "node:http";
import { fileURLToPath } from "node:url";
import { Metrics } from "../../test/support/metrics.ts";
import { Child, startOnFreePorts, untilReady } from "../support/child.ts";
import type { Peer } from "./peer.ts";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

function proxyArguments(port: number, adminPort: number, upstreamPort: number, workers: number): string[] {
  const where = (at: number): string => `127.0.0.1:${at}`;
  return [MAIN, "proxy", "--listen", where(port), "--to", where(upstreamPort), "--workers", String(workers), "--admin", where(adminPort)];
}

/** Status and text of a path of the admin port. */
export function adminGet(port: number, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const request = get({ host: "127.0.0.1", port, path, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") }));
      response.on("error", reject);
    });
    request.on("error", reject);
  });
}

export async function weftMetrics(peer: Peer): Promise<Metrics> {
  if (peer.adminPort === null) throw new Error(`${peer.name} has no admin port`);
  return new Metrics((await adminGet(peer.adminPort, "/metrics")).body);
}

function isReady(adminPort: number): Promise<boolean> {
  return adminGet(adminPort, "/ready").then(
    (answer) => answer.status === 200,
    () => false,
  );
}

export interface WeftPeer extends Peer {
  /** From the start of the process to the first /ready that says 200, milliseconds; looked at every 2 ms. */
  readonly readyMs: number;
}

export function startWeft(upstreamPort: number, workers: number): Promise<WeftPeer> {
  return startOnFreePorts(2, async ([port, adminPort]) => {
    const began = performance.now();
    const child = new Child("weft", process.execPath, proxyArguments(port!, adminPort!, upstreamPort, workers));
    await untilReady(child, () => isReady(adminPort!), 2);
    return { name: "weft", port: port!, child, adminPort: adminPort!, readyMs: performance.now() - began };
  });
}
