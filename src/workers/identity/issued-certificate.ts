// Is this certificate what was asked for: ours, for our key, by a root that we trust, good now? By Node's own X.509 and our reader of
// names, so that the main thread can ask it of a kept one.
//
// Refused: another name, or more names than one workload's two; an authority's certificate; another key; a purpose that is not both client
// and server; a chain with a gap, a signature that does not fit, more than CHAIN_MAX; anything in it that is not valid at this moment.

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { CLIENT_AUTH, readCertificate, SERVER_AUTH } from "../../core/identity/certificate.ts";
import { isSameIdentity, parseIdentityName } from "../../core/identity/names.ts";
import { identityOfAltNames } from "../../core/identity/peer-identity.ts";
import { IdentityError } from "./identity-failure.ts";

/** Certificates of a chain without its root: leaf, issuer, and two for authorities between. */
const CHAIN_MAX = 4;

/** Roots of a bundle, as many as a token pins. */
export const ROOTS_MAX = 8;

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** What is checked, all PEM. */
export interface Issued {
  readonly name: string;
  /** The leaf, then its issuers, without the root. */
  readonly cert: string;
  readonly key: string;
  readonly trust: string;
}

/** Milliseconds since 1970. */
export interface IssuedTimes {
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Throws an IdentityError with reason `answer`; returns the leaf's times. */
export function checkIssued({ name, cert, key, trust }: Issued, now: number): IssuedTimes {
  const chain = certificatesOf(cert);
  const [leaf] = chain;
  if (leaf === undefined || chain.length > CHAIN_MAX) return refuse(`its chain has ${chain.length} certificates`);
  if (!isNamed(leaf.raw, name)) return refuse(`it is not ${name}'s`);
  if (leaf.ca) return refuse("it is an authority's");
  if (!leaf.checkPrivateKey(parseKey(key))) return refuse("it is not for the proxy's key");
  // Absent: any purpose.
  const usages = readCertificate(leaf.raw)?.usages ?? null;
  if (usages !== null && !(usages.includes(SERVER_AUTH) && usages.includes(CLIENT_AUTH))) {
    return refuse("it is not for both sides of TLS");
  }
  checkChain(chain, certificatesOf(trust), now);
  try {
    createSecureContext({ cert, key, ca: trust });
  } catch (error) {
    return refuse(`OpenSSL does not take it: ${(error as { reason?: string }).reason ?? "unknown reason"}`);
  }
  return { notBefore: leaf.validFromDate.getTime(), notAfter: leaf.validToDate.getTime() };
}

function checkChain(chain: readonly X509Certificate[], roots: readonly X509Certificate[], now: number): void {
  let below: X509Certificate | null = null;
  for (const certificate of chain) {
    checkTime(certificate, now);
    if (below !== null && !isIssuedBy(below, certificate)) refuse("a certificate of its chain did not issue the one before it");
    below = certificate;
  }
  const root = roots.find((candidate) => below !== null && isIssuedBy(below, candidate));
  if (root === undefined) refuse("it comes from none of the trusted roots");
  else checkTime(root, now);
}

function checkTime({ validFromDate, validToDate }: X509Certificate, now: number): void {
  if (now < validFromDate.getTime()) refuse(`it is valid from ${validFromDate.toISOString()} on only: compare this host's clock`);
  if (now > validToDate.getTime()) refuse(`it ended at ${validToDate.toISOString()}: compare this host's clock`);
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

/** Roots in DER as one PEM text; throws an IdentityError (`answer`) unless all are self-signed authorities, 1 to ROOTS_MAX. */
export function rootsToPem(roots: readonly Uint8Array[]): string {
  if (roots.length === 0 || roots.length > ROOTS_MAX) refuse(`the trust bundle has ${roots.length} roots`);
  return roots
    .map((der) => {
      const root = parse(der);
      if (!isIssuedBy(root, root)) refuse("the trust bundle has what is no root");
      return root.toString();
    })
    .join("");
}

/** The certificates in DER as one PEM text; throws an IdentityError (`answer`) for what is none. */
export function chainToPem(chain: readonly Uint8Array[]): string {
  return chain.map((der) => parse(der).toString()).join("");
}

/** The certificates of a PEM text. Throws an IdentityError (`answer`) for what is none. */
export function certificatesOf(pem: string): X509Certificate[] {
  return (pem.match(PEM) ?? []).map(parse);
}

function parse(certificate: Uint8Array | string): X509Certificate {
  try {
    return new X509Certificate(certificate);
  } catch {
    return refuse("it has what is no certificate");
  }
}

function parseKey(key: string): KeyObject {
  try {
    return createPrivateKey(key);
  } catch {
    return refuse("its key is none");
  }
}

/** True when a certificate in DER is this identity's, in either form or both, and nobody else's. */
export function isNamed(der: Uint8Array, name: string): boolean {
  const identity = parseIdentityName(name);
  const certificate = readCertificate(der);
  if (identity === null || certificate === null) return false;
  const found = identityOfAltNames(certificate.names, identity.controlNamespace);
  return "identity" in found && isSameIdentity(found.identity, identity);
}

function refuse(message: string): never {
  throw new IdentityError("answer", message);
}
