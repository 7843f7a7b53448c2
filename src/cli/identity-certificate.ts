// A certificate as people and programs read it: what `openssl x509 -text` says in the essentials, from the certificate's own bytes.

import type { X509Certificate } from "node:crypto";
import { CLIENT_AUTH, readCertificate, SERVER_AUTH } from "../core/identity/certificate.ts";
import { DerReader } from "../core/identity/der.ts";
import { identityName, spiffeUri } from "../core/identity/names.ts";
import { identityOfAltNames } from "../core/identity/peer-identity.ts";
import { spanText } from "./span-text.ts";

const SEQUENCE = 0x30;
const OID = 0x06;

/** Contents of OIDs (RFC 5758, RFC 4055, RFC 8410), by the names that openssl prints. */
const SIGNATURES: Readonly<Record<string, string>> = {
  "2a8648ce3d040302": "ecdsa-with-SHA256",
  "2a8648ce3d040303": "ecdsa-with-SHA384",
  "2a8648ce3d040304": "ecdsa-with-SHA512",
  "2a864886f70d010105": "sha1WithRSAEncryption",
  "2a864886f70d01010a": "rsassaPss",
  "2a864886f70d01010b": "sha256WithRSAEncryption",
  "2a864886f70d01010c": "sha384WithRSAEncryption",
  "2a864886f70d01010d": "sha512WithRSAEncryption",
  "2b6570": "Ed25519",
};

const CURVES: Readonly<Record<string, string>> = { prime256v1: "P-256", secp384r1: "P-384", secp521r1: "P-521" };

const USAGES: Readonly<Record<string, string>> = { [SERVER_AUTH]: "TLS server", [CLIENT_AUTH]: "TLS client" };

/** Plain data, as `-o json` prints it. */
export interface CertificateDescription {
  readonly subject: string;
  readonly issuer: string;
  readonly isAuthority: boolean;
  readonly serialNumber: string;
  /** ISO 8601. */
  readonly notBefore: string;
  readonly notAfter: string;
  /** Negative: since then it has ended. */
  readonly remainingSeconds: number;
  readonly publicKey: string;
  readonly signatureAlgorithm: string;
  readonly dnsNames: readonly string[];
  readonly uris: readonly string[];
  /** Null: any. */
  readonly usages: readonly string[] | null;
  /** SHA-256 of the DER, as join tokens pin it. */
  readonly fingerprint: string;
}

/** What the certificate says. `nowMs`: for the remaining time. */
export function describeCertificate(certificate: X509Certificate, nowMs: number): CertificateDescription {
  const read = readCertificate(certificate.raw);
  return {
    subject: nameText(certificate.subject),
    issuer: nameText(certificate.issuer),
    isAuthority: certificate.ca,
    serialNumber: certificate.serialNumber.toLowerCase(),
    notBefore: certificate.validFromDate.toISOString(),
    notAfter: certificate.validToDate.toISOString(),
    remainingSeconds: Math.floor((certificate.validToDate.getTime() - nowMs) / 1000),
    publicKey: keyText(certificate),
    signatureAlgorithm: signatureOf(certificate.raw),
    dnsNames: read?.names.dns ?? [],
    uris: read?.names.uris ?? [],
    usages: read === null || read.usages === null ? null : read.usages.map((oid) => USAGES[oid] ?? oid),
    fingerprint: fingerprintOf(certificate),
  };
}

/** Whose it is, by the rules that proxies go by. */
export function identityOf(
  certificate: X509Certificate,
): { readonly identity: string; readonly spiffeId: string } | { readonly problem: string } {
  const read = readCertificate(certificate.raw);
  if (read === null) return { problem: "it cannot be decoded" };
  const found = identityOfAltNames(read.names);
  return "problem" in found ? found : { identity: identityName(found.identity), spiffeId: spiffeUri(found.identity) };
}

/** The lines of a description, indented. `nowMs`: for what is over, or has not begun. */
export function certificateLines(description: CertificateDescription, nowMs: number): string[] {
  const { notBefore, notAfter, dnsNames, uris, usages } = description;
  const early = Date.parse(notBefore) - nowMs;
  const left = Date.parse(notAfter) - nowMs;
  const names = [...dnsNames.map((name) => `DNS:${printable(name)}`), ...uris.map((uri) => `URI:${printable(uri)}`)];
  const rows: [string, string][] = [
    ["Subject", description.subject || "(none)"],
    ["Issuer", description.issuer],
    ["Serial Number", description.serialNumber],
    ["Not Before", `${shortTime(notBefore)}${early > 0 ? ` (NOT YET VALID: in ${spanText(early)})` : ""}`],
    ["Not After", `${shortTime(notAfter)} ${left > 0 ? `(in ${spanText(left)})` : `(EXPIRED ${spanText(-left)} ago)`}`],
    ["Public Key", description.publicKey],
    ["Signature Algorithm", description.signatureAlgorithm],
    ...(names.length > 0 ? [["Alternative Names", names.join(", ")] as [string, string]] : []),
    ...(usages === null ? [] : [["Extended Key Usage", usages.join(", ")] as [string, string]]),
    ["SHA-256 Fingerprint", description.fingerprint],
  ];
  return rows.map(([label, value]) => `    ${`${label}:`.padEnd(21)}${value}`);
}

/** As join tokens pin it: lower-case hexadecimal. */
export function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(":", "").toLowerCase();
}

/** ISO 8601 without milliseconds. */
function shortTime(iso: string): string {
  return iso.replace(/\.\d+Z$/, "Z");
}

/** A distinguished name in one line; what it holds is foreign. */
function nameText(name: string | undefined): string {
  return printable((name ?? "").split("\n").join(", "));
}

/** What a certificate of anybody may hold is printed without what a terminal would act on. */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, (character) => `\\x${character.codePointAt(0)!.toString(16).padStart(2, "0")}`);
}

function keyText({ publicKey }: X509Certificate): string {
  const { asymmetricKeyType = "unknown", asymmetricKeyDetails = {} } = publicKey;
  const { namedCurve = "", modulusLength = 0 } = asymmetricKeyDetails;
  if (asymmetricKeyType === "ec") return `ECDSA ${CURVES[namedCurve] ?? namedCurve}`;
  if (asymmetricKeyType.startsWith("rsa")) return `RSA ${modulusLength} bits`;
  return asymmetricKeyType === "ed25519" ? "Ed25519" : asymmetricKeyType;
}

/** Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID, ... }, signature } (RFC 5280 section 4.1). */
function signatureOf(der: Uint8Array): string {
  const certificate = new DerReader(der).read(SEQUENCE);
  certificate.read(SEQUENCE);
  const oid = certificate.read(SEQUENCE).read(OID).hex();
  return SIGNATURES[oid] ?? `unknown (${oid})`;
}
