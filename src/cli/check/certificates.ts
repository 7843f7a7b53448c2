// What checks ask of certificates: fingerprints, kinds of keys and signatures, who signed whom, how long they last.

import { X509Certificate } from "node:crypto";
import { readCertificate } from "../../core/identity/certificate.ts";
import { DerReader } from "../../core/identity/der.ts";

const PEM = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** Certificates of a text at most; a bundle has eight. */
const CERTIFICATES_MAX = 64;

const RSA_BITS_MIN = 2048;

const SEQUENCE = 0x30;
const OID = 0x06;

/** Signatures with SHA-256 or better (RFC 5758, RFC 4055, RFC 8410), the content of their OIDs. */
const SIGNATURES: ReadonlySet<string> = new Set([
  "2a8648ce3d040302",
  "2a8648ce3d040303",
  "2a8648ce3d040304",
  "2a864886f70d01010a",
  "2a864886f70d01010b",
  "2a864886f70d01010c",
  "2a864886f70d01010d",
  "2b6570",
]);

const DAY_MS = 86_400_000;

/** The PEM blocks of a text. */
export function splitPem(text: string): string[] {
  return (text.match(PEM) ?? []).slice(0, CERTIFICATES_MAX);
}

/** The certificates of a text; what cannot be decoded is left out, and `isWhole` is false. */
export function parseCertificates(text: string): { readonly certificates: readonly X509Certificate[]; readonly isWhole: boolean } {
  const blocks = splitPem(text);
  const certificates = blocks.flatMap((block) => {
    try {
      return [new X509Certificate(block)];
    } catch {
      return [];
    }
  });
  return { certificates, isWhole: certificates.length > 0 && certificates.length === blocks.length };
}

/** For people: the name of the certificate and the beginning of its fingerprint. */
export function describe(certificate: X509Certificate): string {
  const name = /^CN=(.+)$/m.exec(certificate.subject ?? "")?.[1] ?? "a certificate without a common name";
  return `${JSON.stringify(name)} (SHA-256 ${shortFingerprint(certificate)})`;
}

export function fingerprint(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(":", "").toLowerCase();
}

function shortFingerprint(certificate: X509Certificate): string {
  return `${fingerprint(certificate).slice(0, 16)}...`;
}

/** What is wrong with its key, null for one of a supported kind. */
export function keyProblem(certificate: X509Certificate): string | null {
  const parsed = readCertificate(certificate.raw);
  if (parsed === null || parsed.key === "other") return "has a key of another kind than ECDSA P-256, P-384, Ed25519 or RSA";
  return parsed.key === "RSA" && parsed.keyBits < RSA_BITS_MIN ? `has an RSA key of ${parsed.keyBits} bits only` : null;
}

/** What is wrong with the algorithm of its signature. */
export function signatureProblem(certificate: X509Certificate): string | null {
  const outer = new DerReader(certificate.raw).read(SEQUENCE);
  outer.read(SEQUENCE);
  const algorithm = outer.read(SEQUENCE).read(OID).hex();
  return SIGNATURES.has(algorithm) ? null : "is signed by an algorithm that is weak or not supported";
}

/** Why it is not valid at this moment, null if it is. */
export function timeProblem(certificate: X509Certificate, nowMs: number): string | null {
  const { fromMs, toMs } = lifeOf(certificate);
  if (nowMs < fromMs) return `is not valid before ${isoTime(fromMs)}`;
  return nowMs > toMs ? `ended at ${isoTime(toMs)}` : null;
}

export function lifeOf(certificate: X509Certificate): { readonly fromMs: number; readonly toMs: number } {
  return { fromMs: Date.parse(certificate.validFrom), toMs: Date.parse(certificate.validTo) };
}

/** True when the issuer signed it, and may. */
export function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

/** The root that a chain leads to: each certificate signed by the next, the last one by a root, or a root itself; null without one. */
export function rootOf(chain: readonly X509Certificate[], roots: readonly X509Certificate[]): X509Certificate | null {
  for (const [index, certificate] of chain.entries()) {
    const root = roots.find((one) => one.fingerprint256 === certificate.fingerprint256 || isIssuedBy(certificate, one));
    if (root !== undefined) return root;
    const next = chain[index + 1];
    if (next === undefined || !isIssuedBy(certificate, next)) return null;
  }
  return null;
}

/** `2026-11-22T10:00:00Z` */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}

/** `in 12 d`, `in 3 h`, `in 40 s` */
export function timeUntil(ms: number): string {
  if (ms >= 2 * DAY_MS) return `in ${Math.floor(ms / DAY_MS)} d`;
  if (ms >= 7_200_000) return `in ${Math.floor(ms / 3_600_000)} h`;
  return ms >= 120_000 ? `in ${Math.floor(ms / 60_000)} min` : `in ${Math.max(0, Math.floor(ms / 1000))} s`;
}
