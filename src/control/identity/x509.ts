// Making and reading certificates, by @peculiar/x509; the only file (with csr.ts) that knows the library.
//
// Everything that Weft makes is ECDSA P-256 with SHA-256, as Linkerd's. Serial numbers are 128 random bits.

import "reflect-metadata";
import { createPrivateKey, createPublicKey, X509Certificate, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { identityName, spiffeUri } from "../../core/identity/names.ts";
import type { WorkloadIdentity } from "../../core/identity/names.ts";

const { subtle } = webcrypto;

const EC_P256 = { name: "ECDSA", namedCurve: "P-256" } as const;

/** Characters of a common name (RFC 5280 appendix A.1, ub-common-name). */
const COMMON_NAME_MAX = 64;

/** Whoever signs: a certificate with its private key. */
export interface Signer {
  readonly certificate: X509Certificate;
  readonly key: webcrypto.CryptoKey;
}

export interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** A key pair of our own, P-256. */
export async function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return (await subtle.generateKey(EC_P256, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
}

/** PKCS #8 PEM. */
export async function keyToPem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await subtle.exportKey("pkcs8", key));
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" }).export({ type: "pkcs8", format: "pem" }).toString();
}

/**
 * The private key of a PEM text for signing. Throws an Error that says what is wrong: no key, an encrypted one, or one that is neither
 * ECDSA P-256 or P-384 nor RSA with 2048 bits or more.
 */
export async function keyFromPem(pem: string): Promise<webcrypto.CryptoKey> {
  const key = createPrivateKey(pem);
  const details = key.asymmetricKeyDetails ?? {};
  const der = key.export({ type: "pkcs8", format: "der" });
  if (key.asymmetricKeyType === "ec" && details.namedCurve === "prime256v1") return await importKey(der, EC_P256);
  if (key.asymmetricKeyType === "ec" && details.namedCurve === "secp384r1")
    return await importKey(der, { name: "ECDSA", namedCurve: "P-384" });
  if (key.asymmetricKeyType === "rsa" && (details.modulusLength ?? 0) >= 2048)
    return await importKey(der, { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" });
  throw new Error("the key is none of ECDSA P-256, ECDSA P-384, RSA with 2048 bits or more");
}

async function importKey(
  der: Buffer,
  algorithm: webcrypto.EcKeyImportParams | webcrypto.RsaHashedImportParams,
): Promise<webcrypto.CryptoKey> {
  return await subtle.importKey("pkcs8", der, algorithm, true, ["sign"]);
}

/** A self-signed root. `label` tells roots of one mesh apart: two with one name would confuse whoever builds chains by names. */
export async function makeRoot(label: string, validity: Validity): Promise<Signer> {
  const keys = await makeKeys();
  const subject = [{ CN: [`weft root ${label}`] }];
  const certificate = await sign({
    subject,
    issuer: subject,
    publicKey: keys.publicKey,
    signingKey: keys.privateKey,
    validity,
    extensions: [...authorityExtensions(1), await x509.SubjectKeyIdentifierExtension.create(keys.publicKey)],
  });
  return { certificate, key: keys.privateKey };
}

/** An issuer below a root: signs leaves, no further authorities. */
export async function makeIssuer(root: Signer, label: string, validity: Validity): Promise<Signer> {
  const keys = await makeKeys();
  const certificate = await sign({
    subject: [{ CN: [`weft issuer ${label}`] }],
    issuer: subjectOf(root.certificate),
    publicKey: keys.publicKey,
    signingKey: root.key,
    validity,
    extensions: [...authorityExtensions(0), ...(await keyIdentifiers(keys.publicKey, root))],
  });
  return { certificate, key: keys.privateKey };
}

/** A leaf for the identity: both names, for both ends of a connection. `publicKey`: SPKI in DER. */
export async function makeLeaf(
  issuer: Signer,
  identity: WorkloadIdentity,
  publicKey: Uint8Array,
  validity: Validity,
): Promise<X509Certificate> {
  const name = identityName(identity);
  const subject = name.length <= COMMON_NAME_MAX ? [{ CN: [name] }] : [];
  const usages = x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment;
  const names = [
    { type: "dns" as const, value: name },
    { type: "url" as const, value: spiffeUri(identity) },
  ];
  return await sign({
    subject,
    issuer: subjectOf(issuer.certificate),
    publicKey: new x509.PublicKey(new Uint8Array(publicKey)),
    signingKey: issuer.key,
    validity,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(usages, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      // Without a subject the names are critical (RFC 5280 4.2.1.6).
      new x509.SubjectAlternativeNameExtension(names, subject.length === 0),
      ...(await keyIdentifiers(new x509.PublicKey(new Uint8Array(publicKey)), issuer)),
    ],
  });
}

interface SignOptions {
  readonly subject: x509.JsonName;
  readonly issuer: x509.JsonName | string;
  readonly publicKey: x509.PublicKeyType;
  readonly signingKey: webcrypto.CryptoKey;
  readonly validity: Validity;
  readonly extensions: readonly x509.Extension[];
}

async function sign({ subject, issuer, publicKey, signingKey, validity, extensions }: SignOptions): Promise<X509Certificate> {
  const isEcdsa = signingKey.algorithm.name === "ECDSA";
  const made = await x509.X509CertificateGenerator.create({
    subject: new x509.Name(subject),
    issuer: typeof issuer === "string" ? new x509.Name(issuer) : new x509.Name(issuer),
    publicKey,
    signingKey,
    // The library takes Node's type for the browser's.
    signingAlgorithm: isEcdsa ? { name: "ECDSA", hash: "SHA-256" } : { name: signingKey.algorithm.name },
    notBefore: new Date(validity.notBeforeMs),
    notAfter: new Date(validity.notAfterMs),
    extensions: [...extensions],
  });
  return new X509Certificate(Buffer.from(made.rawData));
}

function authorityExtensions(pathLength: number): x509.Extension[] {
  return [
    new x509.BasicConstraintsExtension(true, pathLength, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
  ];
}

async function keyIdentifiers(publicKey: x509.PublicKeyType, issuer: Signer): Promise<x509.Extension[]> {
  const parsed = new x509.X509Certificate(new Uint8Array(issuer.certificate.raw));
  // The issuer's own identifier, as it has it; an issuer from outside may have made it in another way.
  const own = parsed.getExtension(x509.SubjectKeyIdentifierExtension);
  const authority = own === null ? [] : [new x509.AuthorityKeyIdentifierExtension(own.keyId)];
  return [await x509.SubjectKeyIdentifierExtension.create(publicKey), ...authority];
}

function subjectOf(certificate: X509Certificate): x509.JsonName {
  return new x509.X509Certificate(new Uint8Array(certificate.raw)).subjectName.toJSON();
}

/** Alternative names from the DER, each as it is, never from a joined text. Throws when they cannot be decoded or are there twice. */
export function altNamesOf(certificate: X509Certificate): { dns: string[]; uris: string[]; others: number } {
  return altNames(new x509.X509Certificate(new Uint8Array(certificate.raw)).getExtensions(x509.SubjectAlternativeNameExtension));
}

/** The names of at most one extension. */
export function altNames(extensions: readonly x509.SubjectAlternativeNameExtension[]): { dns: string[]; uris: string[]; others: number } {
  if (extensions.length > 1) throw new Error("alternative names are there twice");
  const found = { dns: [] as string[], uris: [] as string[], others: 0 };
  for (const { type, value } of extensions[0]?.names.items ?? []) {
    if (type === "dns") found.dns.push(value);
    else if (type === "url") found.uris.push(value);
    else found.others++;
  }
  return found;
}

/** SHA-256 of the DER, lower-case hexadecimal: what tokens pin. */
export function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(":", "").toLowerCase();
}

/** True when it is the key of this certificate. */
export function isKeyOf(pem: string, certificate: X509Certificate): boolean {
  return createPublicKey(createPrivateKey(pem)).equals(certificate.publicKey);
}

export function validityOf(certificate: X509Certificate): Validity {
  return { notBeforeMs: Date.parse(certificate.validFrom), notAfterMs: Date.parse(certificate.validTo) };
}
