// One of the demo's services, in a thread of its own: answers every request after the delay that makes its character.
//
// The delays follow a fixed pattern, not chance, so that two runs look alike.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { parentPort, workerData } from "node:worker_threads";

export const SERVICE_KINDS = ["fast", "uneven", "slow"] as const;
export type ServiceKind = (typeof SERVICE_KINDS)[number];

/** Every so many-th answer of the uneven service is late. */
const UNEVEN_EVERY = 10;

/** All answers are of one length, which is told: ab takes another length for a failure, and keeps no connection alive without it. */
const BODY_BYTES = 32;

/** Milliseconds before the answer to the n-th request. */
function delayMs(kind: ServiceKind, n: number): number {
  switch (kind) {
    case "fast":
      return 0;
    case "uneven":
      return n % UNEVEN_EVERY === 0 ? 20 : 3;
    case "slow":
      return 60;
  }
}

/** Serves on an ephemeral loopback port, which it reports to its parent. */
function serve(kind: ServiceKind): void {
  let requests = 0;
  const server = createServer((request, response) => {
    requests += 1;
    request.resume();
    const answer = (): void => {
      response.writeHead(200, { "content-type": "text/plain", "content-length": BODY_BYTES, "x-served-by": kind });
      response.end(`hello from the ${kind} service`.padEnd(BODY_BYTES - 1) + "\n");
    };
    const wait = delayMs(kind, requests);
    if (wait === 0) answer();
    else setTimeout(answer, wait);
  });
  // Longer than the proxy keeps an idle connection, so that the proxy's side ends it.
  server.keepAliveTimeout = 75_000;
  server.listen(0, "127.0.0.1", () => parentPort?.postMessage((server.address() as AddressInfo).port));
}

if (parentPort !== null) serve(workerData as ServiceKind);
