// What a finished handshake of mesh TLS shows of the peer: its certificate as bytes, the length of its chain, OpenSSL's verdict.

import type { X509Certificate } from "node:crypto";
import { readCertificate } from "../core/identity/certificate.ts";
import { CHAIN_LENGTH_MAX, type PeerEvidence } from "../core/identity/peer-check.ts";

/** The parts of Node's TLS socket that are asked; `verifyError` is what the socket's own `authorizationError` is made of. */
export interface EvidenceSource {
  getPeerX509Certificate(): X509Certificate | undefined;
  readonly _handle: { verifyError(): (Error & { code?: string }) | null } | null;
}

/** Null: the peer has shown no certificate. */
export function peerEvidence(socket: EvidenceSource): PeerEvidence | null {
  const leaf = socket.getPeerX509Certificate();
  if (leaf === undefined) return null;
  let chainLength = 0;
  for (let next: X509Certificate | undefined = leaf; next !== undefined && chainLength <= CHAIN_LENGTH_MAX; next = next.issuerCertificate) {
    chainLength++;
  }
  // Without a handle there is nothing that says it verified.
  const error = socket._handle === null ? new Error("the connection is gone") : socket._handle.verifyError();
  const verifyCode = error === null || error === undefined ? null : ((error as { code?: string }).code ?? "UNSPECIFIED");
  return { certificate: readCertificate(leaf.raw), chainLength, verifyCode, verifyText: error?.message ?? "" };
}
