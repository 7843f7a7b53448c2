// A certificate request, checked: proof of possession, the key's strength, and that it is for exactly one identity.
//
// Of what it asks for, only the key is taken; the certificate's names, usages and times are the authority's own. Refuses (by code):
// anything but one PKCS #10 structure in DER, weak or unusual keys, names that are not exactly the identity, wishes to be an authority.

import "reflect-metadata";
import { createPublicKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { identityName, isSameIdentity } from "../../core/identity/names.ts";
import type { WorkloadIdentity } from "../../core/identity/names.ts";
import { identityOfAltNames } from "../../core/identity/peer-identity.ts";
import { Refusal } from "./refusal.ts";
import { altNames } from "./x509.ts";

/** Bytes: a request with an RSA key of 4096 bits has 1.7 KB. */
export const CSR_BYTES_MAX = 8192;

/** RSA keys over it cost the verifier more than the one who sends them. */
const RSA_BITS_MAX = 4096;
const RSA_BITS_MIN = 2048;

const HASHES = ["SHA-256", "SHA-384", "SHA-512"];

/** ASN.1 values in a request: one with two names has about 60. */
const ASN1_NODES_MAX = 500;
const ASN1_DEPTH_MAX = 32;

const EXTENSION_REQUEST = "1.2.840.113549.1.9.14";
const COMMON_NAME = "2.5.4.3";

/** Checks the request for this identity; resolves to its public key (SPKI, DER). Rejects with a Refusal. */
export async function checkRequest(der: Uint8Array, identity: WorkloadIdentity): Promise<Uint8Array> {
  const request = parse(der);
  const publicKey = new Uint8Array(request.publicKey.rawData);
  checkKey(publicKey);
  checkNames(request, identity);
  checkExtensions(request);
  await checkSignature(request);
  return publicKey;
}

function parse(der: Uint8Array): x509.Pkcs10CertificateRequest {
  if (der.length === 0 || der.length > CSR_BYTES_MAX) {
    throw new Refusal("WEFT_IDENTITY_CSR_MALFORMED", `${der.length} bytes; it must have 1 to ${CSR_BYTES_MAX}`);
  }
  if (sequenceLength(der) !== der.length)
    throw new Refusal("WEFT_IDENTITY_CSR_MALFORMED", "it is not one DER sequence and nothing behind it");
  try {
    const options = { fromBER: { maxNodes: ASN1_NODES_MAX, maxDepth: ASN1_DEPTH_MAX } };
    const request = new x509.Pkcs10CertificateRequest(new Uint8Array(der), options as x509.ParseOptions);
    // Everything that is looked at later is decoded lazily: what is malformed shows here.
    void [request.attributes, request.extensions, request.subjectName, request.signatureAlgorithm, request.publicKey];
    return request;
  } catch {
    throw new Refusal("WEFT_IDENTITY_CSR_MALFORMED", "it cannot be decoded");
  }
}

/** Bytes of the outermost SEQUENCE with its header, -1 for anything else (lengths in DER's shortest form only). */
function sequenceLength(der: Uint8Array): number {
  if (der[0] !== 0x30) return -1;
  const first = der[1] ?? 0x80;
  if (first < 0x80) return 2 + first;
  if (first === 0x81) return (der[2] ?? 0) >= 0x80 ? 3 + der[2]! : -1;
  if (first === 0x82) return (der[2] ?? 0) > 0 ? 4 + der[2]! * 256 + (der[3] ?? 0) : -1;
  return -1;
}

function checkKey(spki: Uint8Array): void {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
  } catch {
    throw new Refusal("WEFT_IDENTITY_CSR_KEY", "it cannot be decoded");
  }
  const { namedCurve, modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === "ec" && (namedCurve === "prime256v1" || namedCurve === "secp384r1")) return;
  if (key.asymmetricKeyType === "rsa") {
    if (modulusLength >= RSA_BITS_MIN && modulusLength <= RSA_BITS_MAX && publicExponent === 65537n) return;
    throw new Refusal("WEFT_IDENTITY_CSR_KEY", `RSA with ${modulusLength} bits and exponent ${publicExponent}`);
  }
  throw new Refusal("WEFT_IDENTITY_CSR_KEY", `${key.asymmetricKeyType ?? "unknown"} ${namedCurve ?? ""}`.trim());
}

function checkNames(request: x509.Pkcs10CertificateRequest, identity: WorkloadIdentity): void {
  let names: { dns: string[]; uris: string[]; others: number };
  try {
    names = altNames(request.extensions.filter((extension) => extension instanceof x509.SubjectAlternativeNameExtension));
  } catch {
    throw new Refusal("WEFT_IDENTITY_CSR_NAME", "its alternative names cannot be decoded, or are there twice");
  }
  const found = identityOfAltNames(names, identity.controlNamespace);
  if ("problem" in found) throw new Refusal("WEFT_IDENTITY_CSR_NAME", found.problem);
  if (names.dns.length !== 1) throw new Refusal("WEFT_IDENTITY_CSR_NAME", "it has no DNS name");
  if (!isSameIdentity(found.identity, identity)) {
    throw new Refusal("WEFT_IDENTITY_CSR_NAME", `it names ${identityName(found.identity)}`);
  }
  const commonNames = request.subjectName.getField(COMMON_NAME);
  if (commonNames.length > 1 || (commonNames.length === 1 && commonNames[0] !== identityName(identity))) {
    throw new Refusal("WEFT_IDENTITY_CSR_NAME", "its common name is another than its DNS name");
  }
}

function checkExtensions(request: x509.Pkcs10CertificateRequest): void {
  const types = request.extensions.map(({ type }) => type);
  if (request.getAttributes(EXTENSION_REQUEST).length > 1 || new Set(types).size !== types.length) {
    throw new Refusal("WEFT_IDENTITY_CSR_EXTENSION", "an extension is there twice");
  }
  const constraints = request.extensions.find((extension) => extension instanceof x509.BasicConstraintsExtension);
  if (constraints !== undefined && constraints.ca) throw new Refusal("WEFT_IDENTITY_CSR_EXTENSION", "it asks to be an authority");
}

async function checkSignature(request: x509.Pkcs10CertificateRequest): Promise<void> {
  const hash = hashOf(request.signatureAlgorithm);
  if (!HASHES.includes(hash)) throw new Refusal("WEFT_IDENTITY_CSR_SIGNATURE", `hash ${hash}`);
  let isValid = false;
  try {
    isValid = await request.verify();
  } catch {
    // A signature of another form than its key's is as wrong as one that does not verify.
  }
  if (!isValid) throw new Refusal("WEFT_IDENTITY_CSR_SIGNATURE", "it does not verify");
}

function hashOf(algorithm: x509.HashedAlgorithm): string {
  const { hash } = algorithm as { hash?: string | { name: string } };
  return typeof hash === "string" ? hash : (hash?.name ?? "unknown");
}
