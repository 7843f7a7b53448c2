// The chain that a TLS server sends, as a client sees it that trusts nothing yet.

import type { X509Certificate } from "node:crypto";
import { connect, type TLSSocket } from "node:tls";
import { SERVER } from "./identity-client.ts";

/** Certificates from the leaf upwards. Nothing is sent but the handshake. */
export async function sentChain(port: number): Promise<X509Certificate[]> {
  const socket = await handshake({ port, rejectUnauthorized: false });
  const chain: X509Certificate[] = [];
  for (let it = socket.getPeerX509Certificate(); it !== undefined && chain.length < 8; it = it.issuerCertificate) chain.push(it);
  socket.destroy();
  return chain;
}

/** True when the server verifies against this root and by the identity component's name. */
export async function isVerifiedBy(port: number, root: X509Certificate): Promise<boolean> {
  try {
    (await handshake({ port, ca: root.toString() })).destroy();
    return true;
  } catch {
    return false;
  }
}

async function handshake(options: {
  readonly port: number;
  readonly rejectUnauthorized?: boolean;
  readonly ca?: string;
}): Promise<TLSSocket> {
  return await new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", servername: SERVER, ALPNProtocols: ["h2"], ...options }, () => resolve(socket));
    socket.once("error", reject);
  });
}
