// TLS 1.3 to the identity component, and who it is: the name and the roots are checked before a byte of Weft's is sent.
//
// A proxy that has nothing but a token looks first, on a connection of its own on which nothing is sent, at the chain that the server
// shows, and takes from it the root that the token pins (`shownChain`). Everything is said on a second connection, verified by OpenSSL
// against the roots alone (`connectComponent`): a wrong root, name, time or purpose ends it in the handshake.

import { X509Certificate } from "node:crypto";
import { type ConnectionOptions, connect, type DetailedPeerCertificate, type TLSSocket } from "node:tls";
import type { HostPort } from "../../config/snapshot.ts";
import { isNamed } from "./issued-certificate.ts";
import { foreignText, IdentityError } from "./identity-failure.ts";

/** From the first packet to the end of the handshake; beyond it nobody is there. */
const CONNECT_TIMEOUT_MS = 5_000;

/** Certificates that a server shows: leaf, two issuers, root, and some to spare. */
const SHOWN_MAX = 8;

/** Idle connections are probed, so that a component that vanished is noticed. */
const KEEP_ALIVE_MS = 30_000;

const UNREACHABLE = /^(?:ECONN|EHOST|ENET|ETIMEDOUT|EPIPE|ENOTFOUND|EAI_|EADDR)/;

export interface ComponentPlace {
  readonly address: HostPort;
  /** The name that its certificate must have; also the SNI. */
  readonly name: string;
}

export interface ComponentTrust {
  /** PEM: who may have issued its certificate. Nothing else is believed. */
  readonly roots: string;
  /** What the proxy shows of itself, PEM: proof of a renewal. */
  readonly proof?: { readonly cert: string; readonly key: string };
}

/** The certificates that whoever is there shows, leaf first, the root included if it is sent. Nothing of them is verified. */
export async function shownChain(place: ComponentPlace): Promise<X509Certificate[]> {
  const socket = await open(place, { rejectUnauthorized: false });
  const chain: X509Certificate[] = [];
  let shown: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (shown?.raw !== undefined && chain.length < SHOWN_MAX) {
    chain.push(new X509Certificate(shown.raw));
    shown = shown.issuerCertificate === shown ? undefined : shown.issuerCertificate;
  }
  socket.destroy();
  return chain;
}

/** A connection to the identity component itself, for HTTP/2. */
export async function connectComponent(place: ComponentPlace, { roots, proof }: ComponentTrust): Promise<TLSSocket> {
  const socket = await open(place, {
    ca: roots,
    ...(proof !== undefined && { cert: proof.cert, key: proof.key }),
    rejectUnauthorized: true,
    checkServerIdentity: (_, certificate) =>
      isNamed(certificate.raw, place.name) ? undefined : new IdentityError("untrusted", strangerMessage(place)),
  });
  if (socket.alpnProtocol !== "h2") {
    socket.destroy();
    throw new IdentityError("untrusted", `${place.name} does not speak HTTP/2`);
  }
  return socket;
}

function open({ address, name }: ComponentPlace, options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const { host, port } = address;
    const socket = connect({ host, port, servername: name, minVersion: "TLSv1.3", ALPNProtocols: ["h2"], ...options });
    const timer = setTimeout(() => fail(new IdentityError("unreachable", `no answer within ${CONNECT_TIMEOUT_MS} ms`)), CONNECT_TIMEOUT_MS);
    const fail = (error: Error) => {
      clearTimeout(timer);
      socket.destroy();
      reject(connectError(error));
    };
    const onClose = () => fail(new IdentityError("unreachable", "it closed the connection in the handshake"));
    socket.once("error", fail);
    socket.once("close", onClose);
    socket.once("secureConnect", () => {
      clearTimeout(timer);
      socket.off("error", fail);
      socket.off("close", onClose);
      // Whoever uses it listens from here on; what comes before that must not end the process.
      socket.on("error", () => undefined);
      socket.setKeepAlive(true, KEEP_ALIVE_MS);
      resolve(socket);
    });
  });
}

function connectError(error: Error & { code?: string }): IdentityError {
  if (error instanceof IdentityError) return error;
  const { code = "" } = error;
  if (UNREACHABLE.test(code)) return new IdentityError("unreachable", foreignText(error.message));
  return new IdentityError("untrusted", `its certificate does not verify: ${code} ${foreignText(error.message)}`);
}

function strangerMessage({ name }: ComponentPlace): string {
  return `its certificate is not ${name}'s`;
}
