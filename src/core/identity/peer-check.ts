// Who a peer of the mesh is, once its handshake is done: what OpenSSL found, what its certificate says, and whom we expected.
//
// Everything here is a reason to refuse; nothing is repaired and nobody becomes anonymous who has shown a certificate. The order is that of
// what helps the reader of a log most: time, purpose and key before trust, trust before names.

import type { ErrorCode } from "../errors/error-codes.ts";
import { CLIENT_AUTH, type PeerCertificate, SERVER_AUTH } from "./certificate.ts";
import { DEFAULT_CONTROL_NAMESPACE, identityName, isSameIdentity, parseIdentity, spiffeUri } from "./names.ts";
import type { WorkloadIdentity } from "./names.ts";
import { identityOfAltNames } from "./peer-identity.ts";

/** Certificates from the leaf to the root: a leaf, two issuers between, the root; and one for a root that another has signed. */
export const CHAIN_LENGTH_MAX = 5;

const RSA_BITS_MIN = 2048;

/** What is known of a peer that has shown a certificate. */
export interface PeerEvidence {
  /** Null: its DER could not be read. */
  readonly certificate: PeerCertificate | null;
  /** Certificates from the leaf to the end of its chain. */
  readonly chainLength: number;
  /** OpenSSL's verdict as Node names it (`CERT_HAS_EXPIRED`), null when it verified. */
  readonly verifyCode: string | null;
  /** OpenSSL's words for it. */
  readonly verifyText: string;
}

export type PeerVerdict =
  | { readonly identity: WorkloadIdentity }
  | {
      readonly code: Extract<ErrorCode, `WEFT_PEER_${string}`>;
      /** For a log: what exactly. */
      readonly detail: string;
    };

/** By OpenSSL's codes; others are a chain that does not hold. */
const BY_CODE: Readonly<Record<string, Extract<ErrorCode, `WEFT_PEER_${string}`>>> = {
  CERT_HAS_EXPIRED: "WEFT_PEER_EXPIRED",
  CERT_NOT_YET_VALID: "WEFT_PEER_NOT_YET_VALID",
  INVALID_PURPOSE: "WEFT_PEER_PURPOSE",
  CERT_CHAIN_TOO_LONG: "WEFT_PEER_CHAIN_TOO_LONG",
  PATH_LENGTH_EXCEEDED: "WEFT_PEER_CHAIN_TOO_LONG",
};

/** Judges a peer that was the `role` of a handshake. `controlNamespace`: what a certificate with only a URI belongs to. */
export function checkPeer(
  role: "client" | "server",
  evidence: PeerEvidence,
  controlNamespace: string = DEFAULT_CONTROL_NAMESPACE,
): PeerVerdict {
  const { certificate, chainLength, verifyCode, verifyText } = evidence;
  if (certificate === null) return { code: "WEFT_PEER_IDENTITY", detail: "its certificate cannot be read" };
  if (chainLength > CHAIN_LENGTH_MAX) {
    return { code: "WEFT_PEER_CHAIN_TOO_LONG", detail: `${chainLength} certificates, ${CHAIN_LENGTH_MAX} are allowed` };
  }
  const { key, keyBits, usages } = certificate;
  if (key === "other") return { code: "WEFT_PEER_WEAK_KEY", detail: "its key is none of P-256, P-384, Ed25519, RSA" };
  if (key === "RSA" && keyBits < RSA_BITS_MIN) {
    return { code: "WEFT_PEER_WEAK_KEY", detail: `an RSA key of ${keyBits} bits, ${RSA_BITS_MIN} are needed` };
  }
  if (usages !== null && !usages.includes(role === "client" ? CLIENT_AUTH : SERVER_AUTH)) {
    return { code: "WEFT_PEER_PURPOSE", detail: `its extended key usage is not for TLS ${role}s` };
  }
  if (verifyCode !== null) {
    const isWeak = /too (?:weak|small)/.test(verifyText);
    return { code: BY_CODE[verifyCode] ?? (isWeak ? "WEFT_PEER_WEAK_KEY" : "WEFT_PEER_UNTRUSTED"), detail: verifyText };
  }
  const found = identityOfAltNames(certificate.names, controlNamespace);
  return "identity" in found ? found : { code: "WEFT_PEER_IDENTITY", detail: found.problem };
}

/** Whom a client wants to meet. */
export interface ExpectedPeer {
  readonly identity: WorkloadIdentity;
  /** It was given as a SPIFFE URI, which says nothing of a control namespace. */
  readonly isUri: boolean;
  /** The name to ask for by SNI. */
  readonly serverName: string;
}

/** The peer that a DNS-like name or a SPIFFE URI means; null for any other text. */
export function expectPeer(text: string, controlNamespace: string = DEFAULT_CONTROL_NAMESPACE): ExpectedPeer | null {
  const identity = parseIdentity(text, controlNamespace);
  if (identity === null) return null;
  return { identity, isUri: text.startsWith("spiffe:"), serverName: identityName(identity) };
}

/** Null when a server is whom we expected, else why it is not. */
export function identityMismatch(expected: ExpectedPeer, found: WorkloadIdentity): string | null {
  const isSame = expected.isUri ? spiffeUri(expected.identity) === spiffeUri(found) : isSameIdentity(expected.identity, found);
  return isSame ? null : `it is ${identityName(found)}, and ${expected.serverName} was expected`;
}
