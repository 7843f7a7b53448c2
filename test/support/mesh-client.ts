// A workload of the mesh without a proxy: mutual TLS to a proxy's inbound port, then whatever the test says.

import { once } from "node:events";
import type { Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { type MeshAuthority, meshName } from "./mesh-certificates.ts";
import { within } from "./wait.ts";

/** Nothing here is about how long a handshake takes. */
const PATIENCE_MS = 60_000;

/**
 * A connection of workload `front` to workload `web`, whose handshake is over and whose bytes nobody has read yet. `place`: a loopback port, or a
 * connection that leads to one. Rejects when the handshake fails.
 */
export async function connectMesh(authority: MeshAuthority, place: number | Socket, protocol: string): Promise<TLSSocket> {
  const socket = connectTls({
    ...authority.workload("front"),
    ca: authority.cert,
    servername: meshName("web"),
    ALPNProtocols: [protocol],
    ...(typeof place === "number" ? { port: place, host: "127.0.0.1" } : { socket: place }),
  });
  await within("the handshake", once(socket, "secureConnect"), PATIENCE_MS);
  return socket;
}
