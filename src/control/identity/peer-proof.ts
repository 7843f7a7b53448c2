// What the client certificate of a connection proves. Decided once per connection, from the finished handshake.
//
// No certificate is no proof; one that was offered and does not verify is refused, never taken for none. "Verifies" means what OpenSSL
// says against the trust bundle of that moment (chain, time, usage as a client), and exactly one identity in its names. Its time is
// looked at again at each request: a connection may outlive the certificate that it was opened with.

import type { X509Certificate } from "node:crypto";
import type { WorkloadIdentity } from "../../core/identity/names.ts";
import { identityOfAltNames } from "../../core/identity/peer-identity.ts";
import { Refusal } from "./refusal.ts";
import { altNamesOf, validityOf } from "./x509.ts";

export type PeerProof =
  | { readonly kind: "none" }
  | { readonly kind: "refused"; readonly detail: string; readonly isTime: boolean }
  | { readonly kind: "certificate"; readonly identity: WorkloadIdentity; readonly notBeforeMs: number; readonly notAfterMs: number };

/** What of a TLS socket matters here. */
export interface VerifiedPeer {
  readonly authorized: boolean;
  /** A code of OpenSSL's, as Node spells it; Node types it as an Error. */
  readonly authorizationError: unknown;
  getPeerX509Certificate(): X509Certificate | undefined;
}

export function proofOf(peer: VerifiedPeer, controlNamespace: string): PeerProof {
  const certificate = peer.getPeerX509Certificate();
  if (certificate === undefined) return { kind: "none" };
  if (!peer.authorized) {
    const reason = String(peer.authorizationError);
    return { kind: "refused", detail: reason, isTime: reason === "CERT_HAS_EXPIRED" || reason === "CERT_NOT_YET_VALID" };
  }
  try {
    const found = identityOfAltNames(altNamesOf(certificate), controlNamespace);
    if ("problem" in found) return { kind: "refused", detail: found.problem, isTime: false };
    return { kind: "certificate", identity: found.identity, ...validityOf(certificate) };
  } catch {
    return { kind: "refused", detail: "its alternative names cannot be decoded, or are there twice", isTime: false };
  }
}

/** Throws a Refusal when a certificate was offered that does not count now. */
export function checkOffered(proof: PeerProof, nowMs: number): void {
  if (proof.kind === "refused")
    throw new Refusal(proof.isTime ? "WEFT_IDENTITY_CERTIFICATE_EXPIRED" : "WEFT_IDENTITY_CERTIFICATE", proof.detail);
  if (proof.kind === "certificate" && (nowMs >= proof.notAfterMs || nowMs < proof.notBeforeMs)) {
    throw new Refusal("WEFT_IDENTITY_CERTIFICATE_EXPIRED", "since the connection was opened");
  }
}
